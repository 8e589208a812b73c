//! A connection's bytes, whatever carries them.
//!
//! Only this file and `socket.rs`, which accepts and connects, know what a stream is made of. TLS is a second variant
//! of the three enums below, made in `socket.rs` from a socket and a session that has not begun its handshake.
//!
//! A TLS session is one state for both directions, while here one task reads and any thread writes. So both halves of
//! the variant share the session under a lock, as do the users of a whole stream, and these rules keep it right without
//! touching any other file:
//!
//! - The lock is held to encrypt or decrypt what is at hand and to pass it to or from the socket, never across an
//!   await. `Outbound` lets one thread write at a time, as does whoever shares a whole stream, so that only the reader
//!   ever competes for it.
//! - `try_write` and `try_write_vectored` count bytes as taken when their record has gone to the socket whole. A record
//!   that went in part stays in the session, and the answer is `WouldBlock`; the next call sends the rest of it first,
//!   then counts its bytes. That works because a caller offers what was not taken again, first and unchanged. Thus
//!   a record never stays in the session without a task waiting for the socket, and the sweep that looks for peers that
//!   take nothing sees what the kernel took.
//! - What reading makes the session want to send (handshake, key update, alert) the reader sends before it reads on,
//!   under the same lock; the session keeps one order for it and for records.
//! - The handshake is part of reading, so that accepting waits for nobody; a peer that does not end it is cut off as
//!   idle. Before it is over, writing says `WouldBlock`, and `writable` waits.
//! - `shut_down` tries to send the session's end; it does not wait.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::net::{Shutdown, sockopt};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::runtime::Handle;
use tokio::task::coop::consume_budget;

/// A connection. One task reads it; who may write it is for its users to settle, one at a time.
#[derive(Debug)]
pub enum Stream {
    /// In the clear.
    Tcp(TcpStream),
}

/// What the reader of a connection keeps.
pub(crate) enum ReadHalf {
    Tcp(OwnedReadHalf),
}

/// What all other threads share: one at a time writes, and any may shut it down.
pub(crate) enum WriteHalf {
    Tcp(OwnedWriteHalf),
}

impl Stream {
    /// The other end.
    ///
    /// # Errors
    /// The system's, as for a connection that is gone already.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Tcp(socket) => socket.peer_addr(),
        }
    }

    /// Our end.
    ///
    /// # Errors
    /// The system's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Tcp(socket) => socket.local_addr(),
        }
    }

    /// Sends small writes at once.
    ///
    /// # Errors
    /// The system's.
    pub fn set_nodelay(&self) -> io::Result<()> {
        match self {
            Self::Tcp(socket) => socket.set_nodelay(true),
        }
    }

    /// Breaks when what was sent has not been acknowledged for this time. Without it a peer that vanished is noticed
    /// only after minutes.
    ///
    /// # Errors
    /// The system's.
    pub fn set_user_timeout(&self, unacknowledged: Duration) -> io::Result<()> {
        let milliseconds = u32::try_from(unacknowledged.as_millis()).unwrap_or(u32::MAX);
        match self {
            Self::Tcp(socket) => Ok(sockopt::set_tcp_user_timeout(socket, milliseconds)?),
        }
    }

    /// Has another runtime tell when it can be read and written from here on. Nothing may wait for it meanwhile.
    ///
    /// # Errors
    /// The system's.
    pub fn moved_to(self, runtime: &Handle) -> io::Result<Self> {
        match self {
            Self::Tcp(socket) => {
                let socket = socket.into_std()?;
                let _entered = runtime.enter();
                Ok(Self::Tcp(TcpStream::from_std(socket)?))
            }
        }
    }

    /// Waits until [`try_read`](Self::try_read) may have something to tell.
    ///
    /// # Errors
    /// The system's.
    pub async fn readable(&self) -> io::Result<()> {
        match self {
            Self::Tcp(socket) => socket.readable().await,
        }
    }

    /// Reads what is there without waiting; 0 bytes are the end of the stream.
    ///
    /// # Errors
    /// `WouldBlock` if nothing is there, and the system's for a stream that broke.
    pub fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(socket) => socket.try_read(buffer),
        }
    }

    /// Waits until [`try_write`](Self::try_write) may take more.
    ///
    /// # Errors
    /// The system's.
    pub async fn writable(&self) -> io::Result<()> {
        match self {
            Self::Tcp(socket) => socket.writable().await,
        }
    }

    /// Writes what is taken at once, from any thread. What was not taken has to be offered again, first and unchanged.
    ///
    /// # Errors
    /// `WouldBlock` if nothing is taken for now, and the system's for a stream that broke.
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(socket) => socket.try_write(bytes),
        }
    }

    /// Writes all of it, waiting as often as it takes. For one task at a time, while no other thread writes.
    ///
    /// # Errors
    /// The system's for a stream that broke; a part may have been taken then.
    pub async fn write_whole(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.try_write(bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(taken) => {
                    bytes = &bytes[taken..];
                    // A peer that takes everything at once must not keep the runtime's other tasks waiting.
                    consume_budget().await;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.writable().await?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    pub(crate) fn into_split(self) -> (ReadHalf, WriteHalf) {
        match self {
            Self::Tcp(socket) => {
                let (reading, writing) = socket.into_split();
                (ReadHalf::Tcp(reading), WriteHalf::Tcp(writing))
            }
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(socket) => Pin::new(socket).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(socket) => Pin::new(socket).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(socket) => Pin::new(socket).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(socket) => Pin::new(socket).poll_shutdown(cx),
        }
    }
}

impl AsyncRead for ReadHalf {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(socket) => Pin::new(socket).poll_read(cx, buffer),
        }
    }
}

impl WriteHalf {
    /// Writes what the socket takes at once. What it did not take has to be offered again, first and unchanged.
    pub(crate) fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Tcp(socket) => socket.try_write_vectored(slices),
        }
    }

    /// Waits until more may be written.
    pub(crate) async fn writable(&self) -> io::Result<()> {
        match self {
            Self::Tcp(socket) => socket.writable().await,
        }
    }

    /// Ends both directions: the reader sees the end of the stream.
    pub(crate) fn shut_down(&self) {
        match self {
            Self::Tcp(socket) => {
                // An error here means that the peer was faster.
                let _ = rustix::net::shutdown(socket.as_ref(), Shutdown::Both);
            }
        }
    }
}
