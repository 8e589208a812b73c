//! The remoting server: accepts connections within limits, reads requests, cuts off peers that misbehave.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use hashbrown::HashMap;
use parking_lot::Mutex;
use rustix::net::Shutdown;
use tern_wire::{Command, FrameLimits, codes};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::Handle;

use crate::budget::{Budget, Credit, Load};
use crate::complaint::Complaint;
use crate::connection::{Connection, Taking, now_ms};
use crate::inbound::{End, Frames, Reading, read_frames};
use crate::journal::{Level, Logger};
use crate::outbound::Outbound;

static BAD_FRAME: Complaint =
    Complaint::new(Logger::Net, Level::Warning, "bad frame, connection closed");
static NOT_ACCEPTED: Complaint =
    Complaint::new(Logger::Net, Level::Warning, "connection not accepted");
static ACCEPT_FAILED: Complaint = Complaint::new(Logger::Net, Level::Error, "accept failed");
static UNEXPECTED_ANSWER: Complaint = Complaint::new(
    Logger::Net,
    Level::Info,
    "answer that nobody waits for, dropped",
);
static TOO_SLOW: Complaint =
    Complaint::new(Logger::Net, Level::Warning, "slow peer, connection closed");

/// Remark of an answer that says the server has no room for the request.
pub const OVERLOAD_REMARK: &str = "[OVERLOAD]system busy, start flow control for a while";

/// Connections that the system completes before we accept them.
const BACKLOG: u32 = 1024;
/// Pause after a failed accept: most often no file descriptor is left, and none comes by asking at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Who answers requests. All methods are called on the net threads and must not block.
pub trait Handler: Send + Sync + 'static {
    /// A connection was accepted.
    fn opened(&self, connection: &Arc<Connection>);
    /// A request arrived. Its credit is kept until it has been answered; one-way requests are never answered.
    fn request(&self, connection: &Arc<Connection>, command: Command, credit: Credit);
    /// A connection ended; called once for each that was opened.
    fn closed(&self, connection: &Arc<Connection>);
}

/// Limits and times of a listener.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// Limits of a frame.
    pub limits: FrameLimits,
    /// Connections in all.
    pub max_connections: usize,
    /// Connections of one IP address.
    pub max_connections_per_address: usize,
    /// A connection without a byte in or out is closed after this time.
    pub idle: Duration,
    /// Time in which a frame must be complete once its first byte came.
    pub frame_grace: Duration,
    /// Bytes of a frame for which a second is added to that time: what a peer must send, and take, in a second.
    pub frame_pace: u64,
    /// Bytes that each connection may have queued. Reading stops at half of it.
    pub outbound_bytes: usize,
    /// Bytes that all connections may have queued beyond that, most often answers to many requests that were in flight
    /// together; shared by the listeners of a process. A connection for which it has no room is closed.
    pub overdraft: Arc<Budget>,
    /// How long a peer may take none of its answers while they fill half of `outbound_bytes`. While they fill more than
    /// all of it, it must take them at `frame_pace`.
    pub stall: Duration,
    /// Requests of one connection in flight, above which it is not read.
    pub requests_in_flight: usize,
    /// Bytes of all requests in flight; shared by the listeners of a process.
    pub budget: Arc<Budget>,
    /// How long a request waits for the budget before it is answered 2.
    pub patience: Duration,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            limits: FrameLimits::default(),
            max_connections: 16_384,
            max_connections_per_address: 8_192,
            idle: Duration::from_secs(120),
            frame_grace: Duration::from_secs(15),
            frame_pace: 128 * 1024,
            outbound_bytes: 8 * 1024 * 1024,
            overdraft: Budget::new(256 * 1024 * 1024),
            stall: Duration::from_secs(10),
            requests_in_flight: 4_096,
            budget: Budget::new(256 * 1024 * 1024),
            patience: Duration::from_millis(200),
        }
    }
}

impl ServerOptions {
    fn taking(&self) -> Taking {
        Taking {
            watermark: self.outbound_bytes / 2,
            stall: self.stall,
            pace: self.frame_pace,
        }
    }
}

/// What a listener has counted since it was opened.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct ServerCounts {
    /// Connections that were accepted.
    pub accepted: u64,
    /// Connections beyond a limit, closed at once.
    pub not_accepted: u64,
    /// Connections that are open now.
    pub open: u64,
    /// Connections closed for a frame that cannot be read.
    pub bad_frames: u64,
    /// Answers from peers that nobody waits for.
    pub unexpected_answers: u64,
    /// Requests answered 2, or dropped if one-way, because the budget had no room.
    pub no_room: u64,
    /// Connections closed because a frame took too long.
    pub slow_frames: u64,
    /// Connections closed because nothing moved.
    pub idle: u64,
    /// Connections closed because their peer stopped taking answers.
    pub stalled: u64,
}

