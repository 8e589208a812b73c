//! One replica on a disk that fills up, and rolls on one that does not.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use tern_broker::replica::{
    AnswerAt, Applier, Birth, Draft, Folded, Inbox, Outbox, Outcome, Plan, PreparedSegment,
    Proposal, Refusal, Replica, TurnOptions,
};
use tern_log::memory_disk::MemoryDisk;
use tern_log::{
    ConsumeQueues, Disk, Log, LogOptions, LogReader, LogSyncer, MIN_SEGMENT_SIZE, QueueLimits,
    RaftStateFile, claim_directory, prepare_segment,
};
use tern_replication::{Solo, replica_id};
use tern_state::{Flush, GroupFounding, Member, State};

const DIRECTORY: &str = "/replica";
const BODY: usize = 1 << 20;

struct Solitary {
    disk: MemoryDisk,
    replica: Replica<u64>,
    applier: Applier,
    syncer: LogSyncer,
    reader: LogReader,
    inbox: Inbox<u64>,
    out: Outbox<u64>,
    committed: u64,
    now_ns: u64,
    answers: Vec<(u64, Outcome)>,
}

impl Solitary {
    fn new() -> Self {
        let disk = MemoryDisk::new();
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        let directory = PathBuf::from(DIRECTORY);
        claim_directory(&*shared, &directory, "c/g/n0").unwrap();
        let (file, _) = RaftStateFile::load(Arc::clone(&shared), &directory).unwrap();
        let plan = Plan {
            own: 1,
            members: vec![1],
            digest: 0,
        };
        let options = LogOptions::new(DIRECTORY, [0; 16]);
        let birth = Birth::new(plan, Arc::clone(&shared), options, file, None).unwrap();
        let (state, file) = birth.alone(founding(), [1; 16]).unwrap();
        let (log, _) = Log::open(Arc::clone(&shared), LogOptions::new(DIRECTORY, [1; 16])).unwrap();
        let queues =
            ConsumeQueues::open(shared, directory.join("views"), QueueLimits::default()).unwrap();
        let (reader, syncer) = (log.reader(), log.syncer());
        let solo = Solo::new(state.own_id, state.term, log.end().index);
        let turn = TurnOptions {
            segment_size: MIN_SEGMENT_SIZE,
            ..TurnOptions::default()
        };
        let applier = Applier::new(State::new(), Arc::new(queues), reader.clone());
        Self {
            disk,
            replica: Replica::new(log, Box::new(solo), file, state, turn),
            applier,
            syncer,
            reader,
            inbox: Inbox::default(),
            out: Outbox::default(),
            committed: 0,
            now_ns: 0,
            answers: Vec::new(),
        }
    }

    /// Turns until nothing is left to do, with everything that the threads around would do.
    fn settle(&mut self) {
        for _ in 0..8 {
            self.now_ns += 10_000_000;
            self.inbox.now_ns = self.now_ns;
            self.inbox.applied_position = self.applier.position();
            self.replica.step(&mut self.inbox, &mut self.out).unwrap();
            let out = std::mem::take(&mut self.out);
            self.answers.extend(out.answers);
            if let Some(base) = out.prepare_segment {
                let file = prepare_segment(
                    &self.disk,
                    &PathBuf::from(DIRECTORY),
                    base,
                    MIN_SEGMENT_SIZE,
                );
                self.inbox.segments.push(PreparedSegment { base, file });
            }
            if let Some(flush) = out.flush {
                self.syncer.sync(flush.position).unwrap();
                self.inbox.durable = Some(flush.number);
            }
            if let Some(committed) = out.commit {
                self.committed = committed.index;
                self.answers.extend(committed.decided);
            }
            while self.applier.applied() < self.committed {
                self.applier.apply(self.committed, 64 << 20).unwrap();
            }
            if let Some(fold) = out.fold {
                self.inbox.folded = Some(Folded {
                    term: fold.term,
                    upto: fold.upto,
                    numbers: self.applier.fold(fold).unwrap(),
                });
            }
        }
    }

    fn send(&mut self, ticket: u64) -> Outcome {
        let host = ([127, 0, 0, 1], 1).into();
        let body = vec![7; BODY];
        let record = tern_wire::record::NewRecord {
            queue_id: 0,
            flag: 0,
            sys_flag: 0,
            born_timestamp_ms: 0,
            born_host: host,
            store_host: host,
            reconsume_times: 0,
            prepared_transaction_offset: 0,
            body: &body,
            topic: "TBW102",
            properties: b"",
        };
        let mut bytes = Vec::new();
        let size = tern_wire::record::encode(&record, &mut bytes).unwrap();
        self.inbox.proposals.push(Proposal {
            draft: Some(Draft {
                topic: "TBW102".into(),
                queue_id: 0,
                bytes,
                sizes: [size as u32].into_iter().collect(),
            }),
            ops: Bytes::new(),
            answer: AnswerAt::Commit,
            ticket,
            received_ns: self.now_ns,
        });
        self.settle();
        let at = self
            .answers
            .iter()
            .position(|(answered, _)| *answered == ticket);
        self.answers.swap_remove(at.expect("it was answered")).1
    }
}

fn founding() -> GroupFounding {
    GroupFounding {
        cluster: "c".into(),
        group: "g".into(),
        members: vec![Member {
            name: "n0".into(),
            replica_id: replica_id(1, 1),
        }],
        segment_size: MIN_SEGMENT_SIZE,
        flush: Flush::Sync,
        feature_level: tern_state::FEATURE_LEVEL,
        auto_create_topic: true,
        default_topic_queue_nums: 8,
        founded_at_ms: 1,
    }
}

#[test]
fn a_log_rolls_into_prepared_segments_without_losing_an_offset() {
    let mut solitary = Solitary::new();
    solitary.settle();
    for number in 0..100 {
        let Outcome::Stored(stored) = solitary.send(number) else {
            panic!("send {number} was refused");
        };
        assert_eq!(stored.queue_offset, number);
    }
    assert!(solitary.reader.end().position > 3 * MIN_SEGMENT_SIZE);
}

#[test]
fn without_room_sends_are_refused_with_14_reads_go_on_and_freed_space_is_used() {
    let mut solitary = Solitary::new();
    solitary.settle();
    solitary.send(0);
    solitary.disk.set_free_bytes(Some(1 << 20));
    let mut stored = 1;
    let refused = loop {
        match solitary.send(stored) {
            Outcome::Stored(_) => stored += 1,
            other => break other,
        }
    };
    assert_eq!(refused, Outcome::Refused(Refusal::NoRoom));
    assert!(
        stored > 30,
        "the prepared segments were filled first: {stored}"
    );
    let last = solitary.reader.frame(solitary.committed).unwrap();
    assert_eq!(last.header.message_count, 1);
    assert_eq!(solitary.applier.state().next_offset("TBW102", 0), stored);

    solitary.disk.set_free_bytes(None);
    solitary.settle();
    let Outcome::Stored(after) = solitary.send(1_000) else {
        panic!("space was freed");
    };
    assert_eq!(after.queue_offset, stored, "nothing refused took an offset");
}
