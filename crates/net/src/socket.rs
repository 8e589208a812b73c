//! Where streams come from: a port that accepts, a call that connects.

use std::io;
use std::net::SocketAddr;

use rustix::net::Shutdown;
use tokio::net::{TcpListener, TcpSocket, TcpStream, ToSocketAddrs};

use crate::stream::Stream;

/// Connections that the system completes before they are accepted. With few, a flood makes it drop those of honest
/// peers, which then try again after a second.
const BACKLOG: u32 = 1024;

/// An open port.
#[derive(Debug)]
pub struct ListeningSocket(TcpListener);

impl ListeningSocket {
    /// Opens a port; to be called within a runtime. An address that a stopped process left behind can be used again at
    /// once, while old connections linger.
    ///
    /// # Errors
    /// What the system says to binding and listening, as `AddrInUse` for a port that is taken.
    pub fn open(address: SocketAddr) -> io::Result<Self> {
        let socket = if address.is_ipv4() {
            TcpSocket::new_v4()?
        } else {
            TcpSocket::new_v6()?
        };
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG).map(Self)
    }

    /// The address with the port that was bound.
    ///
    /// # Errors
    /// The system's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    /// The next connection, and where it comes from.
    ///
    /// # Errors
    /// The system's, most often that no file descriptor is left.
    pub async fn accept(&self) -> io::Result<(Stream, SocketAddr)> {
        let (socket, peer) = self.0.accept().await?;
        Ok((Stream::Tcp(socket), peer))
    }

    /// Nobody can connect from here on, and a task that waits in [`accept`](Self::accept) wakes up with an error.
    pub(crate) fn shut_down(&self) {
        let _ = rustix::net::shutdown(&self.0, Shutdown::Both);
    }
}

/// Connects to an address; a name is resolved, and its addresses are tried one after the other.
///
/// # Errors
/// What the system says to the last attempt.
pub async fn connect(address: impl ToSocketAddrs) -> io::Result<Stream> {
    TcpStream::connect(address).await.map(Stream::Tcp)
}
