//! What unit tests of this crate share.

use std::sync::Arc;

use parking_lot::Mutex;
use tern_log::QueueEntry;
use tern_net::{Connection, Credit, Handler, Listener, ServerOptions, listen};
use tern_replica::testing::LogBench;
use tern_replica::{Proposal, RoleChange};
use tern_state::{Op, State};
use tern_wire::record::NewRecord;
use tern_wire::{Command, FrameLimits, decode_frame};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::oneshot::{Sender, channel};

use crate::channels::mailbox::{Input, Mailbox, MailboxReceiver};
use crate::events::NodeEvents;
use crate::requests::{
    ClientRequest, Consistency, Driver, Effects, NotServed, RequestContext, RequestHandler,
    Verdict, View,
};
use crate::role_view::RoleView;
use crate::roles::RoleBoard;
use crate::services::Services;
use crate::services::consumer_offset_manager::ConsumerOffsetManager;
use crate::services::holds::HoldTable;
use crate::services::metadata_changes::MetadataChanges;
use crate::services::numbering::Numbering;
use crate::services::registry::ClientRegistry;
use crate::settings::{Settings, TableLimits};
use crate::views::Views;
use crate::{Ticket, routes};

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

/// A replica's log with published views, stepped by hand.
pub(crate) struct ReplicaBench {
    pub views: Arc<Views>,
    pub mailbox: Mailbox,
    pub inputs: MailboxReceiver,
    log: LogBench,
}

impl ReplicaBench {
    /// With a founded group.
    pub fn new() -> Self {
        Self::over(LogBench::new())
    }

    /// The same, but frames are read from their files; the newest stays in memory.
    pub fn cold() -> Self {
        Self::over(LogBench::cold())
    }

    fn over(log: LogBench) -> Self {
        let (mailbox, inputs) = Mailbox::new();
        let views = Arc::new(Views::new(
            log.reader.clone(),
            Arc::clone(&log.queues),
            Arc::clone(&log.keys),
            State::new(),
        ));
        let bench = Self {
            views,
            mailbox,
            inputs,
            log,
        };
        bench.publish();
        bench
    }

    fn publish(&self) {
        let end = self.log.end_position();
        self.views.publish(self.log.state(), end, 0);
    }

    /// The leader's clock from here on.
    pub fn set_clock(&mut self, clock_ms: u64) {
        self.log.clock_ms = Some(clock_ms);
    }

    /// As [`LogBench::rot`].
    pub fn rot(&self, topic: &str, queue_id: u32, queue_offset: u64) -> QueueEntry {
        self.log.rot(topic, queue_id, queue_offset)
    }

    /// As [`LogBench::rot_properties`].
    pub fn rot_properties(
        &self,
        topic: &str,
        queue_id: u32,
        offset: u64,
        text: &str,
    ) -> QueueEntry {
        self.log.rot_properties(topic, queue_id, offset, text)
    }

    /// As [`LogBench::entry`].
    pub fn entry(&self, topic: &str, queue_id: u32, queue_offset: u64) -> QueueEntry {
        self.log.entry(topic, queue_id, queue_offset)
    }

    /// Commit and apply ops.
    pub fn commit_ops(&mut self, ops: &[Op]) {
        self.log.commit_ops(ops);
        self.publish();
    }

    /// Commit and apply one message; returns its queue offset.
    pub fn commit_message(&mut self, topic: &str, queue_id: u32, tag: &str, body: &[u8]) -> u64 {
        let queue_offset = self.log.commit_message(topic, queue_id, tag, body);
        self.publish();
        queue_offset
    }

    /// Commit and apply one message with a key, in the topic's first queue.
    pub fn commit_keyed(&mut self, topic: &str, key: &str, body: &[u8]) -> u64 {
        let queue_offset = self.log.commit_keyed(topic, key, body);
        self.publish();
        queue_offset
    }

    /// Commit and apply one record; returns its queue offset.
    pub fn commit_record(&mut self, record: &NewRecord<'_>) -> u64 {
        let queue_offset = self.log.commit_record(record);
        self.publish();
        queue_offset
    }

    /// The parts of a replica in this role, on the current runtime.
    pub fn services(&self, roles: RoleBoard) -> Services {
        let (roles, runtime) = (Arc::new(roles), Handle::current());
        let metadata_changes = MetadataChanges::new(
            Arc::clone(&self.views),
            Arc::clone(&roles),
            self.mailbox.clone(),
        );
        let offset_manager = ConsumerOffsetManager::new(
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
            metadata_changes: Arc::new(metadata_changes),
            offset_manager: Arc::new(offset_manager),
            counters: Arc::default(),
            runtime,
        }
    }

    /// What serves requests on a replica in this role, on the current runtime.
    pub fn driver(&self, roles: RoleBoard) -> Arc<Driver> {
        Driver::start(&Arc::new(self.services(roles)))
    }

    /// The next proposal in the mailbox.
    pub fn proposal(&self) -> Option<Proposal<Ticket>> {
        match self.next()? {
            Input::Propose(proposal) => Some(proposal),
            _ => panic!("not a proposal"),
        }
    }

    /// The next ReadIndex in the mailbox.
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

/// What a handler says of a request to a replica in this role, with a view that is up to date.
pub(crate) fn judge<H: RequestHandler>(
    bench: &ReplicaBench,
    roles: &RoleBoard,
    command: &Command,
) -> Result<Verdict<H::Pending>, NotServed> {
    let (settings, clients) = (settings(), ClientRegistry::new());
    let numbering = Numbering::new(settings.store_host.ip());
    let view = View {
        settings: &settings,
        views: &bench.views,
        clients: &clients,
        numbering: &numbering,
        role: roles.view(),
        state: bench.views.state(),
        consistency: Consistency::Linearizable,
        is_leaving: false,
    };
    let request = ClientRequest {
        command,
        peer: "127.0.0.1:1234".parse().expect("an address"),
        caller: None,
    };
    let header = H::decode(command)?;
    H::check(&header, &request, &view)?;
    H::judge(&header, &request, &view, &mut Effects::default())
}

/// A connection that a client has opened, and the client's end of it.
pub(crate) struct TestClient {
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

impl TestClient {
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
    pub fn asks(&self, driver: &Arc<Driver>, command: Command) {
        let route = routes::find(command.code).expect("the engine serves it");
        let (connection, credit) = (&self.connection, Credit::free());
        let context = RequestContext::new(connection, command, credit, route.waits_for);
        (route.serve)(driver, context);
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
