//! Raft on the `raft` crate. The engine sees a 40-byte descriptor for each frame, never the bytes.
//!
//! The traps of the crate and their guards stand in `docs/consensus.md`; what this module adds is
//! translation, the guard of its random election timeout, and the rule which messages may leave early (L11).

use crate::entry::{EntrySource, ThinEntry};
use crate::member::ReplicaId;
use crate::membership::{Configuration, Membership, MembershipStep, difference};
use crate::peer::{MessageKind, PeerKind, PeerMessage};
use crate::strategy::{
    AppendRejected, HardState, Persisted, Progress, Replication, Role, Status, StepError, Work,
};
use bytes::Bytes;
use raft::eraftpb::{
    ConfChangeSingle, ConfChangeTransition, ConfChangeType, ConfChangeV2, ConfState, Entry,
    EntryType, Message, MessageType, Snapshot,
};
use raft::{GetEntriesContext, RaftState, RawNode, ReadOnlyOption, Ready, StateRole, Storage};
use std::cell::Cell;
use tern_log::planted::{Bug, is_planted};
use tern_log::{Descriptor, FrameHeader, FrameKind};

#[cfg(test)]
mod peers_bytes;

/// Length of a tick, in which a replica counts time, ms.
pub const TICK_MS: u32 = 10;

/// Heartbeat and election times in ticks of [`TICK_MS`]. Local configuration: they affect liveness only (L39).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// Ticks between heartbeats; at least 2.
    pub heartbeat_ticks: u32,
    /// Shortest election timeout; at least 3 heartbeats.
    pub election_min_ticks: u32,
    /// Longest election timeout, exclusive; at least twice the shortest.
    pub election_max_ticks: u32,
}

/// What a replica starts from.
#[derive(Debug, Clone)]
pub struct RaftOptions {
    /// Own id.
    pub id: ReplicaId,
    /// Whose votes count, as it was stored. This replica may be in it, or not yet, or no more.
    pub configuration: Configuration,
    /// Whether the learners are the slaves of a master, which is the only voter then.
    pub has_slaves: bool,
    /// Term and vote as they were stored.
    pub hard_state: HardState,
    /// An index known to be committed and durable here.
    pub commit: u64,
    /// The configuration is that behind this index, which is not beyond `commit`; changes between the two are named
    /// again.
    pub applied: u64,
    /// Heartbeat and election times.
    pub timing: Timing,
    /// Spreads election timeouts; the same seed gives the same run.
    pub seed: u64,
}

/// The strategy of a group of three or more replicas that elect their leader, and of a master with slaves: a group whose
/// only voter is the master, and whose learners are the slaves.
pub struct Raft<S: EntrySource> {
    raw: RawNode<Engine<S>>,
    pending: Option<(Ready, Option<u64>)>,
    stored: HardState,
    timing: Timing,
    seed: u64,
    attempt: u64,
    may_stand: bool,
    has_slaves: bool,
}

impl<S: EntrySource> std::fmt::Debug for Raft<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Raft")
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}

impl<S: EntrySource> Raft<S> {
    /// Start the engine over a recovered log.
    ///
    /// # Errors
    /// The engine's words if the options contradict each other or the log.
    pub fn new(options: &RaftOptions, source: S) -> Result<Self, StepError> {
        let timing = options.timing;
        let config = raft::Config {
            id: options.id,
            election_tick: timing.election_min_ticks as usize,
            min_election_tick: timing.election_min_ticks as usize,
            max_election_tick: timing.election_max_ticks as usize,
            heartbeat_tick: timing.heartbeat_ticks as usize,
            applied: options.applied,
            max_size_per_msg: 8192,
            max_inflight_msgs: 256,
            check_quorum: true,
            pre_vote: true,
            read_only_option: ReadOnlyOption::Safe,
            // Followers learn a commit with the next append, or with the next heartbeat: one message less a frame and
            // follower. Nobody waits for them, but for slaves, from which consumers may be reading.
            skip_bcast_commit: !options.has_slaves,
            // With batching, 0.7.0 adds entries to a queued append that has none without looking at its index: after
            // a rejection has moved `next` back, the message then claims to follow what it does not follow.
            batch_append: false,
            priority: 0,
            max_uncommitted_size: raft::NO_LIMIT,
            max_committed_size_per_ready: 64 << 10,
        };
        let engine = Engine {
            source,
            initial: initial_state(options),
            unreadable: Cell::new(false),
        };
        let logger = slog::Logger::root(slog::Discard, slog::o!());
        let raw = RawNode::new(&config, engine, &logger)
            .map_err(|error| StepError::Engine(error.to_string()))?;
        let mut raft = Self {
            raw,
            pending: None,
            stored: options.hard_state,
            timing,
            seed: options.seed,
            attempt: 0,
            may_stand: true,
            has_slaves: options.has_slaves,
        };
        raft.spread_timeout();
        Ok(raft)
    }

