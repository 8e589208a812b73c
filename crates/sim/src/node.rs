//! One replica of a simulated group: what a process is, without threads.

use std::path::PathBuf;
use std::sync::Arc;

use tern_broker::replica::{
    AnswerAt, Applier, Birth, Born, DelayTicket, DelayView, Delays, Draft, Fatal, Flush, Fold,
    Folded, Founding, Hail, Inbox, Outbox, Outcome, Plan, PreparedSegment, Proposal, Refusal,
    Replica, Stage, TurnOptions,
};
use tern_log::memory_disk::MemoryDisk;
use tern_log::{
    ConsumeQueues, Disk, Log, LogOptions, LogReader, LogSyncer, MIN_SEGMENT_SIZE, QueueLimits,
    RaftState, RaftStateFile, StopKind, claim_directory, prepare_segment,
};
use tern_replication::{
    HardState, PeerKind, PeerMessage, Raft, RaftOptions, Role, Timing, replica_id, replica_number,
};
use tern_state::delay::{LEVELS, SCHEDULE_TOPIC, level_queue};
use tern_state::{GroupFounding, Member, State};
use tern_wire::properties::to_text;

use crate::network::Micros;

/// Members of every simulated group.
pub const MEMBERS: usize = 3;
/// Checksum of the members; all nodes have the same topology.
const DIGEST: u64 = 7;
/// Timing of the profile `shared`.
const TIMING: Timing = Timing {
    heartbeat_ticks: 10,
    election_min_ticks: 30,
    election_max_ticks: 60,
};
/// The topic that all sends go to; every group has it from its founding.
pub const TOPIC: &str = "TBW102";
/// Marks the ticket of a read that a new leader begins with; the rest is its term.
const READ: u64 = 1 << 62;
/// Marks the ticket of due messages; the rest is term and level.
const DUE: u64 = 1 << 63;
/// How long after its time a message may wait in a healed group, ms.
const LATE_MS: u64 = 2_000;

/// A replica with its engine running.
pub struct Running {
    pub replica: Replica<u64>,
    pub inbox: Inbox<u64>,
    pub out: Outbox<u64>,
    pub reader: LogReader,
    pub applier: Applier,
    pub syncer: LogSyncer,
    /// The newest request to the flush thread, and whether one is being carried out.
    pub flush: Option<Flush>,
    pub flushing: bool,
    pub fold: Option<Fold>,
    pub committed: u64,
    pub group_id: [u8; 16],
    queues: Arc<ConsumeQueues>,
    delays: Delays,
    /// Tickets that wait until their index is applied.
    at_apply: Vec<(u64, u64, Outcome)>,
}

/// A process: not founded yet, or running.
pub enum Process {
    Born(Box<Option<Birth>>),
    Running(Box<Running>),
}

/// A machine: a disk, and perhaps a process.
pub struct Machine {
    pub at: usize,
    pub disk: MemoryDisk,
    pub process: Option<Process>,
    /// The process is stopped (SIGSTOP) and gets its mail later.
    pub paused: bool,
    pub life: u64,
}

impl Machine {
    pub fn new(at: usize) -> Self {
        Self {
            at,
            disk: MemoryDisk::new(),
            process: None,
            paused: false,
            life: 0,
        }
    }

    fn disk(&self) -> Arc<dyn Disk> {
        Arc::new(self.disk.clone())
    }

    fn plan(&self) -> Plan {
        Plan {
            own: self.at as u32 + 1,
            members: (1..=MEMBERS as u32).collect(),
            digest: DIGEST,
        }
    }

    /// Start a process on what the disk holds.
    pub fn start(&mut self, stop: StopKind, seed: u64) -> Result<(), Fatal> {
        self.life += 1;
        self.paused = false;
        claim_directory(&self.disk, &directory(), &format!("sim/g/n{}", self.at))?;
        let (file, state) = RaftStateFile::load(self.disk(), &directory())?;
        self.process = Some(match state {
            Some(state) if !state.founding => {
                Process::Running(Box::new(self.run(state, file, stop, seed)?))
            }
            state => {
                let options = options([0; 16], stop);
                let birth = Birth::new(self.plan(), self.disk(), options, file, state.as_ref())?;
                Process::Born(Box::new(Some(birth)))
            }
        });
        Ok(())
    }

