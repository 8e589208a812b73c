//! The streams between replicas, over real loopback sockets.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tern_log::{Frame, FrameDraft, LogEnd};
use tern_net::peers::{FrameSource, Hello, PeerEvents, PeerOptions, PeerRefusal, Peers, Phase};
use tern_replication::{Member, MessageKind, PeerMessage, ThinEntry, replica_id};
use tokio::runtime::Runtime;

const SEGMENT: u64 = 32 << 20;
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, PartialEq)]
enum Seen {
    Message(Box<PeerMessage>),
    Connected(u32),
    Refused(u32, bool, PeerRefusal),
}

struct Replica {
    hello: Mutex<Hello>,
    seen: Mutex<Sender<Seen>>,
    frames: Vec<Frame>,
}

impl PeerEvents for Replica {
    fn hello(&self) -> Hello {
        self.hello.lock().unwrap().clone()
    }

    fn confirmed(&self, _: u32) -> u64 {
        0
    }

    fn judge(&self, theirs: &Hello, _: u64) -> Result<(), PeerRefusal> {
        let own = self.hello();
        if theirs.group != own.group {
            return Err(PeerRefusal::UnknownGroup);
        }
        if own.phase == Phase::Started && theirs.phase == Phase::Empty {
            return Err(PeerRefusal::EmptyReplicaOfFoundedGroup);
        }
        Ok(())
    }

    fn message(&self, message: PeerMessage) {
        self.tell(Seen::Message(Box::new(message)));
    }

    fn connected(&self, peer: u32, _theirs: &Hello) {
        self.tell(Seen::Connected(peer));
    }

    fn disconnected(&self, _peer: u32) {}

    fn refused(&self, peer: u32, by_them: bool, why: PeerRefusal) {
        self.tell(Seen::Refused(peer, by_them, why));
    }
}

impl Replica {
    fn tell(&self, seen: Seen) {
        // A test that has seen enough has dropped its end.
        let _ = self.seen.lock().unwrap().send(seen);
    }
}

impl FrameSource for Replica {
    fn frames(&self, entries: &[ThinEntry], max_bytes: usize) -> Option<Vec<Frame>> {
        let mut frames = Vec::new();
        let mut bytes = 0;
        for entry in entries {
            let frame = self.frames.get(entry.index as usize - 1)?;
            bytes += frame.bytes.len();
            if bytes > max_bytes && !frames.is_empty() {
                break;
            }
            frames.push(frame.clone());
        }
        (!frames.is_empty()).then_some(frames)
    }
}

/// `count` frames with ops of `length` bytes, chained.
fn frames(count: usize, length: usize) -> Vec<Frame> {
    let mut end = LogEnd::default();
    (0..count)
        .map(|_| {
            let draft = FrameDraft {
                metadata: vec![7; length],
                ..FrameDraft::default()
            };
            let frame = draft.seal(&end, 1, 0, SEGMENT).unwrap();
            end = frame.end();
            frame
        })
        .collect()
}

fn free_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

struct Pair {
    runtime: Runtime,
    addresses: Vec<SocketAddr>,
}

impl Pair {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        Self {
            runtime,
            addresses: vec![free_port(), free_port()],
        }
    }

    fn start(
        &self,
        own: u32,
        change: impl FnOnce(&mut Hello, &mut PeerOptions),
        stored: Vec<Frame>,
    ) -> (Peers, Receiver<Seen>) {
        let members = [1, 2].map(|number| Member {
            id: format!("n{}", number - 1),
            number,
            address: self.addresses[number as usize - 1].to_string(),
        });
        let mut hello = Hello {
            cluster: "c".to_owned(),
            group: "g".to_owned(),
            group_id: [7; 16],
            member: format!("n{}", own - 1),
            id: replica_id(own, 1),
            phase: Phase::Started,
            members_digest: 9,
            mode: 3,
            last_index: 0,
            last_term: 0,
            commit_index: 0,
            commit_term: 0,
            commit_crc: 0,
            feature_level: 1,
            heartbeat_ms: 100,
            election_min_ms: 300,
            election_max_ms: 600,
            client_address: "127.0.0.1:1".to_owned(),
        };
        let listen = self.addresses[own as usize - 1];
        let mut options = PeerOptions {
            secret: Some(b"secret".to_vec()),
            ..PeerOptions::new(listen, own, members.to_vec(), Duration::from_millis(300))
        };
        change(&mut hello, &mut options);
        let (sender, receiver) = channel();
        let replica = Arc::new(Replica {
            hello: Mutex::new(hello),
            seen: Mutex::new(sender),
            frames: stored,
        });
        let events: Arc<dyn PeerEvents> = replica.clone();
        // A port that was just given up is free when the runtime has ended its tasks.
        let end = Instant::now() + PATIENCE;
        loop {
            let (events, source) = (Arc::clone(&events), Arc::clone(&replica));
            match Peers::start(self.runtime.handle(), options.clone(), events, source) {
                Ok(peers) => return (peers, receiver),
                Err(error) => assert!(Instant::now() < end, "{error}"),
            }
        }
    }
}

fn wait_for(seen: &Receiver<Seen>, mut wanted: impl FnMut(&Seen) -> bool) -> Seen {
    let end = Instant::now() + PATIENCE;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let next = seen.recv_timeout(left).expect("it did not happen in time");
        if wanted(&next) {
            return next;
        }
    }
}