    /// Whether this replica leads for ever, as nobody else may.
    fn is_sole_voter(&self) -> bool {
        self.has_slaves && self.raw.raft.promotable()
    }

    /// The engine draws election timeouts from a thread-local generator. They are set anew after every call
    /// into it, unconditionally: setting them only when they changed would make two runs of one seed differ.
    fn spread_timeout(&mut self) {
        let raft = &self.raw.raft;
        let role = raft.state as u64;
        let mut mixed = self.seed ^ 0x9e37_79b9_7f4a_7c15;
        for value in [raft.id, raft.term, role, self.attempt] {
            mixed = (mixed ^ value).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed ^= mixed >> 29;
        }
        let span = u64::from(self.timing.election_max_ticks - self.timing.election_min_ticks);
        let ticks = u64::from(self.timing.election_min_ticks) + mixed % span;
        self.raw
            .raft
            .set_randomized_election_timeout(ticks as usize);
    }

    fn is_leader(&self) -> bool {
        self.raw.raft.state == StateRole::Leader
    }

    /// A slave may come back with less than it had, or with nothing: it has promised nothing. The engine takes what a
    /// follower once confirmed for granted, so it is asked anew where its log ends.
    fn forget_learner(&mut self, peer: ReplicaId) {
        let raft = &mut self.raw.raft;
        let next = raft.raft_log.last_index() + 1;
        let is_slave = self.has_slaves && raft.prs().conf().learners().contains(&peer);
        if raft.state != StateRole::Leader || !is_slave {
            return;
        }
        if let Some(progress) = raft.mut_prs().get_mut(peer) {
            progress.matched = 0;
            progress.become_probe();
            // What comes from `matched` would send the whole log.
            progress.next_idx = next;
        }
    }

    /// A committed change takes effect.
    fn change(&mut self, membership: &Membership) -> Result<(), StepError> {
        let refused = |why: String| StepError::Engine(format!("a change of the members: {why}"));
        let change = to_change(&self.configuration(), membership);
        let applied = self.raw.apply_conf_change(&change);
        let now = of_engine(applied.map_err(|error| refused(error.to_string()))?);
        if now != membership.configuration {
            let said = &membership.configuration;
            return Err(refused(format!("{now:?} came of it, {said:?} was said")));
        }
        // It goes on as the leader of a group that it is not in, and panics when its own disk has written something.
        let raft = &mut self.raw.raft;
        if raft.state == StateRole::Leader && !raft.promotable() {
            let term = raft.term;
            raft.become_follower(term, raft::INVALID_ID);
        }
        Ok(())
    }

    fn may_append(&self) -> Result<(), AppendRejected> {
        if !self.is_leader() {
            return Err(AppendRejected::NotLeader);
        }
        if self.transferring() {
            return Err(AppendRejected::Transferring);
        }
        Ok(())
    }
}

fn initial_state(options: &RaftOptions) -> RaftState {
    let hard = raft::eraftpb::HardState {
        term: options.hard_state.term,
        vote: options.hard_state.vote,
        commit: options.commit,
        ..Default::default()
    };
    let mut members = ConfState::default();
    let configuration = &options.configuration;
    members.voters.clone_from(&configuration.voters);
    members.voters_outgoing.clone_from(&configuration.outgoing);
    members.learners.clone_from(&configuration.learners);
    members
        .learners_next
        .clone_from(&configuration.learners_next);
    RaftState::new(hard, members)
}

