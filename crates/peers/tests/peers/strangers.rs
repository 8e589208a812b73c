//! Members get in, whatever strangers do at the peers' port.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;

use crate::support::{PATIENCE, Pair, heartbeat, send_until_seen};

/// Twice the places of an address.
const SILENT: usize = 64;
/// As many as have places beside a member's: those who say what a member says are turned out like members.
const PLAUSIBLE: usize = 24;

/// Clients that connect, say something or nothing, stay as long as they may, and connect again.
struct Flood {
    over: Arc<AtomicBool>,
    connected: Arc<AtomicUsize>,
    clients: Vec<JoinHandle<()>>,
}

impl Flood {
    fn begin(port: SocketAddr, strangers: usize, words: &[u8]) -> Self {
        let (over, connected) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let clients = (0..strangers)
            .map(|_| {
                let (over, connected) = (Arc::clone(&over), Arc::clone(&connected));
                let words = words.to_vec();
                std::thread::spawn(move || {
                    while !over.load(Ordering::SeqCst) {
                        let Ok(mut client) = TcpStream::connect(port) else {
                            continue;
                        };
                        connected.fetch_add(1, Ordering::SeqCst);
                        // Being turned out is what it waits for.
                        let _ = client.write_all(&words);
                        let _ = client.read_to_end(&mut Vec::new());
                    }
                })
            })
            .collect();
        let flood = Self {
            over,
            connected,
            clients,
        };
        let end = Instant::now() + PATIENCE;
        while flood.connected.load(Ordering::SeqCst) < 2 * strangers {
            assert!(Instant::now() < end, "each has been turned out once");
            std::thread::yield_now();
        }
        flood
    }

    /// Returns when no stranger is left; the port must be closed by then.
    fn end(self) {
        self.over.store(true, Ordering::SeqCst);
        for client in self.clients {
            client.join().unwrap();
        }
    }
}

/// A member gets in through the flood, comes back through it, and speaks.
fn gets_in(pair: &Pair, strangers: usize, words: &[u8]) {
    let (one, seen_by_one) = pair.start(1, |_, _| {}, Vec::new());
    let flood = Flood::begin(pair.addresses[0], strangers, words);
    for _ in 0..3 {
        let (two, _) = pair.start(2, |_, _| {}, Vec::new());
        send_until_seen(&two, &seen_by_one, &heartbeat(2, 1));
        while seen_by_one.try_recv().is_ok() {}
    }
    flood.over.store(true, Ordering::SeqCst);
    drop(one);
    flood.end();
}

#[test]
fn a_member_gets_in_while_silent_strangers_flood_the_port() {
    gets_in(&Pair::new(), SILENT, b"");
}

#[test]
fn a_member_gets_in_while_strangers_repeat_what_a_member_said_first() {
    let pair = Pair::new();
    let fake = TcpListener::bind(pair.addresses[0]).unwrap();
    let (two, _) = pair.start(2, |_, _| {}, Vec::new());
    let (mut dialled, _) = fake.accept().unwrap();
    let mut words = vec![0; 4096];
    let length = dialled.read(&mut words).unwrap();
    drop((two, dialled, fake));
    gets_in(&pair, PLAUSIBLE, &words[..length]);
}
