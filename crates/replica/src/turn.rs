//! One turn of one replica: the loop that `docs/consensus.md` describes, as a step of a plain struct.
//!
//! No thread, clock or socket in here: the log thread of a process and `tern-sim` call the same step.

mod checking;
mod flushing;
mod health;
mod leadership;
mod membership;
mod promotion;
mod proposing;
mod refusing;
mod slaves;
mod suspecting;

use crate::disk_health::DiskHealth;
use crate::disk_room::DiskRoom;
use crate::elections::{ElectionCause, Elections};
use crate::engine_maker::EngineMaker;
use crate::fatal::Fatal;
use crate::inputs::{
    Committed, Inbox, Outbox, PreparedSegment, RebuildNextOffsets, RebuiltNextOffsets, RoleChange,
};
use crate::next_queue_offsets::NextQueueOffsets;
use crate::options::{Flush, TurnOptions};
use crate::pace::Pace;
use crate::proposal::Outcome;
use crate::proposal_queue::ProposalQueue;
use crate::tickets::Tickets;
use hashbrown::HashMap;
use leadership::{Health, LearnerMark, Suspicion};
use std::collections::{BTreeMap, VecDeque};
use tern_log::planted::{Bug, is_planted};
use tern_log::{
    FRAME_HEADER_SIZE, Frame, FrameDraft, FrameKind, Log, RaftState, RaftStateFile, frame_position,
    is_no_space, is_scarce,
};
use tern_replication::{
    Configuration, Membership, MembershipStep, MessageKind, PeerMessage, Persisted, ReplicaId,
    Replication, Role, StepError, ThinEntry, Work,
};

pub use leadership::{Promotion, PromotionRefusal};

/// Headers and padding around the content of a frame, and more.
const AROUND_CONTENT: u64 = 4096;

/// Whether a message may lead to this replica's being elected.
const fn makes_leaders(kind: MessageKind) -> bool {
    matches!(
        kind,
        MessageKind::TimeoutNow | MessageKind::VoteAnswer | MessageKind::PreVoteAnswer
    )
}

/// A round that is written and not yet durable, with the messages that wait for it.
#[derive(Debug)]
struct UnsyncedWrite {
    number: Persisted,
    messages: Vec<PeerMessage>,
    /// When it was written.
    since_ns: u64,
}

/// A replica's log end, engine, rings and tickets.
pub struct Replica<T> {
    log: Log,
    engine: Box<dyn Replication>,
    state_file: RaftStateFile,
    state: RaftState,
    options: TurnOptions,
    /// Frames that an entry will name: received from a leader, or just built (L15).
    received_frames: HashMap<(u64, u64), Frame>,
    next_offsets: Option<NextQueueOffsets>,
    rebuild_asked: Option<u64>,
    waiting: ProposalQueue<T>,
    /// A bound, a transfer or a missing segment kept the last turn from building.
    blocked: bool,
    tickets: Tickets<T>,
    reads: VecDeque<(T, u64)>,
    asked: Vec<(u64, Vec<(T, u64)>)>,
    read_context: u64,
    unsynced: VecDeque<UnsyncedWrite>,
    segment_asked: Option<u64>,
    room: DiskRoom,
    disk: DiskHealth,
    reported_role: Option<RoleChange>,
    elections: Elections,
    /// Everything up to here is committed and is never cut (L22), also what was known so at the start.
    floor: u64,
    committed: u64,
    now_ns: u64,
    health: Health,
    suspicion: Option<Suspicion>,
    /// When this replica last was a leader that was handing over.
    handed_over_ns: Option<u64>,
    /// Peers that are connected, as far as is known.
    peers_in_reach: Vec<ReplicaId>,
    /// Slaves of this master that were connected since its start, and when that was; it does not lead before.
    slaves_met: Vec<ReplicaId>,
    started_ns: Option<u64>,
    /// This slave has been told to become the master.
    is_promoted: bool,
    /// Ticks that this slave has been without a master since it last told the one that it remembers.
    unled_ticks: u32,
    /// This master is handing over to a slave, since then.
    handing_to: Option<(ReplicaId, u64)>,
    engine_maker: Option<EngineMaker>,
    /// When the next flush is due, where none is waited for.
    flush_due_ns: u64,
    /// The newest work that wrote something and for which no flush was asked, where none is waited for; else 0.
    unflushed: Persisted,
    pace: Pace,
    /// In force, and the index of its frame.
    membership: Membership,
    membership_index: u64,
    /// In the log, and not in force.
    coming: BTreeMap<u64, Membership>,
    /// Index and term of a change that the engine was just handed.
    proposed_membership: Option<(u64, u64)>,
    /// Term in which this leader has begun a joint configuration.
    entered_joint_in: Option<u64>,
    /// The membership for which a leader that is no voter of it has tried to hand over.
    handed_over_for: u64,
    learner_marks: Vec<LearnerMark>,
}

