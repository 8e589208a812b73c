//! One history: what happens in it, in which order, and how often.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};

use tern_log::SegmentNeed;
use tern_replica::Outcome;
use tern_replication::PeerMessage;

use crate::active_faults::{Ending, Faults};
use crate::ledger::{BrokenPromise, Ledger};
use crate::machine::{Clock, Machine};
use crate::network::{Micros, Packet, Weather};
use crate::random::Random;
use crate::swarm::{Swarm, SwarmMode};

pub(crate) const MILLISECOND: Micros = 1_000;
pub(crate) const SECOND: Micros = 1_000_000;
pub(crate) const TICK: Micros = 10 * MILLISECOND;
/// Virtual time that a healed group has to elect, commit, agree, and put what is due.
pub(super) const HEALING: Micros = 30 * SECOND;
/// How long the apply thread waits for room.
pub(super) const BLOCKED_PAUSE: Micros = 500 * MILLISECOND;
/// How long a peer is silent before its connection is given up.
pub(super) const SILENCE: Micros = 300 * MILLISECOND;

/// What happens when a proposal or a read of a client is decided.
pub(crate) type WhenDecided =
    Box<dyn FnOnce(&mut World, usize, Outcome) -> Result<(), BrokenPromise>>;

/// What to simulate.
#[derive(Debug, Clone, Copy)]
pub struct HistoryPlan {
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
    /// Sends answered 11 or 12.
    pub on_master_alone: u64,
    /// Sends answered 2 or 14.
    pub refused: u64,
    /// Sends with any other outcome.
    pub unknown: u64,
    /// Offsets that were read afresh.
    pub reads: u64,
    /// Records that readers got.
    pub pulled: u64,
    /// Flushes that a turn waited for.
    pub waits_for_flush: u64,
    /// Turns that were taken over from a thread whose flush took long.
    pub turns_taken_over: u64,
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
pub(crate) enum WorldEvent {
    Tick(usize),
    /// A stream writes a message that was queued in a life of its sender.
    Write(Box<PeerMessage>, (u64, u64)),
    Arrive(Packet),
    FlushBegins(usize, u64),
    FlushEnds(usize, u64),
    /// A turn has waited long enough for this flush of its own.
    TakesTurnOver(usize, u64, u64),
    Apply(usize, u64),
    Segment(usize, u64, SegmentNeed),
    /// The io thread looks how much room the disk has.
    Space(usize, u64),
    Send,
    Fault,
    /// An operator looks at the members.
    Change,
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
    Ends(usize, Ending),
}

/// A group, its network, its clients, and what is known of them.
pub struct World {
    pub(crate) now: Micros,
    pub(crate) random: Random,
    pub(crate) swarm: Swarm,
    pub(crate) machines: Vec<Machine>,
    pub(super) mail: Vec<VecDeque<PeerMessage>>,
    /// Header checksums of each replica's log, as far as it was looked at.
    pub(crate) tails: Vec<Vec<u32>>,
    pub(crate) weather: Weather,
    /// Connections, by sender and receiver: the lives of both.
    pub(super) links: BTreeMap<(usize, usize), (u64, u64)>,
    /// When the last message on each stream is written, and when it arrives: a stream keeps its order.
    pub(super) written: BTreeMap<(usize, usize, bool), Micros>,
    pub(super) arrived: BTreeMap<(usize, usize, bool), Micros>,
    pub(super) events: BinaryHeap<Reverse<(Micros, u64, usize)>>,
    pub(super) pending: Vec<Option<WorldEvent>>,
    pub(super) free: Vec<usize>,
    pub(super) order: u64,
    pub(crate) ledger: Ledger,
    pub(crate) next_uid: u64,
    pub(crate) next_ticket: u64,
    /// What happens when a proposal or a read of a client is decided.
    pub(crate) waiting: HashMap<u64, WhenDecided>,
    pub(crate) faults: Faults,
    pub(crate) figures: Figures,
    /// Words of a hand-over are lost on their way.
    pub(super) loses_handovers: bool,
    /// What operators were told of their changes of the members.
    pub(super) told: Vec<Outcome>,
    /// What happens is printed.
    pub(super) is_told: bool,
}

/// Run one history and check it.
///
/// # Errors
/// The first broken promise.
pub fn run(plan: HistoryPlan) -> Result<Figures, BrokenPromise> {
    run_in(plan, None)
}

/// As [`run`], in a history of a given shape.
///
/// # Errors
/// The first broken promise.
pub fn run_in(plan: HistoryPlan, swarm: Option<Swarm>) -> Result<Figures, BrokenPromise> {
    run_world(plan, swarm, false)
}

/// As [`run`], of a group in this mode: the same shape, with a master and a slave in the place of the members.
///
/// # Errors
/// The first broken promise.
pub fn run_mode(plan: HistoryPlan, mode: SwarmMode) -> Result<Figures, BrokenPromise> {
    run_in(plan, swarm_in(plan.seed, mode))
}

/// As [`run_mode`], and print what happens to whom.
///
/// # Errors
/// The first broken promise.
pub fn tell(plan: HistoryPlan, mode: SwarmMode) -> Result<Figures, BrokenPromise> {
    run_world(plan, swarm_in(plan.seed, mode), true)
}

fn swarm_in(seed: u64, mode: SwarmMode) -> Option<Swarm> {
    match mode {
        SwarmMode::Raft => None,
        SwarmMode::Changing => Some(Swarm::draw(&mut Random::new(seed)).changing()),
        slaves => Some(Swarm::draw(&mut Random::new(seed)).in_mode(slaves)),
    }
}

fn run_world(
    plan: HistoryPlan,
    swarm: Option<Swarm>,
    is_told: bool,
) -> Result<Figures, BrokenPromise> {
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
            Err(BrokenPromise(format!(
                "panic: {}",
                words.unwrap_or_default()
            )))
        }
    }
}

