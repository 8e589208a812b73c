//! The virtual world: time, mail, and what happens to whom.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};

use tern_broker::replica::{Fatal, Outcome, Refusal};
use tern_net::peers::Phase;
use tern_replication::{Lane, PeerKind, PeerMessage};

use crate::auditor;
use crate::faults::Faults;
use crate::ledger::{Answer, Ledger, Violation};
use crate::machine::{Clock, Machine, Process};
use crate::network::{Micros, Packet, Weather, node_of, pack, unpack};
use crate::process::Running;
use crate::random::Random;
use crate::swarm::Swarm;

pub(crate) const MILLISECOND: Micros = 1_000;
pub(crate) const SECOND: Micros = 1_000_000;
pub(crate) const TICK: Micros = 10 * MILLISECOND;
/// Virtual time that a healed group has to elect, commit, agree, and put what is due.
const HEALING: Micros = 30 * SECOND;
/// How long the apply thread waits for room.
const BLOCKED_PAUSE: Micros = 500 * MILLISECOND;
/// How long a peer is silent before its connection is given up.
const SILENCE: Micros = 300 * MILLISECOND;

/// What to simulate.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Decides everything.
    pub seed: u64,
    /// Virtual seconds with faults.
    pub seconds: u64,
}

/// What happened in a history.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Figures {
    /// Sends answered with code 0.
    pub acknowledged: u64,
    /// Sends answered 2 or 14.
    pub refused: u64,
    /// Sends with any other outcome.
    pub unknown: u64,
    /// Offsets that were read afresh.
    pub reads: u64,
    /// Records that readers got.
    pub pulled: u64,
    /// Times that a replica became leader.
    pub elections: u64,
    /// Greatest term.
    pub terms: u64,
    /// Faults, by their names.
    pub faults: BTreeMap<&'static str, u64>,
    /// Replicas that stopped for good, as they had to.
    pub halted: u64,
    /// Virtual time, microseconds.
    pub time: Micros,
    /// Checksum of everything that happened, in order.
    pub trace: u64,
}

#[derive(Debug)]
pub(crate) enum Event {
    Tick(usize),
    /// A stream writes a message that was queued in a life of its sender.
    Write(Box<PeerMessage>, (u64, u64)),
    Arrive(Packet),
    FlushBegins(usize, u64),
    FlushEnds(usize, u64),
    Apply(usize, u64),
    Segment(usize, u64, u64),
    /// The io thread looks how much room the disk has.
    Space(usize, u64),
    Send,
    Fault,
    Restart(usize),
    Wake(usize, u64),
    Fair,
    /// One end dials the other.
    Dial(usize, usize),
    /// A connection of one end to the other, in these lives, is found broken.
    Lost(usize, usize, (u64, u64)),
    /// A replica is told that the process of a peer is gone, in one of its lives; true if that is told wrongly.
    Gone(usize, usize, u64, bool),
    /// A fault of a machine ends.
    Ends(usize, crate::faults::Ending),
}

/// A group, its network, its clients, and what is known of them.
pub struct World {
    pub(crate) now: Micros,
    pub(crate) random: Random,
    pub(crate) swarm: Swarm,
    pub(crate) machines: Vec<Machine>,
    mail: Vec<VecDeque<PeerMessage>>,
    /// Header checksums of each replica's log, as far as it was looked at.
    tails: Vec<Vec<u32>>,
    pub(crate) weather: Weather,
    /// Connections, by sender and receiver: the lives of both.
    links: BTreeMap<(usize, usize), (u64, u64)>,
    /// When the last message on each stream is written, and when it arrives: a stream keeps its order.
    written: BTreeMap<(usize, usize, bool), Micros>,
    arrived: BTreeMap<(usize, usize, bool), Micros>,
    events: BinaryHeap<Reverse<(Micros, u64, usize)>>,
    pending: Vec<Option<Event>>,
    free: Vec<usize>,
    order: u64,
    pub(crate) ledger: Ledger,
    pub(crate) next_uid: u64,
    pub(crate) next_ticket: u64,
    pub(crate) faults: Faults,
    pub(crate) figures: Figures,
    /// What happens is printed.
    is_told: bool,
}

/// Run one history and check it.
///
/// # Errors
/// The first broken promise.
pub fn run(plan: Plan) -> Result<Figures, Violation> {
    run_in(plan, None)
}

