//! What goes into a replica's turn, and what comes out of it.

use bytes::Bytes;
use smallvec::SmallVec;
use std::sync::Arc;
use tern_log::LogError;
use tern_replication::{PeerMessage, Persisted, ReplicaId, Role};

use super::flusher::Durable;
use super::numbers::QueueNumbers;
use super::room::RoomChange;

/// Records of one send, all for one queue, encoded with holes for the three numbers that the leader stamps.
#[derive(Debug, Clone)]
pub struct Draft {
    /// Topic as the records name it.
    pub topic: Arc<str>,
    /// Queue of the topic.
    pub queue_id: u32,
    /// The encoded records, back to back.
    pub bytes: Vec<u8>,
    /// Length of each record, bytes.
    pub sizes: SmallVec<[u32; 1]>,
}

/// Something to append: records, ops, or both, in one frame.
#[derive(Debug)]
pub struct Proposal<T> {
    /// Records: one draft for a send, several where messages for several queues go into one frame together; none
    /// for ops alone.
    pub drafts: SmallVec<[Draft; 1]>,
    /// Encoded ops of `tern-state`.
    pub ops: Bytes,
    /// Whether the answer waits for the commit or for the views to show it.
    pub answer: AnswerAt,
    /// Handed back with the outcome.
    pub ticket: T,
    /// When it was received, monotonic nanoseconds; it is refused if it waits too long.
    pub received_ns: u64,
}

impl<T> Proposal<T> {
    fn bytes(&self) -> usize {
        let records: usize = self.drafts.iter().map(|draft| draft.bytes.len()).sum();
        self.ops.len() + records
    }

    fn count(&self) -> usize {
        self.drafts.iter().map(|draft| draft.sizes.len()).sum()
    }

    /// Whether it holds no message: it may take from what is kept of a full disk.
    pub(super) fn is_op(&self) -> bool {
        self.drafts.is_empty()
    }

    /// Weight against the limits of a frame: bytes and messages.
    pub(super) fn weight(&self) -> (usize, usize) {
        (self.bytes(), self.count())
    }
}

/// The moment at which a proposal is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerAt {
    /// When it is committed: sends.
    Commit,
    /// When it is applied, so that the proposer can read its effect: topics, groups, offsets.
    Apply,
}

/// What became of a proposal or a read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Committed under the mode's rule, at these places.
    Stored(Stored),
    /// Nothing was appended, for this reason.
    Refused(Refusal),
    /// Another leader's frame stands at its index: certainly not stored, but it was appended once.
    NotStored,
    /// Not decided in time: it may appear later, or not.
    Unknown,
    /// A read: leadership was confirmed, and everything up to this index must be applied before it is answered.
    Confirmed(u64),
}

/// Where the records of a proposal stand.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stored {
    /// Index of the frame.
    pub index: u64,
    /// Queue offset of the first record of the first draft.
    pub queue_offset: u64,
    /// Physical offset of each record.
    pub physical_offsets: SmallVec<[u64; 1]>,
}

/// Why nothing was appended. Each has one response code, and all of them are certain (S1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// This replica does not lead; the leader if known. Code 14.
    NotLeader {
        /// Who leads, 0 if unknown.
        leader: ReplicaId,
        /// The term in which it does.
        term: u64,
    },
    /// A bound is reached. Code 2.
    Busy(Bound),
    /// The disk has no room beside what is kept for everything but messages. Code 14.
    NoRoom,
    /// Larger than a frame of the log may be. Code 13.
    TooLarge,
    /// The process is stopping. Code 14.
    Stopping,
    /// The topic of a record was deleted after the request was looked at. Code 17.
    NoTopic,
    /// The delay progress of the proposal was made by another one. Code 14.
    Outdated,
}

/// The bounds that `docs/consensus.md` lists, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// Proposals waiting for the log thread, or waiting too long.
    Waiting,
    /// Frames appended and not committed.
    Uncommitted,
    /// Committed bytes that the views have not seen.
    Behind,
}

impl Bound {
    /// The name that stands in a refusal's remark.
    pub fn name(self) -> &'static str {
        match self {
            Self::Waiting => "sends waiting for the log",
            Self::Uncommitted => "frames appended and not committed",
            Self::Behind => "committed bytes not yet applied",
        }
    }
}

/// Everything that waits for one turn.
#[derive(Debug)]
pub struct Inbox<T> {
    /// Monotonic time that counts suspension, nanoseconds.
    pub now_ns: u64,
    /// Wall clock, milliseconds since 1970: stamps messages and nothing else (D12).
    pub wall_ms: u64,
    /// Ticks of 10 ms that have passed since the turn before.
    pub ticks: u32,
    /// Checked messages from peers, in order per lane.
    pub peers: Vec<PeerMessage>,
    /// New proposals.
    pub proposals: Vec<Proposal<T>>,
    /// Reads that need confirmed leadership, with the time they were received.
    pub reads: Vec<(T, u64)>,
    /// The newest work that is durable, by the flush thread's word.
    pub durable: Option<Durable>,
    /// Queue numbers for a new leader, from the apply thread.
    pub folded: Option<Folded>,
    /// A prepared segment, or the error that met its preparation.
    pub segments: Vec<PreparedSegment>,
    /// The answer to a look at the disk; inside, none if the disk does not tell.
    pub space: Option<Option<tern_log::Space>>,
    /// Position up to which the views stand.
    pub applied_position: u64,
    /// Hand leadership to this replica.
    pub transfer: Option<ReplicaId>,
    /// Peers whose connection was lost.
    pub unreachable: Vec<ReplicaId>,
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
            folded: None,
            segments: Vec::new(),
            space: None,
            applied_position: 0,
            transfer: None,
            unreachable: Vec::new(),
            gone: Vec::new(),
            rotted: false,
        }
    }
}

/// The next queue offsets behind a new leader's log end.
#[derive(Debug)]
pub struct Folded {
    /// Term for which they were asked.
    pub term: u64,
    /// The numbers.
    pub numbers: QueueNumbers,
}

/// What became of a [`Fold`].
#[derive(Debug)]
pub enum FoldEnd {
    /// It was counted.
    Folded(Folded),
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
    /// Sync the log up to this position, then report the number as durable.
    pub flush: Option<Flush>,
    /// Make this segment ready.
    pub prepare_segment: Option<u64>,
    /// Look how much room the disk has.
    pub look_at_disk: bool,
    /// Sends are refused for want of room from here on, or taken again.
    pub room: Option<RoomChange>,
    /// The commit index moved, or tickets were decided.
    pub commit: Option<Committed<T>>,
    /// Answers that wait for nothing: refusals and expired tickets.
    pub answers: Vec<(T, Outcome)>,
    /// A new leader needs the queue numbers up to this index.
    pub fold: Option<Fold>,
    /// Role, term, or leader changed.
    pub role: Option<RoleChange>,
}

impl<T> Default for Outbox<T> {
    fn default() -> Self {
        Self {
            messages: Vec::new(),
            flush: None,
            prepare_segment: None,
            look_at_disk: false,
            room: None,
            commit: None,
            answers: Vec::new(),
            fold: None,
            role: None,
        }
    }
}

/// A request to the flush thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flush {
    /// Comes back when the position is durable.
    pub number: Persisted,
    /// End of the written log.
    pub position: u64,
}

/// A request to the apply thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fold {
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
}