impl World {
    /// A group that has not been founded. Without a shape, the seed draws one.
    pub fn new(seed: u64, swarm: Option<Swarm>) -> Self {
        let mut random = Random::new(seed);
        let swarm = swarm.unwrap_or_else(|| Swarm::draw(&mut random));
        let members = swarm.machines();
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
            waiting: HashMap::new(),
            faults: Faults::new(&swarm),
            figures: Figures::default(),
            loses_handovers: false,
            told: Vec::new(),
            is_told: false,
            random,
            swarm,
        };
        world.set_clocks();
        for at in 0..members {
            world.after(0, WorldEvent::Restart(at));
            world.after(at as u64, WorldEvent::Tick(at));
            for to in (0..members).filter(|to| *to != at) {
                world.after(MILLISECOND, WorldEvent::Dial(at, to));
            }
        }
        world.after(SECOND, WorldEvent::Send);
        world.after(world.swarm.first_fault, WorldEvent::Fault);
        world.ledger.founded(world.swarm.founding());
        if let Some((_, most)) = world.swarm.change_pause {
            world.after(most, WorldEvent::Change);
        }
        world
    }

    pub(crate) fn after(&mut self, delay: Micros, event: WorldEvent) {
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
    pub fn run_until(&mut self, end: Micros) -> Result<(), BrokenPromise> {
        while let Some(Reverse((at, _, slot))) = self.events.pop() {
            let event = self.pending[slot].take().expect("each event happens once");
            self.free.push(slot);
            self.now = at;
            self.happen(event).map_err(|violation| {
                BrokenPromise(format!("at {} ms: {}", self.now / MILLISECOND, violation.0))
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

    fn happen(&mut self, event: WorldEvent) -> Result<(), BrokenPromise> {
        if let WorldEvent::FlushBegins(at, life)
        | WorldEvent::FlushEnds(at, life)
        | WorldEvent::TakesTurnOver(at, life, _)
        | WorldEvent::Apply(at, life)
        | WorldEvent::Segment(at, life, _)
        | WorldEvent::Space(at, life) = event
            && self.machines[at].life == life
            && self.machines[at].paused
        {
            // All threads of a stopped process stand still; what they were at ends when it wakes.
            self.after(TICK, event);
            return Ok(());
        }
        match event {
            WorldEvent::Tick(at) => {
                let tick = TICK * 1000 / (1000 + self.machines[at].clock.faster) as u64;
                self.after(tick, WorldEvent::Tick(at));
                self.tick(at)
            }
            WorldEvent::Write(message, lives) => {
                self.write(*message, lives);
                Ok(())
            }
            WorldEvent::Arrive(packet) => self.arrive(&packet),
            WorldEvent::FlushBegins(at, life) => self.flush_begins(at, life),
            WorldEvent::FlushEnds(at, life) => {
                let disk = self.machines[at].disk.clone();
                let now_ns = self.clock_ns(at);
                let mut turn_waited = false;
                self.with(at, life, |running| {
                    turn_waited = running.waits_for_flush().is_some();
                    running.end_flush(&disk, now_ns)
                })?;
                if turn_waited {
                    return Ok(());
                }
                self.flush_begins(at, life)
            }
            WorldEvent::TakesTurnOver(at, life, wait) => self.take_turn_over(at, life, wait),
            WorldEvent::Apply(at, life) => self.apply(at, life),
            WorldEvent::Segment(at, life, need) => {
                let disk = self.machines[at].process_disk();
                self.with(at, life, |running| {
                    running.prepare(&*disk, need);
                    Ok(())
                })
            }
            WorldEvent::Space(at, life) => {
                let disk = self.machines[at].disk.clone();
                self.with(at, life, |running| {
                    running.look_at_disk(&disk);
                    Ok(())
                })
            }
            WorldEvent::Send => self.client(),
            WorldEvent::Fault => self.fault(),
            WorldEvent::Change => self.change_members(),
            WorldEvent::Restart(at) => self.restart(at),
            WorldEvent::Wake(at, life) => self.wake(at, life),
            WorldEvent::Fair => {
                self.weather = Weather::fair();
                Ok(())
            }
            WorldEvent::Dial(from, to) => {
                let pause = self.random.between(50 * MILLISECOND, 500 * MILLISECOND);
                self.after(pause, WorldEvent::Dial(from, to));
                self.dial(from, to)
            }
            WorldEvent::Lost(from, to, lives) => self.lost(from, to, lives),
            WorldEvent::Gone(to, who, life, falsely) => self.gone(to, who, life, falsely),
            WorldEvent::Ends(at, ending) => self.end_fault(at, ending),
        }
    }

    pub(crate) fn clock_ns(&self, at: usize) -> u64 {
        self.machines[at].clock.monotonic_ns(self.now)
    }

    pub(crate) fn wall_ms(&self, at: usize) -> u64 {
        self.machines[at].clock.wall_ms(self.now)
    }

    pub(crate) fn restart(&mut self, at: usize) -> Result<(), BrokenPromise> {
        let machine = &self.machines[at];
        if machine.process.is_some() || machine.halted.is_some() || !machine.is_used {
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
        if self.swarm.rejoins
            && let Some(running) = self.machines[at].any_running()
        {
            // Stored, and the process ended before anybody heard of it.
            let replica = &running.replica;
            let configuration = replica.membership().configuration.clone();
            let index = replica.membership_index();
            self.ledger.configured(at, index, &configuration)?;
        }
        self.look_at_log(at)?;
        self.turn(at)
    }
}
