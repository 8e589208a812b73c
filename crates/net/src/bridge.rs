//! Requests on their way to the control plane and answers on their way back.
//!
//! The bridge is a handler like any other. It queues a request as an event and keeps who waits for the answer. Requests
//! that the control plane has not answered are bounded in number and bytes: one more is answered 2 at once. Whatever
//! else is queued is bounded by the calls that were made and the connections that sent requests.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use bytes::Bytes;
use hashbrown::{HashMap, HashSet};
use parking_lot::Mutex;
use tern_journal::{Level, Logger, RateLimitedLog};
use tern_wire::{Command, Fields, HeaderEncoding};

use crate::budget::Credit;
use crate::client::PushHandler;
use crate::connection::Connection;
use crate::error::CallError;
use crate::events::{BridgeEvent, EventQueue};
use crate::heartbeats::Heartbeats;
use crate::pending::CallSink;
use crate::server::Handler;

static UNSENDABLE: RateLimitedLog =
    RateLimitedLog::new(Logger::Net, Level::Error, "answer not sent");

/// What a request is charged beside its body: its header and its place in the tables.
const REQUEST_BYTES: usize = 1024;

/// An answer of the control plane.
#[derive(Debug)]
pub struct BridgeAnswer {
    /// The request, as its event named it.
    pub request_id: u64,
    /// Response code.
    pub code: i32,
    /// Text for people.
    pub remark: Option<String>,
    /// Header fields.
    pub fields: Fields,
    /// Body.
    pub body: Bytes,
}

/// The way between the net threads and the event loop of the control plane.
pub struct Bridge {
    queue: EventQueue,
    max_pending: usize,
    max_pending_bytes: usize,
    open: Mutex<Outstanding>,
    refused: AtomicU64,
    heartbeats: OnceLock<Weak<Heartbeats>>,
}

/// What is on the control plane's side of the bridge.
#[derive(Default)]
struct Outstanding {
    last_id: u64,
    /// Requests that wait to be taken or to be answered.
    count: usize,
    bytes: usize,
    /// The share of one-way requests in both; they are done when they are taken.
    oneway_count: usize,
    oneway_bytes: usize,
    asked: HashMap<u64, PendingRequest>,
    /// Connections that sent requests: only their end is worth an event.
    known: HashSet<u64>,
}

struct PendingRequest {
    connection: Arc<Connection>,
    opaque: i32,
    encoding: HeaderEncoding,
    bytes: usize,
    /// Given back when the answer is queued.
    _credit: Credit,
}

impl Bridge {
    /// A bridge that holds at most `max_pending` unanswered requests of `max_pending_bytes` together.
    ///
    /// # Errors
    /// If the system has no file descriptor left.
    pub fn new(max_pending: usize, max_pending_bytes: usize) -> io::Result<Arc<Self>> {
        let queue = EventQueue::new()?;
        let (open, refused) = (Mutex::default(), AtomicU64::new(0));
        Ok(Arc::new(Self {
            queue,
            max_pending,
            max_pending_bytes,
            open,
            refused,
            heartbeats: OnceLock::new(),
        }))
    }

    /// Tells heartbeats of connections that are gone as well: the event loop may hear of them too late.
    pub(crate) fn tell_of_lost_connections(&self, heartbeats: &Arc<Heartbeats>) {
        let _ = self.heartbeats.set(Arc::downgrade(heartbeats));
    }

    /// The queue, for others who have something to tell.
    pub fn queue(&self) -> &EventQueue {
        &self.queue
    }

    /// Requests that were refused because too many were unanswered.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Requests that wait to be taken or to be answered.
    pub fn pending(&self) -> usize {
        self.open.lock().count
    }

    /// Takes all events. One-way requests are done with this.
    pub fn drain(&self) -> Vec<BridgeEvent> {
        let events = self.queue.drain();
        let mut open = self.open.lock();
        let oneway = events.iter().filter_map(oneway_bytes);
        let (count, bytes) = oneway.fold((0, 0), |(count, sum), bytes| (count + 1, sum + bytes));
        open.oneway_count -= count;
        open.oneway_bytes -= bytes;
        open.count -= count;
        open.bytes -= bytes;
        drop(open);
        events
    }