    fn run(
        &self,
        state: RaftState,
        file: RaftStateFile,
        stop: StopKind,
        seed: u64,
    ) -> Result<Running, Fatal> {
        let (log, _) = Log::open(self.disk(), options(state.group_id, stop))?;
        if log.end().index < state.commit {
            return Err(Fatal::Refused(format!(
                "node {} lost committed frames: its log ends at {}, {} was committed",
                self.at,
                log.end().index,
                state.commit
            )));
        }
        let raft = RaftOptions {
            id: state.own_id,
            voters: state.voters.clone(),
            hard_state: HardState {
                term: state.term,
                vote: state.vote,
            },
            commit: state.commit,
            timing: TIMING,
            seed,
        };
        let reader = log.reader();
        let engine = Raft::new(&raft, reader.clone())
            .map_err(|error| Fatal::Consensus(error.to_string()))?;
        let views = directory().join("views");
        let queues = Arc::new(ConsumeQueues::open(
            self.disk(),
            &views,
            QueueLimits::default(),
        )?);
        let syncer = log.syncer();
        let group_id = state.group_id;
        let turn = TurnOptions {
            segment_size: MIN_SEGMENT_SIZE,
            ..TurnOptions::default()
        };
        Ok(Running {
            replica: Replica::new(log, Box::new(engine), file, state, turn),
            inbox: Inbox::default(),
            out: Outbox::default(),
            applier: Applier::new(State::new(), Arc::clone(&queues), reader.clone()),
            reader,
            syncer,
            flush: None,
            flushing: false,
            fold: None,
            committed: 0,
            group_id,
            queues,
            delays: Delays::new(),
            at_apply: Vec::new(),
        })
    }

    /// The running replica, if there is one that is not paused.
    pub fn running(&mut self) -> Option<&mut Running> {
        match &mut self.process {
            Some(Process::Running(running)) if !self.paused => Some(running),
            _ => None,
        }
    }

    /// A status message: the founding's, or one from a node that has not begun.
    pub fn hear(
        &mut self,
        message: &PeerMessage,
        seed: u64,
        now: Micros,
    ) -> Result<Vec<PeerMessage>, Fatal> {
        let Some(hail) = Hail::decode(&message.context) else {
            return Ok(Vec::new());
        };
        let from = replica_number(message.from);
        let started = match &mut self.process {
            None => return Ok(Vec::new()),
            Some(Process::Running(running)) => {
                let behind = hail.stage != Stage::Started;
                let own = replica_id(self.at as u32 + 1, 1);
                let answer =
                    Founding::answer_of_started(own, message.from, running.group_id, DIGEST);
                return Ok(if behind { vec![answer] } else { Vec::new() });
            }
            Some(Process::Born(birth)) => {
                let founder = birth.take().expect("a birth is put back");
                let (going_on, born) = founder.hear(from, &hail, || (group(now), id_of(seed)))?;
                **birth = going_on;
                match born {
                    Born::Started(started) => *started,
                    Born::NotYet | Born::Holds(_) => return Ok(Vec::new()),
                    Born::Wiped => {
                        return Err(Fatal::Refused(format!(
                            "node {} takes itself for wiped",
                            self.at
                        )));
                    }
                    Born::Contradiction(sentence) => return Err(Fatal::Refused(sentence)),
                }
            }
        };
        let running = self.run(started.0, started.1, StopKind::ProcessDied, seed)?;
        self.process = Some(Process::Running(Box::new(running)));
        Ok(Vec::new())
    }

    /// The power goes.
    pub fn power_cut(&mut self, seed: u64) {
        self.process = None;
        self.paused = false;
        self.disk.crash(seed);
    }

