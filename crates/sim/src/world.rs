//! The virtual world: time, mail, faults, clients.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};

use tern_broker::replica::{Fatal, Outcome};
use tern_log::StopKind;
use tern_replication::{Lane, PeerKind, PeerMessage};

use crate::checks::{Answer, Ledger, Violation};
use crate::network::{Micros, Packet, Weather, pack, unpack};
use crate::node::{MEMBERS, Machine, Process, Running, is_refusal};
use crate::random::Random;

const MILLISECOND: Micros = 1_000;
const SECOND: Micros = 1_000_000;
const TICK: Micros = 10 * MILLISECOND;
/// Virtual time that a healed group has to elect, commit, agree, and put what is due.
const HEALING: Micros = 20 * SECOND;

/// What to simulate.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Decides everything.
    pub seed: u64,
    /// Virtual seconds with faults.
    pub seconds: u64,
}

/// What happened in a history.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// Sends answered with code 0.
    pub acknowledged: u64,
    /// Sends answered 2 or 14.
    pub refused: u64,
    /// Sends with any other outcome.
    pub unknown: u64,
    /// Times that a replica became leader.
    pub elections: u64,
    /// Power cuts and kills.
    pub crashes: u64,
    /// Pauses.
    pub pauses: u64,
    /// Cuts of the network.
    pub cuts: u64,
    /// Virtual time, microseconds.
    pub time: Micros,
    /// Checksum of everything that happened, in order.
    pub trace: u64,
}

#[derive(Debug)]
enum Event {
    Tick(usize),
    Arrive(Packet),
    Flushed(usize, u64),
    Apply(usize, u64),
    Segment(usize, u64, u64),
    Send,
    Fault,
    Restart(usize, bool),
    Wake(usize, u64),
    Fair,
}

/// A group, its network, its clients, and what is known of them.
pub struct World {
    now: Micros,
    random: Random,
    machines: Vec<Machine>,
    mail: Vec<VecDeque<PeerMessage>>,
    durable: Vec<u64>,
    weather: Weather,
    /// Arrival of the last message on each stream: what touches progress keeps its order.
    streams: BTreeMap<(usize, usize, bool), Micros>,
    events: BinaryHeap<Reverse<(Micros, u64, usize)>>,
    pending: Vec<Option<Event>>,
    free: Vec<usize>,
    order: u64,
    ledger: Ledger,
    next_uid: u64,
    faults: bool,
    figures: Figures,
}

/// Run one history and check it.
///
/// # Errors
/// The first broken promise.
pub fn run(plan: Plan) -> Result<Figures, Violation> {
    let mut world = World::new(plan.seed);
    world.faults = true;
    world.run_until(plan.seconds * SECOND)?;
    world.heal()?;
    Ok(world.figures)
}

impl World {
    fn new(seed: u64) -> Self {
        let mut world = Self {
            now: 0,
            random: Random::new(seed),
            machines: (0..MEMBERS).map(Machine::new).collect(),
            mail: vec![VecDeque::new(); MEMBERS],
            durable: vec![0; MEMBERS],
            weather: Weather::fair(),
            streams: BTreeMap::new(),
            events: BinaryHeap::new(),
            pending: Vec::new(),
            free: Vec::new(),
            order: 0,
            ledger: Ledger::default(),
            next_uid: 0,
            faults: false,
            figures: Figures::default(),
        };
        for at in 0..MEMBERS {
            world.after(0, Event::Restart(at, true));
            world.after(at as u64, Event::Tick(at));
        }
        world.after(SECOND, Event::Send);
        world.after(SECOND, Event::Fault);
        world
    }

    fn after(&mut self, delay: Micros, event: Event) {
        self.order += 1;
        let slot = self.free.pop().unwrap_or_else(|| {
            self.pending.push(None);
            self.pending.len() - 1
        });
        self.pending[slot] = Some(event);
        self.events
            .push(Reverse((self.now + delay, self.order, slot)));
    }