/// Sends until the other side has it: before the connection stands, messages are dropped.
fn send_until_seen(peers: &Peers, seen: &Receiver<Seen>, message: &PeerMessage) -> PeerMessage {
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        peers.send(vec![message.clone()]);
        if let Ok(Seen::Message(got)) = seen.recv_timeout(Duration::from_millis(50)) {
            return *got;
        }
    }
    panic!("no message arrived");
}

fn heartbeat(from: u32, to: u32) -> PeerMessage {
    let mut message = PeerMessage::raft(
        MessageKind::Heartbeat,
        replica_id(from, 1),
        replica_id(to, 1),
    );
    message.term = 4;
    message
}

#[test]
fn messages_pass_both_ways_once_both_have_proven_the_secret() {
    let pair = Pair::new();
    let (one, seen_by_one) = pair.start(1, |_, _| {}, Vec::new());
    let (two, seen_by_two) = pair.start(2, |_, _| {}, Vec::new());
    assert_eq!(
        send_until_seen(&one, &seen_by_two, &heartbeat(1, 2)),
        heartbeat(1, 2)
    );
    assert_eq!(
        send_until_seen(&two, &seen_by_one, &heartbeat(2, 1)),
        heartbeat(2, 1)
    );
}

#[test]
fn a_long_append_is_split_and_arrives_as_one_run() {
    let pair = Pair::new();
    let stored = frames(12, 300 << 10);
    let (one, _seen) = pair.start(1, |_, _| {}, stored.clone());
    let (_two, seen) = pair.start(2, |_, _| {}, Vec::new());
    let mut append = PeerMessage::raft(MessageKind::Append, replica_id(1, 1), replica_id(2, 1));
    append.term = 1;
    append.entries = stored
        .iter()
        .map(|frame| ThinEntry {
            index: frame.header.index,
            term: 1,
            kind: frame.header.kind,
            descriptor: Some((&frame.header).into()),
        })
        .collect();
    let mut got = vec![send_until_seen(&one, &seen, &append)];
    while got.last().unwrap().frames.last().unwrap().header.index < 12 {
        let Seen::Message(next) = wait_for(&seen, |s| matches!(s, Seen::Message(_))) else {
            unreachable!()
        };
        got.push(*next);
    }
    assert!(got.len() > 2, "split into {}", got.len());
    let all: Vec<Frame> = got
        .iter()
        .flat_map(|message| message.frames.clone())
        .collect();
    assert_eq!(all, stored);
    for pair in got.windows(2) {
        let last = &pair[0].frames.last().unwrap().header;
        assert_eq!((pair[1].index, pair[1].log_term), (last.index, last.term));
    }
}

#[test]
fn a_peer_with_another_secret_is_refused_by_both() {
    let pair = Pair::new();
    let (_one, seen) = pair.start(1, |_, _| {}, Vec::new());
    let (_two, _) = pair.start(
        2,
        |_, options| options.secret = Some(b"other".to_vec()),
        Vec::new(),
    );
    let refused = wait_for(&seen, |seen| matches!(seen, Seen::Refused(..)));
    assert!(
        matches!(
            refused,
            Seen::Refused(2, false, PeerRefusal::NotAuthenticated)
        ),
        "{refused:?}"
    );
}

#[test]
fn an_empty_replica_learns_from_its_group_that_it_was_wiped() {
    let pair = Pair::new();
    let (_one, _seen) = pair.start(1, |_, _| {}, Vec::new());
    let (_two, seen) = pair.start(2, |hello, _| hello.phase = Phase::Empty, Vec::new());
    let wiped = Seen::Refused(1, true, PeerRefusal::EmptyReplicaOfFoundedGroup);
    wait_for(&seen, |seen| *seen == wiped);
}

#[test]
fn a_member_of_another_group_is_refused() {
    let pair = Pair::new();
    let (_one, seen) = pair.start(1, |_, _| {}, Vec::new());
    let (_two, _) = pair.start(2, |hello, _| hello.group = "other".to_owned(), Vec::new());
    wait_for(&seen, |seen| {
        matches!(seen, Seen::Refused(2, _, PeerRefusal::UnknownGroup))
    });
}

#[test]
fn a_port_scan_is_closed_without_a_word_and_harms_nobody() {
    let pair = Pair::new();
    let (one, _) = pair.start(1, |_, _| {}, Vec::new());
    for probe in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0; 64], &[0xff; 64]] {
        let mut scan = TcpStream::connect(pair.addresses[0]).unwrap();
        scan.set_read_timeout(Some(PATIENCE)).unwrap();
        scan.write_all(probe).unwrap();
        let mut answer = Vec::new();
        // A reset is as good an end as a close.
        let _ = scan.read_to_end(&mut answer);
        assert!(answer.is_empty());
    }
    let (_two, seen) = pair.start(2, |_, _| {}, Vec::new());
    send_until_seen(&one, &seen, &heartbeat(1, 2));
}

#[test]
fn a_peer_that_comes_back_is_connected_again() {
    let pair = Pair::new();
    let (one, _) = pair.start(1, |_, _| {}, Vec::new());
    let (two, seen) = pair.start(2, |_, _| {}, Vec::new());
    send_until_seen(&one, &seen, &heartbeat(1, 2));
    drop(two);
    let (_two, seen) = pair.start(2, |_, _| {}, Vec::new());
    send_until_seen(&one, &seen, &heartbeat(1, 2));
}
