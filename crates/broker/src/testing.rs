//! What unit tests of this crate share.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use parking_lot::Mutex;
use tern_net::{Connection, Credit, Handler, Listener, ServerOptions, listen};
use tern_replica::{Proposal, RoleChange};
use tern_requests::testing::{ViewBench, settings};
use tern_requests::{ClientRegistry, RoleView};
use tern_wire::{Command, FrameLimits, decode_frame};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::oneshot::{Sender, channel};

use crate::channels::mailbox::{Input, Mailbox, MailboxReceiver};
use crate::events::NodeEvents;
use crate::requests::{Driver, RequestContext};
use crate::roles::RoleBoard;
use crate::services::Services;
use crate::services::cold_lane::ColdLane;
use crate::services::consumer_offset_manager::ConsumerOffsetManager;
use crate::services::holds::HoldTable;
use crate::services::metadata_changes::MetadataChanges;
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
        is_slave: false,
        cause: None,
    });
    roles
}

/// A replica's log with published views, stepped by hand, and the box of its log thread.
pub(crate) struct ReplicaBench {
    pub mailbox: Mailbox,
    pub inputs: MailboxReceiver,
    bench: ViewBench,
}

impl Deref for ReplicaBench {
    type Target = ViewBench;

    fn deref(&self) -> &ViewBench {
        &self.bench
    }
}

impl DerefMut for ReplicaBench {
    fn deref_mut(&mut self) -> &mut ViewBench {
        &mut self.bench
    }
}

impl ReplicaBench {
    /// With a founded group.
    pub fn new() -> Self {
        Self::over(ViewBench::new())
    }

    /// The same, but frames are read from their files; the newest stays in memory.
    pub fn cold() -> Self {
        Self::over(ViewBench::cold())
    }

    fn over(bench: ViewBench) -> Self {
        let (mailbox, inputs) = Mailbox::new();
        Self {
            mailbox,
            inputs,
            bench,
        }
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
            cold_lane: ColdLane::start(),
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
