//! What the threads around a replica do: they carry inputs in and effects out, and what they see is checked.

use tern_replica::{Committed, Fatal, LONGEST_FLUSH_WAIT_NS, Outcome};
use tern_replication::{MessageKind, PeerMessage};

use super::history::{BLOCKED_PAUSE, MILLISECOND, World, WorldEvent};
use crate::auditor;
use crate::bugs::{OuterBug, outer};
use crate::ledger::BrokenPromise;
use crate::machine::{Machine, Process};
use crate::network::Micros;
use crate::process::RunningReplica;

impl World {
    /// Something happens inside a process that is still the same one; then it takes a turn.
    pub(super) fn with(
        &mut self,
        at: usize,
        life: u64,
        what: impl FnOnce(&mut RunningReplica) -> Result<(), Fatal>,
    ) -> Result<(), BrokenPromise> {
        if self.machines[at].life != life {
            return Ok(());
        }
        let Some(running) = self.machines[at].running() else {
            return Ok(());
        };
        match what(running) {
            Ok(()) => self.turn(at),
            Err(fatal) => self.stopped(at, &fatal),
        }
    }

    pub(super) fn tick(&mut self, at: usize) -> Result<(), BrokenPromise> {
        let (now_ns, wall_ms) = (self.clock_ns(at), self.wall_ms(at));
        let machine = &mut self.machines[at];
        if machine.process.is_some() && machine.disk.has_stopped() {
            self.crash_at_write(at);
            return Ok(());
        }
        let paused = machine.paused;
        match &mut machine.process {
            None => Ok(()),
            Some(Process::Bootstrapping(driver)) => {
                let mut messages = Vec::new();
                if let Some(driver) = driver.as_mut()
                    && !paused
                {
                    driver.bootstrap().tick(1, &mut messages);
                }
                self.post(at, messages);
                Ok(())
            }
            Some(Process::Running(running)) => {
                running.inbox.ticks += 1;
                if paused {
                    return Ok(());
                }
                running.put_due(now_ns, wall_ms);
                match running.keep_position(now_ns) {
                    Ok(()) => self.turn(at),
                    Err(fatal) => self.stopped(at, &fatal),
                }
            }
        }
    }

    pub(crate) fn turn(&mut self, at: usize) -> Result<(), BrokenPromise> {
        let (now_ns, wall_ms) = (self.clock_ns(at), self.wall_ms(at));
        let Some(running) = self.machines[at].running() else {
            return Ok(());
        };
        if running.waits_for_flush().is_some() {
            // What comes meanwhile waits with it.
            return Ok(());
        }
        if let Err(fatal) = running.turn(now_ns, wall_ms) {
            return self.stopped(at, &fatal);
        }
        self.carry_out(at)
    }

    /// What the threads around a turn do with its outbox.
    pub(super) fn carry_out(&mut self, at: usize) -> Result<(), BrokenPromise> {
        let life = self.machines[at].life;
        let now_ns = self.clock_ns(at);
        let machine = &mut self.machines[at];
        let Some(Process::Running(running)) = &mut machine.process else {
            return Ok(());
        };
        if let Some(member_status) = &machine.member_status {
            let replica = &running.replica;
            member_status.progressed(&replica.status(), |peer| replica.matched(peer));
            if running.out.role.is_some() {
                member_status.set_learners(replica.learners());
            }
        }
        let mut out = std::mem::take(&mut running.out);
        let changed = std::mem::take(&mut out.membership_changed).then(|| {
            let replica = &running.replica;
            (replica.membership_index(), replica.membership().clone())
        });
        if let (Some((_, membership)), Some(member_status)) = (&changed, &machine.member_status) {
            member_status.set_membership(membership);
        }
        if outer() == Some(OuterBug::HeartbeatCommit) {
            raise_commit_of_heartbeats(&mut out.messages, running.replica.status().commit);
        }
        let leads = running.leads();
        if out.role.is_some() {
            running.role_changed(now_ns);
        }
        let flush = out.flush.take();
        let waits = out.waits_for_flush && flush.is_some_and(|flush| running.wait_for_flush(flush));
        let begins = !waits && flush.is_some_and(|flush| running.ask_flush(flush));
        if begins {
            // The flush thread wakes a moment later, or the sync would begin with the write.
            let delay = self.random.below(200);
            self.after(delay, WorldEvent::FlushBegins(at, life));
        }
        if let Some((index, membership)) = changed {
            self.members_changed(at, index, &membership)?;
        }
        self.look_at_log(at)?;
        if let Some(role) = &out.role {
            self.say(format_args!(
                "node {at} is {:?} in term {} under {:x}",
                role.role, role.term, role.leader
            ));
            if let Some(term) = leads {
                self.figures.elections += 1;
                self.figures.terms = self.figures.terms.max(term);
                self.ledger.leads(at, term)?;
            }
            self.trace(leads.unwrap_or(0) << 8 | at as u64);
        }
        if let Some(need) = out.prepare_segment.take() {
            let delay = self.random.between(MILLISECOND, 50 * MILLISECOND);
            self.after(delay, WorldEvent::Segment(at, life, need));
        }
        if out.look_at_disk {
            let delay = self.random.between(MILLISECOND, 20 * MILLISECOND);
            self.after(delay, WorldEvent::Space(at, life));
        }
        for message in &out.messages {
            self.ledger.sent(at, message)?;
        }
        self.post(at, std::mem::take(&mut out.messages));
        for (ticket, outcome) in out.answers.drain(..) {
            self.decide(at, ticket, outcome)?;
        }
        if let Some(rebuild) = out.rebuild.take()
            && let Some(running) = self.machines[at].running()
        {
            running.ask_rebuild(rebuild);
            let delay = self.random.below(3 * MILLISECOND);
            self.after(delay, WorldEvent::Apply(at, life));
        }
        if let Some(committed) = out.commit.take() {
            self.commit(at, committed.index)?;
            let now_ns = self.clock_ns(at);
            let Some(running) = self.machines[at].running() else {
                return Ok(());
            };
            for (ticket, outcome) in running.applying.commit(committed, now_ns) {
                self.decide(at, ticket, outcome)?;
            }
            let delay = self.random.below(3 * MILLISECOND);
            self.after(delay, WorldEvent::Apply(at, life));
        }
        if waits {
            self.wait_for_flush(at, life)?;
        }
        Ok(())
    }

