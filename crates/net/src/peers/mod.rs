//! Streams between the replicas of a group (`docs/consensus.md`, rules L40, L43 and L45).
//!
//! Each member dials two connections to each other member, *control* and *bulk*, and only sends on them: a
//! heartbeat never queues behind bulk data, and all that touches progress keeps one order. Every connection
//! begins with a handshake that says who speaks and, where there is a cluster secret, proves it.

mod accept;
mod dial;
mod evidence;
mod handshake;
mod hello;
mod lane;
mod read;
mod room;
mod strangers;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;
use parking_lot::Mutex;
use tern_log::LogError;
use tern_replication::{Lane, Member, PeerMessage, replica_number};
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

pub use hello::{Hello, PeerRefusal, Phase};
pub use room::Room;
pub use tern_replication::FrameSource;

use evidence::Evidence;
use lane::LaneQueue;
use room::Rooms;

/// What the streams tell their replica. Called on the net threads; must not block.
pub trait PeerEvents: Send + Sync + 'static {
    /// What this replica says of itself, fresh for each handshake.
    fn hello(&self) -> Hello;
    /// What a member has confirmed to this replica and cannot show less than. Asked before the member is dialled.
    fn confirmed(&self, peer: u32) -> u64;
    /// Whether a peer that says this of itself may be connected. Both sides judge; `confirmed` is what was known before
    /// the peer was asked, 0 where it spoke first.
    ///
    /// # Errors
    /// The refusal, which the peer is told.
    fn judge(&self, theirs: &Hello, confirmed: u64) -> Result<(), PeerRefusal>;
    /// A message whose checksums all hold; in order within a lane. Its room is given back when it is dropped, and until
    /// then the stream may have to wait: it goes with the message to whoever acts on it.
    fn message(&self, message: PeerMessage, room: Room);
    /// A peer passed the handshake.
    fn connected(&self, peer: u32, theirs: &Hello);
    /// What was on its way to a peer may be lost.
    fn disconnected(&self, peer: u32);
    /// A peer's process is gone, by all that can be known here: its kernel ended both streams that it had dialled, and a
    /// dial to it is refused. Told once until it connects again, and behind everything that came on those streams.
    fn gone(&self, peer: u32);
    /// A handshake ended in a refusal, by them or by us.
    fn refused(&self, peer: u32, by_them: bool, why: PeerRefusal);
    /// A frame of the own log that a peer needs cannot be read: the peer does not get it from this replica.
    fn damaged(&self, error: LogError);
}

/// How the streams are set up.
#[derive(Debug, Clone)]
pub struct PeerOptions {
    /// Where peers connect.
    pub listen: SocketAddr,
    /// Own replica number.
    pub own: u32,
    /// All members, the own one among them.
    pub members: Vec<Member>,
    /// Proves membership in the cluster; without one only loopback peers are accepted.
    pub secret: Option<Vec<u8>>,
    /// A peer that said nothing for this long is dialled anew (L43).
    pub silence: Duration,
    /// Longest message, bytes.
    pub message_limit: usize,
    /// Frames in one append, bytes; one frame may be longer.
    pub append_bytes: usize,
    /// Bytes of one peer's messages that may wait here to be acted upon, and bytes that may wait here for one peer.
    pub waiting_bytes: usize,
    /// Time for a handshake, from connect to the last byte.
    pub handshake_limit: Duration,
    /// Time for the first message of a handshake, which a member sends at once.
    pub opening_limit: Duration,
    /// Incoming connections that are in their handshake. A member has two more, once it has proven to be one.
    pub strangers: usize,
    /// Those of them that come from one address.
    pub strangers_of_address: usize,
}

impl PeerOptions {
    /// The usual limits.
    pub fn new(listen: SocketAddr, own: u32, members: Vec<Member>, silence: Duration) -> Self {
        Self {
            listen,
            own,
            members,
            secret: None,
            silence,
            message_limit: 9 << 20,
            append_bytes: 1 << 20,
            waiting_bytes: 64 << 20,
            handshake_limit: Duration::from_secs(2),
            opening_limit: Duration::from_secs(1),
            strangers: 128,
            strangers_of_address: 32,
        }
    }
}

