//! What unit tests of this crate share.

use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use tern_log::{
    ConsumeQueues, Disk, FrameDraft, KeyIndex, KeyLimits, Log, LogOptions, QueueEntry, QueueLimits,
};
use tern_net::{Connection, Credit, Handler, Listener, ServerOptions, listen};
use tern_state::delay::SCHEDULE_TOPIC;
use tern_state::{Flush, GroupFounding, Member, Op, State};
use tern_testdisk::MemoryDisk;
use tern_wire::record::{NewRecord, Record};
use tern_wire::{Command, FrameLimits, decode_frame};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::oneshot::{Sender, channel};

use crate::Ticket;
use crate::clients::ClientRegistry;
use crate::commits::Commits;
use crate::creations::{Creations, TableLimits};
use crate::holds::HoldTable;
use crate::mailbox::{Input, Mailbox, MailboxReceiver};
use crate::node::NodeEvents;
use crate::replica::{Draft, Proposal, RoleChange, index_keys};
use crate::requests::Incoming;
use crate::roles::RoleBoard;
use crate::services::{Services, Settings};
use crate::views::{RoleView, Views};

/// Size of a segment in tests.
pub(crate) const SEGMENT_SIZE: u64 = 16 << 20;

pub(crate) struct NoEvents;

impl NodeEvents for NoEvents {
    fn role_changed(&self, _: &RoleView) {}
    fn topics_changed(&self, _: u64, _: u64) {}
    fn stopped(&self, _: &str) {}
    fn request(&self, _: &Arc<Connection>, _: Command, _: Credit) {}
    fn closed(&self, _: &Arc<Connection>) {}
}

/// A board that says "follower of nobody".
pub(crate) fn role_board() -> RoleBoard {
    RoleBoard::new(1, "127.0.0.1:10911".to_owned(), Arc::new(NoEvents))
}

/// The same after this replica was elected.
pub(crate) fn leading() -> RoleBoard {
    let roles = role_board();
    roles.changed(RoleChange {
        role: tern_replication::Role::Leader,
        term: 1,
        leader: 1 << 32 | 1,
    });
    roles
}

pub(crate) fn settings() -> Settings {
    Settings {
        cluster: "demo".to_owned(),
        group: "group-a".to_owned(),
        store_host: "127.0.0.1:10911".parse().expect("an address"),
        auto_create_group: true,
        max_message_bytes: 4 << 20,
        slave_read: true,
        limits: TableLimits::default(),
    }
}

pub(crate) fn founding() -> Op {
    Op::Found(GroupFounding {
        cluster: "demo".into(),
        group: "group-a".into(),
        members: vec![Member {
            name: "n0".into(),
            replica_id: 1 << 32 | 1,
        }],
        segment_size: SEGMENT_SIZE,
        flush: Flush::Sync,
        feature_level: tern_state::FEATURE_LEVEL,
        auto_create_topic: true,
        default_topic_queue_nums: 8,
        founded_at_ms: 1,
        directories: Vec::new(),
    })
}

/// A message as a producer far away would have sent it.
pub(crate) fn record<'a>(
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

/// A replica's log, views and state, stepped by hand.
pub(crate) struct Bench {
    pub views: Arc<Views>,
    pub mailbox: Mailbox,
    pub inputs: MailboxReceiver,
    /// The leader's clock; without one, store times go up by 10 ms a frame.
    pub clock_ms: Option<u64>,
    disk: MemoryDisk,
    log: Log,
    state: State,
}

impl Bench {
    /// With a founded group.
    pub fn new() -> Self {
        Self::with_ring(LogOptions::new(Path::new("/data"), [7; 16]).ring_bytes)
    }

    /// The same, but frames are read from their files; the newest stays in memory.
    pub fn cold() -> Self {
        Self::with_ring(0)
    }

    fn with_ring(ring_bytes: usize) -> Self {
        let memory = MemoryDisk::new();
        let disk: Arc<dyn Disk> = Arc::new(memory.clone());
        let options = LogOptions {
            segment_size: SEGMENT_SIZE,
            ring_bytes,
            ..LogOptions::new(Path::new("/data"), [7; 16])
        };
        let (log, _) = Log::open(Arc::clone(&disk), options).expect("an empty log opens");
        let queues = ConsumeQueues::open(Arc::clone(&disk), "/data/views", QueueLimits::default())
            .expect("views open");
        let keys =
            KeyIndex::open(disk, "/data/views/keys", KeyLimits::default()).expect("views open");
        let (mailbox, inputs) = Mailbox::new();
        let views = Arc::new(Views::new(
            log.reader(),
            Arc::new(queues),
            Arc::new(keys),
            State::new(),
        ));
        let mut bench = Self {
            views,
            mailbox,
            inputs,
            clock_ms: None,
            disk: memory,
            log,
            state: State::new(),
        };
        bench.commit_ops(&[founding()]);
        bench
    }