/// What the engine is told of a change; its protobuf form lives only inside of a proposal.
///
/// Always *explicit*: automatic leaves are proposed twice, or never after a change of the leader.
fn to_change(before: &Configuration, membership: &Membership) -> ConfChangeV2 {
    let after = &membership.configuration;
    let single = |kind: ConfChangeType, id: ReplicaId| {
        let mut change = ConfChangeSingle::default();
        change.set_change_type(kind);
        change.node_id = id;
        change
    };
    let mut changes: Vec<ConfChangeSingle> = Vec::new();
    if membership.step != MembershipStep::Leave {
        let gone = difference(&before.voters, &after.voters)
            .chain(difference(&before.learners, &after.learners))
            .filter(|id| !after.voters.contains(id));
        changes.extend(gone.map(|id| single(ConfChangeType::RemoveNode, id)));
        let voters = difference(&after.voters, &before.voters);
        changes.extend(voters.map(|id| single(ConfChangeType::AddNode, id)));
        let learners = difference(&after.learners, &before.learners);
        changes.extend(learners.map(|id| single(ConfChangeType::AddLearnerNode, id)));
    }
    let mut change = ConfChangeV2::default();
    if membership.step == MembershipStep::Joint {
        change.set_transition(ConfChangeTransition::Explicit);
    }
    change.set_changes(changes.into());
    change
}

fn of_engine(members: ConfState) -> Configuration {
    Configuration {
        voters: members.voters,
        outgoing: members.voters_outgoing,
        learners: members.learners,
        learners_next: members.learners_next,
    }
    .sorted()
}

impl<S: EntrySource> Replication for Raft<S> {
    fn tick(&mut self) {
        let raft = &mut self.raw.raft;
        if !self.may_stand && raft.state != StateRole::Leader {
            // Counted on, or the lease of a leader that is gone would keep this replica's vote from the others.
            let longest = self.timing.election_max_ticks as usize;
            raft.election_elapsed = (raft.election_elapsed + 1).min(longest);
            return;
        }
        if raft.state != StateRole::Leader
            && raft.election_elapsed + 1 >= raft.randomized_election_timeout()
        {
            self.attempt += 1;
        }
        self.raw.tick();
        self.spread_timeout();
    }

    fn step(&mut self, message: &PeerMessage) -> Result<(), StepError> {
        // Who has been away does not know the newest members, and must follow one of them. Answers come from those whom
        // this replica has asked.
        let is_answer = matches!(
            message.message,
            MessageKind::AppendAnswer
                | MessageKind::HeartbeatAnswer
                | MessageKind::VoteAnswer
                | MessageKind::PreVoteAnswer
        );
        let is_known = self.raw.raft.prs().get(message.from).is_some();
        if !is_known && (is_answer || self.has_slaves) {
            return Err(StepError::UnknownPeer(message.from));
        }
        if message.message == MessageKind::TimeoutNow && !self.may_stand {
            return Ok(());
        }
        let stepped = self.raw.step(to_engine(message));
        self.spread_timeout();
        stepped.map_err(|error| StepError::Engine(error.to_string()))
    }

    fn propose(
        &mut self,
        first_index: u64,
        descriptors: &[Descriptor],
    ) -> Result<(), AppendRejected> {
        self.may_append()?;
        let raft = &self.raw.raft;
        assert_eq!(
            first_index,
            raft.raft_log.last_index() + 1,
            "engine-made entries are placed before anything is proposed (L9)"
        );
        let mut message = Message::default();
        message.set_msg_type(MessageType::MsgPropose);
        message.from = raft.id;
        let entries: Vec<Entry> = descriptors
            .iter()
            .map(|descriptor| Entry {
                data: Bytes::copy_from_slice(&descriptor.encode()),
                ..Default::default()
            })
            .collect();
        message.set_entries(entries.into());
        let proposed = self.raw.raft.step(message);
        self.spread_timeout();
        proposed.map_err(|_| AppendRejected::NotLeader)
    }

    fn propose_membership(
        &mut self,
        index: u64,
        membership: &Membership,
    ) -> Result<(), AppendRejected> {
        self.may_append()?;
        assert_eq!(
            index,
            self.raw.raft.raft_log.last_index() + 1,
            "engine-made entries are placed before anything is proposed (L9)"
        );
        if is_planted(Bug::TwoChangesAtOnce) {
            self.raw.raft.pending_conf_index = 0;
        }
        let change = to_change(&self.configuration(), membership);
        let proposed = self.raw.propose_conf_change(Vec::new(), change);
        self.spread_timeout();
        proposed.map_err(|_| AppendRejected::NotLeader)
    }

