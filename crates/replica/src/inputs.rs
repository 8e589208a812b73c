//! What goes into a replica's turn, and what comes out of it.

use std::path::PathBuf;
use std::sync::Arc;
use tern_log::{DirectoryId, LogError, SegmentNeed};
use tern_replication::{PeerMessage, ReplicaId, Role};

use crate::disk_health::DiskHealthChange;
use crate::disk_room::DiskRoomChange;
use crate::elections::ElectionCause;
use crate::flusher::{Durable, FlushRequest};
use crate::next_queue_offsets::NextQueueOffsets;
use crate::proposal::{MembershipRequest, Outcome, Proposal};

/// Everything that waits for one turn.
#[derive(Debug)]
pub struct Inbox<T> {
    /// Monotonic time that counts suspension, nanoseconds.
    pub now_ns: u64,
    /// Wall clock, milliseconds since 1970: stamps messages and nothing else (D12).
    pub wall_ms: u64,
    /// Ticks of 10 ms that have passed since the turn before.
    pub ticks: u32,
    /// Checked messages from peers, in order per stream.
    pub peers: Vec<PeerMessage>,
    /// New proposals.
    pub proposals: Vec<Proposal<T>>,
    /// Reads that need confirmed leadership, with the time they were received.
    pub reads: Vec<(T, u64)>,
    /// The newest work that is durable, by the flush thread's word.
    pub durable: Option<Durable>,
    /// Queue numbers for a new leader, from the apply thread.
    pub rebuilt: Option<RebuiltNextOffsets>,
    /// A prepared segment, or the error that met its preparation.
    pub segments: Vec<PreparedSegment>,
    /// The answer to a look at the disk; inside, none if the disk does not tell.
    pub space: Option<Option<tern_log::Space>>,
    /// Position up to which the views stand.
    pub applied_position: u64,
    /// Hand leadership to this replica.
    pub transfer: Option<ReplicaId>,
    /// Changes of the members that somebody asks for.
    pub membership: Vec<(T, MembershipRequest)>,
    /// Empty replicas that ask to join, by their numbers, with their directories.
    pub joins: Vec<(u32, DirectoryId)>,
    /// Peers whose connection was lost.
    pub unreachable: Vec<ReplicaId>,
    /// Peers that were connected, each with the term of its last frame.
    pub connected: Vec<(ReplicaId, u64)>,
    /// Peers whose process is gone, each with the number of messages in `peers` that came before that.
    pub gone: Vec<(usize, ReplicaId)>,
    /// Damage was met while the log was read.
    pub rotted: bool,
}

impl<T> Default for Inbox<T> {
    fn default() -> Self {
        Self {
            now_ns: 0,
            wall_ms: 0,
            ticks: 0,
            peers: Vec::new(),
            proposals: Vec::new(),
            reads: Vec::new(),
            durable: None,
            rebuilt: None,
            segments: Vec::new(),
            space: None,
            applied_position: 0,
            transfer: None,
            membership: Vec::new(),
            joins: Vec::new(),
            unreachable: Vec::new(),
            connected: Vec::new(),
            gone: Vec::new(),
            rotted: false,
        }
    }
}

/// The next queue offsets behind a new leader's log end.
#[derive(Debug)]
pub struct RebuiltNextOffsets {
    /// Term for which they were asked.
    pub term: u64,
    /// The numbers.
    pub next_offsets: NextQueueOffsets,
}

/// What became of a [`RebuildNextOffsets`].
#[derive(Debug)]
pub enum RebuildOutcome {
    /// It was counted.
    Rebuilt(RebuiltNextOffsets),
    /// The log cannot be read, as it is damaged: then this replica must not lead.
    Damaged(LogError),
    /// Another leader has cut what was to be counted: nobody waits for it any more.
    Overtaken,
}

/// A segment file that another thread made, or could not make.
pub struct PreparedSegment {
    /// Base position.
    pub base: u64,
    /// The file, allocated and with its directory entry synced.
    pub file: std::io::Result<Arc<dyn tern_log::DiskFile>>,
}

impl std::fmt::Debug for PreparedSegment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PreparedSegment")
            .field("base", &self.base)
            .field("made", &self.file.is_ok())
            .finish()
    }
}

/// Everything that one turn asks of the threads around it.
#[derive(Debug)]
pub struct Outbox<T> {
    /// For peers. Appends name entries; the transport fetches their frames from the log.
    pub messages: Vec<PeerMessage>,
    /// Messages of peers that the engine could not use, by their sender, and why.
    pub unusable: Vec<(ReplicaId, String)>,
    /// Sync the log up to this position, then report the number as durable.
    pub flush: Option<FlushRequest>,
    /// Carry that flush out before the next turn, unless it takes longer than [`crate::LONGEST_FLUSH_WAIT_NS`]: nothing is
    /// gained by taking turns meanwhile.
    pub waits_for_flush: bool,
    /// Make this much of a segment ready; asked for one at a time.
    pub prepare_segment: Option<SegmentNeed>,
    /// Look how much room the disk has.
    pub look_at_disk: bool,
    /// Sends are refused for want of room from here on, or taken again.
    pub room: Option<DiskRoomChange>,
    /// The disk is not fit for a leader any more, or fit again.
    pub disk: Option<DiskHealthChange>,
    /// The commit index moved, or tickets were decided.
    pub commit: Option<Committed<T>>,
    /// Answers that wait for nothing: refusals and expired tickets.
    pub answers: Vec<(T, Outcome)>,
    /// A new leader needs the queue numbers up to this index.
    pub rebuild: Option<RebuildNextOffsets>,
    /// Role, term, or leader changed.
    pub role: Option<RoleChange>,
    /// Another membership is in force.
    pub membership_changed: bool,
    /// Messages were set aside before they were cut off.
    pub set_aside: Option<SetAside>,
}

impl<T> Default for Outbox<T> {
    fn default() -> Self {
        Self {
            messages: Vec::new(),
            unusable: Vec::new(),
            flush: None,
            waits_for_flush: false,
            prepare_segment: None,
            look_at_disk: false,
            room: None,
            disk: None,
            commit: None,
            answers: Vec::new(),
            rebuild: None,
            role: None,
            membership_changed: false,
            set_aside: None,
        }
    }
}

/// Messages that no other replica is known to have, kept in a file before the log was cut: their records back to back, as
/// in the body of a pull's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetAside {
    /// The file.
    pub file: PathBuf,
    /// How many.
    pub messages: u64,
    /// The first frame that was cut off.
    pub first_index: u64,
    /// The last one.
    pub last_index: u64,
}

/// A request to the apply thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RebuildNextOffsets {
    /// Term of the new leader.
    pub term: u64,
    /// Its last index.
    pub upto: u64,
    /// Term of the frame there.
    pub upto_term: u64,
}

/// For the apply thread: first answer the tickets, then walk the frames.
#[derive(Debug)]
pub struct Committed<T> {
    /// Everything up to here is committed.
    pub index: u64,
    /// Tickets answered at once.
    pub decided: Vec<(T, Outcome)>,
    /// Tickets answered when their index is applied.
    pub at_apply: Vec<(u64, T, Outcome)>,
}

/// What registration, the control plane and refusals are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoleChange {
    /// Role now.
    pub role: Role,
    /// Term now.
    pub term: u64,
    /// Who leads, 0 if unknown.
    pub leader: ReplicaId,
    /// Whether this replica is the slave of a master, and answers by what it has while that is gone.
    pub is_slave: bool,
    /// Of a leader, why it stood for the election that it won.
    pub cause: Option<ElectionCause>,
}
