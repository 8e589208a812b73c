//! The remoting client: one connection per address, opened when it is first needed, and many calls on each.
//!
//! A call costs no task and no timer: its opaque waits in a table, and one sweep ends the calls whose time is over.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use hashbrown::HashMap;
use parking_lot::Mutex;
use tern_wire::{Command, FrameLimits, Language, version};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot};

use crate::budget::{Budget, Credit, Load};
use crate::complaint::Complaint;
use crate::connection::{Connection, now_ms};
use crate::error::CallError;
use crate::inbound::{End, Frames, Reading, read_frames};
use crate::journal::{Level, Logger};
use crate::link::{Attempt, Link, Lost, Queued};
use crate::outbound::Outbound;
use crate::pending::{CallSink, Completion};

static BAD_ANSWER: Complaint = Complaint::new(
    Logger::Net,
    Level::Warning,
    "bad frame from a server, connection closed",
);
static LATE_ANSWER: Complaint = Complaint::new(
    Logger::Net,
    Level::Info,
    "answer that nobody waits for, dropped",
);

/// How often calls whose time is over are looked for.
const SWEEP: Duration = Duration::from_millis(50);
/// The longest pause while no call waits: then only idle connections are looked for.
const SLOW_SWEEP: Duration = Duration::from_secs(5);

/// Who takes what servers send on their own. All methods are called on the net threads and must not block.
pub trait PushHandler: Send + Sync + 'static {
    /// The server at `address` sent a request. It is answered through `connection`, unless it is one-way.
    fn pushed(&self, connection: &Arc<Connection>, address: &Arc<str>, command: Command);
    /// The connection to `address` ended. Not called for one that never came about.
    fn disconnected(&self, connection: &Arc<Connection>, address: &Arc<str>);
}

/// Limits, times and identity of a client.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// Limits of a frame from a server.
    pub limits: FrameLimits,
    /// What the client calls itself.
    pub language: Language,
    /// Version ordinal in its requests.
    pub version: i32,
    /// Time for a connection to come about.
    pub connect_timeout: Duration,
    /// Connections that the client keeps.
    pub max_connections: usize,
    /// Calls that wait for answers, over all connections.
    pub max_pending: usize,
    /// Bytes that wait to be sent on one connection; calls beyond are refused.
    pub outbound_bytes: usize,
    /// A connection without a byte in or out is closed after this time: sooner than a server closes it, so that no
    /// call meets a closing connection.
    pub idle: Duration,
    /// A connection is given up when its peer has not acknowledged what was sent for this time.
    pub user_timeout: Duration,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            limits: FrameLimits::default(),
            language: Language::OTHER,
            version: version::OWN,
            connect_timeout: Duration::from_secs(3),
            max_connections: 4_096,
            max_pending: 65_536,
            outbound_bytes: 64 * 1024 * 1024,
            idle: Duration::from_secs(100),
            user_timeout: Duration::from_secs(10),
        }
    }
}

/// One call of a batch.
#[derive(Debug)]
pub struct Call {
    /// The caller's number for it.
    pub id: u64,
    /// Host and port.
    pub address: Arc<str>,
    /// The request; its opaque, language and version are set by the client.
    pub command: Command,
    /// How long to wait for the answer, connecting included.
    pub timeout: Duration,
}

/// Outgoing connections and the calls on them. Clones share both.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    runtime: Handle,
    handler: Arc<dyn PushHandler>,
    options: ClientOptions,
    links: Mutex<HashMap<Arc<str>, Arc<Link>>>,
    /// Calls that wait, over all links.
    pending: AtomicUsize,
    closed: AtomicBool,
    /// Wakes the sweep when the first call begins to wait.
    first_call: Notify,
}

impl Client {
    /// A client without connections, whose tasks run on `runtime`.
    pub fn new(runtime: &Handle, handler: Arc<dyn PushHandler>, options: ClientOptions) -> Self {
        let inner = Arc::new(Inner {
            runtime: runtime.clone(),
            handler,
            options,
            links: Mutex::default(),
            pending: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            first_call: Notify::new(),
        });
        runtime.spawn(sweep(Arc::downgrade(&inner)));
        Self { inner }
    }