    /// The process is killed; what it wrote stays in the page cache.
    pub fn kill(&mut self) {
        self.process = None;
        self.paused = false;
        self.disk.kill();
    }
}

impl Running {
    /// One turn at a time of the virtual clock.
    pub fn turn(&mut self, now: Micros) -> Result<(), Fatal> {
        self.inbox.now_ns = now * 1000;
        self.inbox.wall_ms = wall_ms(now);
        self.inbox.applied_position = self.applier.position();
        self.replica.step(&mut self.inbox, &mut self.out)?;
        self.inbox.ticks = 0;
        Ok(())
    }

    /// What a peer's message does to a running replica.
    pub fn receive(&mut self, message: PeerMessage) {
        debug_assert_eq!(message.kind, PeerKind::Raft);
        self.inbox.peers.push(message);
    }

    /// A client's send, with a delay level or 0.
    pub fn send(&mut self, uid: u64, queue_id: u32, level: u16, length: usize, now: Micros) {
        let mut body = uid.to_be_bytes().to_vec();
        body.resize(8 + length, 0);
        let host = ([127, 0, 0, 1], 10911).into();
        let (topic, stored_in, properties) = if level == 0 {
            (TOPIC, queue_id, String::new())
        } else {
            let real_queue = queue_id.to_string();
            let pairs = [("REAL_TOPIC", TOPIC), ("REAL_QID", &real_queue)];
            let properties = to_text(pairs).expect("two pairs");
            (SCHEDULE_TOPIC, level_queue(level), properties)
        };
        let record = tern_wire::record::NewRecord {
            queue_id: stored_in.cast_signed(),
            flag: 0,
            sys_flag: 0,
            born_timestamp_ms: 0,
            born_host: host,
            store_host: host,
            reconsume_times: 0,
            prepared_transaction_offset: 0,
            body: &body,
            topic,
            properties: properties.as_bytes(),
        };
        let mut bytes = Vec::new();
        let size = tern_wire::record::encode(&record, &mut bytes).expect("a small record");
        self.inbox.proposals.push(Proposal {
            drafts: smallvec::smallvec![Draft {
                topic: topic.into(),
                queue_id: stored_in,
                bytes,
                sizes: [size as u32].into_iter().collect(),
            }],
            ops: bytes::Bytes::new(),
            answer: AnswerAt::Commit,
            ticket: uid,
            received_ns: now * 1000,
        });
    }

    /// The role changed: a leader begins with a read that shows everything that was committed before.
    pub fn role_changed(&mut self, now: Micros) {
        self.delays.end();
        if let Some(term) = self.leads() {
            self.inbox.reads.push((READ | term, now * 1000));
        }
    }

    /// What the delay thread does whenever it wakes.
    pub fn put_due(&mut self, now: Micros) {
        let work = self.delays.work(&DelayView {
            state: self.applier.state(),
            queues: &self.queues,
            log: &self.reader,
            now_ms: wall_ms(now),
            store_host: ([127, 0, 0, 1], 10911).into(),
        });
        for proposal in work.proposals {
            let DelayTicket { term, level } = proposal.ticket;
            self.inbox.proposals.push(Proposal {
                drafts: proposal.drafts,
                ops: proposal.ops,
                answer: AnswerAt::Apply,
                ticket: DUE | term << 8 | u64::from(level),
                received_ns: now * 1000,
            });
        }
    }

    /// The outcome of a ticket that is no client's; false for a client's.
    pub fn own_outcome(&mut self, ticket: u64, outcome: &Outcome, now: Micros) -> bool {
        if ticket & DUE != 0 {
            let (term, level) = ((ticket & !DUE) >> 8, ticket as u8);
            let level = u16::from(level);
            self.delays.decided(DelayTicket { term, level }, outcome);
        } else if ticket & READ != 0 {
            let term = ticket & !READ;
            match outcome {
                Outcome::Confirmed(index) if self.applier.applied() >= *index => {
                    self.delays.begin(term);
                }
                Outcome::Confirmed(index) => {
                    self.at_apply.push((*index, ticket, outcome.clone()));
                }
                _ if self.leads() == Some(term) => {
                    self.inbox.reads.push((ticket, now * 1000));
                }
                _ => {}
            }
        } else {
            return false;
        }
        true
    }

