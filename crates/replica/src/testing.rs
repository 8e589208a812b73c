//! What tests of this crate and of those above it share: a founded log with its views, stepped by hand.

use std::path::Path;
use std::sync::Arc;

use tern_log::{
    ConsumeQueues, Disk, FrameDraft, KeyIndex, KeyLimits, Log, LogOptions, LogReader, NEAR_BYTES,
    QueueEntry, QueueLimits,
};
use tern_state::delay::SCHEDULE_TOPIC;
use tern_state::{FlushDiskType, FoundGroup, FoundingMember, GroupFounding, Op, State};
use tern_testdisk::{MemoryDisk, Operation};
use tern_wire::record::{NewRecord, Record};

use crate::entries::tags_code;
use crate::keys::index_keys;
use crate::proposal::Draft;

/// Size of a segment in tests.
pub const SEGMENT_SIZE: u64 = 16 << 20;

/// The op that founds the group.
pub fn founding() -> Op {
    Op::FoundGroup(FoundGroup(GroupFounding {
        cluster: "demo".into(),
        group: "group-a".into(),
        members: vec![FoundingMember {
            name: "n0".into(),
            replica_id: 1 << 32 | 1,
        }],
        segment_size: SEGMENT_SIZE,
        flush: FlushDiskType::Sync,
        feature_level: tern_state::FEATURE_LEVEL,
        auto_create_topic: true,
        default_topic_queue_nums: 8,
        founded_at_ms: 1,
        directories: Vec::new(),
    }))
}

/// A message as a producer far away would have sent it.
pub fn record<'a>(
    topic: &'a str,
    queue_id: u32,
    properties: &'a str,
    body: &'a [u8],
) -> NewRecord<'a> {
    let host = "127.0.0.1:1".parse().expect("an address");
    NewRecord {
        queue_id: queue_id.cast_signed(),
        flag: 0,
        sys_flag: 0,
        born_timestamp_ms: 1,
        born_host: host,
        store_host: host,
        reconsume_times: 0,
        prepared_transaction_offset: 0,
        body,
        topic,
        properties: properties.as_bytes(),
    }
}

/// A replica's log, consume queues, key index and state.
pub struct LogBench {
    /// Reads the log.
    pub reader: LogReader,
    /// Physical offsets by topic, queue and queue offset.
    pub queues: Arc<ConsumeQueues>,
    /// Physical offsets by topic and key.
    pub keys: Arc<KeyIndex>,
    /// The leader's clock; without one, store times go up by 10 ms a frame.
    pub clock_ms: Option<u64>,
    disk: MemoryDisk,
    log: Log,
    state: State,
}

impl Default for LogBench {
    fn default() -> Self {
        Self::new()
    }
}

impl LogBench {
    /// With a founded group.
    pub fn new() -> Self {
        Self::with_ring(LogOptions::new(Path::new("/data"), [7; 16]).ring_bytes)
    }

    /// The same, but frames are read from their files, and old as soon as that can be; the newest stays in memory.
    pub fn cold() -> Self {
        Self::with_ring(0)
    }

    fn with_ring(ring_bytes: usize) -> Self {
        let memory = MemoryDisk::new();
        let disk: Arc<dyn Disk> = Arc::new(memory.clone());
        let options = LogOptions {
            segment_size: SEGMENT_SIZE,
            ring_bytes,
            near_bytes: if ring_bytes == 0 { 0 } else { NEAR_BYTES },
            ..LogOptions::new(Path::new("/data"), [7; 16])
        };
        let (log, _) = Log::open(Arc::clone(&disk), options).expect("an empty log opens");
        let queues = ConsumeQueues::open(Arc::clone(&disk), "/data/views", QueueLimits::default())
            .expect("views open");
        let keys =
            KeyIndex::open(disk, "/data/views/keys", KeyLimits::default()).expect("views open");
        let mut bench = Self {
            reader: log.reader(),
            queues: Arc::new(queues),
            keys: Arc::new(keys),
            clock_ms: None,
            disk: memory,
            log,
            state: State::new(),
        };
        bench.commit_ops(&[founding()]);
        bench
    }

    /// All that was committed is applied to it.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Where the log ends.
    pub fn end_position(&self) -> u64 {
        self.log.end().position
    }

    /// Where a message of a queue stands.
    pub fn entry(&self, topic: &str, queue_id: u32, queue_offset: u64) -> QueueEntry {
        let topic_id = self.state.topic(topic).expect("it exists").id;
        let mut entries = Vec::new();
        self.queues
            .read(topic_id, queue_id, queue_offset, 1, &mut entries)
            .expect("readable");
        entries[0]
    }