    fn read(&mut self, context: u64) -> Result<(), AppendRejected> {
        if !self.is_leader() {
            return Err(AppendRejected::NotLeader);
        }
        self.raw.read_index(context.to_be_bytes().to_vec());
        self.spread_timeout();
        Ok(())
    }

    fn has_work(&self) -> bool {
        self.raw.has_ready()
    }

    fn work(&mut self) -> Work {
        let mut ready = self.raw.ready();
        let raft = &self.raw.raft;
        let now = HardState {
            term: raft.term,
            vote: raft.vote,
        };
        let changed = (now != self.stored).then_some(now);
        self.stored = now;
        let mut work = Work {
            number: ready.number(),
            hard_state: changed,
            commit: raft.raft_log.committed,
            messages: ready
                .take_messages()
                .into_iter()
                .filter_map(from_engine)
                .collect(),
            reads: ready
                .take_read_states()
                .into_iter()
                .filter_map(|read| {
                    Some((
                        u64::from_be_bytes(read.request_ctx.try_into().ok()?),
                        read.index,
                    ))
                })
                .collect(),
            entries: ready.take_entries().iter().map(to_thin).collect(),
            ..Work::default()
        };
        for message in ready
            .take_persisted_messages()
            .into_iter()
            .filter_map(from_engine)
        {
            if promises_nothing(message.message) {
                work.early.push(message);
            } else {
                work.after_durable.push(message);
            }
        }
        let committed = ready.take_committed_entries();
        let named = committed
            .iter()
            .filter(|entry| entry.get_entry_type() != EntryType::EntryNormal);
        work.memberships = named.map(|entry| entry.index).collect();
        let handed = committed.last().map(|entry| entry.index);
        self.pending = Some((ready, handed));
        work
    }

    fn written(&mut self, memberships: &[Membership]) -> Result<(), StepError> {
        let (ready, handed) = self.pending.take().expect("a work was taken before");
        self.raw.advance_append_async(ready);
        for membership in memberships {
            self.change(membership)?;
        }
        // The engine's `applied` means membership (L12).
        if let Some(index) = handed {
            self.raw.advance_apply_to(index);
        }
        self.spread_timeout();
        Ok(())
    }

    fn configuration(&self) -> Configuration {
        of_engine(self.raw.raft.prs().conf().to_conf_state())
    }

    fn changes_membership(&self) -> bool {
        self.raw.raft.has_pending_conf()
    }

    fn durable(&mut self, number: Persisted) {
        self.raw.on_persist_ready(number);
        self.spread_timeout();
    }

    fn transfer(&mut self, to: ReplicaId) {
        self.raw.transfer_leader(to);
        self.spread_timeout();
    }

    fn transferring(&self) -> bool {
        self.raw.raft.lead_transferee.is_some()
    }

    fn step_down(&mut self) {
        if self.is_sole_voter() {
            return;
        }
        let raft = &mut self.raw.raft;
        if raft.state == StateRole::Leader {
            let term = raft.term;
            raft.become_follower(term, raft::INVALID_ID);
            self.spread_timeout();
        }
    }

    fn may_stand(&mut self, may: bool) {
        self.may_stand = may;
    }

    fn forget_leader(&mut self, peer: ReplicaId) -> bool {
        let raft = &mut self.raw.raft;
        // Also where this replica may not stand itself: the others need its vote.
        if raft.state != StateRole::Follower || raft.leader_id != peer {
            return false;
        }
        // The first lifts the lease, the second keeps the ordinary time-out out of the pause before the campaign.
        raft.leader_id = raft::INVALID_ID;
        raft.election_elapsed = 0;
        self.spread_timeout();
        true
    }

    fn campaign(&mut self) {
        let may = matches!(
            self.raw.raft.state,
            StateRole::Follower | StateRole::PreCandidate
        );
        // `RawNode::campaign` does not ask whether this replica is a voter, as ticks do.
        if !may || !self.may_stand || !self.raw.raft.promotable() {
            return;
        }
        self.attempt += 1;
        self.raw.raft.election_elapsed = 0;
        // It answers an error only for a message from outside.
        let _ = self.raw.campaign();
        self.spread_timeout();
    }

    fn matched(&self, peer: ReplicaId) -> u64 {
        if !self.is_leader() {
            return 0;
        }
        let progress = self.raw.raft.prs().get(peer);
        progress.map_or(0, |progress| progress.matched)
    }