    fn run_until(&mut self, end: Micros) -> Result<(), Violation> {
        while let Some(Reverse((at, _, slot))) = self.events.pop() {
            let event = self.pending[slot].take().expect("each event happens once");
            self.free.push(slot);
            self.now = at;
            self.happen(event).map_err(|violation| {
                Violation(format!("at {} ms: {}", self.now / MILLISECOND, violation.0))
            })?;
            if self.now >= end {
                break;
            }
        }
        self.figures.time = self.now;
        Ok(())
    }

    fn trace(&mut self, what: u64) {
        self.figures.trace =
            (self.figures.trace ^ what ^ self.now).wrapping_mul(0x0000_0100_0000_01b3);
    }

    fn happen(&mut self, event: Event) -> Result<(), Violation> {
        if let Event::Flushed(at, life) | Event::Apply(at, life) | Event::Segment(at, life, _) =
            event
            && self.machines[at].life == life
            && self.machines[at].paused
        {
            // All threads of a stopped process stand still; what they were at ends when it wakes.
            self.after(TICK, event);
            return Ok(());
        }
        match event {
            Event::Tick(at) => {
                self.after(TICK, Event::Tick(at));
                self.tick(at)
            }
            Event::Arrive(packet) => self.arrive(&packet),
            Event::Flushed(at, life) => self.with(at, life, Running::sync),
            Event::Apply(at, life) => self.apply(at, life),
            Event::Segment(at, life, base) => {
                let disk = self.machines[at].disk.clone();
                self.with(at, life, |running| {
                    running.prepare(&disk, base);
                    Ok(())
                })
            }
            Event::Send => self.send(),
            Event::Fault => {
                self.fault();
                Ok(())
            }
            Event::Restart(at, lost_power) => self.restart(at, lost_power),
            Event::Wake(at, life) => self.wake(at, life),
            Event::Fair => {
                self.weather = Weather::fair();
                Ok(())
            }
        }
    }

    /// Something happens inside a process that is still the same one; then it takes a turn.
    fn with(
        &mut self,
        at: usize,
        life: u64,
        what: impl FnOnce(&mut Running) -> Result<(), Fatal>,
    ) -> Result<(), Violation> {
        if self.machines[at].life != life {
            return Ok(());
        }
        let Some(running) = self.machines[at].running() else {
            return Ok(());
        };
        what(running).map_err(|fatal| stopped(at, &fatal))?;
        self.turn(at)
    }

    fn tick(&mut self, at: usize) -> Result<(), Violation> {
        let paused = self.machines[at].paused;
        match &mut self.machines[at].process {
            None => Ok(()),
            Some(Process::Born(birth)) => {
                let mut hails = Vec::new();
                if let Some(birth) = birth.as_mut()
                    && !paused
                {
                    birth.founding().tick(1, &mut hails);
                }
                self.post(at, hails);
                Ok(())
            }
            Some(Process::Running(running)) => {
                running.inbox.ticks += 1;
                if paused {
                    return Ok(());
                }
                running.put_due(self.now);
                self.turn(at)
            }
        }
    }

    fn arrive(&mut self, packet: &Packet) -> Result<(), Violation> {
        self.trace(packet.bytes.len() as u64 ^ (packet.to as u64) << 32);
        let (at, message) = (packet.to, unpack(packet));
        if self.machines[at].process.is_none() {
            return Ok(());
        }
        if self.machines[at].paused {
            self.mail[at].push_back(message);
            return Ok(());
        }
        self.deliver(at, message)
    }

    fn deliver(&mut self, at: usize, message: PeerMessage) -> Result<(), Violation> {
        if message.kind == PeerKind::Status {
            let (seed, now) = (self.random.number(), self.now);
            let answers = self.machines[at]
                .hear(&message, seed, now)
                .map_err(|fatal| stopped(at, &fatal))?;
            self.post(at, answers);
            return Ok(());
        }
        match self.machines[at].running() {
            Some(running) => running.receive(message),
            None => return Ok(()),
        }
        self.turn(at)
    }