    /// Calls `address` and waits for the answer.
    ///
    /// # Errors
    /// Every [`CallError`]. An answer with an error code is an answer.
    pub async fn call(
        &self,
        address: &str,
        command: Command,
        timeout: Duration,
    ) -> Result<Command, CallError> {
        let (sender, receiver) = oneshot::channel();
        let link = self.inner.start(
            &Arc::from(address),
            None,
            command,
            timeout,
            Completion::Future(sender),
        );
        if let Some(connection) = link.and_then(|link| link.connection()) {
            connection.flush();
        }
        receiver.await.unwrap_or(Err(CallError::Closed))
    }

    /// Starts many calls; each outcome goes to `sink`. Never waits. Each connection is written to once.
    pub fn start_calls(&self, calls: impl IntoIterator<Item = Call>, sink: &Arc<dyn CallSink>) {
        let mut touched = Touched::default();
        for call in calls {
            let completion = Completion::Sink {
                sink: Arc::clone(sink),
                call_id: call.id,
            };
            let known = touched.link_to(&call.address);
            let link =
                self.inner
                    .start(&call.address, known, call.command, call.timeout, completion);
            touched.add(link);
        }
        touched.flush();
    }

    /// Sends requests that nobody answers. Never waits; what cannot be sent is dropped.
    pub fn send_oneway(&self, requests: impl IntoIterator<Item = (Arc<str>, Command)>) {
        let mut touched = Touched::default();
        for (address, command) in requests {
            touched.add(self.inner.start_oneway(&address, command.one_way()));
        }
        touched.flush();
    }

    /// Closes the connection to `address`, if there is one; its calls end as lost.
    pub fn disconnect(&self, address: &str) {
        let link = self.inner.links.lock().remove(address);
        if let Some(link) = link {
            self.inner.end(&link, &Lost::Connection);
        }
    }

    /// Closes all connections and refuses calls from here on.
    pub fn close(&self) {
        self.inner.closed.store(true, Ordering::Release);
        let links: Vec<_> = self
            .inner
            .links
            .lock()
            .drain()
            .map(|(_, link)| link)
            .collect();
        for link in links {
            self.inner.end(&link, &Lost::Connection);
        }
    }

    /// Calls that wait for answers.
    pub fn pending(&self) -> usize {
        self.inner.pending.load(Ordering::Relaxed)
    }

    /// Connections that are open or being opened.
    pub fn connections(&self) -> usize {
        self.inner.links.lock().len()
    }
}

/// The links that a batch has queued frames on.
#[derive(Default)]
struct Touched(Vec<Arc<Link>>);

impl Touched {
    /// The link of the last call, if it went to this very address: most calls of a batch go to one broker.
    fn link_to(&self, address: &Arc<str>) -> Option<Arc<Link>> {
        let last = self.0.last()?;
        (last.address() == address).then(|| Arc::clone(last))
    }

    fn add(&mut self, link: Option<Arc<Link>>) {
        if let Some(link) = link
            && !self.0.iter().any(|known| Arc::ptr_eq(known, &link))
        {
            self.0.push(link);
        }
    }

    fn flush(self) {
        for connection in self.0.iter().filter_map(|link| link.connection()) {
            connection.flush();
        }
    }
}

impl Inner {
    /// Starts a call; returns the link to flush, or completes the call at once with why it was refused.
    fn start(
        self: &Arc<Self>,
        address: &Arc<str>,
        known: Option<Arc<Link>>,
        command: Command,
        timeout: Duration,
        completion: Completion,
    ) -> Option<Arc<Link>> {
        if let Err(error) = self.reserve_call() {
            completion.complete(Err(error));
            return None;
        }
        match self.queue(
            address,
            known,
            Attempt::Call {
                command: self.identified(command),
                timeout,
                completion,
            },
        ) {
            Ok(link) => Some(link),
            Err((completion, error)) => {
                self.release_calls(1);
                if let Some(completion) = completion {
                    completion.complete(Err(error));
                }
                None
            }
        }
    }