/// As [`run`], in a history of a given shape.
///
/// # Errors
/// The first broken promise.
pub fn run_in(plan: Plan, swarm: Option<Swarm>) -> Result<Figures, Violation> {
    run_world(plan, swarm, false)
}

/// As [`run`], and print what happens to whom.
///
/// # Errors
/// The first broken promise.
pub fn tell(plan: Plan) -> Result<Figures, Violation> {
    run_world(plan, None, true)
}

fn run_world(plan: Plan, swarm: Option<Swarm>, is_told: bool) -> Result<Figures, Violation> {
    let history = || {
        let mut world = World::new(plan.seed, swarm);
        world.is_told = is_told;
        world.say(format_args!("{:?}", world.swarm));
        world.faults.begin();
        world.run_until(plan.seconds * SECOND)?;
        world.heal()?;
        Ok(world.figures)
    };
    // The engine panics where it finds itself in a state that must not be.
    match catch_unwind(AssertUnwindSafe(history)) {
        Ok(ended) => ended,
        Err(panic) => {
            let words = panic.downcast_ref::<String>().cloned();
            let words = words.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()));
            Err(Violation(format!("panic: {}", words.unwrap_or_default())))
        }
    }
}

impl World {
    /// A group that has not been founded. Without a shape, the seed draws one.
    pub fn new(seed: u64, swarm: Option<Swarm>) -> Self {
        let mut random = Random::new(seed);
        let swarm = swarm.unwrap_or_else(|| Swarm::draw(&mut random));
        let members = swarm.members;
        let machines = (0..members).map(|at| {
            let clock = Clock {
                ahead_ms: 0,
                faster: 0,
            };
            Machine::new(at, &swarm, clock)
        });
        let mut world = Self {
            now: 0,
            machines: machines.collect(),
            mail: vec![VecDeque::new(); members],
            tails: vec![Vec::new(); members],
            weather: Weather::fair(),
            links: BTreeMap::new(),
            written: BTreeMap::new(),
            arrived: BTreeMap::new(),
            events: BinaryHeap::new(),
            pending: Vec::new(),
            free: Vec::new(),
            order: 0,
            ledger: Ledger::default(),
            next_uid: 0,
            next_ticket: 0,
            faults: Faults::new(&swarm),
            figures: Figures::default(),
            is_told: false,
            random,
            swarm,
        };
        world.set_clocks();
        for at in 0..members {
            world.after(0, Event::Restart(at));
            world.after(at as u64, Event::Tick(at));
            for to in (0..members).filter(|to| *to != at) {
                world.after(MILLISECOND, Event::Dial(at, to));
            }
        }
        world.after(SECOND, Event::Send);
        world.after(world.swarm.first_fault, Event::Fault);
        world
    }

    pub(crate) fn after(&mut self, delay: Micros, event: Event) {
        self.order += 1;
        let slot = self.free.pop().unwrap_or_else(|| {
            self.pending.push(None);
            self.pending.len() - 1
        });
        self.pending[slot] = Some(event);
        self.events
            .push(Reverse((self.now + delay, self.order, slot)));
    }

