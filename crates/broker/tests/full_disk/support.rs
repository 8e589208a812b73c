//! One replica stepped by hand on a disk in memory that tells how much room it has.

use std::io;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use smallvec::{SmallVec, smallvec};
use tern_log::{
    ConsumeQueues, Disk, Frame, FrameDraft, Log, LogEnd, LogOptions, LogReader, QueueLimits,
    RaftState, RaftStateFile, Space, prepare_segment,
};
use tern_replica::{
    AnswerAt, Applier, DiskRoomChange, Draft, Fatal, Flusher, Inbox, Outbox, Outcome,
    PreparedSegment, Proposal, RebuiltNextOffsets, Replica, TurnOptions,
};
use tern_replication::{
    Configuration, HardState, PeerMessage, Raft, RaftOptions, Replication, Solo, Timing, replica_id,
};
use tern_state::{
    CommitOffsets, FlushDiskType, FoundGroup, FoundingMember, GroupFounding, OffsetCommit, Op,
    State,
};
use tern_testdisk::{DiskHook, ForwardingDisk, MemoryDisk};

pub const SEGMENT: u64 = 1 << 20;
pub const TOPIC: &str = "TBW102";
const DIRECTORY: &str = "/replica";
const TICK_NS: u64 = 10_000_000;

/// A disk in memory whose file system says what a test wants.
pub type Tight = ForwardingDisk<ToldSpace>;

/// What the file system says.
#[derive(Clone, Default)]
pub struct ToldSpace(Arc<parking_lot::Mutex<Option<Space>>>);

impl ToldSpace {
    pub fn say_free(&self, free: Option<u64>) {
        let total = 1 << 30;
        *self.0.lock() = free.map(|free| Space { free, total });
    }
}

impl DiskHook for ToldSpace {
    fn space(&self, _: &MemoryDisk, _: &Path) -> io::Result<Option<Space>> {
        Ok(*self.0.lock())
    }
}

/// A replica, and the threads around it in one step.
pub struct One {
    pub disk: Tight,
    replica: Replica<u64>,
    pub applier: Applier,
    pub queues: Arc<ConsumeQueues>,
    pub reader: LogReader,
    flusher: Flusher,
    pub inbox: Inbox<u64>,
    pub sent: Vec<PeerMessage>,
    pub said: Vec<DiskRoomChange>,
    pub committed: u64,
    now_ns: u64,
    answers: Vec<(u64, Outcome)>,
}

impl One {
    /// Alone in its group.
    pub fn alone(limits: QueueLimits) -> Self {
        Self::new(1, limits, |_, _| {})
    }

    /// The first of three; `fill` may write into its log before it starts.
    pub fn of_three(fill: impl FnOnce(&Tight, &mut Log)) -> Self {
        Self::new(3, QueueLimits::default(), fill)
    }

    fn new(members: u32, limits: QueueLimits, fill: impl FnOnce(&Tight, &mut Log)) -> Self {
        let disk = Tight::default();
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        shared.create_dir(Path::new(DIRECTORY)).unwrap();
        let (mut states, _) =
            RaftStateFile::load(Arc::clone(&shared), Path::new(DIRECTORY)).unwrap();
        let voters: Vec<u64> = (1..=members).map(|number| replica_id(number, 1)).collect();
        let state = RaftState {
            group_id: [1; 16],
            own_id: voters[0],
            term: 1,
            commit: 1,
            membership_index: 1,
            voters: voters.clone(),
            ..RaftState::default()
        };
        states.store(&state).unwrap();
        let options = LogOptions {
            segment_size: SEGMENT,
            // Everything is read from files.
            ring_bytes: 0,
            ..LogOptions::new(DIRECTORY, [1; 16])
        };
        let (mut log, _) = Log::open(Arc::clone(&shared), options).unwrap();
        log.append(&[founding(&voters)]).unwrap();
        fill(&disk, &mut log);
        log.syncer().sync(log.end().position).unwrap();
        let (reader, flusher) = (log.reader(), Flusher::new(log.syncer()));
        let engine: Box<dyn Replication> = if members == 1 {
            Box::new(Solo::new(state.own_id, state.term, log.end().index))
        } else {
            let raft = RaftOptions {
                id: state.own_id,
                configuration: Configuration {
                    voters,
                    ..Configuration::default()
                },
                has_slaves: false,
                applied: 1,
                hard_state: HardState { term: 1, vote: 0 },
                commit: 1,
                timing: Timing {
                    heartbeat_ticks: 10,
                    election_min_ticks: 30,
                    election_max_ticks: 60,
                },
                seed: 1,
            };
            Box::new(Raft::new(&raft, reader.clone()).unwrap())
        };
        let options = TurnOptions {
            segment_size: SEGMENT,
            ..TurnOptions::default()
        };
        let queues = Arc::new(ConsumeQueues::new(shared, "/replica/views", limits));
        Self {
            disk,
            replica: Replica::new(log, engine, states, state, options, 1),
            applier: Applier::new(State::new(), Arc::clone(&queues), reader.clone()),
            queues,
            reader,
            flusher,
            inbox: Inbox::default(),
            sent: Vec::new(),
            said: Vec::new(),
            committed: 0,
            now_ns: 0,
            answers: Vec::new(),
        }
    }