    /// Flips a bit of the last byte of a message's body, in the file. It must be in the first segment, out of memory.
    pub fn rot(&self, topic: &str, queue_id: u32, queue_offset: u64) -> QueueEntry {
        let entry = self.entry(topic, queue_id, queue_offset);
        let bytes = self.reader.record(&entry).expect("whole until now");
        let record = Record::parse(&bytes).expect("a record");
        let behind = 1 + record.topic().len() + 2 + record.properties().len();
        self.flip(entry.physical_offset + (record.size() - behind - 1) as u64);
        entry
    }

    /// Flips a bit of what a message's properties say, in the file: the first byte of this text in them.
    pub fn rot_properties(
        &self,
        topic: &str,
        queue_id: u32,
        offset: u64,
        text: &str,
    ) -> QueueEntry {
        let entry = self.entry(topic, queue_id, offset);
        let bytes = self.reader.record(&entry).expect("whole until now");
        let properties = Record::parse(&bytes).expect("a record").properties();
        let before_end = properties.len() - properties.find(text).expect("it says so");
        self.flip(entry.physical_offset + (bytes.len() - before_end) as u64);
        entry
    }

    /// The next read of a file whose path contains this fails.
    pub fn fail_next_read(&self, path_part: &str) {
        self.disk.fail_next(Operation::Read, path_part);
    }

    fn flip(&self, at: u64) {
        self.disk
            .damage(Path::new("/data/log/00000000000000000000"), at, 1)
            .expect("the first segment");
    }

    /// Commit and apply ops.
    pub fn commit_ops(&mut self, ops: &[Op]) {
        let mut draft = FrameDraft::default();
        for op in ops {
            op.encode(&mut draft.metadata);
        }
        self.commit(&draft);
    }

    /// Commit and apply one message; returns its queue offset.
    pub fn commit_message(&mut self, topic: &str, queue_id: u32, tag: &str, body: &[u8]) -> u64 {
        let properties = if tag.is_empty() {
            String::new()
        } else {
            format!("TAGS\u{1}{tag}\u{2}")
        };
        let record = record(topic, queue_id, &properties, body);
        self.commit_record(&record)
    }

    /// Commit and apply one message with a key, in the topic's first queue.
    pub fn commit_keyed(&mut self, topic: &str, key: &str, body: &[u8]) -> u64 {
        let properties = format!("KEYS\u{1}{key}\u{2}");
        self.commit_record(&record(topic, 0, &properties, body))
    }

    /// Commit and apply one record; returns its queue offset.
    pub fn commit_record(&mut self, record: &NewRecord<'_>) -> u64 {
        let mut bytes = Vec::new();
        tern_wire::record::encode(record, &mut bytes).expect("a record fits");
        let queue_id = record.queue_id.cast_unsigned();
        let queue_offset = self.state.next_offset(record.topic, queue_id);
        let mut draft = FrameDraft::default();
        draft.push_record(&bytes, queue_offset);
        if record.topic == SCHEDULE_TOPIC {
            draft.by_clock.push(0);
        }
        self.commit(&draft);
        queue_offset
    }

    /// Commit and apply drafts and ops as one frame, as a leader would.
    pub fn commit_proposal(&mut self, drafts: &[Draft], ops: &[u8]) {
        let mut frame = FrameDraft::default();
        let mut next = hashbrown::HashMap::new();
        for draft in drafts {
            let queue = (draft.topic.clone(), draft.queue_id);
            let stands = self.state.next_offset(&draft.topic, draft.queue_id);
            let next = next.entry(queue).or_insert(stands);
            for record in tern_wire::record::iter(&draft.bytes) {
                let record: Record<'_> = record.expect("a draft holds records");
                frame.push_record(record.bytes(), *next);
                *next += 1;
            }
        }
        frame.metadata.extend_from_slice(ops);
        self.commit(&frame);
    }

    fn commit(&mut self, draft: &FrameDraft) {
        let end = self.log.end();
        let frame = draft
            .seal(
                &end,
                1,
                self.clock_ms.unwrap_or(end.index * 10),
                SEGMENT_SIZE,
            )
            .expect("a frame fits");
        self.log
            .append(std::slice::from_ref(&frame))
            .expect("the memory disk has room");
        for record in tern_wire::record::iter(frame.records()) {
            let record: Record<'_> = record.expect("encoded above");
            let queue_id = record.queue_id().cast_unsigned();
            let topic_id = self
                .state
                .apply_record(record.topic(), queue_id, record.queue_offset())
                .expect("numbered above");
            let entry = QueueEntry {
                physical_offset: record.physical_offset(),
                size: record.size() as u32,
                tags_code: tags_code(
                    &record,
                    tern_wire::properties::get(record.properties(), "TAGS"),
                ),
            };
            self.queues
                .append(topic_id, queue_id, record.queue_offset(), entry)
                .expect("the next entry");
            index_keys(&self.keys, &record);
        }
        self.state
            .apply_metadata(frame.header.index, 1, frame.metadata())
            .expect("the ops fit the state");
    }
}
