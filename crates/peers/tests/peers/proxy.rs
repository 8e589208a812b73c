//! A network between two replicas of which a test holds every connection.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use tern_replication::PeerStream;

/// Magic, version, stream: what a dialler says first.
const BEGINNING: usize = 11;

/// One connection through the proxy.
struct ProxiedConnection {
    peer_stream: PeerStream,
    dialler: TcpStream,
    acceptor: TcpStream,
    /// Nothing passes any more, and both ends stay open.
    stalled: Arc<AtomicBool>,
}

/// Carries connections to an address, as long as it is open.
pub struct Proxy {
    pub address: SocketAddr,
    links: Arc<Mutex<Vec<ProxiedConnection>>>,
    closed: Arc<AtomicBool>,
    accepting: Mutex<Option<JoinHandle<()>>>,
}

impl Proxy {
    pub fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        listener.set_nonblocking(true).unwrap();
        let (links, closed) = (Arc::default(), Arc::new(AtomicBool::new(false)));
        let (kept, over) = (Arc::clone(&links), Arc::clone(&closed));
        let accepting = std::thread::spawn(move || {
            while !over.load(Ordering::SeqCst) {
                match listener.accept() {
                    Ok((dialler, _)) => {
                        let kept = Arc::clone(&kept);
                        std::thread::spawn(move || carry(dialler, target, &kept));
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {
                        std::thread::sleep(Duration::from_millis(1));
                    }
                    Err(error) => panic!("{error}"),
                }
            }
        });
        Self {
            address,
            links,
            closed,
            accepting: Mutex::new(Some(accepting)),
        }
    }

    /// Refuse new connections; those that stand go on.
    pub fn refuse(&self) {
        self.closed.store(true, Ordering::SeqCst);
        if let Some(accepting) = self.accepting.lock().unwrap().take() {
            accepting.join().unwrap();
        }
    }

    /// End all connections of a stream, at both ends.
    pub fn cut(&self, peer_stream: PeerStream) {
        self.each(peer_stream, |link| {
            let _ = link.dialler.shutdown(Shutdown::Both);
            let _ = link.acceptor.shutdown(Shutdown::Both);
        });
    }

    /// End the first connection of a stream.
    pub fn cut_oldest(&self, peer_stream: PeerStream) {
        let links = self.links.lock().unwrap();
        let oldest = links
            .iter()
            .find(|link| link.peer_stream == peer_stream)
            .unwrap();
        let _ = oldest.acceptor.shutdown(Shutdown::Both);
    }

    /// Wait until the side that accepted the first connection of a stream has closed it.
    pub fn wait_until_closed_by_acceptor(&self, peer_stream: PeerStream) {
        let links = self.links.lock().unwrap();
        let oldest = links
            .iter()
            .find(|link| link.peer_stream == peer_stream)
            .unwrap();
        let mut acceptor = oldest.acceptor.try_clone().unwrap();
        drop(links);
        // Nothing is ever said on this way once the handshake is over.
        assert_eq!(acceptor.read(&mut [0]).unwrap_or(0), 0);
    }

    /// End all connections of a stream at the end that dialled; the other end is not told.
    pub fn detach(&self, peer_stream: PeerStream) {
        self.each(peer_stream, |link| {
            link.stalled.store(true, Ordering::SeqCst);
            let _ = link.dialler.shutdown(Shutdown::Both);
        });
    }

    /// Let nothing pass any more on a stream.
    pub fn stall(&self, peer_stream: PeerStream) {
        self.each(peer_stream, |link| {
            link.stalled.store(true, Ordering::SeqCst);
        });
    }

    fn each(&self, peer_stream: PeerStream, act: impl Fn(&ProxiedConnection)) {
        let links = self.links.lock().unwrap();
        let of_stream: Vec<&ProxiedConnection> = links
            .iter()
            .filter(|link| link.peer_stream == peer_stream)
            .collect();
        assert!(
            !of_stream.is_empty(),
            "nothing passed on {peer_stream:?} yet"
        );
        of_stream.into_iter().for_each(act);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::SeqCst);
    }
}

fn carry(mut dialler: TcpStream, target: SocketAddr, links: &Mutex<Vec<ProxiedConnection>>) {
    dialler.set_nonblocking(false).unwrap();
    let mut beginning = [0; BEGINNING];
    // A dialler may give up, and the target may be gone: then there is nothing to carry.
    let Ok(()) = dialler.read_exact(&mut beginning) else {
        return;
    };
    let Ok(mut acceptor) = TcpStream::connect(target) else {
        return;
    };
    let stalled = Arc::new(AtomicBool::new(false));
    links.lock().unwrap().push(ProxiedConnection {
        peer_stream: match beginning[BEGINNING - 1] {
            0 => PeerStream::Control,
            _ => PeerStream::Bulk,
        },
        dialler: dialler.try_clone().unwrap(),
        acceptor: acceptor.try_clone().unwrap(),
        stalled: Arc::clone(&stalled),
    });
    if acceptor.write_all(&beginning).is_err() {
        return;
    }
    let back = (acceptor.try_clone().unwrap(), dialler.try_clone().unwrap());
    let over = Arc::clone(&stalled);
    std::thread::spawn(move || copy(back.0, back.1, &over));
    copy(dialler, acceptor, &stalled);
}

fn copy(mut from: TcpStream, mut to: TcpStream, stalled: &AtomicBool) {
    let mut bytes = vec![0; 64 << 10];
    loop {
        let read = from.read(&mut bytes).unwrap_or(0);
        if stalled.load(Ordering::SeqCst) {
            return;
        }
        if read == 0 || to.write_all(&bytes[..read]).is_err() {
            let _ = from.shutdown(Shutdown::Both);
            let _ = to.shutdown(Shutdown::Both);
            return;
        }
    }
}