/// The parts that all tasks share.
struct Shared {
    options: PeerOptions,
    events: Arc<dyn PeerEvents>,
    source: Arc<dyn FrameSource>,
    lanes: HashMap<(u32, Lane), LaneQueue>,
    rooms: Rooms,
    evidence: HashMap<u32, Mutex<Evidence>>,
}

impl Shared {
    /// Whether a peer may be connected: no objection of the replica's, and one of the members.
    fn judge(&self, theirs: &Hello, confirmed: u64) -> Result<(), PeerRefusal> {
        self.events.judge(theirs, confirmed)?;
        if self.evidence.contains_key(&replica_number(theirs.id)) {
            Ok(())
        } else {
            Err(PeerRefusal::UnknownMember)
        }
    }

    /// A peer's kernel ended a stream that it had dialled. It is dialled at once, to know more.
    fn ended(&self, peer: u32, lane: Lane, number: u64) {
        self.note(peer, |evidence| evidence.ended(lane, number));
        for lane in [Lane::Control, Lane::Bulk] {
            self.lanes[&(peer, lane)].awake.notify_one();
        }
    }

    /// Told while the evidence is held: what comes from a stream that is accepted later is told later.
    fn note(&self, peer: u32, note: impl FnOnce(&mut Evidence) -> bool) {
        let mut evidence = self.evidence[&peer].lock();
        if note(&mut evidence) {
            self.events.gone(peer);
        }
    }
}

/// The streams of one replica. Dropping it closes them.
pub struct Peers {
    shared: Arc<Shared>,
    tasks: Vec<AbortHandle>,
    accepted: Arc<accept::Accepted>,
}

impl Peers {
    /// Open the port and begin to dial.
    ///
    /// # Errors
    /// The system's reason if the port cannot be opened.
    pub fn start(
        runtime: &Handle,
        options: PeerOptions,
        events: Arc<dyn PeerEvents>,
        source: Arc<dyn FrameSource>,
    ) -> io::Result<Self> {
        let others: Vec<Member> = options
            .members
            .iter()
            .filter(|member| member.number != options.own)
            .cloned()
            .collect();
        let lanes = others
            .iter()
            .flat_map(|member| {
                [Lane::Control, Lane::Bulk].map(|lane| {
                    let queue = LaneQueue::new(lane, options.waiting_bytes);
                    ((member.number, lane), queue)
                })
            })
            .collect();
        let numbers = || others.iter().map(|member| member.number);
        let rooms = Rooms::new(numbers(), options.waiting_bytes);
        let evidence = numbers().map(|number| (number, Mutex::default())).collect();
        let accepted = Arc::new(accept::Accepted::new(&options));
        let listen = options.listen;
        let shared = Arc::new(Shared {
            options,
            events,
            source,
            lanes,
            rooms,
            evidence,
        });
        let guard = runtime.enter();
        let listener = accept::open(listen)?;
        drop(guard);
        let accepting = accept::run(Arc::clone(&shared), listener, Arc::clone(&accepted));
        let mut tasks = vec![runtime.spawn(accepting).abort_handle()];
        for member in others {
            for lane in [Lane::Control, Lane::Bulk] {
                let dialling = dial::run(Arc::clone(&shared), member.clone(), lane);
                tasks.push(runtime.spawn(dialling).abort_handle());
            }
        }
        Ok(Self {
            shared,
            tasks,
            accepted,
        })
    }

    /// Queue messages for their receivers. Never blocks; a message to a peer that is not connected is dropped: Raft
    /// repeats what matters. So is one for which there is no room, and then [`PeerEvents::disconnected`] says so.
    pub fn send(&self, messages: Vec<PeerMessage>) {
        for message in messages {
            let lane = (replica_number(message.to), message.lane());
            if let Some(queue) = self.shared.lanes.get(&lane)
                && !queue.push(message)
            {
                self.shared.events.disconnected(lane.0);
            }
        }
    }

    /// Close all connections and stop dialling.
    pub fn close(&self) {
        for task in &self.tasks {
            task.abort();
        }
        self.accepted.close();
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        self.close();
    }
}
