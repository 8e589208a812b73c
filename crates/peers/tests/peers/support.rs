//! Two replicas on real loopback sockets, and what their streams tell them.

use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tern_log::{Fault, Frame, FrameDraft, LogEnd, LogError};
use tern_peers::{MessagePermit, PeerEvents, PeerOptions, Peers};
use tern_replication::{
    FrameSource, Hello, MessageKind, PeerMessage, PeerRefusal, PeerStream, Phase, RaftMember,
    ThinEntry, replica_id,
};
use tokio::runtime::Runtime;

const SEGMENT: u64 = 32 << 20;
pub const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, PartialEq)]
pub enum PeerNotice {
    Message(Box<PeerMessage>),
    Connected(u32),
    Refused(u32, bool, PeerRefusal),
    Damaged(String),
    Disconnected(u32),
    Gone(u32),
}

pub struct FakeReplica {
    hello: Mutex<Hello>,
    seen: Mutex<Sender<PeerNotice>>,
    frames: Vec<Frame>,
    /// Frames that were asked for, to be sent.
    pub asked: AtomicUsize,
    /// On which stream it is busy: it keeps the room of what it is told there.
    pub busy: Mutex<Option<PeerStream>>,
    kept: Mutex<Vec<MessagePermit>>,
    /// What the next frames that are asked for come from, and are waited for there.
    pub disk: Mutex<Option<Receiver<()>>>,
}

impl PeerEvents for FakeReplica {
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

    fn message(&self, message: PeerMessage, room: MessagePermit) {
        if *self.busy.lock().unwrap() == Some(message.stream()) {
            self.kept.lock().unwrap().push(room);
        }
        self.tell(PeerNotice::Message(Box::new(message)));
    }

    fn connected(&self, peer: u32, _theirs: &Hello) {
        self.tell(PeerNotice::Connected(peer));
    }

    fn disconnected(&self, peer: u32) {
        self.tell(PeerNotice::Disconnected(peer));
    }

    fn gone(&self, peer: u32) {
        self.tell(PeerNotice::Gone(peer));
    }

    fn refused(&self, peer: u32, by_them: bool, why: PeerRefusal) {
        self.tell(PeerNotice::Refused(peer, by_them, why));
    }

    fn damaged(&self, error: LogError) {
        self.tell(PeerNotice::Damaged(error.to_string()));
    }
}

impl FakeReplica {
    /// It has acted upon everything, and does so at once from now on.
    pub fn go_on(&self) {
        *self.busy.lock().unwrap() = None;
        self.kept.lock().unwrap().clear();
    }

    /// Messages whose room it keeps.
    pub fn kept(&self) -> usize {
        self.kept.lock().unwrap().len()
    }

    fn tell(&self, seen: PeerNotice) {
        // A test that has seen enough has dropped its end.
        let _ = self.seen.lock().unwrap().send(seen);
    }
}

impl FrameSource for FakeReplica {
    fn frames(
        &self,
        entries: &[ThinEntry],
        max_bytes: usize,
    ) -> Result<Option<Vec<Frame>>, LogError> {
        let disk = self.disk.lock().unwrap().take();
        if let Some(disk) = disk {
            let _ = disk.recv();
        }
        let mut frames = Vec::new();
        let mut bytes = 0;
        for entry in entries {
            let Some(frame) = self.frames.get(entry.index as usize - 1) else {
                return Err(LogError::Rotted {
                    position: 0,
                    index: entry.index,
                    fault: Fault::PayloadCrc,
                });
            };
            bytes += frame.bytes.len();
            if bytes > max_bytes && !frames.is_empty() {
                break;
            }
            frames.push(frame.clone());
        }
        self.asked.fetch_add(frames.len(), Ordering::SeqCst);
        Ok((!frames.is_empty()).then_some(frames))
    }

    fn held_frames(&self, entries: &[ThinEntry], max_bytes: usize) -> Option<Vec<Frame>> {
        if self.disk.lock().unwrap().is_some() {
            return None;
        }
        let held = |entry: &ThinEntry| self.frames.get(entry.index as usize - 1).cloned();
        let frames: Vec<Frame> = entries.iter().map(held).collect::<Option<_>>()?;
        let bytes: usize = frames.iter().map(|frame| frame.bytes.len()).sum();
        (bytes <= max_bytes).then_some(frames)
    }

    fn is_cold(&self, _: &[ThinEntry]) -> bool {
        self.disk.lock().unwrap().is_some()
    }
}