    fn turn(&mut self, at: usize) -> Result<(), Violation> {
        let now = self.now;
        let Some(running) = self.machines[at].running() else {
            return Ok(());
        };
        running.turn(now).map_err(|fatal| stopped(at, &fatal))?;
        self.carry_out(at)
    }

    /// What the threads around a turn do with its outbox.
    fn carry_out(&mut self, at: usize) -> Result<(), Violation> {
        let life = self.machines[at].life;
        let Some(running) = self.machines[at].running() else {
            return Ok(());
        };
        let mut out = std::mem::take(&mut running.out);
        self.durable[at] = running.replica.log().durable();
        let leads = running.leads();
        if out.role.is_some() {
            running.role_changed(self.now);
        }
        if let Some(flush) = out.flush.take() {
            running.flush = Some(flush);
            if !std::mem::replace(&mut running.flushing, true) {
                let delay = self.sync_time();
                self.after(delay, Event::Flushed(at, life));
            }
        }
        if out.role.is_some() {
            if let Some(term) = leads {
                self.figures.elections += 1;
                self.ledger.leads(at, term)?;
            }
            self.trace(leads.unwrap_or(0) << 8 | at as u64);
        }
        if let Some(base) = out.prepare_segment.take() {
            let delay = self.random.between(MILLISECOND, 50 * MILLISECOND);
            self.after(delay, Event::Segment(at, life, base));
        }
        for message in &out.messages {
            self.ledger.sent(at, message)?;
        }
        self.post(at, std::mem::take(&mut out.messages));
        for (uid, outcome) in out.answers.drain(..) {
            self.answer(at, uid, outcome)?;
        }
        let committed = out.commit.take();
        if let Some(fold) = out.fold.take()
            && let Some(running) = self.machines[at].running()
        {
            running.fold = Some(fold);
            let delay = self.random.below(3 * MILLISECOND);
            self.after(delay, Event::Apply(at, life));
        }
        if let Some(committed) = committed {
            self.commit(at, committed.index)?;
            for (uid, outcome) in committed.decided {
                self.answer(at, uid, outcome)?;
            }
            if let Some(running) = self.machines[at].running() {
                running.answer_at_apply(committed.at_apply);
            }
            let delay = self.random.below(3 * MILLISECOND);
            self.after(delay, Event::Apply(at, life));
        }
        Ok(())
    }

    fn commit(&mut self, at: usize, index: u64) -> Result<(), Violation> {
        let Some(running) = self.machines[at].running() else {
            return Ok(());
        };
        let from = running.committed;
        running.committed = index.max(from);
        self.ledger.commits(at, from, index, &running.reader)?;
        self.trace(index << 2 | at as u64);
        Ok(())
    }

    /// A client got an answer. Code 0 is a promise: at this moment a majority has it on disk.
    fn answer(&mut self, at: usize, uid: u64, outcome: Outcome) -> Result<(), Violation> {
        let now = self.now;
        if let Some(running) = self.machines[at].running()
            && running.own_outcome(uid, &outcome, now)
        {
            return Ok(());
        }
        let answer = match outcome {
            Outcome::Stored(stored) => {
                self.figures.acknowledged += 1;
                self.check_durable(at, uid, stored.index)?;
                Answer::Stored(stored)
            }
            refused if is_refusal(&refused) => {
                self.figures.refused += 1;
                Answer::Refused
            }
            _ => {
                self.figures.unknown += 1;
                Answer::Unknown
            }
        };
        self.ledger.answers.insert(uid, answer);
        Ok(())
    }

    fn check_durable(&mut self, at: usize, uid: u64, index: u64) -> Result<(), Violation> {
        let Some(running) = self.machines[at].running() else {
            return Ok(());
        };
        let header = running
            .reader
            .header(index)
            .map_err(|error| Violation(error.to_string()))?;
        let holders = self
            .durable
            .iter()
            .filter(|durable| **durable >= header.end_position())
            .count();
        if holders * 2 > MEMBERS {
            return Ok(());
        }
        Err(Violation(format!(
            "send {uid} was acknowledged while {holders} of {MEMBERS} disks had it"
        )))
    }