impl<T> Replica<T> {
    /// Put a replica together. `floor` is an index known to be committed; its views begin with the log.
    pub fn new(
        log: Log,
        engine: Box<dyn Replication>,
        state_file: RaftStateFile,
        state: RaftState,
        options: TurnOptions,
        floor: u64,
    ) -> Self {
        let configuration = Configuration {
            voters: state.voters.clone(),
            outgoing: state.outgoing.clone(),
            learners: state.learners.clone(),
            learners_next: state.learners_next.clone(),
        };
        Self {
            membership: Membership {
                step: MembershipStep::Simple,
                configuration: configuration.sorted(),
                members: Vec::new(),
            },
            membership_index: state.membership_index,
            coming: BTreeMap::new(),
            proposed_membership: None,
            entered_joint_in: None,
            handed_over_for: 0,
            learner_marks: Vec::new(),
            log,
            engine,
            state_file,
            state,
            options,
            received_frames: HashMap::new(),
            next_offsets: None,
            rebuild_asked: None,
            waiting: ProposalQueue::new(),
            blocked: false,
            tickets: Tickets::new(),
            reads: VecDeque::new(),
            asked: Vec::new(),
            read_context: 0,
            unsynced: VecDeque::new(),
            segment_asked: None,
            room: DiskRoom::new(options.segment_size),
            disk: DiskHealth::new(options.slow_sync_ns),
            reported_role: None,
            elections: Elections::default(),
            floor,
            committed: 0,
            now_ns: 0,
            health: Health::default(),
            suspicion: None,
            handed_over_ns: None,
            peers_in_reach: Vec::new(),
            slaves_met: Vec::new(),
            started_ns: None,
            is_promoted: false,
            unled_ticks: 0,
            handing_to: None,
            engine_maker: None,
            flush_due_ns: 0,
            unflushed: 0,
            pace: Pace::default(),
        }
    }

    /// What makes another engine, where a group's master may change by hand.
    #[must_use]
    pub fn with_engine_maker(self, maker: EngineMaker) -> Self {
        Self {
            engine_maker: Some(maker),
            ..self
        }
    }

    /// Who is in the group, and the changes of that which are in the log and not in force.
    #[must_use]
    pub fn with_membership(
        self,
        membership: Membership,
        coming: BTreeMap<u64, Membership>,
    ) -> Self {
        Self {
            membership,
            coming,
            ..self
        }
    }

    /// The log, for its reader and its end.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Role, term, leader, commit.
    pub fn status(&self) -> tern_replication::Status {
        self.engine.status()
    }

    /// The greatest index that a member is known to have persisted; 0 unless this replica leads.
    pub fn matched(&self, peer: ReplicaId) -> u64 {
        self.engine.matched(peer)
    }

    /// How far the others are, while this replica leads.
    pub fn progress(&self) -> Vec<tern_replication::Progress> {
        self.engine.progress()
    }