    /// The thread that took the turn carries the flush out, after everything that leaves early has left. Another one
    /// takes the next turn if it takes long.
    fn wait_for_flush(&mut self, at: usize, life: u64) -> Result<(), BrokenPromise> {
        self.flush_begins(at, life)?;
        if let Some(running) = self.machines[at].running()
            && let Some(wait) = running.waits_for_flush()
        {
            self.figures.waits_for_flush += 1;
            self.after(
                LONGEST_FLUSH_WAIT_NS / 1000,
                WorldEvent::TakesTurnOver(at, life, wait),
            );
        }
        Ok(())
    }

    pub(super) fn take_turn_over(
        &mut self,
        at: usize,
        life: u64,
        wait: u64,
    ) -> Result<(), BrokenPromise> {
        let waits = self.machines[at].life == life
            && self.machines[at]
                .running()
                .is_some_and(|running| running.take_turn_over(wait));
        if !waits {
            return Ok(());
        }
        self.figures.turns_taken_over += 1;
        self.turn(at)
    }

    /// Every frame that is new in a replica's log is held against all that were ever in one.
    pub(super) fn look_at_log(&mut self, at: usize) -> Result<(), BrokenPromise> {
        let Some(running) = self.machines[at].any_running() else {
            return Ok(());
        };
        let reader = running.reader.clone();
        let end = reader.end().index as usize;
        let tail = &mut self.tails[at];
        tail.resize(end + 1, 0);
        for index in (1..=end).rev() {
            let Ok(header) = reader.header(index as u64) else {
                break;
            };
            if tail[index] == header.header_crc {
                break;
            }
            tail[index] = header.header_crc;
            self.ledger.holds(at, &header)?;
        }
        Ok(())
    }

    pub(super) fn commit(&mut self, at: usize, index: u64) -> Result<(), BrokenPromise> {
        let Some(running) = self.machines[at].running() else {
            return Ok(());
        };
        let from = running.committed;
        running.committed = index.max(from);
        let reader = running.reader.clone();
        self.ledger.commits(at, from, index, &reader)?;
        self.trace(index << 2 | at as u64);
        Ok(())
    }

    /// A confirmed read waits until its index is applied; everything else is decided.
    pub(super) fn decide(
        &mut self,
        at: usize,
        ticket: u64,
        outcome: Outcome,
    ) -> Result<(), BrokenPromise> {
        let now_ns = self.clock_ns(at);
        if let Outcome::Confirmed(index) = outcome
            && let Some(running) = self.machines[at].running()
        {
            let read = Committed {
                index: 0,
                decided: Vec::new(),
                at_apply: vec![(index, ticket, outcome)],
            };
            let _ = running.applying.commit(read, now_ns);
            let life = self.machines[at].life;
            self.after(0, WorldEvent::Apply(at, life));
            return Ok(());
        }
        self.answer(at, ticket, outcome)
    }