/// `count` frames with ops of `length` bytes, chained.
pub fn frames(count: usize, length: usize) -> Vec<Frame> {
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

/// A free port below the range from which the system takes those of outgoing connections: one of those may be had by a
/// connection of another test before its owner listens.
pub fn free_port() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 20_000 + (std::process::id() % 400) as u16 * 20;
    loop {
        let port = first + NEXT.fetch_add(1, Ordering::Relaxed) % 4_000;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

pub struct Pair {
    pub runtime: Runtime,
    pub addresses: Vec<SocketAddr>,
}

impl Pair {
    pub fn new() -> Self {
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

    /// The same two replicas, on another net thread.
    pub fn on_another_thread(&self) -> Self {
        Self {
            addresses: self.addresses.clone(),
            ..Self::new()
        }
    }

    /// Keeps the net thread busy until what is returned is dropped.
    pub fn keep_busy(&self) -> Sender<()> {
        let (goes_on, waits) = channel::<()>();
        let (is_busy, busy) = channel();
        self.runtime.spawn(async move {
            is_busy.send(()).unwrap();
            let _ = waits.recv();
        });
        busy.recv().unwrap();
        goes_on
    }

    pub fn start(
        &self,
        own: u32,
        change: impl FnOnce(&mut Hello, &mut PeerOptions),
        stored: Vec<Frame>,
    ) -> (Peers, Receiver<PeerNotice>) {
        let (peers, seen, _) = self.start_whole(own, change, stored);
        (peers, seen)
    }

    pub fn start_whole(
        &self,
        own: u32,
        change: impl FnOnce(&mut Hello, &mut PeerOptions),
        stored: Vec<Frame>,
    ) -> (Peers, Receiver<PeerNotice>, Arc<FakeReplica>) {
        let members = [1, 2].map(|number| RaftMember {
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
            peer_address: String::new(),
        };
        let listen = self.addresses[own as usize - 1];
        let mut options = PeerOptions {
            secret: Some(b"secret".to_vec()),
            ..PeerOptions::new(listen, own, members.to_vec(), Duration::from_millis(300))
        };
        change(&mut hello, &mut options);
        let (sender, receiver) = channel();
        let replica = Arc::new(FakeReplica {
            hello: Mutex::new(hello),
            seen: Mutex::new(sender),
            frames: stored,
            asked: AtomicUsize::new(0),
            busy: Mutex::default(),
            kept: Mutex::default(),
            disk: Mutex::default(),
        });
        let events: Arc<dyn PeerEvents> = replica.clone();
        // A port that was just given up is free when the runtime has ended its tasks.
        let end = Instant::now() + PATIENCE;
        loop {
            let (events, source) = (Arc::clone(&events), Arc::clone(&replica));
            match Peers::start(self.runtime.handle(), options.clone(), events, source) {
                Ok(peers) => return (peers, receiver, replica),
                Err(error) => assert!(Instant::now() < end, "{error}"),
            }
        }
    }
}

pub fn wait_for(
    seen: &Receiver<PeerNotice>,
    mut wanted: impl FnMut(&PeerNotice) -> bool,
) -> PeerNotice {
    let end = Instant::now() + PATIENCE;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let next = seen.recv_timeout(left).expect("it did not happen in time");
        if wanted(&next) {
            return next;
        }
    }
}

pub fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < end, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Sends until the other side has it: before the connection stands, messages are dropped.
pub fn send_until_seen(
    peers: &Peers,
    seen: &Receiver<PeerNotice>,
    message: &PeerMessage,
) -> PeerMessage {
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        peers.send(vec![message.clone()]);
        // What came on another stream says nothing of this one, which may not stand yet.
        if let Ok(PeerNotice::Message(got)) = seen.recv_timeout(Duration::from_millis(50))
            && got.stream() == message.stream()
        {
            return *got;
        }
    }
    panic!("no message arrived");
}

pub fn heartbeat(from: u32, to: u32) -> PeerMessage {
    let mut message = PeerMessage::raft(
        MessageKind::Heartbeat,
        replica_id(from, 1),
        replica_id(to, 1),
    );
    message.term = 4;
    message
}

/// An append of frames that the sender has stored.
pub fn append(from: u32, to: u32, stored: &[Frame]) -> PeerMessage {
    let mut append = PeerMessage::raft(MessageKind::Append, replica_id(from, 1), replica_id(to, 1));
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
    append
}