    /// Sends answers; each connection is written to once. Unknown requests and closed connections are passed over.
    pub fn answer(&self, answers: impl IntoIterator<Item = BridgeAnswer>) {
        let mut touched: Vec<Arc<Connection>> = Vec::new();
        for answer in answers {
            let Some(asked) = self.open.lock().take(answer.request_id) else {
                continue;
            };
            let command = Command {
                remark: answer.remark,
                fields: answer.fields,
                body: answer.body,
                ..Command::answer(answer.code, asked.opaque, asked.encoding)
            };
            match asked.connection.queue_command(command) {
                Ok(true) => {}
                Ok(false) => continue,
                Err(error) => {
                    UNSENDABLE.log(asked.connection.peer(), &error);
                    let failed = Command::answer(1, asked.opaque, asked.encoding);
                    asked
                        .connection
                        .send_command(failed.with_remark(error.to_string()));
                }
            }
            if !touched
                .iter()
                .any(|known| Arc::ptr_eq(known, &asked.connection))
            {
                touched.push(asked.connection);
            }
        }
        for connection in touched {
            connection.flush();
        }
    }

    /// Books a request; nothing if there is no room for it.
    fn admit(
        &self,
        connection: &Arc<Connection>,
        command: &Command,
        credit: Credit,
    ) -> Option<(u64, Credit)> {
        let bytes = charge(command);
        let mut open = self.open.lock();
        if open.count >= self.max_pending || open.bytes + bytes > self.max_pending_bytes.max(bytes)
        {
            drop(open);
            self.refused.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        open.count += 1;
        open.bytes += bytes;
        open.known.insert(connection.id());
        if command.is_oneway() {
            open.oneway_count += 1;
            open.oneway_bytes += bytes;
            return Some((0, credit));
        }
        open.last_id += 1;
        let request_id = open.last_id;
        let asked = PendingRequest {
            connection: Arc::clone(connection),
            opaque: command.opaque,
            encoding: command.encoding,
            bytes,
            _credit: credit,
        };
        open.asked.insert(request_id, asked);
        Some((request_id, Credit::free()))
    }

    /// Forgets a connection and what it waits for; says whether it had sent requests.
    fn forget(&self, connection: &Connection) -> bool {
        let mut open = self.open.lock();
        if !open.known.remove(&connection.id()) {
            return false;
        }
        let gone: Vec<_> = open
            .asked
            .iter()
            .filter(|(_, asked)| asked.connection.id() == connection.id())
            .map(|(request_id, _)| *request_id)
            .collect();
        let gone: Vec<_> = gone
            .into_iter()
            .map(|request_id| open.take(request_id))
            .collect();
        drop(open);
        // Credits wake readers; not under the lock.
        drop(gone);
        true
    }
}

impl Outstanding {
    fn take(&mut self, request_id: u64) -> Option<PendingRequest> {
        let asked = self.asked.remove(&request_id)?;
        self.count -= 1;
        self.bytes -= asked.bytes;
        Some(asked)
    }
}

fn charge(command: &Command) -> usize {
    REQUEST_BYTES + command.body.len()
}

fn oneway_bytes(event: &BridgeEvent) -> Option<usize> {
    match event {
        BridgeEvent::Request {
            request_id: 0,
            command,
            ..
        }
        | BridgeEvent::Push {
            request_id: 0,
            command,
            ..
        } => Some(charge(command)),
        _ => None,
    }
}

impl Handler for Bridge {
    fn opened(&self, _connection: &Arc<Connection>) {}

    fn request(&self, connection: &Arc<Connection>, command: Command, credit: Credit) {
        match self.admit(connection, &command, credit) {
            Some((request_id, credit)) => self.queue.push(BridgeEvent::Request {
                request_id,
                connection_id: connection.id(),
                peer: connection.peer(),
                command,
                credit,
            }),
            None => connection.answer_busy(&command),
        }
    }

    fn closed(&self, connection: &Arc<Connection>) {
        if self.forget(connection) {
            self.queue.push(BridgeEvent::Closed {
                connection_id: connection.id(),
                peer: connection.peer(),
            });
        }
    }
}

impl PushHandler for Bridge {
    fn pushed(&self, connection: &Arc<Connection>, address: &Arc<str>, command: Command) {
        match self.admit(connection, &command, Credit::free()) {
            Some((request_id, _)) => {
                self.queue.push(BridgeEvent::Push {
                    request_id,
                    address: Arc::clone(address),
                    command,
                });
            }
            None => connection.answer_busy(&command),
        }
    }

    fn disconnected(&self, connection: &Arc<Connection>, address: &Arc<str>) {
        self.forget(connection);
        if let Some(heartbeats) = self.heartbeats.get().and_then(Weak::upgrade) {
            heartbeats.disconnected(address);
        }
        self.queue.push(BridgeEvent::Disconnected {
            address: Arc::clone(address),
        });
    }
}

impl CallSink for Bridge {
    fn done(&self, call_id: u64, outcome: Result<Command, CallError>) {
        self.queue.push(match outcome {
            Ok(command) => BridgeEvent::Answer { call_id, command },
            Err(error) => BridgeEvent::Failed { call_id, error },
        });
    }
}