    /// One step: take everything in, go round the loop until nothing is left, fill the outbox.
    ///
    /// # Errors
    /// [`Fatal`] if the replica must stop; what is in the outbox must not be used then.
    pub fn step(&mut self, inbox: &mut Inbox<T>, out: &mut Outbox<T>) -> Result<(), Fatal> {
        self.now_ns = inbox.now_ns;
        self.take_segments(std::mem::take(&mut inbox.segments))?;
        if let Some(space) = inbox.space.take() {
            self.room.saw(space);
        }
        if let Some(durable) = inbox.durable.take() {
            self.flushed(durable, out);
        }
        for (peer, last_term) in inbox.connected.drain(..) {
            self.meet(peer, last_term)?;
        }
        self.step_peers(inbox, out)?;
        self.heed_health(inbox, out);
        self.heed_suspicion();
        for peer in inbox.unreachable.drain(..) {
            self.engine.unreachable(peer);
            self.lost(peer);
        }
        self.promote_in_time()?;
        self.tick(inbox.ticks);
        if let Some(to) = inbox.transfer.take() {
            self.transfer(to);
        }
        // What was committed before the start is shown at once: reads do not wait for a leader.
        self.publish(self.floor, out);
        self.drain_ready(out)?;
        self.notice_role(out);
        self.change_members(inbox, out)?;
        self.take_rebuilt(inbox.rebuilt.take());
        self.pace.came(inbox.proposals.len(), inbox.now_ns);
        self.queue(&mut inbox.proposals, out);
        self.reads.extend(inbox.reads.drain(..));
        self.propose(inbox, out)?;
        self.ask_reads(out);
        self.drain_ready(out)?;
        self.notice_role(out);
        self.acknowledge(out);
        self.hand_over_in_time(out)?;
        self.remind_master(inbox.ticks, out);
        self.flush_in_time(out);
        out.waits_for_flush = out.flush.is_some() && self.waits_for_flush();
        self.refuse(inbox.now_ns, inbox.applied_position, out);
        self.want_segment(out);
        self.look_after_room(inbox.ticks, out);
        Ok(())
    }

    /// Write what a clean stop leaves: the commit index in `raft.state`. The log must be flushed before: what is not
    /// durable may be lost with the machine, and a start that had been told of a clean stop would take that for damage.
    ///
    /// # Errors
    /// [`Fatal`] if the log is not flushed, or the file cannot be written: then nothing is said.
    pub fn stop(&mut self) -> Result<(), Fatal> {
        self.log.check_flushed()?;
        self.state.commit = self
            .state
            .commit
            .max(self.floor.max(self.committed).min(self.log.end().index));
        self.state_file.store(&self.state)?;
        Ok(())
    }

    /// Before a clean stop: have flushed what no answer waits for.
    pub fn flush_rest(&mut self, out: &mut Outbox<T>) {
        self.flush_due_ns = 0;
        self.flush_in_time(out);
    }

    /// Why this replica stood for the election that it won; `None` unless it leads.
    pub fn election_cause(&self) -> Option<ElectionCause> {
        self.reported_role.and_then(|role| role.cause)
    }

    /// Whether appended proposals wait to be decided.
    pub fn has_undecided(&self) -> bool {
        self.tickets.frames() > 0
    }

    /// A segment that could not be made for want of room, or of descriptors, is made later. Any other error is one of the
    /// disk, and is not tried again (D4).
    fn take_segments(&mut self, segments: Vec<PreparedSegment>) -> Result<(), Fatal> {
        for segment in segments {
            self.segment_asked = None;
            match segment.file {
                Ok(file) => {
                    self.room.segment(true);
                    self.log.segment_prepared(segment.base, file)?;
                }
                Err(error) if is_scarce(&error) || is_no_space(&error) => self.room.segment(false),
                Err(error) => return Err(self.log.preparation_failed(segment.base, error).into()),
            }
        }
        Ok(())
    }

    fn durable(&mut self, number: Persisted, out: &mut Outbox<T>) {
        self.engine.durable(number);
        let all = is_planted(Bug::AnswersOutOfOrder);
        while self
            .unsynced
            .front()
            .is_some_and(|f| f.number <= number || all)
        {
            let write = self.unsynced.pop_front().expect("looked at above");
            out.messages.extend(write.messages);
        }
    }

    /// Messages before ticks (L10). An append for which the log has no room counts as lost: Raft repeats it.
    ///
    /// What a leader had sent before its process was gone is stepped before that is heeded, or it would be taken for a
    /// sign of life.
    fn step_peers(&mut self, inbox: &mut Inbox<T>, out: &mut Outbox<T>) -> Result<(), Fatal> {
        let mut gone = std::mem::take(&mut inbox.gone).into_iter().peekable();
        for (before, message) in std::mem::take(&mut inbox.peers).into_iter().enumerate() {
            while let Some((_, peer)) = gone.next_if(|(messages, _)| *messages <= before) {
                self.suspect(peer);
            }
            self.step_peer(message, out)?;
        }
        for (_, peer) in gone {
            self.suspect(peer);
        }
        Ok(())
    }