    /// Let time pass.
    ///
    /// # Errors
    /// The first broken promise.
    pub fn run_until(&mut self, end: Micros) -> Result<(), Violation> {
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

    /// Print something, where somebody wants to follow a history.
    pub(crate) fn say(&self, what: std::fmt::Arguments<'_>) {
        if self.is_told {
            println!("{:>9} us  {what}", self.now);
        }
    }

    pub(crate) fn trace(&mut self, what: u64) {
        self.figures.trace =
            (self.figures.trace ^ what ^ self.now).wrapping_mul(0x0000_0100_0000_01b3);
    }

    fn happen(&mut self, event: Event) -> Result<(), Violation> {
        if let Event::FlushBegins(at, life)
        | Event::FlushEnds(at, life)
        | Event::Apply(at, life)
        | Event::Segment(at, life, _)
        | Event::Space(at, life) = event
            && self.machines[at].life == life
            && self.machines[at].paused
        {
            // All threads of a stopped process stand still; what they were at ends when it wakes.
            self.after(TICK, event);
            return Ok(());
        }
        match event {
            Event::Tick(at) => {
                let tick = TICK * 1000 / (1000 + self.machines[at].clock.faster) as u64;
                self.after(tick, Event::Tick(at));
                self.tick(at)
            }
            Event::Write(message, lives) => {
                self.write(*message, lives);
                Ok(())
            }
            Event::Arrive(packet) => self.arrive(&packet),
            Event::FlushBegins(at, life) => self.flush_begins(at, life),
            Event::FlushEnds(at, life) => {
                let disk = self.machines[at].disk.clone();
                let now_ns = self.clock_ns(at);
                self.with(at, life, |running| running.end_flush(&disk, now_ns))?;
                self.flush_begins(at, life)
            }
            Event::Apply(at, life) => self.apply(at, life),
            Event::Segment(at, life, base) => {
                let disk = self.machines[at].disk.clone();
                self.with(at, life, |running| {
                    running.prepare(&disk, base);
                    Ok(())
                })
            }
            Event::Space(at, life) => {
                let disk = self.machines[at].disk.clone();
                self.with(at, life, |running| {
                    running.look_at_disk(&disk);
                    Ok(())
                })
            }
            Event::Send => self.client(),
            Event::Fault => self.fault(),
            Event::Restart(at) => self.restart(at),
            Event::Wake(at, life) => self.wake(at, life),
            Event::Fair => {
                self.weather = Weather::fair();
                Ok(())
            }
            Event::Dial(from, to) => {
                let pause = self.random.between(50 * MILLISECOND, 500 * MILLISECOND);
                self.after(pause, Event::Dial(from, to));
                self.dial(from, to)
            }
            Event::Lost(from, to, lives) => self.lost(from, to, lives),
            Event::Gone(to, who, life, falsely) => self.gone(to, who, life, falsely),
            Event::Ends(at, ending) => self.end_fault(at, ending),
        }
    }

    pub(crate) fn clock_ns(&self, at: usize) -> u64 {
        self.machines[at].clock.monotonic_ns(self.now)
    }

    pub(crate) fn wall_ms(&self, at: usize) -> u64 {
        self.machines[at].clock.wall_ms(self.now)
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
        match what(running) {
            Ok(()) => self.turn(at),
            Err(fatal) => self.stopped(at, &fatal),
        }
    }

    fn tick(&mut self, at: usize) -> Result<(), Violation> {
        let (now_ns, wall_ms) = (self.clock_ns(at), self.wall_ms(at));
        let machine = &mut self.machines[at];
        if machine.process.is_some() && machine.disk.has_stopped() {
            self.crash_at_write(at);
            return Ok(());
        }
        let paused = machine.paused;
        match &mut machine.process {
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
                running.put_due(now_ns, wall_ms);
                match running.keep_position(now_ns) {
                    Ok(()) => self.turn(at),
                    Err(fatal) => self.stopped(at, &fatal),
                }
            }
        }
    }

    fn arrive(&mut self, packet: &Packet) -> Result<(), Violation> {
        self.trace(packet.bytes.len() as u64 ^ (packet.to as u64) << 32);
        let (from, to) = (packet.from, packet.to);
        if self.links.get(&(from, to)) != Some(&packet.lives) {
            return Ok(());
        }
        let message = unpack(packet);
        if self.machines[to].process.is_none() {
            return Ok(());
        }
        if self.machines[to].paused {
            self.mail[to].push_back(message);
            return Ok(());
        }
        self.deliver(to, message)
    }

    fn deliver(&mut self, at: usize, message: PeerMessage) -> Result<(), Violation> {
        if message.kind == PeerKind::Status {
            let (seed, now) = (self.random.number(), self.now);
            match self.machines[at].hear(&message, seed, now) {
                Ok(Some(answer)) => self.post(at, vec![answer]),
                Ok(None) => {}
                Err(fatal) => return self.stopped(at, &fatal),
            }
            return Ok(());
        }
        match self.machines[at].running() {
            Some(running) => running.receive(message),
            None => return Ok(()),
        }
        self.turn(at)
    }

    pub(crate) fn turn(&mut self, at: usize) -> Result<(), Violation> {
        let (now_ns, wall_ms) = (self.clock_ns(at), self.wall_ms(at));
        let Some(running) = self.machines[at].running() else {
            return Ok(());
        };
        if let Err(fatal) = running.turn(now_ns, wall_ms) {
            return self.stopped(at, &fatal);
        }
        self.carry_out(at)
    }

