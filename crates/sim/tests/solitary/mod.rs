//! One replica in mode multi-master on a disk in memory, stepped by hand.

#![allow(dead_code)] // each test binary uses a part of it

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use smallvec::SmallVec;
use tern_log::{
    ConsumeQueues, Disk, LogError, LogOptions, LogReader, MIN_SEGMENT_SIZE, QueueLimits,
    RaftStateFile, claim_directory, prepare_segment,
};
use tern_replica::{
    AnswerAt, Applier, BootstrapDriver, BootstrapPlan, Draft, Fatal, FlushRequest, Flusher, Inbox,
    Outbox, Outcome, PreparedSegment, Proposal, RebuiltNextOffsets, Replica, ReplicaOpening,
    Strategy, TurnOptions,
};
use tern_replication::replica_id;
use tern_state::{FlushDiskType, FoundingMember, GroupFounding, Op, State};
use tern_testdisk::MemoryDisk;

const DIRECTORY: &str = "/replica";
/// One replica, alone in its group, and the threads around it in one step.
pub struct Solitary {
    pub disk: MemoryDisk,
    replica: Replica<u64>,
    pub applier: Applier,
    flusher: Flusher,
    pub reader: LogReader,
    inbox: Inbox<u64>,
    out: Outbox<u64>,
    pub committed: u64,
    now_ns: u64,
    flush: Option<FlushRequest>,
    answers: Vec<(u64, Outcome)>,
}

impl Solitary {
    pub fn new() -> Self {
        Self::with(TurnOptions::default())
    }

    /// With other options than the usual ones; the size of a segment is its own.
    pub fn with(turn: TurnOptions) -> Self {
        let disk = MemoryDisk::new();
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        let directory = PathBuf::from(DIRECTORY);
        claim_directory(&*shared, &directory, "c/g/n0", [1; 16]).unwrap();
        let (file, _) = RaftStateFile::load(Arc::clone(&shared), &directory).unwrap();
        let plan = BootstrapPlan {
            own: 1,
            members: vec![1],
            learners: Vec::new(),
            digest: 0,
            directory: [1; 16],
            later: Vec::new(),
            joins: false,
        };
        let options = LogOptions::new(DIRECTORY, [0; 16]);
        let driver = BootstrapDriver::new(plan, Arc::clone(&shared), options, file, None).unwrap();
        let (state, file) = driver.alone(founding(), [1; 16]).unwrap();
        let opening = ReplicaOpening {
            disk: Arc::clone(&shared),
            log: LogOptions::new(DIRECTORY, [1; 16]),
            strategy: Strategy::Solo,
            seed: 0,
            turn: TurnOptions {
                segment_size: MIN_SEGMENT_SIZE,
                ..turn
            },
        };
        let opened = opening.open(state, file).unwrap();
        let queues =
            ConsumeQueues::open(shared, directory.join("views"), QueueLimits::default()).unwrap();
        let reader = opened.replica.log().reader();
        let applier = Applier::new(State::new(), Arc::new(queues), reader.clone());
        Self {
            disk,
            replica: opened.replica,
            applier,
            flusher: opened.flusher,
            reader,
            inbox: Inbox::default(),
            out: Outbox::default(),
            committed: 0,
            now_ns: 0,
            flush: None,
            answers: Vec::new(),
        }
    }

    /// Turns until nothing is left to do, with everything that the threads around would do.
    pub fn settle(&mut self) {
        self.settle_by(10_000_000);
    }

    /// The same, with turns this many nanoseconds apart.
    pub fn settle_by(&mut self, later_ns: u64) {
        for _ in 0..8 {
            self.turn(later_ns);
            self.sync();
        }
    }

    /// One turn, this many nanoseconds later, with everything that the threads around would do but syncing.
    pub fn turn(&mut self, later_ns: u64) {
        self.now_ns += later_ns;
        self.inbox.now_ns = self.now_ns;
        self.inbox.applied_position = self.applier.position();
        self.replica.step(&mut self.inbox, &mut self.out).unwrap();
        let out = std::mem::take(&mut self.out);
        self.answers.extend(out.answers);
        if let Some(need) = out.prepare_segment {
            let file = prepare_segment(
                &self.disk,
                &PathBuf::from(DIRECTORY),
                need,
                MIN_SEGMENT_SIZE,
            );
            self.inbox.segments.push(PreparedSegment {
                base: need.base,
                file,
            });
        }
        self.flush = out.flush.or(self.flush.take());
        if let Some(committed) = out.commit {
            self.committed = committed.index;
            self.answers.extend(committed.decided);
        }
        while self.applier.applied() < self.committed {
            self.applier.apply(self.committed, 64 << 20).unwrap();
        }
        if let Some(rebuild) = out.rebuild {
            self.inbox.rebuilt = Some(RebuiltNextOffsets {
                term: rebuild.term,
                next_offsets: self.applier.rebuild(rebuild).unwrap(),
            });
        }
    }

