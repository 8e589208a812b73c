//! The remoting server: accepts connections within limits, reads requests, cuts off peers that misbehave.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use hashbrown::HashMap;
use parking_lot::Mutex;
use tern_journal::{Level, Logger, RateLimitedLog};
use tern_wire::Command;
use tokio::runtime::Handle;

use crate::budget::{Credit, Load};
use crate::connection::{Connection, Taking, now_ms};
use crate::inbound::{Frames, ReadEnd, Reading, read_frames};
use crate::options::ServerOptions;
use crate::outbound::Outbound;
use crate::socket::ListeningSocket;
use crate::stream::Stream;

static BAD_FRAME: RateLimitedLog =
    RateLimitedLog::new(Logger::Net, Level::Warning, "bad frame, connection closed");
static NOT_ACCEPTED: RateLimitedLog =
    RateLimitedLog::new(Logger::Net, Level::Warning, "connection not accepted");
static ACCEPT_FAILED: RateLimitedLog =
    RateLimitedLog::new(Logger::Net, Level::Error, "accept failed");
static UNEXPECTED_ANSWER: RateLimitedLog = RateLimitedLog::new(
    Logger::Net,
    Level::Info,
    "answer that nobody waits for, dropped",
);
static TOO_SLOW: RateLimitedLog =
    RateLimitedLog::new(Logger::Net, Level::Warning, "slow peer, connection closed");

/// Pause after a failed accept: most often no file descriptor is left, and none comes by asking at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Answers requests. All methods are called on the net threads and must not block.
pub trait Handler: Send + Sync + 'static {
    /// A connection was accepted.
    fn opened(&self, connection: &Arc<Connection>);
    /// A request arrived. Its credit is kept until it has been answered; one-way requests are never answered.
    fn request(&self, connection: &Arc<Connection>, command: Command, credit: Credit);
    /// A connection ended; called once for each that was opened.
    fn closed(&self, connection: &Arc<Connection>);
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
struct ServerCounters {
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
    shared: Arc<ServerShared>,
    /// Shared with the accepting task alone, so that the port is free once both have let go.
    socket: Mutex<Option<Arc<ListeningSocket>>>,
}

struct ServerShared {
    local: SocketAddr,
    runtime: Handle,
    handler: Arc<dyn Handler>,
    options: ServerOptions,
    reading: Reading,
    accepting: AtomicBool,
    connections: Mutex<Connections>,
    counters: ServerCounters,
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
        ListeningSocket::open(address)?
    };
    let reading = Reading {
        limits: options.limits,
        frame_grace: options.frame_grace,
        frame_pace: options.frame_pace,
        patience: options.patience,
        outbound_watermark: options.outbound_bytes / 2,
    };
    let shared = Arc::new(ServerShared {
        local: socket.local_addr()?,
        runtime: runtime.clone(),
        handler,
        options,
        reading,
        accepting: AtomicBool::new(true),
        connections: Mutex::default(),
        counters: ServerCounters::default(),
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
            // The accepting task wakes up and ends.
            socket.shut_down();
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

async fn accept(shared: Arc<ServerShared>, socket: Arc<ListeningSocket>) {
    while shared.accepting.load(Ordering::Acquire) {
        match socket.accept().await {
            Ok((stream, peer)) => shared.admit(stream, peer),
            Err(_) if !shared.accepting.load(Ordering::Acquire) => return,
            Err(error) => {
                ACCEPT_FAILED.log(shared.local, error);
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Cuts off peers that are idle, too slow or do not read. One walk for all connections: no timer per read.
async fn sweep(shared: Weak<ServerShared>, interval: Duration) {
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

impl ServerShared {
    fn sweep_interval(&self) -> Duration {
        let shortest = self
            .options
            .idle
            .min(self.options.frame_grace)
            .min(self.options.stall);
        (shortest / 8).clamp(Duration::from_millis(5), Duration::from_secs(1))
    }

    fn taking(&self) -> Taking {
        Taking {
            watermark: self.options.outbound_bytes / 2,
            stall: self.options.stall,
            pace: self.options.frame_pace,
        }
    }

    fn check(&self, connection: &Connection, now: u64) {
        if connection.frame_is_overdue(now) {
            count(&self.counters.slow_frames);
            TOO_SLOW.log(connection.peer(), "a frame took too long to arrive");
        } else if connection.is_stalled(now, self.taking()) {
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
    fn admit(self: &Arc<Self>, stream: Stream, peer: SocketAddr) {
        if let Err(limit) = self.connections.lock().enter(peer.ip(), &self.options) {
            count(&self.counters.not_accepted);
            return NOT_ACCEPTED.log(peer, limit);
        }
        let load = Load::new(
            Arc::clone(&self.options.budget),
            self.options.requests_in_flight,
        );
        let outbound = Outbound::new(
            self.options.outbound_bytes,
            Arc::clone(&self.options.overdraft),
        );
        let Ok((connection, reading)) = Connection::new(stream, load, outbound) else {
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
            let end = read_frames(connection, reading, &**shared, &shared.reading).await;
            shared.report(connection, end);
        });
    }

    fn report(&self, connection: &Connection, end: ReadEnd) {
        match end {
            ReadEnd::Closed => {}
            ReadEnd::BadFrame(error) => {
                count(&self.counters.bad_frames);
                BAD_FRAME.log(connection.peer(), error);
            }
            ReadEnd::NoRoom => {
                count(&self.counters.no_room);
                BAD_FRAME.log(
                    connection.peer(),
                    "no room for a frame, and none of its header to answer to",
                );
            }
        }
    }
}

impl Frames for ServerShared {
    fn frame(&self, connection: &Arc<Connection>, command: Command, credit: Credit) {
        if command.is_response() {
            count(&self.counters.unexpected_answers);
            return UNEXPECTED_ANSWER
                .log(connection.peer(), format_args!("opaque {}", command.opaque));
        }
        self.handler.request(connection, command, credit);
    }

    fn no_room(&self, connection: &Arc<Connection>, command: Command) {
        count(&self.counters.no_room);
        connection.answer_busy(&command);
    }
}

/// A connection being served. Its end is booked however the reading task ends, a panic in a handler included.
struct Served {
    shared: Arc<ServerShared>,
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