    fn apply(&mut self, at: usize, life: u64) -> Result<(), Violation> {
        if self.machines[at].life != life {
            return Ok(());
        }
        let Some(running) = self.machines[at].running() else {
            return Ok(());
        };
        running.fold().map_err(|fatal| stopped(at, &fatal))?;
        while running.applier.applied() < running.committed {
            running.apply_next().map_err(|fatal| stopped(at, &fatal))?;
            let (index, hash) = (running.applier.applied(), running.applier.state().hash());
            self.ledger.hashed(at, index, hash)?;
        }
        self.turn(at)
    }

    fn sync_time(&mut self) -> Micros {
        if self.random.chance(1) {
            self.random.between(20 * MILLISECOND, 300 * MILLISECOND)
        } else {
            self.random.between(100, 5 * MILLISECOND)
        }
    }

    fn post(&mut self, at: usize, messages: Vec<PeerMessage>) {
        for message in messages {
            let reader = match &self.machines[at].process {
                Some(Process::Running(running)) => Some(&running.reader),
                _ => None,
            };
            let Some(packet) = pack(message, reader) else {
                continue;
            };
            let arrival = self
                .weather
                .arrival(self.now, packet.from, packet.to, &mut self.random);
            if let Some(arrival) = arrival {
                let stream = (packet.from, packet.to, packet.lane == Lane::Bulk);
                let last = self.streams.entry(stream).or_default();
                let arrival = arrival.max(*last);
                *last = arrival;
                self.after(arrival - self.now, Event::Arrive(packet));
            }
        }
    }

    fn send(&mut self) -> Result<(), Violation> {
        let pause = self.random.between(MILLISECOND, 15 * MILLISECOND);
        self.after(pause, Event::Send);
        let leader = (0..MEMBERS).find(|at| {
            self.machines[*at]
                .running()
                .is_some_and(|r| r.leads().is_some())
        });
        let at = match leader {
            Some(leader) if self.random.chance(80) => leader,
            _ => self.random.below(MEMBERS as u64) as usize,
        };
        let (queue_id, length, now) = (
            self.random.below(4) as u32,
            self.random.below(1500) as usize,
            self.now,
        );
        let level = [0, 0, 0, 1, 2][self.random.below(5) as usize];
        self.next_uid += 1;
        let uid = self.next_uid;
        self.ledger.answers.insert(uid, Answer::Unknown);
        let Some(running) = self.machines[at].running() else {
            return Ok(());
        };
        running.send(uid, queue_id, level, length, now);
        self.turn(at)
    }

    fn fault(&mut self) {
        let pause = self.random.between(50 * MILLISECOND, 1500 * MILLISECOND);
        self.after(pause, Event::Fault);
        if !self.faults {
            return;
        }
        match self.random.below(8) {
            0 | 1 => self.crash_some(true),
            2 => self.crash_some(false),
            3 => self.pause_one(),
            4 | 5 => self.cut_some(),
            6 => {
                self.weather.loss = self.random.below(30);
                let most = self.random.between(MILLISECOND, 40 * MILLISECOND);
                self.weather.delay = (50, most);
                self.fair_again();
            }
            _ => self.fair_again(),
        }
    }

    fn fair_again(&mut self) {
        let delay = self.random.between(100 * MILLISECOND, 3 * SECOND);
        self.after(delay, Event::Fair);
    }

    /// One machine, two, or all of them.
    fn crash_some(&mut self, power: bool) {
        let first = self.random.below(MEMBERS as u64) as usize;
        let count = [1, 1, 1, 2, 3][self.random.below(5) as usize];
        for step in 0..count {
            let at = (first + step) % MEMBERS;
            if self.machines[at].process.is_none() {
                continue;
            }
            self.figures.crashes += 1;
            self.mail[at].clear();
            let seed = self.random.number();
            if power {
                self.machines[at].power_cut(seed);
            } else {
                self.machines[at].kill();
            }
            let delay = self.random.between(10 * MILLISECOND, 2 * SECOND);
            self.after(delay, Event::Restart(at, power));
        }
    }

