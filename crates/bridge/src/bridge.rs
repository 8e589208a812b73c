//! Requests on their way to the event loop and answers on their way back.
//!
//! The bridge is a handler like any other. It queues a request as an event and keeps the connection that waits for the
//! answer. Requests that the event loop has not answered are bounded in number and bytes: one more is answered 2 at
//! once. Whatever else is queued is bounded by the calls that were made and the connections that sent requests.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use bytes::Bytes;
use hashbrown::{HashMap, HashSet};
use parking_lot::Mutex;
use tern_journal::{Level, Logger, RateLimitedLog};
use tern_net::{CallError, CallSink, Client, Connection, Credit, Handler, PushHandler};
use tern_wire::{Command, Fields, HeaderEncoding};
use tokio::runtime::Handle;

use crate::events::{BridgeEvent, EventQueue};
use crate::heartbeats::Heartbeats;

static UNSENDABLE: RateLimitedLog =
    RateLimitedLog::new(Logger::Net, Level::Error, "answer not sent");

/// What a request is charged beside its body: its header and its place in the tables.
const REQUEST_BYTES: usize = 1024;

/// An answer of the event loop.
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

/// The way between the net threads and the event loop. `A` are the events of the program around it.
pub struct Bridge<A> {
    queue: Arc<EventQueue<A>>,
    max_pending: usize,
    max_pending_bytes: usize,
    outstanding: Mutex<Outstanding>,
    refused: AtomicU64,
    heartbeats: OnceLock<Weak<Heartbeats>>,
}

/// What the event loop has to answer.
#[derive(Default)]
struct Outstanding {
    last_id: u64,
    /// Requests that wait to be taken or to be answered; one-way requests are done when they are taken.
    count: usize,
    bytes: usize,
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

impl<A> Bridge<A> {
    /// A bridge that holds at most `max_pending` unanswered requests of `max_pending_bytes` together.
    ///
    /// # Errors
    /// If the system has no file descriptor left.
    pub fn new(max_pending: usize, max_pending_bytes: usize) -> io::Result<Arc<Self>> {
        let queue = Arc::new(EventQueue::new()?);
        Ok(Arc::new(Self {
            queue,
            max_pending,
            max_pending_bytes,
            outstanding: Mutex::default(),
            refused: AtomicU64::new(0),
            heartbeats: OnceLock::new(),
        }))
    }

    /// The queue, for events that the bridge does not make itself.
    pub fn queue(&self) -> &Arc<EventQueue<A>> {
        &self.queue
    }

    /// Requests that were refused because too many were unanswered.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Requests that wait to be taken or to be answered.
    pub fn pending(&self) -> usize {
        self.outstanding.lock().count
    }

    /// Heartbeats whose outcomes are events of this bridge. It tells them of lost connections itself, as the event loop
    /// may hear of them too late. To be called once.
    pub fn start_heartbeats(&self, client: Client, runtime: &Handle) -> Arc<Heartbeats>
    where
        A: Send + 'static,
    {
        let queue = Arc::clone(&self.queue);
        let heartbeats = Heartbeats::new(client, runtime, move |outcome| {
            queue.push(BridgeEvent::Heartbeat(outcome));
        });
        let _ = self.heartbeats.set(Arc::downgrade(&heartbeats));
        heartbeats
    }

    /// Takes all events. One-way requests are done with this.
    pub fn drain(&self) -> Vec<BridgeEvent<A>> {
        let events = self.queue.drain();
        let mut outstanding = self.outstanding.lock();
        let oneway = events.iter().filter_map(oneway_bytes);
        let (count, bytes) = oneway.fold((0, 0), |(count, sum), bytes| (count + 1, sum + bytes));
        outstanding.count -= count;
        outstanding.bytes -= bytes;
        drop(outstanding);
        events
    }

    /// Sends answers; each connection is written to once. Unknown requests and closed connections are passed over.
    pub fn answer(&self, answers: impl IntoIterator<Item = BridgeAnswer>) {
        let mut touched: Vec<Arc<Connection>> = Vec::new();
        for answer in answers {
            let Some(asked) = self.outstanding.lock().take(answer.request_id) else {
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
        let mut outstanding = self.outstanding.lock();
        if outstanding.count >= self.max_pending
            || outstanding.bytes + bytes > self.max_pending_bytes.max(bytes)
        {
            drop(outstanding);
            self.refused.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        outstanding.count += 1;
        outstanding.bytes += bytes;
        outstanding.known.insert(connection.id());
        if command.is_oneway() {
            return Some((0, credit));
        }
        outstanding.last_id += 1;
        let request_id = outstanding.last_id;
        let asked = PendingRequest {
            connection: Arc::clone(connection),
            opaque: command.opaque,
            encoding: command.encoding,
            bytes,
            _credit: credit,
        };
        outstanding.asked.insert(request_id, asked);
        Some((request_id, Credit::free()))
    }

    /// Forgets a connection and what it waits for; says whether it had sent requests.
    fn forget(&self, connection: &Connection) -> bool {
        let mut outstanding = self.outstanding.lock();
        if !outstanding.known.remove(&connection.id()) {
            return false;
        }
        let gone: Vec<_> = outstanding
            .asked
            .iter()
            .filter(|(_, asked)| asked.connection.id() == connection.id())
            .map(|(request_id, _)| *request_id)
            .collect();
        let gone: Vec<_> = gone
            .into_iter()
            .map(|request_id| outstanding.take(request_id))
            .collect();
        drop(outstanding);
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

fn oneway_bytes<A>(event: &BridgeEvent<A>) -> Option<usize> {
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

impl<A: Send + 'static> Handler for Bridge<A> {
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

impl<A: Send + 'static> PushHandler for Bridge<A> {
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

impl<A: Send + 'static> CallSink for Bridge<A> {
    fn done(&self, call_id: u64, outcome: Result<Command, CallError>) {
        self.queue.push(match outcome {
            Ok(command) => BridgeEvent::Answer { call_id, command },
            Err(error) => BridgeEvent::Failed { call_id, error },
        });
    }
}