    fn step_peer(&mut self, mut message: PeerMessage, out: &mut Outbox<T>) -> Result<(), Fatal> {
        if self.hears_of_disk(&message) || !self.has_room(&message)? {
            return Ok(());
        }
        self.heard_of(message.from);
        self.hears_leader(&message);
        if self.is_from_before(&message) || self.is_of_another_master(&message)? {
            return Ok(());
        }
        self.check(&message)?;
        self.make_way(&message);
        let append = message.message == MessageKind::Append;
        for frame in message.frames.drain(..) {
            self.received_frames
                .insert((frame.header.index, frame.header.term), frame);
        }
        match self.engine.step(&message) {
            Ok(()) => self.heed_call_to_stand(message.message),
            Err(StepError::UnknownPeer(_)) => {}
            Err(StepError::Engine(why)) => {
                // The engine answers what it cannot use with an error and stays as it was.
                out.unusable.push((message.from, why));
            }
        }
        if append && !self.received_frames.is_empty() {
            self.drain_ready(out)?;
            self.received_frames.clear();
        }
        Ok(())
    }

    /// Whether what a message may lead to finds a segment. Asked before the engine sees it, which takes nothing back: a
    /// write without room would stop the replica.
    fn has_room(&mut self, message: &PeerMessage) -> Result<bool, Fatal> {
        if makes_leaders(message.message) {
            return self.may_lead();
        }
        let (Some(first), Some(last)) = (message.frames.first(), message.frames.last()) else {
            return Ok(true);
        };
        // The engine refuses what does not continue the log, and the log what stands elsewhere.
        let end = self.log.end();
        let far = end.position + 2 * self.options.segment_size;
        if first.header.index > end.index + 1 || last.header.position > far {
            return Ok(true);
        }
        self.make_room_upto(last.header.end_position())
    }

    /// Whether the first frame of a leader finds a segment: who has no room for it hears no vote for itself. It goes on
    /// counting time and votes for others.
    fn may_lead(&mut self) -> Result<bool, Fatal> {
        let end = self.log.end().position;
        let length = FRAME_HEADER_SIZE as u64;
        let position = frame_position(end, length, self.options.segment_size);
        self.make_room_upto(position + length)
    }

    fn make_room_upto(&mut self, position: u64) -> Result<bool, Fatal> {
        let has_room = self.log.make_room_upto(position)?;
        if !has_room {
            self.room.segment(false);
        }
        Ok(has_room)
    }

    fn tick(&mut self, ticks: u32) {
        let leads = self.engine.status().role == Role::Leader;
        let limit = if leads {
            self.options.leader_catch_up_ticks
        } else {
            self.options.heartbeat_ticks
        };
        for _ in 0..ticks.min(limit) {
            self.engine.tick();
        }
    }

    /// Carry out works until the engine has none.
    fn drain_ready(&mut self, out: &mut Outbox<T>) -> Result<(), Fatal> {
        while self.engine.has_work() {
            let work = self.engine.work();
            self.process_ready(work, out)?;
        }
        Ok(())
    }

    /// Carry out one work of the engine. The order is what a crash in between leaves:
    ///
    /// - term and vote are on the disk before any message of this work leaves, as a vote that is told and forgotten may be
    ///   given twice;
    /// - appends leave before the own write and its sync, because a follower's disk works meanwhile, and the leader counts
    ///   itself only when its own is durable;
    /// - what says that this replica *has* something (answers to appends, votes) waits for the flush of this work, and for
    ///   those before it.
    fn process_ready(&mut self, mut work: Work, out: &mut Outbox<T>) -> Result<(), Fatal> {
        if let Some(hard) = work.hard_state {
            self.state.term = hard.term;
            self.state.vote = hard.vote;
            self.store_state()?;
        }
        out.messages.append(&mut work.messages);
        out.messages.append(&mut work.early);
        planted_early(&mut work.after_durable, out);
        self.write(&work.entries, out)?;
        let memberships = self.take_memberships(&work.memberships)?;
        self.engine
            .written(&memberships)
            .map_err(|error| Fatal::Consensus(error.to_string()))?;
        self.adopt(&work.memberships, memberships, out)?;
        let wrote = !work.entries.is_empty();
        if is_planted(Bug::AckBeforeSync) {
            out.messages.append(&mut work.after_durable);
            self.engine.durable(work.number);
        }
        if let Flush::Async { .. } = self.options.flush {
            // In the page cache is enough; what is behind the last flush goes to the disk in its time.
            out.messages.append(&mut work.after_durable);
            self.engine.durable(work.number);
            self.unflushed = self.unflushed.max(if wrote { work.number } else { 0 });
        } else if wrote || (!self.unsynced.is_empty() && !work.after_durable.is_empty()) {
            self.unsynced.push_back(UnsyncedWrite {
                number: work.number,
                messages: work.after_durable,
                since_ns: self.now_ns,
            });
            self.ask_flush(work.number, out);
        } else if self.unsynced.is_empty() {
            // Nothing is in flight, so this round is as durable as the one before it. A round in between that
            // wrote nothing and holds no message back is covered by the next notice.
            out.messages.append(&mut work.after_durable);
            self.engine.durable(work.number);
        }
        // The commit first: a read that is confirmed here is answered when the views have reached it.
        self.publish(work.commit, out);
        self.confirm_reads(work.reads, out);
        Ok(())
    }