    /// Sync what was written; the next turn hears of it.
    pub fn sync(&mut self) {
        self.try_sync().unwrap();
    }

    /// As [`Self::sync`], on a disk that may fail.
    pub fn try_sync(&mut self) -> Result<(), LogError> {
        if let Some(flush) = self.flush.take() {
            let under_way = self.flusher.begin(flush, self.now_ns)?;
            self.inbox.durable = Some(self.flusher.end(under_way, || self.now_ns)?);
        }
        Ok(())
    }

    /// The end of a clean stop.
    pub fn stop(&mut self) -> Result<(), Fatal> {
        self.replica.stop()
    }

    /// How long the replica needs no turn, nanoseconds.
    pub fn idle_for(&self) -> Option<u64> {
        self.replica.idle_for(self.now_ns)
    }

    /// Ticks that the log thread may take together.
    pub fn rest_ticks(&self) -> u64 {
        self.replica.rest_ticks()
    }

    /// Index of the newest frame in the log, committed or not.
    pub fn last_index(&self) -> u64 {
        self.reader.end().index
    }

    /// Hand in a message for queue 0 of a topic. Nothing happens before [`Self::settle`].
    pub fn hand_in(&mut self, ticket: u64, topic: &str, body: &[u8]) {
        let host = ([127, 0, 0, 1], 1).into();
        let record = tern_wire::record::NewRecord {
            queue_id: 0,
            flag: 0,
            sys_flag: 0,
            born_timestamp_ms: 0,
            born_host: host,
            store_host: host,
            reconsume_times: 0,
            prepared_transaction_offset: 0,
            body,
            topic,
            properties: b"",
        };
        let mut bytes = Vec::new();
        let size = tern_wire::record::encode(&record, &mut bytes).unwrap();
        let draft = Draft {
            topic: topic.into(),
            queue_id: 0,
            bytes,
            sizes: [size as u32].into_iter().collect(),
        };
        self.push(ticket, smallvec::smallvec![draft], &[]);
    }

    /// Hand in ops.
    pub fn hand_in_ops(&mut self, ticket: u64, ops: &[Op]) {
        self.push(ticket, SmallVec::new(), ops);
    }

    fn push(&mut self, ticket: u64, drafts: SmallVec<[Draft; 1]>, ops: &[Op]) {
        let mut block = Vec::new();
        for op in ops {
            op.encode(&mut block);
        }
        self.inbox.proposals.push(Proposal {
            drafts,
            ops: Bytes::from(block),
            answer: AnswerAt::Commit,
            ticket,
            received_ns: self.now_ns,
        });
    }

    /// What became of something that was handed in.
    pub fn outcome(&mut self, ticket: u64) -> Outcome {
        let mut answers = self.answers.iter();
        let at = answers.position(|(answered, _)| *answered == ticket);
        self.answers.swap_remove(at.expect("it was answered")).1
    }

    /// What became of everything that was handed in, since this was last asked.
    pub fn answers(&mut self) -> Vec<(u64, Outcome)> {
        std::mem::take(&mut self.answers)
    }

    /// Whether a flush was asked for that has not been made.
    pub fn wants_flush(&self) -> bool {
        self.flush.is_some()
    }

    /// A replica that has applied nothing yet, on the same log.
    pub fn newcomer(&self) -> Applier {
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
        let queues = ConsumeQueues::open(disk, "/views", QueueLimits::default()).unwrap();
        Applier::new(State::new(), Arc::new(queues), self.reader.clone())
    }
}

fn founding() -> GroupFounding {
    GroupFounding {
        cluster: "c".into(),
        group: "g".into(),
        members: vec![FoundingMember {
            name: "n0".into(),
            replica_id: replica_id(1, 1),
        }],
        segment_size: MIN_SEGMENT_SIZE,
        flush: FlushDiskType::Sync,
        feature_level: tern_state::FEATURE_LEVEL,
        auto_create_topic: true,
        default_topic_queue_nums: 8,
        founded_at_ms: 1,
        directories: Vec::new(),
    }
}