#[derive(Default)]
struct Counters {
    accepted: AtomicU64,
    not_accepted: AtomicU64,
    bad_frames: AtomicU64,
    unexpected_answers: AtomicU64,
    no_room: AtomicU64,
    slow_frames: AtomicU64,
    idle: AtomicU64,
    stalled: AtomicU64,
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// An open port. Dropping it closes it with all its connections.
pub struct Listener {
    shared: Arc<Shared>,
    /// Shared with the accepting task alone, so that the port is free once both have let go.
    socket: Mutex<Option<Arc<TcpListener>>>,
}

struct Shared {
    local: SocketAddr,
    runtime: Handle,
    handler: Arc<dyn Handler>,
    options: ServerOptions,
    reading: Reading,
    accepting: AtomicBool,
    connections: Mutex<Connections>,
    counters: Counters,
}

#[derive(Default)]
struct Connections {
    by_id: HashMap<u64, Arc<Connection>>,
    by_address: HashMap<IpAddr, usize>,
    /// Accepted, perhaps not yet in `by_id`.
    count: usize,
}

/// Opens a port and serves it on `runtime`.
///
/// # Errors
/// What the system says to binding and listening, as `AddrInUse` for a port that is taken.
pub fn listen(
    runtime: &Handle,
    address: SocketAddr,
    handler: Arc<dyn Handler>,
    options: ServerOptions,
) -> io::Result<Listener> {
    let socket = {
        let _entered = runtime.enter();
        let socket = if address.is_ipv4() {
            TcpSocket::new_v4()?
        } else {
            TcpSocket::new_v6()?
        };
        // A restarted node takes its port back while old connections linger.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)?
    };
    let reading = Reading {
        limits: options.limits,
        frame_grace: options.frame_grace,
        frame_pace: options.frame_pace,
        patience: options.patience,
        outbound_watermark: options.outbound_bytes / 2,
    };
    let shared = Arc::new(Shared {
        local: socket.local_addr()?,
        runtime: runtime.clone(),
        handler,
        options,
        reading,
        accepting: AtomicBool::new(true),
        connections: Mutex::default(),
        counters: Counters::default(),
    });
    let socket = Arc::new(socket);
    runtime.spawn(accept(Arc::clone(&shared), Arc::clone(&socket)));
    runtime.spawn(sweep(Arc::downgrade(&shared), shared.sweep_interval()));
    Ok(Listener {
        shared,
        socket: Mutex::new(Some(socket)),
    })
}

impl Listener {
    /// The address with the port that was bound.
    pub fn local_addr(&self) -> SocketAddr {
        self.shared.local
    }

    /// Accepts no more connections; the open ones stay.
    pub fn stop_accepting(&self) {
        self.shared.accepting.store(false, Ordering::Release);
        if let Some(socket) = self.socket.lock().take() {
            // Nobody can connect from here on, and the accepting task wakes up and ends.
            let _ = rustix::net::shutdown(&*socket, Shutdown::Both);
        }
    }

    /// Accepts no more connections and closes the open ones.
    pub fn close(&self) {
        self.stop_accepting();
        let open: Vec<_> = self
            .shared
            .connections
            .lock()
            .by_id
            .values()
            .cloned()
            .collect();
        for connection in open {
            connection.close();
        }
    }

    /// What was counted so far.
    pub fn counts(&self) -> ServerCounts {
        let counters = &self.shared.counters;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ServerCounts {
            accepted: read(&counters.accepted),
            not_accepted: read(&counters.not_accepted),
            open: self.shared.connections.lock().count as u64,
            bad_frames: read(&counters.bad_frames),
            unexpected_answers: read(&counters.unexpected_answers),
            no_room: read(&counters.no_room),
            slow_frames: read(&counters.slow_frames),
            idle: read(&counters.idle),
            stalled: read(&counters.stalled),
        }
    }