    fn store_state(&mut self) -> Result<(), Fatal> {
        if is_planted(Bug::VoteNotSynced) {
            return Ok(());
        }
        match self.state_file.store(&self.state) {
            Err(_) if is_planted(Bug::VoteErrorIgnored) => Ok(()),
            stored => Ok(stored?),
        }
    }

    /// Append the frames of entries. Frames that the engine made by itself are built here, at the log end.
    fn write(&mut self, entries: &[ThinEntry], out: &mut Outbox<T>) -> Result<(), Fatal> {
        let Some(first) = entries.first() else {
            return Ok(());
        };
        if first.index <= self.log.end().index {
            let floor = self.floor.max(self.committed);
            assert!(first.index > floor, "committed frames stay (L22)");
            self.set_aside(first.index, out)?;
            self.log.truncate_after(first.index - 1)?;
            self.coming.retain(|index, _| *index < first.index);
        }
        let mut end = self.log.end();
        let mut frames = Vec::with_capacity(entries.len());
        for entry in entries {
            let key = (entry.index, entry.term);
            let built = self.received_frames.remove(&key);
            let built = built.filter(|frame| !self.was_refused(key, entry.kind, frame.header.kind));
            let frame = match built {
                Some(frame)
                    if frame.header.kind == entry.kind || is_planted(Bug::KindOfProposal) =>
                {
                    frame
                }
                Some(frame) => {
                    return Err(Fatal::Consensus(format!(
                        "entry {} of term {} is a {:?}, its frame a {:?}",
                        entry.index, entry.term, entry.kind, frame.header.kind
                    )));
                }
                None if entry.kind == FrameKind::NoOp => FrameDraft::no_op().seal(
                    &end,
                    entry.term,
                    end.store_timestamp_ms,
                    self.options.segment_size,
                )?,
                None => {
                    return Err(Fatal::Consensus(format!(
                        "entry {} of term {} has no frame",
                        entry.index, entry.term
                    )));
                }
            };
            end = frame.end();
            frames.push(frame);
        }
        self.log.append(&frames)?;
        self.note_memberships(&frames)?;
        self.log.write_zeros_ahead(self.now_ns)?;
        Ok(())
    }

    fn publish(&mut self, commit: u64, out: &mut Outbox<T>) {
        let mut commit = commit.min(self.log.end().index);
        if is_planted(Bug::AckFromLeaderAlone) && self.engine.status().role == Role::Leader {
            commit = self.log.end().index;
        }
        if commit <= self.committed {
            return;
        }
        self.committed = commit;
        self.follows_again();
        if self.log.committed(commit).is_err() {
            // The end of a frame that cannot be read is not known, and its mark waits for a later one.
            self.health.met_rot();
        }
        self.decide(self.acknowledgeable(commit), true, out);
    }

    /// Decide tickets up to an index; `is_kept`: as the mode promises, or on the master alone.
    fn decide(&mut self, upto: u64, is_kept: bool, out: &mut Outbox<T>) {
        let log = &self.log;
        let term_at = |index| log.term(index).ok().flatten().unwrap_or(0);
        let decided = if is_kept {
            self.tickets.commit(upto, term_at)
        } else {
            self.tickets.commit_alone(upto, term_at)
        };
        let committed = out.commit.get_or_insert_with(|| Committed {
            index: self.committed,
            decided: Vec::new(),
            at_apply: Vec::new(),
        });
        if let Some(placed_ns) = decided.newest_placed_ns {
            self.pace.committed(self.now_ns.saturating_sub(placed_ns));
        }
        committed.index = self.committed;
        committed.decided.extend(decided.at_once);
        committed.at_apply.extend(decided.at_apply);
    }