    fn pause_one(&mut self) {
        let at = self.random.below(MEMBERS as u64) as usize;
        if self.machines[at].running().is_none() {
            return;
        }
        self.figures.pauses += 1;
        self.machines[at].paused = true;
        let (delay, life) = (
            self.random.between(50 * MILLISECOND, 3 * SECOND),
            self.machines[at].life,
        );
        self.after(delay, Event::Wake(at, life));
    }

    fn cut_some(&mut self) {
        self.figures.cuts += 1;
        let at = self.random.below(MEMBERS as u64) as usize;
        let (out, back) =
            [(true, true), (true, false), (false, true)][self.random.below(3) as usize];
        for other in (0..MEMBERS).filter(|other| *other != at) {
            if out {
                self.weather.cuts.push((at, other));
            }
            if back {
                self.weather.cuts.push((other, at));
            }
        }
        self.fair_again();
    }

    fn restart(&mut self, at: usize, lost_power: bool) -> Result<(), Violation> {
        if self.machines[at].process.is_some() {
            return Ok(());
        }
        let stop = if lost_power {
            StopKind::PowerCutPossible
        } else {
            StopKind::ProcessDied
        };
        let seed = self.random.number();
        self.machines[at]
            .start(stop, seed)
            .map_err(|fatal| stopped(at, &fatal))?;
        if let Some(running) = self.machines[at].running() {
            self.durable[at] = running.replica.log().durable();
        }
        Ok(())
    }

    fn wake(&mut self, at: usize, life: u64) -> Result<(), Violation> {
        if self.machines[at].life != life || !self.machines[at].paused {
            return Ok(());
        }
        self.machines[at].paused = false;
        // What was in its sockets is there before its clock is looked at.
        while let Some(message) = self.mail[at].pop_front() {
            if message.kind == PeerKind::Raft
                && let Some(running) = self.machines[at].running()
            {
                running.receive(message);
            }
        }
        self.turn(at)
    }

    /// Heal everything; then the group must elect, commit and agree.
    fn heal(&mut self) -> Result<(), Violation> {
        self.faults = false;
        self.weather = Weather::fair();
        for at in 0..MEMBERS {
            let life = self.machines[at].life;
            self.wake(at, life)?;
            self.restart(at, true)?;
        }
        let end = self.now + HEALING;
        while self.now < end {
            self.run_until(self.now + 200 * MILLISECOND)?;
            if let Some(leader) = self.agreed() {
                return self.settle(leader);
            }
        }
        Err(Violation(format!(
            "no agreement {} s after healing",
            HEALING / SECOND
        )))
    }

    /// A leader whose commits everybody has applied, among them a send made after healing.
    fn agreed(&mut self) -> Option<usize> {
        let last = self.next_uid.saturating_sub(200);
        let fresh = self
            .ledger
            .answers
            .range(last..)
            .any(|(_, answer)| matches!(answer, Answer::Stored(_)));
        let leader = (0..MEMBERS).find(|at| {
            self.machines[*at]
                .running()
                .is_some_and(|r| r.leads().is_some())
        })?;
        let now = self.now;
        let leading = self.machines[leader].running()?;
        if leading.is_late(now) {
            return None;
        }
        let commit = leading.committed;
        let behind = (0..MEMBERS).any(|at| {
            self.machines[at]
                .running()
                .is_none_or(|r| r.applier.applied() + 50 < commit)
        });
        (fresh && !behind).then_some(leader)
    }

    fn settle(&mut self, leader: usize) -> Result<(), Violation> {
        let running = self.machines[leader].running().expect("it has just agreed");
        let (reader, commit) = (running.reader.clone(), running.committed);
        self.figures.time = self.now;
        self.ledger.settle(&reader, commit).map(|_| ())
    }
}

fn stopped(at: usize, fatal: &Fatal) -> Violation {
    Violation(format!("node {at} stopped: {fatal}"))
}
