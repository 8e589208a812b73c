//! One turn of one replica: the loop of `log-and-consensus.md` §4.3 as a step of a plain struct.
//!
//! No thread, clock or socket in here: the log thread of a process and `tern-sim` call the same step.

use super::building::{Building, Limits};
use super::inputs::{
    Bound, Committed, Flush, Fold, Folded, Inbox, Outbox, Outcome, PreparedSegment, Proposal,
    Refusal, RoleChange,
};
use super::numbers::QueueNumbers;
use super::planted;
use super::tickets::Tickets;
use super::waiting::Waiting;
use hashbrown::HashMap;
use std::collections::VecDeque;
use tern_log::{
    Descriptor, Frame, FrameDraft, FrameKind, Log, LogError, RaftState, RaftStateFile, SegmentRoom,
};
use tern_replication::{
    MessageKind, PeerKind, PeerMessage, Persisted, Replication, Role, StepError, ThinEntry, Work,
};
use thiserror::Error;

/// An error after which the replica must stop (`log-and-consensus.md` §14).
#[derive(Debug, Error)]
pub enum Fatal {
    /// The log could not be written, or contradicts what the group says.
    #[error("log: {0}")]
    Log(#[from] LogError),
    /// Applying a committed frame contradicted the state.
    #[error("state: {0}")]
    State(String),
    /// This replica may not take part, or cannot begin: a whole sentence for a person.
    #[error("{0}")]
    Refused(String),
    /// The consensus engine is in a state it must not be in.
    #[error("consensus: {0}")]
    Consensus(String),
}

/// What a turn has to know besides its parts.
#[derive(Debug, Clone, Copy)]
pub struct TurnOptions {
    /// Ticks of a heartbeat, at most this many are caught up by a follower after a stall (L10).
    pub heartbeat_ticks: u32,
    /// Ticks that a leader catches up at most: two election timeouts.
    pub leader_catch_up_ticks: u32,
    /// Proposals that wait for a frame at most.
    pub waiting: usize,
    /// How long a proposal waits for others at most while a frame is on its way to a majority, nanoseconds.
    pub gather_ns: u64,
    /// A proposal that waited longer is refused with `Busy`, nanoseconds.
    pub wait_limit_ns: u64,
    /// An appended proposal that is undecided for longer is answered as unknown, nanoseconds.
    pub ack_timeout_ns: u64,
    /// Frames appended and not committed.
    pub uncommitted_frames: usize,
    /// Bytes committed that the views may be behind.
    pub behind_bytes: u64,
    /// Size of a segment, bytes.
    pub segment_size: u64,
}

impl Default for TurnOptions {
    fn default() -> Self {
        Self {
            heartbeat_ticks: 10,
            leader_catch_up_ticks: 120,
            waiting: 10_000,
            gather_ns: 500_000,
            wait_limit_ns: 200_000_000,
            ack_timeout_ns: 2_500_000_000,
            uncommitted_frames: 10_000,
            behind_bytes: 256 << 20,
            segment_size: 64 << 20,
        }
    }
}

/// A round that is written and not yet durable, with the messages that wait for it.
#[derive(Debug)]
struct Flight {
    number: Persisted,
    messages: Vec<PeerMessage>,
}

/// A replica's log end, engine, rings and tickets.
pub struct Replica<T> {
    log: Log,
    engine: Box<dyn Replication>,
    state_file: RaftStateFile,
    state: RaftState,
    options: TurnOptions,
    /// Frames that an entry will name: received from a leader, or just built (L15).
    held: HashMap<(u64, u64), Frame>,
    numbers: Option<QueueNumbers>,
    fold_asked: Option<u64>,
    waiting: Waiting<T>,
    /// A bound, a transfer or a missing segment kept the last turn from building.
    blocked: bool,
    tickets: Tickets<T>,
    reads: VecDeque<(T, u64)>,
    asked: Vec<(u64, Vec<(T, u64)>)>,
    read_context: u64,
    flights: VecDeque<Flight>,
    segment_asked: Option<u64>,
    no_room: bool,
    told: Option<RoleChange>,
    committed: u64,
}

impl<T> Replica<T> {
    /// Put a replica together. `committed` is where its views stand at the start.
    pub fn new(
        log: Log,
        engine: Box<dyn Replication>,
        state_file: RaftStateFile,
        state: RaftState,
        options: TurnOptions,
    ) -> Self {
        Self {
            log,
            engine,
            state_file,
            state,
            options,
            held: HashMap::new(),
            numbers: None,
            fold_asked: None,
            waiting: Waiting::new(),
            blocked: false,
            tickets: Tickets::new(),
            reads: VecDeque::new(),
            asked: Vec::new(),
            read_context: 0,
            flights: VecDeque::new(),
            segment_asked: None,
            no_room: false,
            told: None,
            committed: 0,
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

    /// How long a turn without new input would find nothing to do, nanoseconds; `None` if until the next tick.
    pub fn idle_for(&self, now_ns: u64) -> Option<u64> {
        self.numbers.as_ref()?;
        if self.blocked {
            return None;
        }
        let gathering = if self.gathers() {
            self.options.gather_ns
        } else {
            0
        };
        match self.waiting.front() {
            Some(oldest) => Some((oldest.received_ns + gathering).saturating_sub(now_ns)),
            // What comes now may be left to gather for so long.
            None => (gathering > 0).then_some(gathering),
        }
    }

    /// Ticks that may be taken together: one, and half a heartbeat's where nobody waits for anything. Half of an idle
    /// replica's CPU was waking up for single ticks; a follower may campaign so much too early.
    pub fn rest_ticks(&self) -> u64 {
        let no_reads = self.reads.is_empty() && self.asked.is_empty();
        if self.waiting.len() == 0 && self.tickets.frames() == 0 && no_reads {
            u64::from(self.options.heartbeat_ticks / 2).max(1)
        } else {
            1
        }
    }

    /// While a frame is on its way to a majority, what waits gathers into the next one, until it fills a frame.
    pub fn gathers(&self) -> bool {
        self.numbers.is_some()
            && self.tickets.frames() > 0
            && !self.limits().fills_frame(self.waiting.weight())
    }

    fn limits(&self) -> Limits {
        Limits::of_segment(self.options.segment_size)
    }

    /// One step: take everything in, go round the loop until nothing is left, fill the outbox.
    ///
    /// # Errors
    /// [`Fatal`] if the replica must stop; what is in the outbox must not be used then.
    pub fn step(&mut self, inbox: &mut Inbox<T>, out: &mut Outbox<T>) -> Result<(), Fatal> {
        self.take_segments(std::mem::take(&mut inbox.segments))?;
        if let Some(number) = inbox.durable.take() {
            self.durable(number, out);
        }
        self.step_peers(std::mem::take(&mut inbox.peers), out)?;
        for peer in inbox.unreachable.drain(..) {
            self.engine.unreachable(peer);
        }
        self.tick(inbox.ticks);
        if let Some(to) = inbox.transfer.take() {
            self.engine.transfer(to);
        }
        self.rounds(out)?;
        self.notice_role(out);
        self.take_fold(inbox.folded.take());
        self.queue(&mut inbox.proposals, out);
        self.reads.extend(inbox.reads.drain(..));
        self.propose(inbox, out)?;
        self.ask_reads();
        self.rounds(out)?;
        self.notice_role(out);
        self.refuse(inbox.now_ns, out);
        self.want_segment(out);
        Ok(())
    }

    /// Write what a clean stop leaves: the commit index in `raft.state`. The log must be flushed before.
    ///
    /// # Errors
    /// [`Fatal`] if the file cannot be written.
    pub fn stop(&mut self) -> Result<(), Fatal> {
        self.state.commit = self
            .state
            .commit
            .max(self.committed.min(self.log.end().index));
        self.state_file.store(&self.state)?;
        Ok(())
    }

    /// Whether appended proposals wait to be decided.
    pub fn has_undecided(&self) -> bool {
        self.tickets.frames() > 0
    }

    fn take_segments(&mut self, segments: Vec<PreparedSegment>) -> Result<(), Fatal> {
        for segment in segments {
            self.segment_asked = None;
            match segment.file {
                Ok(file) => {
                    self.no_room = false;
                    self.log.segment_prepared(segment.base, file)?;
                }
                Err(_) => self.no_room = true,
            }
        }
        Ok(())
    }

    fn durable(&mut self, number: Persisted, out: &mut Outbox<T>) {
        self.engine.durable(number);
        while self.flights.front().is_some_and(|f| f.number <= number) {
            let flight = self.flights.pop_front().expect("looked at above");
            out.messages.extend(flight.messages);
        }
    }

    /// Messages before ticks (L10). An append for which the log has no room counts as lost: Raft repeats it.
    fn step_peers(&mut self, peers: Vec<PeerMessage>, out: &mut Outbox<T>) -> Result<(), Fatal> {
        for mut message in peers {
            if message.kind != PeerKind::Raft {
                continue;
            }
            if !self.has_room(&message) {
                continue;
            }
            let append = message.message == MessageKind::Append;
            for frame in message.frames.drain(..) {
                self.held
                    .insert((frame.header.index, frame.header.term), frame);
            }
            match self.engine.step(&message) {
                Ok(()) | Err(StepError::UnknownPeer(_)) => {}
                Err(StepError::Engine(why)) => {
                    // The engine answers what it cannot use with an error and stays as it was.
                    debug_assert!(!why.is_empty());
                }
            }
            if append && !self.held.is_empty() {
                self.rounds(out)?;
                self.held.clear();
            }
        }
        Ok(())
    }

    fn has_room(&self, message: &PeerMessage) -> bool {
        if !self.no_room || message.frames.is_empty() {
            return true;
        }
        let need = message
            .frames
            .iter()
            .map(|frame| frame.bytes.len() as u64 + 8)
            .sum();
        !matches!(
            self.log.segment_ready_for(need),
            SegmentRoom::NextMissing { .. }
        )
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
    fn rounds(&mut self, out: &mut Outbox<T>) -> Result<(), Fatal> {
        while self.engine.has_work() {
            let work = self.engine.work();
            self.round(work, out)?;
        }
        Ok(())
    }

    fn round(&mut self, mut work: Work, out: &mut Outbox<T>) -> Result<(), Fatal> {
        if let Some(hard) = work.hard_state {
            self.state.term = hard.term;
            self.state.vote = hard.vote;
            if !planted::on(planted::VOTE_NOT_SYNCED) {
                self.state_file.store(&self.state)?;
            }
        }
        out.messages.append(&mut work.messages);
        out.messages.append(&mut work.early);
        self.write(&work.entries)?;
        self.engine.written();
        let wrote = !work.entries.is_empty();
        if planted::on(planted::ACK_BEFORE_SYNC) {
            out.messages.append(&mut work.after_durable);
            self.engine.durable(work.number);
        }
        if wrote || (!self.flights.is_empty() && !work.after_durable.is_empty()) {
            self.flights.push_back(Flight {
                number: work.number,
                messages: work.after_durable,
            });
            out.flush = Some(Flush {
                number: work.number,
                position: self.log.end().position,
            });
        } else if self.flights.is_empty() {
            // Nothing is in flight, so this round is as durable as the one before it. A round in between that
            // wrote nothing and holds no message back is covered by the next notice.
            out.messages.append(&mut work.after_durable);
            self.engine.durable(work.number);
        }
        self.publish(work.commit, out)?;
        self.confirm_reads(work.reads, out);
        Ok(())
    }

    /// Append the frames of entries. Frames that the engine made by itself are built here, at the log end.
    fn write(&mut self, entries: &[ThinEntry]) -> Result<(), Fatal> {
        let Some(first) = entries.first() else {
            return Ok(());
        };
        if first.index <= self.log.end().index {
            assert!(first.index > self.committed, "committed frames stay (L22)");
            self.log.truncate_after(first.index - 1)?;
        }
        let mut end = self.log.end();
        let mut frames = Vec::with_capacity(entries.len());
        for entry in entries {
            let frame = match self.held.remove(&(entry.index, entry.term)) {
                Some(frame) => frame,
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
        Ok(())
    }

    fn publish(&mut self, commit: u64, out: &mut Outbox<T>) -> Result<(), Fatal> {
        let mut commit = commit.min(self.log.end().index);
        if planted::on(planted::ACK_FROM_LEADER_ALONE) && self.engine.status().role == Role::Leader
        {
            commit = self.log.end().index;
        }
        if commit <= self.committed {
            return Ok(());
        }
        self.committed = commit;
        let log = &self.log;
        let mut failed = None;
        let decided = self
            .tickets
            .commit(commit, |index| match log.header(index) {
                Ok(header) => header.term,
                Err(error) => {
                    failed = Some(error);
                    0
                }
            });
        if let Some(error) = failed {
            return Err(Fatal::Log(error));
        }
        let committed = out.commit.get_or_insert_with(|| Committed {
            index: commit,
            decided: Vec::new(),
            at_apply: Vec::new(),
        });
        committed.index = commit;
        committed.decided.extend(decided.at_once);
        committed.at_apply.extend(decided.at_apply);
        Ok(())
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
        };
        if self.told == Some(now) {
            return;
        }
        self.told = Some(now);
        out.role = Some(now);
        if now.role != Role::Leader {
            self.numbers = None;
            self.fold_asked = None;
        } else if self.fold_asked != Some(now.term) {
            self.numbers = None;
            self.fold_asked = Some(now.term);
            out.fold = Some(Fold {
                term: now.term,
                upto: self.log.end().index,
            });
        }
    }

    fn take_fold(&mut self, folded: Option<Folded>) {
        if let Some(folded) = folded
            && self.fold_asked == Some(folded.term)
            && self.numbers.is_none()
        {
            self.numbers = Some(folded.numbers);
        }
    }

    /// Proposals beyond the bound are refused before anything is appended.
    fn queue(&mut self, proposals: &mut Vec<Proposal<T>>, out: &mut Outbox<T>) {
        let room = self.options.waiting.saturating_sub(self.waiting.len());
        let over = proposals.split_off(room.min(proposals.len()));
        proposals.drain(..).for_each(|p| self.waiting.push(p));
        let refusal = Outcome::Refused(Refusal::Busy(Bound::Waiting));
        out.answers
            .extend(over.into_iter().map(|p| (p.ticket, refusal.clone())));
    }

    /// Build frames from what waits and propose them, at most one trip's worth (L8).
    fn propose(&mut self, inbox: &Inbox<T>, out: &mut Outbox<T>) -> Result<(), Fatal> {
        let status = self.engine.status();
        if status.role != Role::Leader
            || self.is_blocked(inbox.applied_position)
            || self.still_gathers(inbox.now_ns)
        {
            return Ok(());
        }
        let Some(mut numbers) = self.numbers.take() else {
            return Ok(());
        };
        let mut building = Building::new(self.log.end(), status.term, inbox.wall_ms, self.limits());
        while let Some(proposal) = self.waiting.front() {
            if !building.has_space(proposal) {
                break;
            }
            if !self.can_place(&building, proposal) {
                self.blocked = true;
                break;
            }
            let expired =
                inbox.now_ns.saturating_sub(proposal.received_ns) > self.options.wait_limit_ns;
            let proposal = self.waiting.pop().expect("looked at above");
            if expired {
                let refusal = Refusal::Busy(Bound::Waiting);
                out.answers
                    .push((proposal.ticket, Outcome::Refused(refusal)));
                continue;
            }
            if let Some((ticket, refusal)) = building.add(proposal, &mut numbers)? {
                out.answers.push((ticket, Outcome::Refused(refusal)));
            }
        }
        let built = building.finish()?;
        if built.frames.is_empty() {
            self.numbers = Some(numbers);
            return Ok(());
        }
        let descriptors: Vec<_> = built
            .frames
            .iter()
            .map(|f| Descriptor::from(&f.frame.header))
            .collect();
        let first = built.frames[0].frame.header.index;
        if self.engine.propose(first, &descriptors).is_err() {
            // Nothing was appended; the numbers that were given out go with the frames.
            self.fold_asked = None;
            self.told = None;
            for frame in built.frames {
                for placed in frame.tickets {
                    out.answers
                        .push((placed.ticket, Outcome::Refused(self.not_leader())));
                }
            }
            return Ok(());
        }
        self.numbers = Some(numbers);
        let deadline = inbox.now_ns + self.options.ack_timeout_ns;
        for built in built.frames {
            let header = &built.frame.header;
            self.tickets
                .place(header.index, header.term, built.tickets, deadline);
            self.held.insert((header.index, header.term), built.frame);
        }
        Ok(())
    }

    fn is_blocked(&mut self, applied_position: u64) -> bool {
        self.blocked = self.engine.transferring() || self.bound(applied_position).is_some();
        self.blocked
    }

    fn still_gathers(&self, now_ns: u64) -> bool {
        let oldest = self.waiting.front().map_or(now_ns, |p| p.received_ns);
        self.gathers() && now_ns.saturating_sub(oldest) < self.options.gather_ns
    }

    fn can_place(&self, building: &Building<T>, proposal: &Proposal<T>) -> bool {
        self.fits(building.bytes() + proposal.weight().0)
    }

    /// Whether frames with this many bytes of content find a segment; headers and padding are allowed for.
    fn fits(&self, bytes: usize) -> bool {
        !matches!(
            self.log.segment_ready_for(bytes as u64 + 4096),
            SegmentRoom::NextMissing { .. }
        )
    }

    fn bound(&self, applied_position: u64) -> Option<Bound> {
        if self.tickets.frames() >= self.options.uncommitted_frames {
            return Some(Bound::Uncommitted);
        }
        let end = self.log.end().position;
        (end.saturating_sub(applied_position) > self.options.behind_bytes).then_some(Bound::Behind)
    }

    /// One leadership round confirms all reads that wait; before the term's first commit they go on waiting.
    fn ask_reads(&mut self) {
        if self.reads.is_empty() || !self.engine.status().settled {
            return;
        }
        self.read_context += 1;
        if self.engine.read(self.read_context).is_ok() {
            let reads = self.reads.drain(..).collect();
            self.asked.push((self.read_context, reads));
        }
    }

    /// Answer what will not be done: not the leader, waited too long, no room, undecided for too long.
    fn refuse(&mut self, now_ns: u64, out: &mut Outbox<T>) {
        out.answers.extend(self.tickets.expire(now_ns));
        let status = self.engine.status();
        if status.role != Role::Leader {
            if planted::on(planted::BUSY_AFTER_APPEND) {
                let busy = Outcome::Refused(Refusal::Busy(Bound::Waiting));
                let expired = self.tickets.expire(u64::MAX);
                out.answers.extend(
                    expired
                        .into_iter()
                        .map(|(ticket, _)| (ticket, busy.clone())),
                );
            }
            let refusal = self.not_leader();
            let reads = self.asked.drain(..).flat_map(|(_, reads)| reads);
            let tickets = reads.chain(self.reads.drain(..)).map(|(ticket, _)| ticket);
            out.answers
                .extend(tickets.map(|ticket| (ticket, Outcome::Refused(refusal))));
            let waiting = std::iter::from_fn(|| self.waiting.pop());
            out.answers
                .extend(waiting.map(|p| (p.ticket, Outcome::Refused(refusal))));
            return;
        }
        let limit = self.options.wait_limit_ns;
        let late = |received: u64| now_ns.saturating_sub(received) > limit;
        let refusal = if self.engine.transferring() {
            self.not_leader()
        } else if self.no_room {
            Refusal::NoRoom
        } else {
            Refusal::Busy(self.bound(u64::MAX).unwrap_or(Bound::Waiting))
        };
        loop {
            let unplaceable = |p: &Proposal<T>| self.no_room && !self.fits(p.weight().0);
            let gone = self
                .waiting
                .front()
                .is_some_and(|p| late(p.received_ns) || unplaceable(p));
            let Some(proposal) = gone.then(|| self.waiting.pop()).flatten() else {
                break;
            };
            out.answers
                .push((proposal.ticket, Outcome::Refused(refusal)));
        }
        let overdue = |received: u64| now_ns.saturating_sub(received) > self.options.ack_timeout_ns;
        while self.reads.front().is_some_and(|(_, at)| overdue(*at)) {
            let (ticket, _) = self.reads.pop_front().expect("looked at above");
            out.answers
                .push((ticket, Outcome::Refused(Refusal::Busy(Bound::Waiting))));
        }
        while self
            .asked
            .first()
            .is_some_and(|(_, reads)| reads.first().is_some_and(|(_, at)| overdue(*at)))
        {
            let (_, reads) = self.asked.remove(0);
            out.answers.extend(
                reads
                    .into_iter()
                    .map(|(t, _)| (t, Outcome::Refused(Refusal::Busy(Bound::Waiting)))),
            );
        }
    }

    fn not_leader(&self) -> Refusal {
        let status = self.engine.status();
        Refusal::NotLeader {
            leader: status.leader,
            term: status.term,
        }
    }

    /// Ask for the next segment while there is room in this one, so that a roll never waits for the disk.
    fn want_segment(&mut self, out: &mut Outbox<T>) {
        if let Some(base) = self.log.segment_to_prepare()
            && self.segment_asked != Some(base)
        {
            self.segment_asked = Some(base);
            out.prepare_segment = Some(base);
        }
    }
}