    /// Where a message of a queue stands.
    pub fn entry(&self, topic: &str, queue_id: u32, queue_offset: u64) -> QueueEntry {
        let topic_id = self.views.state().topic(topic).expect("it exists").id;
        let mut entries = Vec::new();
        self.views
            .queues
            .read(topic_id, queue_id, queue_offset, 1, &mut entries)
            .expect("readable");
        entries[0]
    }

    /// Flips a bit of the last byte of a message's body, in the file. It must be in the first segment, out of memory.
    pub fn rot(&self, topic: &str, queue_id: u32, queue_offset: u64) -> QueueEntry {
        let entry = self.entry(topic, queue_id, queue_offset);
        let bytes = self.views.log.record(&entry).expect("whole until now");
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
        let bytes = self.views.log.record(&entry).expect("whole until now");
        let properties = Record::parse(&bytes).expect("a record").properties();
        let before_end = properties.len() - properties.find(text).expect("it says so");
        self.flip(entry.physical_offset + (bytes.len() - before_end) as u64);
        entry
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
                tags_code: crate::replica::tags_code(
                    &record,
                    tern_wire::properties::get(record.properties(), "TAGS"),
                ),
            };
            self.views
                .queues
                .append(topic_id, queue_id, record.queue_offset(), entry)
                .expect("the next entry");
            index_keys(&self.views.keys, &record);
        }
        self.state
            .apply_metadata(frame.header.index, 1, frame.metadata())
            .expect("the ops fit the state");
        self.views.publish(&self.state, self.log.end().position, 0);
    }

    /// The parts of a replica in this role, on the current runtime.
    pub fn services(&self, roles: RoleBoard) -> Services {
        let (roles, runtime) = (Arc::new(roles), Handle::current());
        let creations = Creations::new(
            Arc::clone(&self.views),
            Arc::clone(&roles),
            self.mailbox.clone(),
        );
        let commits = Commits::new(
            Arc::clone(&self.views),
            self.mailbox.clone(),
            runtime.clone(),
        );
        Services {
            settings: settings(),
            views: Arc::clone(&self.views),
            roles,
            mailbox: self.mailbox.clone(),
            holds: Arc::new(HoldTable::new(runtime.clone())),
            clients: Arc::new(ClientRegistry::new()),
            creations: Arc::new(creations),
            commits: Arc::new(commits),
            counters: Arc::default(),
            runtime,
        }
    }

    /// The next proposal in the mailbox.
    pub fn proposal(&self) -> Option<Proposal<Ticket>> {
        match self.next()? {
            Input::Propose(proposal) => Some(proposal),
            _ => panic!("not a proposal"),
        }
    }

    /// The next fresh read in the mailbox.
    pub fn read(&self) -> Option<Ticket> {
        match self.next()? {
            Input::Read(ticket, _) => Some(ticket),
            _ => panic!("not a read"),
        }
    }

    fn next(&self) -> Option<Input> {
        self.inputs.next(std::time::Duration::ZERO)
    }
}

/// A connection that a client has opened, and the client's end of it.
pub(crate) struct Client {
    pub connection: Arc<Connection>,
    socket: TcpStream,
    _listener: Listener,
}

struct Accept(Mutex<Option<Sender<Arc<Connection>>>>);

impl Handler for Accept {
    fn opened(&self, connection: &Arc<Connection>) {
        if let Some(sender) = self.0.lock().take() {
            let _ = sender.send(Arc::clone(connection));
        }
    }
    fn request(&self, _: &Arc<Connection>, _: Command, _: Credit) {}
    fn closed(&self, _: &Arc<Connection>) {}
}

impl Client {
    pub async fn connect() -> Self {
        let (sender, opened) = channel();
        let handler = Arc::new(Accept(Mutex::new(Some(sender))));
        let address = "127.0.0.1:0".parse().expect("an address");
        let listener = listen(
            &Handle::current(),
            address,
            handler,
            ServerOptions::default(),
        )
        .expect("a port is free");
        let socket = TcpStream::connect(listener.local_addr())
            .await
            .expect("it listens");
        Self {
            connection: opened.await.expect("it is accepted"),
            socket,
            _listener: listener,
        }
    }

    /// A request from it.
    pub fn asks(&self, command: Command) -> Incoming {
        Incoming::new(&self.connection, command, Credit::free())
    }

    /// The next answer that it gets.
    pub async fn answer(&mut self) -> Command {
        let length = self.socket.read_u32().await.expect("an answer");
        let mut frame = vec![0; length as usize];
        self.socket
            .read_exact(&mut frame)
            .await
            .expect("a whole answer");
        decode_frame(frame.into(), &FrameLimits::default()).expect("a frame")
    }
}