    fn confirm_reads(&mut self, confirmed: Vec<(u64, u64)>, out: &mut Outbox<T>) {
        for (context, index) in confirmed {
            let Some(at) = self.asked.iter().position(|(asked, _)| *asked == context) else {
                continue;
            };
            // Contexts go up: a confirmed one confirms every one that was asked before it.
            for (_, reads) in self.asked.drain(..=at) {
                out.answers.extend(
                    reads
                        .into_iter()
                        .map(|(t, _)| (t, Outcome::Confirmed(index))),
                );
            }
        }
    }

    fn notice_role(&mut self, out: &mut Outbox<T>) {
        let status = self.engine.status();
        let now = RoleChange {
            role: status.role,
            term: status.term,
            leader: status.leader,
            is_slave: self.answers_alone(),
            cause: self.elections.cause(self.state.own_id, &status),
        };
        if self.reported_role == Some(now) {
            return;
        }
        self.reported_role = Some(now);
        out.role = Some(now);
        if now.role != Role::Leader {
            self.next_offsets = None;
            self.rebuild_asked = None;
        } else if self.rebuild_asked != Some(now.term) {
            self.next_offsets = None;
            self.rebuild_asked = Some(now.term);
            out.rebuild = Some(RebuildNextOffsets {
                term: now.term,
                upto: self.log.end().index,
                upto_term: self.log.end().term,
            });
        }
    }

    fn heed_call_to_stand(&mut self, message: MessageKind) {
        let status = self.engine.status();
        // A replica that may not stand now has passed the call over.
        if message == MessageKind::TimeoutNow && status.role == Role::Candidate {
            self.elections
                .stands(ElectionCause::HandedOver, status.term);
        }
    }

    fn take_rebuilt(&mut self, rebuilt: Option<RebuiltNextOffsets>) {
        if let Some(rebuilt) = rebuilt
            && self.rebuild_asked == Some(rebuilt.term)
            && self.next_offsets.is_none()
        {
            self.next_offsets = Some(rebuilt.next_offsets);
        }
    }

    /// One leadership round confirms all reads that wait; before the term's first commit they go on waiting.
    fn ask_reads(&mut self, out: &mut Outbox<T>) {
        if self.reads.is_empty() || !self.engine.status().settled {
            return;
        }
        self.read_context += 1;
        if is_planted(Bug::StaleAnswer) {
            let reads = self.reads.drain(..).collect();
            self.asked.push((self.read_context, reads));
            self.confirm_reads(vec![(self.read_context, self.committed)], out);
            return;
        }
        if self.engine.read(self.read_context).is_ok() {
            let reads = self.reads.drain(..).collect();
            self.asked.push((self.read_context, reads));
        }
    }

    /// Ask for room while there is some left, so that neither a frame nor a roll waits for the disk.
    fn want_segment(&mut self, out: &mut Outbox<T>) {
        let first = self.waiting.front().map_or(0, |first| first.weight().0);
        if self.segment_asked.is_none()
            && let Some(need) = self.log.segment_to_prepare(first as u64 + AROUND_CONTENT)
        {
            self.segment_asked = Some(need.base);
            out.prepare_segment = Some(need);
        }
    }

    fn look_after_room(&mut self, ticks: u32, out: &mut Outbox<T>) {
        let end = self.log.end().position;
        out.look_at_disk |= self.room.wants_look(end, ticks);
        out.room = self.room.change().or(out.room);
    }
}

/// Planted bugs: what promises something leaves before it is durable.
fn planted_early<T>(held: &mut Vec<PeerMessage>, out: &mut Outbox<T>) {
    let early = |kind| match kind {
        MessageKind::Vote | MessageKind::VoteAnswer => is_planted(Bug::VotesEarly),
        MessageKind::AppendAnswer => is_planted(Bug::AnswersEarly),
        _ => false,
    };
    if is_planted(Bug::VotesEarly) || is_planted(Bug::AnswersEarly) {
        let (leave, stay) = std::mem::take(held)
            .into_iter()
            .partition(|m| early(m.message));
        *held = stay;
        let leave: Vec<PeerMessage> = leave;
        out.messages.extend(leave);
    }
}