    fn successor(&self) -> Option<ReplicaId> {
        let own = self.raw.raft.id;
        let tracker = self.raw.raft.prs();
        // Not one that is about to go, where a change is under way.
        let voters = tracker.conf().to_conf_state().voters;
        let is_voter = |id: u64| voters.contains(&id);
        let others = tracker.iter();
        others
            .filter(|(id, progress)| **id != own && progress.recent_active && is_voter(**id))
            .max_by_key(|(id, progress)| (progress.matched, **id))
            .map(|(id, _)| *id)
            .filter(|_| self.is_leader())
    }

    fn unreachable(&mut self, peer: ReplicaId) {
        self.raw.report_unreachable(peer);
        self.forget_learner(peer);
        self.spread_timeout();
    }

    fn take_unreadable(&mut self) -> bool {
        self.raw.store().unreadable.replace(false)
    }

    fn status(&self) -> Status {
        let raft = &self.raw.raft;
        Status {
            role: match raft.state {
                StateRole::Leader => Role::Leader,
                StateRole::Follower => Role::Follower,
                StateRole::Candidate | StateRole::PreCandidate => Role::Candidate,
            },
            term: raft.term,
            leader: raft.leader_id,
            commit: raft.raft_log.committed,
            settled: raft.state == StateRole::Leader && raft.commit_to_current_term(),
        }
    }

    fn progress(&self) -> Vec<Progress> {
        if !self.is_leader() {
            return Vec::new();
        }
        let raft = &self.raw.raft;
        raft.prs()
            .iter()
            .filter(|(id, _)| **id != raft.id)
            .map(|(id, progress)| Progress {
                replica: *id,
                matched: progress.matched,
                active: progress.recent_active,
            })
            .collect()
    }
}

/// L11: these may leave before the flush of their round, because they promise nothing about log or vote.
/// Held back, a slow disk would look like a dead node.
fn promises_nothing(kind: MessageKind) -> bool {
    matches!(
        kind,
        MessageKind::HeartbeatAnswer | MessageKind::PreVote | MessageKind::PreVoteAnswer
    )
}

struct Engine<S> {
    source: S,
    initial: RaftState,
    /// An entry that is there could not be read.
    unreadable: Cell<bool>,
}

impl<S: EntrySource> Storage for Engine<S> {
    fn initial_state(&self) -> raft::Result<RaftState> {
        Ok(self.initial.clone())
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        context: GetEntriesContext,
    ) -> raft::Result<Vec<Entry>> {
        // Only entries that are sent need contents. What is committed is handed out for its index and its kind alone:
        // after a restart that would otherwise read a header for every frame behind the commit mark.
        if !context.can_async() {
            return self.hollow(low, high.min(low + HOLLOW_ENTRIES));
        }
        // As many as fit: a descriptor is 40 bytes, and at least one is asked for.
        let limit = max_size.into().unwrap_or(u64::MAX);
        let most = (limit / ENTRY_SIZE).max(1);
        let headers = self.source.headers(low, high.min(low.saturating_add(most)));
        if headers.is_empty() {
            // The engine goes on without feeding this peer; it would panic at any other answer.
            self.unreadable.set(true);
            return Err(raft::Error::Store(
                raft::StorageError::LogTemporarilyUnavailable,
            ));
        }
        Ok(headers.iter().map(entry_of).collect())
    }

    fn term(&self, index: u64) -> raft::Result<u64> {
        self.source.term(index).ok_or(UNAVAILABLE)
    }

    fn first_index(&self) -> raft::Result<u64> {
        Ok(self.source.first_index())
    }

    fn last_index(&self) -> raft::Result<u64> {
        Ok(self.source.last_index())
    }

    fn snapshot(&self, _request_index: u64, _to: u64) -> raft::Result<Snapshot> {
        Err(raft::Error::Store(
            raft::StorageError::SnapshotTemporarilyUnavailable,
        ))
    }
}

/// What the engine counts for an entry: its descriptor and a few numbers.
const ENTRY_SIZE: u64 = tern_log::DESCRIPTOR_SIZE as u64 + 16;
/// Entries without contents that are handed out at once.
const HOLLOW_ENTRIES: u64 = 4096;

impl<S: EntrySource> Engine<S> {
    fn hollow(&self, low: u64, high: u64) -> raft::Result<Vec<Entry>> {
        (low..high)
            .map(|index| {
                let term = self.source.term(index).ok_or(UNAVAILABLE)?;
                let kind = if self.source.is_membership(index) {
                    FrameKind::Membership
                } else {
                    FrameKind::NoOp
                };
                Ok(entry(index, term, kind, None))
            })
            .collect()
    }
}

