//! What the accepting and the dialling tasks of one replica share.

use std::sync::Arc;

use hashbrown::HashMap;
use parking_lot::Mutex;
use tern_replication::{FrameSource, Hello, PeerRefusal, PeerStream, RaftMember, replica_number};
use tokio::runtime::Handle;

use crate::events::PeerEvents;
use crate::evidence::Evidence;
use crate::options::PeerOptions;
use crate::permit::MessagePermits;
use crate::stream_queue::StreamQueue;

/// The parts that all tasks share.
pub(crate) struct PeersShared {
    pub options: PeerOptions,
    pub events: Arc<dyn PeerEvents>,
    pub source: Arc<dyn FrameSource>,
    pub queues: HashMap<(u32, PeerStream), StreamQueue>,
    pub rooms: MessagePermits,
    pub evidence: HashMap<u32, Mutex<Evidence>>,
    /// Where members are that had to say so themselves.
    pub heard_addresses: Mutex<HashMap<u32, String>>,
    /// The thread of the control streams, and of everything that comes before a stream.
    pub control: Handle,
    /// The threads of the bulk streams, which clients' sockets share.
    pub bulk: Handle,
}

impl PeersShared {
    /// Where a stream is carried.
    pub fn runtime(&self, peer_stream: PeerStream) -> &Handle {
        match peer_stream {
            PeerStream::Control => &self.control,
            PeerStream::Bulk => &self.bulk,
        }
    }

    /// Whether a peer may be connected: no objection of the replica's, and one of the members.
    pub fn judge(&self, theirs: &Hello, confirmed: u64) -> Result<(), PeerRefusal> {
        self.events.judge(theirs, confirmed)?;
        if self.evidence.contains_key(&replica_number(theirs.id)) {
            Ok(())
        } else {
            Err(PeerRefusal::UnknownMember)
        }
    }

    /// Where to dial a member; none if nobody has said.
    pub fn address(&self, peer: &RaftMember) -> Option<String> {
        if peer.address.is_empty() {
            return self.heard_addresses.lock().get(&peer.number).cloned();
        }
        Some(peer.address.clone())
    }

    /// A member that has proven to be one says where it is.
    pub fn heard(&self, theirs: &Hello) {
        if !theirs.peer_address.is_empty() {
            let number = replica_number(theirs.id);
            let mut heard = self.heard_addresses.lock();
            heard.insert(number, theirs.peer_address.clone());
        }
    }

    /// A peer's kernel ended a stream that it had dialled. It is dialled at once, to know more.
    pub fn ended(&self, peer: u32, peer_stream: PeerStream, number: u64) {
        self.note(peer, |evidence| evidence.ended(peer_stream, number));
        for peer_stream in [PeerStream::Control, PeerStream::Bulk] {
            self.queues[&(peer, peer_stream)].awake.notify_one();
        }
    }

    /// Told while the evidence is held: what comes from a stream that is accepted later is told later.
    pub fn note(&self, peer: u32, note: impl FnOnce(&mut Evidence) -> bool) {
        let mut evidence = self.evidence[&peer].lock();
        if note(&mut evidence) {
            self.events.gone(peer);
        }
    }
}
