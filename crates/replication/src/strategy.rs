//! The seam: what a strategy is told, and what it asks for.

use crate::entry::ThinEntry;
use crate::member::ReplicaId;
use crate::membership::{Configuration, Membership};
use crate::peer::PeerMessage;
use tern_log::Descriptor;
use thiserror::Error;

/// What this replica is in its group at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// May append.
    Leader,
    /// Follows a leader, or waits for one.
    Follower,
    /// Asks for votes.
    Candidate,
}

/// What must survive a restart before any message that depends on it leaves (D2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HardState {
    /// Current term.
    pub term: u64,
    /// Whom this replica voted for in that term; 0 for nobody.
    pub vote: ReplicaId,
}

/// Why an append was refused. Nothing was appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AppendRejected {
    /// This replica does not lead.
    #[error("this replica does not lead")]
    NotLeader,
    /// Leadership is being handed over.
    #[error("leadership is being handed over")]
    Transferring,
}

/// A message that was not taken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StepError {
    /// The sender is not a member, or the mode has no peers.
    #[error("replica {0:#x} is no member of this group")]
    UnknownPeer(ReplicaId),
    /// The engine could not take it.
    #[error("consensus engine: {0}")]
    Engine(String),
}

/// Number of a [`Work`]; notices of durability come back with it, strictly in order.
pub type Persisted = u64;

/// One round of work, to be carried out in the order of its fields (`docs/consensus.md`).
#[derive(Debug, Default)]
pub struct Work {
    /// Goes up by one each time.
    pub number: Persisted,
    /// Term or vote changed: write and sync it before anything below leaves (D2, L18).
    pub hard_state: Option<HardState>,
    /// Leave at once, before the own write: the leader's appends and heartbeats.
    pub messages: Vec<PeerMessage>,
    /// Promise nothing about the log: leave once the term is durable, even if the disk is slow (L11).
    pub early: Vec<PeerMessage>,
    /// Frames to append. If the first index lies inside the log, cut the log behind the entry before it.
    pub entries: Vec<ThinEntry>,
    /// Leave after this round is durable: append answers, votes, vote requests.
    pub after_durable: Vec<PeerMessage>,
    /// Indexes of committed changes of the membership, which take effect with [`Replication::written`].
    pub memberships: Vec<u64>,
    /// Everything up to this index is committed. Never beyond what is written.
    pub commit: u64,
    /// Fresh reads whose leadership was confirmed: context, and the index that must be applied first.
    pub reads: Vec<(u64, u64)>,
}

/// What an operator, a registration, and a refusal want to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// Role at the moment.
    pub role: Role,
    /// Term or epoch.
    pub term: u64,
    /// Who leads, 0 if nobody is known to.
    pub leader: ReplicaId,
    /// Greatest committed index known here.
    pub commit: u64,
    /// An entry of the own term has committed, so that reads can be confirmed.
    pub settled: bool,
}

/// How far another replica is, as its leader knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Which replica.
    pub replica: ReplicaId,
    /// It holds everything up to this index durably.
    pub matched: u64,
    /// It has answered lately. The engine forgets this once an election timeout, so right after that nobody has.
    pub active: bool,
}

/// A strategy on one log: sans-IO, stepped by one thread.
///
/// Call order: any number of `tick`, `step`, `propose`, `read`; then, while `has_work`, one `work` followed by
/// `written` once its entries can be read from the log; `durable` with the number of a work whose entries
/// have been synced.
pub trait Replication: Send {
    /// One tick of 10 ms has passed on a clock that counts suspension.
    fn tick(&mut self);
    /// A checked message from a peer; its frames are held by the caller until a work names them.
    ///
    /// # Errors
    /// [`StepError`] if the message cannot be taken; the state is unchanged then.
    fn step(&mut self, message: &PeerMessage) -> Result<(), StepError>;
    /// Append frames that stand behind the log end, the first at `first_index`.
    ///
    /// # Errors
    /// [`AppendRejected`] if this replica may not append; nothing was appended.
    fn propose(
        &mut self,
        first_index: u64,
        descriptors: &[Descriptor],
    ) -> Result<(), AppendRejected>;
    /// Append a change of the membership that stands behind the log end, at `index`. The engine may make an empty entry
    /// of it and say nothing: what became of it is what [`Work::entries`] says.
    ///
    /// # Errors
    /// [`AppendRejected`] if this replica may not append; nothing was appended.
    fn propose_membership(
        &mut self,
        index: u64,
        membership: &Membership,
    ) -> Result<(), AppendRejected>;
    /// Ask that leadership be confirmed for a read; the context comes back in [`Work::reads`].
    ///
    /// # Errors
    /// [`AppendRejected`] if this replica does not lead.
    fn read(&mut self, context: u64) -> Result<(), AppendRejected>;
    /// Whether `work` has something to give.
    fn has_work(&self) -> bool;
    /// The next round.
    fn work(&mut self) -> Work;
    /// The entries of the last work can be read from the log; `memberships` are those that it named, in order, which take
    /// effect here. A leader that is no voter any more leads no more.
    ///
    /// # Errors
    /// [`StepError::Engine`] if one of them leads to another configuration than it says.
    fn written(&mut self, memberships: &[Membership]) -> Result<(), StepError>;
    /// Whose votes count here.
    fn configuration(&self) -> Configuration;
    /// Whether a change of the membership may be appended and has not taken effect.
    fn changes_membership(&self) -> bool;
    /// Everything up to work `number` is durable.
    fn durable(&mut self, number: Persisted);
    /// Hand leadership to another replica.
    fn transfer(&mut self, to: ReplicaId);
    /// Whether a handover is under way; appends are refused meanwhile.
    fn transferring(&self) -> bool;
    /// Stop leading at once, in the same term: uncommitted entries stay, and the others elect.
    fn step_down(&mut self);
    /// Whether this replica may become leader. One that may not goes on voting and following.
    fn may_stand(&mut self, may: bool);
    /// The process of a peer is gone. If it was this follower's leader it is none any more, so that votes are given
    /// without waiting for its lease; answers whether it was. Term and vote stay, nothing is sent.
    fn forget_leader(&mut self, peer: ReplicaId) -> bool;
    /// Ask the others whether they would vote for this replica (pre-vote), before its time-out.
    fn campaign(&mut self);
    /// The greatest index that a member is known to have persisted; 0 unless this replica leads.
    fn matched(&self, peer: ReplicaId) -> u64;
    /// The other voter that has persisted most, if this replica leads.
    fn successor(&self) -> Option<ReplicaId>;
    /// The connection to a peer was lost; what was in flight to it may be gone.
    fn unreachable(&mut self, peer: ReplicaId);
    /// Whether an entry that a peer needs could not be read since this was last asked.
    fn take_unreadable(&mut self) -> bool;
    /// Where things stand.
    fn status(&self) -> Status;
    /// How far the others are; empty if this replica does not lead or is alone.
    fn progress(&self) -> Vec<Progress> {
        Vec::new()
    }
}