    /// The open connections.
    pub fn connections(&self) -> Vec<Arc<Connection>> {
        self.shared
            .connections
            .lock()
            .by_id
            .values()
            .cloned()
            .collect()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.close();
    }
}

async fn accept(shared: Arc<Shared>, socket: Arc<TcpListener>) {
    while shared.accepting.load(Ordering::Acquire) {
        match socket.accept().await {
            Ok((stream, peer)) => shared.admit(stream, peer),
            Err(_) if !shared.accepting.load(Ordering::Acquire) => return,
            Err(error) => {
                ACCEPT_FAILED.say(shared.local, error);
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Cuts off peers that are idle, too slow or do not read. One walk for all connections: no timer per read.
async fn sweep(shared: Weak<Shared>, interval: Duration) {
    loop {
        tokio::time::sleep(interval).await;
        let Some(shared) = shared.upgrade() else {
            return;
        };
        let open: Vec<_> = shared.connections.lock().by_id.values().cloned().collect();
        let now = now_ms();
        for connection in open {
            shared.check(&connection, now);
        }
    }
}

impl Shared {
    fn sweep_interval(&self) -> Duration {
        let shortest = self
            .options
            .idle
            .min(self.options.frame_grace)
            .min(self.options.stall);
        (shortest / 8).clamp(Duration::from_millis(5), Duration::from_secs(1))
    }

    fn check(&self, connection: &Connection, now: u64) {
        if connection.frame_is_overdue(now) {
            count(&self.counters.slow_frames);
            TOO_SLOW.say(connection.peer(), "a frame took too long to arrive");
        } else if connection.is_stalled(now, self.options.taking()) {
            count(&self.counters.stalled);
            return connection.close_as_unread();
        } else if connection.idle_for(now) > self.options.idle {
            count(&self.counters.idle);
        } else {
            return;
        }
        connection.abort();
    }

    /// Serves a new connection if the limits allow it.
    fn admit(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr) {
        if let Err(limit) = self.connections.lock().enter(peer.ip(), &self.options) {
            count(&self.counters.not_accepted);
            return NOT_ACCEPTED.say(peer, limit);
        }
        let load = Load::new(
            Arc::clone(&self.options.budget),
            self.options.requests_in_flight,
        );
        let outbound = Outbound::new(
            self.options.outbound_bytes,
            Arc::clone(&self.options.overdraft),
        );
        let Ok((connection, socket)) = Connection::new(stream, load, outbound) else {
            // It was gone before we looked.
            return self.connections.lock().leave(peer.ip(), None);
        };
        count(&self.counters.accepted);
        self.connections
            .lock()
            .by_id
            .insert(connection.id(), Arc::clone(&connection));
        self.runtime.spawn(Arc::clone(&connection).write_queued());
        let served = Served {
            shared: Arc::clone(self),
            connection,
        };
        self.runtime.spawn(async move {
            let Served { shared, connection } = &served;
            shared.handler.opened(connection);
            let end = read_frames(connection, socket, &**shared, &shared.reading).await;
            shared.report(connection, end);
        });
    }

    fn report(&self, connection: &Connection, end: End) {
        match end {
            End::Closed => {}
            End::BadFrame(error) => {
                count(&self.counters.bad_frames);
                BAD_FRAME.say(connection.peer(), error);
            }
            End::NoRoom => {
                count(&self.counters.no_room);
                BAD_FRAME.say(
                    connection.peer(),
                    "no room for a frame, and none of its header to answer to",
                );
            }
        }
    }
}

impl Frames for Shared {
    fn frame(&self, connection: &Arc<Connection>, command: Command, credit: Credit) {
        if command.is_response() {
            count(&self.counters.unexpected_answers);
            return UNEXPECTED_ANSWER
                .say(connection.peer(), format_args!("opaque {}", command.opaque));
        }
        self.handler.request(connection, command, credit);
    }

    fn no_room(&self, connection: &Arc<Connection>, command: Command) {
        count(&self.counters.no_room);
        answer_busy(connection, &command);
    }
}

/// Answers that there is no room; one-way requests and answers are just dropped.
pub(crate) fn answer_busy(connection: &Connection, command: &Command) {
    if !command.is_oneway() && !command.is_response() {
        let busy = Command::answer_to(command, codes::response::SYSTEM_BUSY);
        connection.send_command(busy.with_remark(OVERLOAD_REMARK));
    }
}

/// A connection being served. Its end is booked however the reading task ends, a panic in a handler included.
struct Served {
    shared: Arc<Shared>,
    connection: Arc<Connection>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.connection.close();
        let id = self.connection.id();
        self.shared
            .connections
            .lock()
            .leave(self.connection.peer().ip(), Some(id));
        self.shared.handler.closed(&self.connection);
    }
}

impl Connections {
    fn enter(&mut self, address: IpAddr, options: &ServerOptions) -> Result<(), String> {
        if self.count >= options.max_connections {
            return Err(format!("{} connections are open", self.count));
        }
        let of_address = self.by_address.entry(address).or_default();
        if *of_address >= options.max_connections_per_address {
            return Err(format!("{of_address} connections of this address are open"));
        }
        *of_address += 1;
        self.count += 1;
        Ok(())
    }

    fn leave(&mut self, address: IpAddr, id: Option<u64>) {
        if let Some(id) = id {
            self.by_id.remove(&id);
        }
        self.count -= 1;
        if let hashbrown::hash_map::Entry::Occupied(mut of_address) = self.by_address.entry(address)
        {
            *of_address.get_mut() -= 1;
            if *of_address.get() == 0 {
                of_address.remove();
            }
        }
    }
}
