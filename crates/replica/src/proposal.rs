//! What is handed to a replica to be appended or read, and what becomes of it.

use std::sync::Arc;

use bytes::Bytes;
use smallvec::SmallVec;
use tern_replication::{MembershipRefusal, Newcomer, ReplicaId};

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
    pub(crate) fn is_op(&self) -> bool {
        self.drafts.is_empty()
    }

    /// Weight against the limits of a frame: bytes and messages.
    pub(crate) fn weight(&self) -> (usize, usize) {
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
    Stored(StoredRecords),
    /// Committed on the master and readable there, and not on a slave as synchronous double write promises. Code 11 or
    /// 12.
    OnMasterAlone(StoredRecords, SlaveFault),
    /// Nothing was appended, for this reason.
    Rejected(RejectReason),
    /// Another leader's frame stands at its index: certainly not stored, but it was appended once.
    NotStored,
    /// Not decided in time: it may appear later, or not.
    Unknown,
    /// A read: leadership was confirmed, and everything up to this index must be applied before it is answered.
    Confirmed(u64),
}

impl Outcome {
    /// Where it is stored, and what the mode promised beside that and did not keep; none if it is not known to be stored.
    #[inline]
    pub fn stored(&self) -> Option<(&StoredRecords, Option<SlaveFault>)> {
        match self {
            Self::Stored(stored) => Some((stored, None)),
            Self::OnMasterAlone(stored, fault) => Some((stored, Some(*fault))),
            Self::Rejected(_) | Self::NotStored | Self::Unknown | Self::Confirmed(_) => None,
        }
    }
}

/// Why a message is on the master alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlaveFault {
    /// No slave is connected, or all are far behind. Code 11.
    NotAvailable,
    /// A slave is there, and has not confirmed in time. Code 12.
    Late,
}

/// Where the records of a proposal stand.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StoredRecords {
    /// Index of the frame.
    pub index: u64,
    /// Queue offset of the first record of the first draft.
    pub queue_offset: u64,
    /// Physical offset of each record.
    pub physical_offsets: SmallVec<[u64; 1]>,
}

/// Why nothing was appended. Each has one response code, and all of them are certain (S1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RejectReason {
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
    /// The members of the group are not changed, for this reason. No client asks for that.
    Membership(MembershipRefusal),
}

/// A change of the members that somebody asks for. Voters come and go by it when that is safe, which takes its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MembershipRequest {
    /// A learner that becomes a voter once it is whole.
    Add(Newcomer),
    /// The member with this number goes.
    Remove(u32),
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