const UNAVAILABLE: raft::Error = raft::Error::Store(raft::StorageError::Unavailable);

fn entry_of(header: &FrameHeader) -> Entry {
    let descriptor = (header.kind == FrameKind::Batch).then(|| Descriptor::from(header));
    entry(header.index, header.term, header.kind, descriptor.as_ref())
}

/// An entry of the engine; one without a descriptor that changes nothing is one that the engine made by itself.
fn entry(index: u64, term: u64, kind: FrameKind, descriptor: Option<&Descriptor>) -> Entry {
    let mut entry = Entry {
        index,
        term,
        data: descriptor.map_or_else(Bytes::new, |d| Bytes::copy_from_slice(&d.encode())),
        ..Default::default()
    };
    if kind == FrameKind::Membership {
        entry.set_entry_type(EntryType::EntryConfChangeV2);
    }
    entry
}

fn to_thin(entry: &Entry) -> ThinEntry {
    if entry.get_entry_type() != EntryType::EntryNormal {
        return ThinEntry {
            index: entry.index,
            term: entry.term,
            kind: FrameKind::Membership,
            descriptor: None,
        };
    }
    let descriptor = (!entry.data.is_empty())
        .then(|| Descriptor::decode(&entry.data).expect("the engine keeps what it was given"));
    ThinEntry {
        index: entry.index,
        term: entry.term,
        kind: if descriptor.is_some() {
            FrameKind::Batch
        } else {
            FrameKind::NoOp
        },
        descriptor,
    }
}

const KINDS: [(MessageKind, MessageType); 10] = [
    (MessageKind::Append, MessageType::MsgAppend),
    (MessageKind::AppendAnswer, MessageType::MsgAppendResponse),
    (MessageKind::Vote, MessageType::MsgRequestVote),
    (MessageKind::VoteAnswer, MessageType::MsgRequestVoteResponse),
    (MessageKind::PreVote, MessageType::MsgRequestPreVote),
    (
        MessageKind::PreVoteAnswer,
        MessageType::MsgRequestPreVoteResponse,
    ),
    (MessageKind::Heartbeat, MessageType::MsgHeartbeat),
    (
        MessageKind::HeartbeatAnswer,
        MessageType::MsgHeartbeatResponse,
    ),
    (MessageKind::Snapshot, MessageType::MsgSnapshot),
    (MessageKind::TimeoutNow, MessageType::MsgTimeoutNow),
];

fn to_engine(message: &PeerMessage) -> Message {
    let mut out = Message::default();
    let kind = KINDS
        .iter()
        .find(|(ours, _)| *ours == message.message)
        .map(|(_, theirs)| *theirs)
        .expect("the table holds every kind");
    out.set_msg_type(kind);
    out.from = message.from;
    out.to = message.to;
    out.term = message.term;
    out.index = message.index;
    out.log_term = message.log_term;
    out.commit = message.commit;
    out.commit_term = message.commit_term;
    out.reject = message.reject;
    out.reject_hint = message.reject_hint;
    out.request_snapshot = message.request_snapshot;
    out.priority = message.priority;
    out.context = message.context.clone();
    let entries: Vec<Entry> = message
        .entries
        .iter()
        .map(|thin| entry(thin.index, thin.term, thin.kind, thin.descriptor.as_ref()))
        .collect();
    out.set_entries(entries.into());
    out
}

/// `None` for types that never leave a replica.
fn from_engine(mut message: Message) -> Option<PeerMessage> {
    let kind = KINDS
        .iter()
        .find(|(_, theirs)| *theirs == message.get_msg_type())
        .map(|(ours, _)| *ours)?;
    Some(PeerMessage {
        kind: PeerKind::Raft,
        term: message.term,
        index: message.index,
        log_term: message.log_term,
        commit: message.commit,
        commit_term: message.commit_term,
        reject: message.reject,
        reject_hint: message.reject_hint,
        request_snapshot: message.request_snapshot,
        priority: message.priority,
        context: std::mem::take(&mut message.context),
        entries: message.get_entries().iter().map(to_thin).collect(),
        ..PeerMessage::raft(kind, message.from, message.to)
    })
}