    /// One turn of one tick, with everything that the threads around would do but applying.
    pub fn turn(&mut self) -> Result<(), Fatal> {
        self.now_ns += TICK_NS;
        self.inbox.now_ns = self.now_ns;
        self.inbox.ticks = 1;
        self.inbox.applied_position = self.reader.end().position;
        let mut out = Outbox::default();
        self.replica.step(&mut self.inbox, &mut out)?;
        self.answers.extend(out.answers);
        self.sent.extend(out.messages);
        self.said.extend(out.room);
        if let Some(need) = out.prepare_segment {
            let file = prepare_segment(&self.disk, Path::new(DIRECTORY), need, SEGMENT);
            self.inbox.segments.push(PreparedSegment {
                base: need.base,
                file,
            });
        }
        if out.look_at_disk {
            self.inbox.space = Some(self.disk.space(Path::new(DIRECTORY)).unwrap());
        }
        if let Some(flush) = out.flush {
            let under_way = self.flusher.begin(flush, self.now_ns).unwrap();
            self.inbox.durable = Some(self.flusher.end(under_way, || self.now_ns).unwrap());
        }
        if let Some(committed) = out.commit {
            self.committed = committed.index;
            self.answers.extend(committed.decided);
        }
        if let Some(rebuild) = out.rebuild {
            self.inbox.rebuilt = Some(RebuiltNextOffsets {
                term: rebuild.term,
                next_offsets: self.applier.rebuild(rebuild).unwrap(),
            });
        }
        Ok(())
    }

    /// Turns until what was handed in is decided, and what follows from it is done.
    pub fn settle(&mut self) {
        for _ in 0..6 {
            self.turn().unwrap();
        }
    }

    /// Whether this replica is the leader.
    pub fn leads(&self) -> bool {
        self.replica.status().role == tern_replication::Role::Leader
    }

    pub fn send(&mut self, ticket: u64, bytes: usize) {
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
            body: &vec![7; bytes],
            topic: TOPIC,
            properties: b"",
        };
        let mut bytes = Vec::new();
        let size = tern_wire::record::encode(&record, &mut bytes).unwrap();
        let draft = Draft {
            topic: TOPIC.into(),
            queue_id: 0,
            bytes,
            sizes: smallvec![size as u32],
        };
        self.push(ticket, smallvec![draft], Vec::new());
    }

    /// An offset of each of so many groups.
    pub fn commit_offsets(&mut self, ticket: u64, groups: usize) {
        let offsets = (0..groups).map(|number| OffsetCommit {
            group: format!("a group with a name, {number}").into(),
            topic: TOPIC.into(),
            queue_id: 0,
            offset: 0,
            explicit: true,
        });
        let mut ops = Vec::new();
        Op::CommitOffsets(CommitOffsets(offsets.collect())).encode(&mut ops);
        self.push(ticket, SmallVec::new(), ops);
    }

    fn push(&mut self, ticket: u64, drafts: SmallVec<[Draft; 1]>, ops: Vec<u8>) {
        self.inbox.proposals.push(Proposal {
            drafts,
            ops: Bytes::from(ops),
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

    pub fn is_stored(&mut self, ticket: u64) -> bool {
        matches!(self.outcome(ticket), Outcome::Stored(_))
    }
}

/// A frame so long that this much is left of its segment behind it.
pub fn filler(end: &LogEnd, left: u64) -> Frame {
    let room = SEGMENT - end.position % SEGMENT - left - tern_log::FRAME_HEADER_SIZE as u64;
    let empty = ops_of_length(0).len();
    let draft = FrameDraft {
        metadata: ops_of_length(room as usize - empty),
        ..FrameDraft::default()
    };
    draft.seal(end, 1, 1, SEGMENT).unwrap()
}

fn ops_of_length(name: usize) -> Vec<u8> {
    let mut ops = Vec::new();
    let offset = OffsetCommit {
        group: "g".repeat(name).into(),
        topic: TOPIC.into(),
        queue_id: 0,
        offset: 0,
        explicit: true,
    };
    Op::CommitOffsets(CommitOffsets(vec![offset])).encode(&mut ops);
    ops
}

fn founding(voters: &[u64]) -> Frame {
    let members = voters
        .iter()
        .enumerate()
        .map(|(number, id)| FoundingMember {
            name: format!("n{number}").into(),
            replica_id: *id,
        });
    let group = GroupFounding {
        cluster: "c".into(),
        group: "g".into(),
        members: members.collect(),
        segment_size: SEGMENT,
        flush: FlushDiskType::Sync,
        feature_level: tern_state::FEATURE_LEVEL,
        auto_create_topic: true,
        default_topic_queue_nums: 8,
        founded_at_ms: 1,
        directories: Vec::new(),
    };
    let mut draft = FrameDraft::default();
    Op::FoundGroup(FoundGroup(group)).encode(&mut draft.metadata);
    draft.seal(&LogEnd::default(), 1, 1, SEGMENT).unwrap()
}