    /// Somebody who waits is told.
    pub(super) fn answer(
        &mut self,
        at: usize,
        ticket: u64,
        outcome: Outcome,
    ) -> Result<(), BrokenPromise> {
        let now_ns = self.clock_ns(at);
        if let Some(running) = self.machines[at].running()
            && running.own_outcome(ticket, &outcome, now_ns)
        {
            return Ok(());
        }
        self.decided(at, ticket, outcome)
    }

    /// What a sender was told of is where the mode promises.
    pub(crate) fn check_acknowledged(&self, at: usize, index: u64) -> Result<(), BrokenPromise> {
        if self.swarm.rejoins {
            return self.check_majority(at, index, "acknowledged");
        }
        let disks = self.swarm.disks_for_success();
        self.check_disks(at, index, "acknowledged", disks)
    }

    /// As many disks have a frame as its commit takes, by what is on their platters.
    pub(crate) fn check_durable(
        &self,
        at: usize,
        index: u64,
        what: &str,
    ) -> Result<(), BrokenPromise> {
        if self.swarm.rejoins {
            return self.check_majority(at, index, what);
        }
        self.check_disks(at, index, what, self.swarm.disks_for_commit())
    }

    fn check_disks(
        &self,
        at: usize,
        index: u64,
        what: &str,
        disks: usize,
    ) -> Result<(), BrokenPromise> {
        let Some(running) = self.machines[at].any_running() else {
            return Ok(());
        };
        let Ok(frame) = running.reader.frame(index) else {
            // Damage on this disk hides what the others have; the end of the history tells.
            return Ok(());
        };
        let holders = auditor::holders(&self.machines, &frame, self.swarm.segment_size);
        let has_lost = |m: &&Machine| m.damage.is_some() || self.now < m.forgot_until;
        let damaged = self.machines.iter().filter(has_lost).count();
        if holders + damaged >= disks {
            return Ok(());
        }
        Err(BrokenPromise(format!(
            "frame {index} was {what} by node {at} while {holders} of {} disks had it",
            self.swarm.members
        )))
    }

    pub(super) fn flush_begins(&mut self, at: usize, life: u64) -> Result<(), BrokenPromise> {
        if self.machines[at].life != life {
            return Ok(());
        }
        let disk = self.machines[at].disk.clone();
        let now_ns = self.clock_ns(at);
        let begun = match self.machines[at].running() {
            Some(running) => running.begin_flush(&disk, now_ns),
            None => return Ok(()),
        };
        match begun {
            Ok(true) => {
                let delay = self.sync_time(at);
                self.after(delay, WorldEvent::FlushEnds(at, life));
                Ok(())
            }
            Ok(false) => Ok(()),
            Err(fatal) => self.stopped(at, &fatal),
        }
    }

    pub(super) fn apply(&mut self, at: usize, life: u64) -> Result<(), BrokenPromise> {
        if self.machines[at].life != life {
            return Ok(());
        }
        let max_bytes = [1, 4096, 64 << 10, 1 << 20][self.random.below(4) as usize];
        let Some(running) = self.machines[at].running() else {
            return Ok(());
        };
        if let Err(fatal) = running.rebuild() {
            return self.stopped(at, &fatal);
        }
        let now_ns = self.clock_ns(at);
        loop {
            let Some(running) = self.machines[at].running() else {
                return Ok(());
            };
            let answers = match running.advance(max_bytes, now_ns) {
                Ok(answers) => answers,
                Err(fatal) => return self.stopped(at, &fatal),
            };
            let (index, hash) = (running.applied(), running.state().hash());
            let committed = running.committed;
            let (behind, blocked) = (running.applying.has_work(), running.applying.is_blocked());
            if index > committed {
                return Err(BrokenPromise(format!(
                    "views of node {at} show {index}, {committed} is committed"
                )));
            }
            self.ledger.hashed(at, index, hash)?;
            for (ticket, outcome) in answers {
                self.answer(at, ticket, outcome)?;
            }
            if behind && blocked {
                self.after(BLOCKED_PAUSE, WorldEvent::Apply(at, life));
            }
            if !behind || blocked {
                break;
            }
        }
        self.turn(at)
    }

    pub(super) fn sync_time(&mut self, at: usize) -> Micros {
        if let Some(hang) = self.faults.hang(at, self.now) {
            return hang;
        }
        if let Some(least) = self.faults.slow(at, self.now) {
            return self.random.between(least, 2 * least);
        }
        if self.random.chance(self.swarm.slow_syncs) {
            self.random.between(20 * MILLISECOND, 300 * MILLISECOND)
        } else {
            self.random.between(100, self.swarm.longest_sync)
        }
    }
}

fn raise_commit_of_heartbeats(messages: &mut [PeerMessage], commit: u64) {
    for message in messages {
        if message.message == MessageKind::Heartbeat {
            message.commit = commit;
        }
    }
}