    /// What the threads around a turn do with its outbox.
    fn carry_out(&mut self, at: usize) -> Result<(), Violation> {
        let life = self.machines[at].life;
        let now_ns = self.clock_ns(at);
        let machine = &mut self.machines[at];
        let Some(Process::Running(running)) = &mut machine.process else {
            return Ok(());
        };
        if let Some(standing) = &machine.standing {
            let replica = &running.replica;
            standing.progressed(&replica.status(), |peer| replica.matched(peer));
        }
        let mut out = std::mem::take(&mut running.out);
        let leads = running.leads();
        if out.role.is_some() {
            running.role_changed(now_ns);
        }
        let begins = match out.flush.take() {
            Some(flush) => running.ask_flush(flush),
            None => false,
        };
        if begins {
            // The flush thread wakes a moment later, or the sync would begin with the write.
            let delay = self.random.below(200);
            self.after(delay, Event::FlushBegins(at, life));
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
        if let Some(base) = out.prepare_segment.take() {
            let delay = self.random.between(MILLISECOND, 50 * MILLISECOND);
            self.after(delay, Event::Segment(at, life, base));
        }
        if out.look_at_disk {
            let delay = self.random.between(MILLISECOND, 20 * MILLISECOND);
            self.after(delay, Event::Space(at, life));
        }
        for message in &out.messages {
            self.ledger.sent(at, message)?;
        }
        self.post(at, std::mem::take(&mut out.messages));
        for (ticket, outcome) in out.answers.drain(..) {
            self.decide(at, ticket, outcome)?;
        }
        if let Some(fold) = out.fold.take()
            && let Some(running) = self.machines[at].running()
        {
            running.ask_fold(fold);
            let delay = self.random.below(3 * MILLISECOND);
            self.after(delay, Event::Apply(at, life));
        }
        if let Some(committed) = out.commit.take() {
            self.commit(at, committed.index)?;
            let Some(running) = self.machines[at].running() else {
                return Ok(());
            };
            for (ticket, outcome) in running.applying.commit(committed) {
                self.decide(at, ticket, outcome)?;
            }
            let delay = self.random.below(3 * MILLISECOND);
            self.after(delay, Event::Apply(at, life));
        }
        Ok(())
    }

    /// Every frame that is new in a replica's log is held against all that were ever in one.
    fn look_at_log(&mut self, at: usize) -> Result<(), Violation> {
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

    fn commit(&mut self, at: usize, index: u64) -> Result<(), Violation> {
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
    fn decide(&mut self, at: usize, ticket: u64, outcome: Outcome) -> Result<(), Violation> {
        if let Outcome::Confirmed(index) = outcome
            && let Some(running) = self.machines[at].running()
        {
            let read = tern_broker::replica::Committed {
                index: 0,
                decided: Vec::new(),
                at_apply: vec![(index, ticket, outcome)],
            };
            let _ = running.applying.commit(read);
            let life = self.machines[at].life;
            self.after(0, Event::Apply(at, life));
            return Ok(());
        }
        self.answer(at, ticket, outcome)
    }

    /// Somebody gets an answer. Code 0 is a promise: at this moment a majority has it on disk.
    fn answer(&mut self, at: usize, ticket: u64, outcome: Outcome) -> Result<(), Violation> {
        let now_ns = self.clock_ns(at);
        if let Some(running) = self.machines[at].running()
            && running.own_outcome(ticket, &outcome, now_ns)
        {
            return Ok(());
        }
        if ticket & crate::clients::ASKED != 0 {
            return self.asked(at, ticket, &outcome);
        }
        let answer = match outcome {
            Outcome::Stored(stored) => {
                self.figures.acknowledged += 1;
                self.check_durable(at, stored.index, "acknowledged")?;
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
        self.ledger.answered(ticket, answer)
    }

    /// A majority's disks have a frame, by what is on their platters.
    pub(crate) fn check_durable(&self, at: usize, index: u64, what: &str) -> Result<(), Violation> {
        let Some(running) = self.machines[at].any_running() else {
            return Ok(());
        };
        let Ok(frame) = running.reader.frame(index) else {
            // Damage on this disk hides what the others have; the end of the history tells.
            return Ok(());
        };
        let holders = auditor::holders(&self.machines, &frame, self.swarm.segment_size);
        let damaged = self.machines.iter().filter(|m| m.damage.is_some()).count();
        if (holders + damaged) * 2 > self.swarm.members {
            return Ok(());
        }
        Err(Violation(format!(
            "frame {index} was {what} by node {at} while {holders} of {} disks had it",
            self.swarm.members
        )))
    }

    fn flush_begins(&mut self, at: usize, life: u64) -> Result<(), Violation> {
        if self.machines[at].life != life {
            return Ok(());
        }
        let disk = self.machines[at].disk.clone();
        let begun = match self.machines[at].running() {
            Some(running) => running.begin_flush(&disk),
            None => return Ok(()),
        };
        match begun {
            Ok(true) => {
                let delay = self.sync_time(at);
                self.after(delay, Event::FlushEnds(at, life));
                Ok(())
            }
            Ok(false) => Ok(()),
            Err(fatal) => self.stopped(at, &fatal),
        }
    }

    fn apply(&mut self, at: usize, life: u64) -> Result<(), Violation> {
        if self.machines[at].life != life {
            return Ok(());
        }
        let max_bytes = [1, 4096, 64 << 10, 1 << 20][self.random.below(4) as usize];
        let Some(running) = self.machines[at].running() else {
            return Ok(());
        };
        if let Err(fatal) = running.fold() {
            return self.stopped(at, &fatal);
        }
        loop {
            let Some(running) = self.machines[at].running() else {
                return Ok(());
            };
            let answers = match running.advance(max_bytes) {
                Ok(answers) => answers,
                Err(fatal) => return self.stopped(at, &fatal),
            };
            let (index, hash) = (running.applied(), running.state().hash());
            let committed = running.committed;
            let (behind, blocked) = (running.applying.has_work(), running.applying.is_blocked());
            if index > committed {
                return Err(Violation(format!(
                    "views of node {at} show {index}, {committed} is committed"
                )));
            }
            self.ledger.hashed(at, index, hash)?;
            for (ticket, outcome) in answers {
                self.answer(at, ticket, outcome)?;
            }
            if behind && blocked {
                self.after(BLOCKED_PAUSE, Event::Apply(at, life));
            }
            if !behind || blocked {
                break;
            }
        }
        self.turn(at)
    }

    fn sync_time(&mut self, at: usize) -> Micros {
        if let Some(hang) = self.faults.hang(at, self.now) {
            return hang;
        }
        if self.random.chance(self.swarm.slow_syncs) {
            self.random.between(20 * MILLISECOND, 300 * MILLISECOND)
        } else {
            self.random.between(100, 5 * MILLISECOND)
        }
    }

    /// Queue messages: each leaves when its stream writes it, and appends get their frames then.
    pub(crate) fn post(&mut self, at: usize, messages: Vec<PeerMessage>) {
        for message in messages {
            let to = node_of(message.to);
            let Some(lives) = self.links.get(&(at, to)).copied() else {
                continue;
            };
            let is_bulk = message.lane() == Lane::Bulk;
            let delay = if is_bulk { self.random.below(500) } else { 0 };
            let last = self.written.entry((at, to, is_bulk)).or_default();
            let moment = (self.now + delay).max(*last);
            *last = moment;
            if moment == self.now {
                self.write(message, lives);
            } else {
                let event = Event::Write(Box::new(message), lives);
                self.after(moment - self.now, event);
            }
        }
    }

    fn write(&mut self, message: PeerMessage, lives: (u64, u64)) {
        let from = node_of(message.from);
        if self.machines[from].life != lives.0 {
            return;
        }
        let reader = self.machines[from].any_running().map(|r| r.reader.clone());
        let append_bytes = [2 << 10, 64 << 10, 1 << 20][self.random.below(3) as usize];
        let (packets, damage) = pack(message, lives, reader.as_ref(), append_bytes);
        for packet in packets {
            let copies = 1 + u64::from(self.random.chance(self.weather.doubles));
            for _ in 0..copies {
                self.travel(packet.clone());
            }
        }
        if damage.is_some()
            && let Some(running) = self.machines[from].running()
        {
            running.inbox.rotted = true;
        }
    }

    fn travel(&mut self, packet: Packet) {
        let arrival = self
            .weather
            .arrival(self.now, packet.from, packet.to, &mut self.random);
        let Some(arrival) = arrival else { return };
        let is_bulk = packet.lane == Lane::Bulk;
        let stream = (packet.from, packet.to, is_bulk);
        let last = self.arrived.entry(stream).or_default();
        // What touches progress keeps its order (L40): the engine relies on it.
        let overtakes = !is_bulk && self.random.chance(self.weather.overtakes);
        let arrival = if overtakes {
            arrival
        } else {
            arrival.max(*last)
        };
        *last = arrival.max(*last);
        self.after(arrival - self.now, Event::Arrive(packet));
    }

    /// One end dials the other: both say what they are, and both judge.
    pub(crate) fn dial(&mut self, from: usize, to: usize) -> Result<(), Violation> {
        let lives = (self.machines[from].life, self.machines[to].life);
        let is_linked = self.links.get(&(from, to)) == Some(&lives);
        let alive = |machine: &Machine| machine.process.is_some() && !machine.paused;
        let reachable = alive(&self.machines[from])
            && alive(&self.machines[to])
            && !self.weather.is_cut(from, to)
            && !self.weather.is_cut(to, from);
        if is_linked || !reachable {
            return Ok(());
        }
        let (ours, theirs) = (&self.machines[from], &self.machines[to]);
        let (Some(our_standing), Some(their_standing)) = (&ours.standing, &theirs.standing) else {
            return Ok(());
        };
        let log = |machine: &Machine| {
            machine
                .any_running()
                .map(|r| (r.reader.clone(), r.applied()))
        };
        let (our_log, their_log) = (log(ours), log(theirs));
        let confirmed = our_standing.confirmed(to as u32 + 1);
        let our_hello = our_standing.hello(our_log.as_ref().map(|(log, commit)| (log, *commit)));
        let their_hello =
            their_standing.hello(their_log.as_ref().map(|(log, commit)| (log, *commit)));
        let by_them = their_standing.judge(&our_hello, 0, their_log.as_ref().map(|(log, _)| log));
        let by_us = our_standing.judge(
            &their_hello,
            confirmed,
            our_log.as_ref().map(|(log, _)| log),
        );
        if let Err(why) = by_them {
            if let Some(sentence) = our_standing.refused(to as u32 + 1, why) {
                return self.stopped(from, &Fatal::Refused(sentence));
            }
            return Ok(());
        }
        if let Err(why) = by_us {
            if let Some(sentence) = their_standing.refused(from as u32 + 1, why) {
                return self.stopped(to, &Fatal::Refused(sentence));
            }
            return Ok(());
        }
        self.links.insert((from, to), lives);
        Ok(())
    }

    /// A connection is found broken by the end that sends on it.
    fn lost(&mut self, from: usize, to: usize, lives: (u64, u64)) -> Result<(), Violation> {
        if self.links.get(&(from, to)) != Some(&lives) {
            return Ok(());
        }
        self.links.remove(&(from, to));
        if self.machines[from].life != lives.0 {
            return Ok(());
        }
        let peer = self.machines[to].id();
        let Some(running) = self.machines[from].running() else {
            return Ok(());
        };
        running.inbox.unreachable.push(peer);
        self.turn(from)
    }

    /// A process has ended. Where its kernel lives, the others learn of it at once, and by how its port answers, that it
    /// is gone; else after a time of silence.
    pub(crate) fn process_ended(&mut self, at: usize, kernel_lives: bool) {
        self.mail[at].clear();
        for other in (0..self.swarm.members).filter(|other| *other != at) {
            let cut = self.weather.is_cut(at, other) || self.weather.is_cut(other, at);
            let at_once = kernel_lives && !cut;
            let delay = if at_once {
                self.random.between(MILLISECOND, 8 * MILLISECOND)
            } else {
                SILENCE
            };
            for (from, to) in [(other, at), (at, other)] {
                if let Some(lives) = self.links.get(&(from, to)).copied() {
                    self.after(delay, Event::Lost(from, to, lives));
                }
            }
            if at_once {
                // Behind the last message of each of its streams.
                let last = |bulk| self.arrived.get(&(at, other, bulk)).copied().unwrap_or(0);
                let moment = (self.now + delay).max(last(true)).max(last(false));
                let life = self.machines[at].life;
                let event = Event::Gone(other, at, life, false);
                self.after(moment - self.now + 1, event);
            }
        }
    }

    fn gone(&mut self, to: usize, who: usize, life: u64, falsely: bool) -> Result<(), Violation> {
        // It has been heard of again: whoever told it was wrong about this life.
        let lives_again = self.machines[who].life != life || self.machines[who].process.is_some();
        if lives_again && !falsely {
            return Ok(());
        }
        let peer = self.machines[who].id();
        let Some(running) = self.machines[to].running() else {
            return Ok(());
        };
        let before = running.inbox.peers.len();
        running.inbox.gone.push((before, peer));
        self.turn(to)
    }

    pub(crate) fn restart(&mut self, at: usize) -> Result<(), Violation> {
        if self.machines[at].process.is_some() || self.machines[at].halted.is_some() {
            return Ok(());
        }
        let seed = self.random.number();
        let mut fresh = [0; 16];
        fresh[..8].copy_from_slice(&self.random.number().to_be_bytes());
        fresh[8] = 1;
        self.may_end_while_starting(at);
        if let Err(fatal) = self.machines[at].start(seed, fresh) {
            self.machines[at].process = None;
            return self.stopped(at, &fatal);
        }
        self.say(format_args!(
            "node {at} starts: {}",
            self.machines[at].describe()
        ));
        self.look_at_log(at)?;
        self.turn(at)
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

    /// Heal everything; then a healthy majority must elect, commit and agree.
    ///
    /// # Errors
    /// What is missing.
    pub fn heal(&mut self) -> Result<(), Violation> {
        self.end_faults();
        self.weather = Weather::fair();
        for at in 0..self.swarm.members {
            let life = self.machines[at].life;
            self.wake(at, life)?;
            let met_an_error = |running: &Running| running.replica.has_rotted();
            let machine = &self.machines[at];
            if machine.damage.is_none() && machine.any_running().is_some_and(met_an_error) {
                // The disk reads again, and an operator starts what has said that it did not.
                self.kill(at);
            }
            self.restart(at)?;
        }
        let fresh = self.next_uid + 1;
        let end = self.now + HEALING;
        let mut missing = "nothing was looked at".to_owned();
        while self.now < end {
            self.run_until(self.now + 200 * MILLISECOND)?;
            match self.agreed(fresh) {
                Ok(leader) => return self.settle(leader),
                Err(what) => missing = what,
            }
        }
        let lost_one = self.machines.iter().any(|machine| machine.halted.is_some());
        if lost_one && !self.ledger.has_led() {
            // A disk was lost before the group had begun. Nothing was promised, and nobody may begin without it.
            return Ok(());
        }
        let states: Vec<String> = self.machines.iter().map(Machine::describe).collect();
        Err(Violation(format!(
            "no agreement {} s after healing: {missing}; {}",
            HEALING / SECOND,
            states.join("; ")
        )))
    }

    /// A leader whose commits every sound replica has applied, among them a send made after healing.
    fn agreed(&mut self, fresh: u64) -> Result<usize, String> {
        if !self.ledger.has_fresh(fresh) {
            return Err("no send was acknowledged".to_owned());
        }
        let leads = |machine: &Machine| machine.any_running().is_some_and(|r| r.leads().is_some());
        let leader = self.machines.iter().position(leads);
        let leader = leader.ok_or("nobody leads")?;
        let leading = self.machines[leader].any_running().expect("it leads");
        let commit = leading.committed;
        let progress = |level| leading.state().delay_progress(level);
        if let Some((uid, level)) = self.ledger.overdue(progress, self.now) {
            return Err(format!("delayed send {uid} of level {level} is overdue"));
        }
        for machine in self.machines.iter().filter(|m| m.damage.is_none()) {
            let applied = machine.any_running().map_or(0, Running::applied);
            if applied + 50 < commit {
                return Err(format!(
                    "node {} has applied {applied} of {commit}",
                    machine.at
                ));
            }
        }
        Ok(leader)
    }

    fn settle(&mut self, leader: usize) -> Result<(), Violation> {
        let commit = self.ledger.last_committed();
        let sound = self.machines.iter().filter(|m| m.damage.is_none());
        let readers = sound
            .filter_map(Machine::any_running)
            .map(|r| r.reader.clone());
        let mut readers = readers.filter(|reader| self.ledger.is_committed(reader));
        let reader = readers
            .next()
            .ok_or_else(|| Violation("no sound replica has all that was committed".to_owned()))?;
        self.figures.time = self.now;
        self.ledger.settle(&reader)?;
        for other in &self.machines {
            let Some(running) = other.any_running() else {
                continue;
            };
            if other.at == leader
                || other.damage.is_some()
                || self.machines[leader].damage.is_some()
            {
                continue;
            }
            let both = commit.min(running.committed);
            let header = reader.header(both);
            let end = header.map_or(0, |header| header.end_position());
            let segment_size = self.swarm.segment_size;
            auditor::compare_files(&self.machines[leader], other, end, segment_size)?;
        }
        Ok(())
    }

    /// Virtual time, microseconds.
    pub fn now(&self) -> Micros {
        self.now
    }

    /// Let time pass until something holds, for so long at most; answers whether it came to hold.
    ///
    /// # Errors
    /// The first broken promise.
    pub fn run_while(
        &mut self,
        limit: Micros,
        goes_on: impl Fn(&Self) -> bool,
    ) -> Result<bool, Violation> {
        let end = self.now + limit;
        while goes_on(self) {
            if self.now >= end {
                return Ok(false);
            }
            self.run_until(self.now + 1)?;
        }
        Ok(true)
    }

    /// Kill a process; it stays dead until [`Self::start`].
    pub fn kill(&mut self, at: usize) {
        self.machines[at].kill();
        self.process_ended(at, true);
    }

    /// Start a process again.
    ///
    /// # Errors
    /// If it stops at once.
    pub fn start(&mut self, at: usize) -> Result<(), Violation> {
        self.restart(at)
    }

    /// Nothing gets from one machine to another any more.
    pub fn cut(&mut self, from: usize, to: usize) {
        self.weather.cuts.push((from, to));
    }

    /// The network is whole again.
    pub fn mend(&mut self) {
        self.weather = Weather::fair();
    }

    /// Put an empty disk into a machine whose process is dead.
    pub fn wipe(&mut self, at: usize) {
        self.machines[at].damage = Some("wiped disk");
        self.machines[at].disk.wipe();
    }

    /// Whether a process holds frame 1 and has not started.
    pub fn is_founding(&self, at: usize) -> bool {
        let standing = self.machines[at].standing.as_ref();
        standing.is_some_and(|standing| standing.phase().0 == Phase::Founding)
    }

    /// Whether a process takes part in its group.
    pub fn takes_part(&self, at: usize) -> bool {
        self.machines[at].any_running().is_some()
    }

    /// Tell a replica that a peer is gone, which lives.
    pub fn tell_gone(&mut self, to: usize, who: usize) {
        let life = self.machines[who].life;
        self.after(0, Event::Gone(to, who, life, true));
    }

    /// Break a connection; it is dialled again.
    pub fn break_link(&mut self, from: usize, to: usize) {
        if let Some(lives) = self.links.get(&(from, to)).copied() {
            self.after(0, Event::Lost(from, to, lives));
        }
    }

    /// The greatest term that a running replica has seen.
    pub fn term(&self) -> u64 {
        let running = self.machines.iter().filter_map(Machine::any_running);
        let terms = running.map(|running| running.replica.status().term);
        terms.max().unwrap_or(0)
    }

    /// Whether every running replica knows the same leader, and that has committed an entry of its term.
    pub fn is_settled(&self) -> bool {
        let Some(leader) = self.leader() else {
            return false;
        };
        let running = self.machines.iter().filter_map(Machine::any_running);
        let all = running.map(|running| running.replica.status());
        let id = self.machines[leader].id();
        let settled = self.machines[leader].any_running();
        settled.is_some_and(|running| running.replica.status().settled)
            && all.into_iter().all(|status| status.leader == id)
    }

    /// Whether somebody leads.
    pub fn leader(&self) -> Option<usize> {
        let leads = |machine: &Machine| machine.any_running().is_some_and(|r| r.leads().is_some());
        self.machines.iter().position(leads)
    }

    /// What happened so far.
    pub fn figures(&self) -> &Figures {
        &self.figures
    }
}

/// What a client is told was never appended.
fn is_refusal(outcome: &Outcome) -> bool {
    matches!(
        outcome,
        Outcome::Refused(
            Refusal::NotLeader { .. }
                | Refusal::Busy(_)
                | Refusal::NoRoom
                | Refusal::Stopping
                | Refusal::NoTopic
                | Refusal::Outdated
        )
    )
}