    /// Tickets to be answered when their index is applied.
    pub fn answer_at_apply(&mut self, tickets: Vec<(u64, u64, Outcome)>) {
        self.at_apply.extend(tickets);
    }

    /// Whether a message has waited for longer than its time.
    pub fn is_late(&self, now: Micros) -> bool {
        let state = self.applier.state();
        let Some(topic) = state.topic(SCHEDULE_TOPIC) else {
            return false;
        };
        (1..=LEVELS).any(|level| {
            let mut first = Vec::new();
            let from = state.delay_progress(level);
            self.queues
                .read(topic.id, level_queue(level), from, 1, &mut first)
                .expect("the memory disk reads");
            first
                .first()
                .is_some_and(|entry| entry.tags_code as u64 + LATE_MS < wall_ms(now))
        })
    }

    /// The apply thread's answer to a new leader.
    pub fn fold(&mut self) -> Result<(), Fatal> {
        if let Some(fold) = self.fold.take() {
            self.inbox.folded = Some(Folded {
                term: fold.term,
                upto: fold.upto,
                numbers: self.applier.fold(fold)?,
            });
        }
        Ok(())
    }

    /// The apply thread's work: one frame.
    pub fn apply_next(&mut self) -> Result<(), Fatal> {
        let next = self.applier.applied() + 1;
        self.applier.apply(next, 1)?;
        self.delays.wake();
        let applied = self.applier.applied();
        let (ready, waiting) = std::mem::take(&mut self.at_apply)
            .into_iter()
            .partition(|(index, ..)| *index <= applied);
        self.at_apply = waiting;
        let ready: Vec<(u64, u64, Outcome)> = ready;
        for (_, ticket, outcome) in ready {
            self.own_outcome(ticket, &outcome, 0);
        }
        Ok(())
    }

    /// The flush thread's work: everything written by now becomes durable.
    pub fn sync(&mut self) -> Result<(), Fatal> {
        self.flushing = false;
        let Some(flush) = self.flush.take() else {
            return Ok(());
        };
        self.syncer.sync(flush.position)?;
        self.inbox.durable = Some(flush.number);
        Ok(())
    }

    /// The io thread's work.
    pub fn prepare(&mut self, disk: &MemoryDisk, base: u64) {
        let file = prepare_segment(disk, &directory(), base, MIN_SEGMENT_SIZE);
        self.inbox.segments.push(PreparedSegment { base, file });
    }

    pub fn leads(&self) -> Option<u64> {
        let status = self.replica.status();
        (status.role == Role::Leader).then_some(status.term)
    }
}

/// What a client is told.
pub fn is_refusal(outcome: &Outcome) -> bool {
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

fn wall_ms(now: Micros) -> u64 {
    1_700_000_000_000 + now / 1000
}

fn directory() -> PathBuf {
    PathBuf::from("/replica")
}

fn options(group_id: [u8; 16], stop: StopKind) -> LogOptions {
    LogOptions {
        stop,
        ..LogOptions::new(directory(), group_id)
    }
}

fn id_of(seed: u64) -> [u8; 16] {
    let mut id = [1; 16];
    id[..8].copy_from_slice(&seed.to_be_bytes());
    id
}

fn group(now: Micros) -> GroupFounding {
    GroupFounding {
        cluster: "sim".into(),
        group: "g".into(),
        members: (1..=MEMBERS as u32)
            .map(|number| Member {
                name: format!("n{}", number - 1).into(),
                replica_id: replica_id(number, 1),
            })
            .collect(),
        segment_size: MIN_SEGMENT_SIZE,
        flush: tern_state::Flush::Sync,
        feature_level: tern_state::FEATURE_LEVEL,
        auto_create_topic: true,
        default_topic_queue_nums: 8,
        founded_at_ms: 1_700_000_000_000 + now / 1000,
    }
}