    fn start_oneway(self: &Arc<Self>, address: &Arc<str>, command: Command) -> Option<Arc<Link>> {
        self.queue(
            address,
            None,
            Attempt::Oneway {
                command: self.identified(command),
            },
        )
        .ok()
    }

    /// Queues on the link of an address, looked up unless it is `known`; on a new one if that has just ended.
    fn queue(
        self: &Arc<Self>,
        address: &Arc<str>,
        mut known: Option<Arc<Link>>,
        mut attempt: Attempt,
    ) -> Result<Arc<Link>, (Option<Completion>, CallError)> {
        loop {
            let link = match known.take().map_or_else(|| self.link(address), Ok) {
                Ok(link) => link,
                Err(error) => return Err((attempt.into_completion(), error)),
            };
            match link.queue(attempt) {
                Queued::Done => return Ok(link),
                Queued::Refused(completion, error) => return Err((completion, error)),
                Queued::Ended(again) => {
                    self.forget(&link);
                    attempt = *again;
                }
            }
        }
    }

    fn identified(&self, command: Command) -> Command {
        Command {
            language: self.options.language,
            version: self.options.version,
            ..command
        }
    }

    fn reserve_call(&self) -> Result<(), CallError> {
        let before = self.pending.fetch_add(1, Ordering::AcqRel);
        if before >= self.options.max_pending {
            self.release_calls(1);
            return Err(CallError::TooManyPending {
                limit: self.options.max_pending,
            });
        }
        if before == 0 {
            self.first_call.notify_one();
        }
        Ok(())
    }

    /// Completes calls that were taken out of their link. They do not count any more when their callers hear of it.
    fn fail(&self, calls: Vec<(Completion, CallError)>) {
        self.release_calls(calls.len());
        for (completion, error) in calls {
            completion.complete(Err(error));
        }
    }

    fn release_calls(&self, count: usize) {
        self.pending.fetch_sub(count, Ordering::AcqRel);
    }

    /// The link to an address; opens one if there is none.
    fn link(self: &Arc<Self>, address: &Arc<str>) -> Result<Arc<Link>, CallError> {
        let mut links = self.links.lock();
        if let Some(link) = links.get(address) {
            return Ok(Arc::clone(link));
        }
        if self.closed.load(Ordering::Acquire) {
            return Err(CallError::Closed);
        }
        if links.len() >= self.options.max_connections {
            return Err(CallError::TooManyConnections {
                limit: self.options.max_connections,
            });
        }
        let link = Link::new(Arc::clone(address), self.options.outbound_bytes);
        links.insert(Arc::clone(address), Arc::clone(&link));
        drop(links);
        self.runtime
            .spawn(serve(Arc::clone(self), Arc::clone(&link)));
        Ok(link)
    }

    /// Takes a link out of the pool, if it is still the one of its address.
    fn forget(&self, link: &Arc<Link>) {
        let mut links = self.links.lock();
        if links
            .get(link.address())
            .is_some_and(|known| Arc::ptr_eq(known, link))
        {
            links.remove(link.address());
        }
    }

    /// Ends a link and all its calls.
    fn end(&self, link: &Arc<Link>, why: &Lost) {
        self.forget(link);
        self.fail(link.end(why));
    }
}

impl Inner {
    fn sweep(&self, now_ms: u64) {
        let links: Vec<_> = self.links.lock().values().cloned().collect();
        for link in links {
            self.fail(link.take_overdue(now_ms));
            if link.is_idle(now_ms, self.options.idle) {
                self.end(&link, &Lost::Connection);
            }
        }
    }
}

/// The life of one link: connect, read until it ends.
async fn serve(inner: Arc<Inner>, link: Arc<Link>) {
    let ended = Ended {
        inner: &inner,
        link: &link,
    };
    let stream = match connect(link.address(), &inner.options).await {
        Ok(stream) => stream,
        Err(reason) => return ended.with(&Lost::Unreachable(reason)),
    };
    let load = Load::new(Budget::unlimited(), usize::MAX);
    // No overdraft: a call that has no room is given back to its caller unsent.
    let outbound = Outbound::new(inner.options.outbound_bytes, Budget::new(0));
    let (connection, socket) = match Connection::new(stream, load, outbound) {
        Ok(parts) => parts,
        Err(error) => return ended.with(&Lost::Unreachable(error.to_string())),
    };
    inner.runtime.spawn(Arc::clone(&connection).write_queued());
    if let Some(refused) = link.opened(&connection) {
        inner.fail(refused);
        let reading = Reading {
            limits: inner.options.limits,
            frame_grace: Duration::MAX,
            frame_pace: u64::MAX,
            patience: Duration::ZERO,
            // A client that stopped reading answers because its requests do not leave would wait for a server that does
            // the same.
            outbound_watermark: usize::MAX,
        };
        let frames = LinkFrames {
            inner: &inner,
            link: &link,
        };
        if let End::BadFrame(error) = read_frames(&connection, socket, &frames, &reading).await {
            BAD_ANSWER.say(link.address(), error);
        }
        connection.close();
        drop(ended);
        inner.handler.disconnected(&connection, link.address());
    }
    connection.close();
}

/// Ends the link however its task ends.
struct Ended<'a> {
    inner: &'a Inner,
    link: &'a Arc<Link>,
}

impl Ended<'_> {
    fn with(self, why: &Lost) {
        self.inner.end(self.link, why);
    }
}

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.inner.end(self.link, &Lost::Connection);
    }
}

/// Connects to the first address behind a name that answers.
async fn connect(address: &str, options: &ClientOptions) -> Result<TcpStream, String> {
    let attempt = async {
        let mut last = String::from("the name has no address");
        let resolved = tokio::net::lookup_host(address)
            .await
            .map_err(|error| error.to_string())?;
        for candidate in resolved {
            match TcpStream::connect(candidate).await {
                Ok(stream) if connected_to_itself(&stream, candidate) => {
                    last = String::from("connected to itself");
                }
                Ok(stream) => {
                    let timeout =
                        u32::try_from(options.user_timeout.as_millis()).unwrap_or(u32::MAX);
                    // Without it a peer that vanished is noticed only after minutes; nothing else depends on it.
                    let _ = rustix::net::sockopt::set_tcp_user_timeout(&stream, timeout);
                    return Ok(stream);
                }
                Err(error) => last = error.to_string(),
            }
        }
        Err(last)
    };
    match tokio::time::timeout(options.connect_timeout, attempt).await {
        Ok(result) => result,
        Err(_) => Err(format!(
            "not connected in {} ms",
            options.connect_timeout.as_millis()
        )),
    }
}

/// On loopback a port of the ephemeral range can be given to the very socket that calls it.
fn connected_to_itself(stream: &TcpStream, candidate: SocketAddr) -> bool {
    stream.local_addr().is_ok_and(|local| local == candidate)
}

struct LinkFrames<'a> {
    inner: &'a Inner,
    link: &'a Arc<Link>,
}

impl Frames for LinkFrames<'_> {
    fn frame(&self, connection: &Arc<Connection>, command: Command, credit: Credit) {
        drop(credit);
        if !command.is_response() {
            return self
                .inner
                .handler
                .pushed(connection, self.link.address(), command);
        }
        match self.link.answered(command.opaque) {
            Some(completion) => {
                self.inner.release_calls(1);
                completion.complete(Ok(command));
            }
            None => LATE_ANSWER.say(
                self.link.address(),
                format_args!("opaque {}", command.opaque),
            ),
        }
    }

    /// Not reached: the budget of a link has no end.
    fn no_room(&self, connection: &Arc<Connection>, command: Command) {
        crate::server::answer_busy(connection, &command);
    }
}

/// Ends calls whose time is over and closes idle links.
async fn sweep(inner: Weak<Inner>) {
    while let Some(strong) = inner.upgrade() {
        if strong.pending.load(Ordering::Acquire) > 0 {
            drop(strong);
            tokio::time::sleep(SWEEP).await;
        } else {
            let pause = (strong.options.idle / 8).clamp(SWEEP, SLOW_SWEEP);
            let _ = tokio::time::timeout(pause, strong.first_call.notified()).await;
        }
        if let Some(strong) = inner.upgrade() {
            strong.sweep(now_ms());
        }
    }
}
