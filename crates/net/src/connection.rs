//! One connection, incoming or outgoing: what both sides of the crate and their handlers hold of it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tern_journal::{Level, Logger, RateLimitedLog};
use tern_wire::{Command, FrameError, codes, encode_frame_head};

use crate::budget::Load;
use crate::outbound::{By, Flushed, Outbound, Pushed};
use crate::stream::{ReadHalf, Stream, WriteHalf};

static NEVER_READS: RateLimitedLog = RateLimitedLog::new(
    Logger::Net,
    Level::Warning,
    "peer does not read, connection closed",
);
static UNSENDABLE: RateLimitedLog =
    RateLimitedLog::new(Logger::Net, Level::Error, "frame of ours not sent");

/// Remark of an answer that says the server has no room for the request.
pub const OVERLOAD_REMARK: &str = "[OVERLOAD]system busy, start flow control for a while";

/// A connection to a peer. Frames are queued by any thread and written in the order in which they were queued.
pub struct Connection {
    id: u64,
    peer: SocketAddr,
    local: SocketAddr,
    stream: WriteHalf,
    pub(crate) outbound: Outbound,
    pub(crate) load: Arc<Load>,
    open: AtomicBool,
    /// Milliseconds on the process' clock of the last byte in or out.
    active_ms: AtomicU64,
    /// When the frame that is being received must be complete; 0 while none is.
    frame_due_ms: AtomicU64,
    /// Since when the sweep watches how fast the peer takes its answers; 0 while it need not.
    watched_ms: AtomicU64,
    /// What the peer had taken at that time.
    watched_written: AtomicU64,
}

/// How fast a peer has to take what is queued for it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Taking {
    /// Queued bytes above which it is watched.
    pub(crate) watermark: usize,
    /// The time in which it must take something.
    pub(crate) stall: Duration,
    /// Bytes a second that it must take while more is queued than its connection's own share.
    pub(crate) pace: u64,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("id", &self.id)
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

impl Connection {
    /// Splits a stream into what its reader keeps and what everybody shares.
    pub(crate) fn new(
        stream: Stream,
        load: Arc<Load>,
        outbound: Outbound,
    ) -> std::io::Result<(Arc<Self>, ReadHalf)> {
        static LAST_ID: AtomicU64 = AtomicU64::new(0);
        stream.set_nodelay()?;
        let (peer, local) = (stream.peer_addr()?, stream.local_addr()?);
        let (reading, writing) = stream.into_split();
        let connection = Self {
            id: LAST_ID.fetch_add(1, Ordering::Relaxed) + 1,
            peer,
            local,
            stream: writing,
            outbound,
            load,
            open: AtomicBool::new(true),
            active_ms: AtomicU64::new(now_ms()),
            frame_due_ms: AtomicU64::new(0),
            watched_ms: AtomicU64::new(0),
            watched_written: AtomicU64::new(0),
        };
        Ok((Arc::new(connection), reading))
    }

    /// A number that no other connection of this process has or had.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The other end.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Our end.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// Whether frames can still be sent.
    pub fn is_open(&self) -> bool {
        self.open.load(Ordering::Acquire)
    }

    /// Bytes that wait to be taken by the peer.
    pub fn queued_bytes(&self) -> usize {
        self.outbound.progress().0
    }

    /// Sends one whole frame: written by this thread if that is a little and nobody else is writing, without waiting for
    /// the peer. False if the connection is closed, turns out to be, or closes because its peer does not read.
    pub fn send(&self, frame: Bytes) -> bool {
        self.send_parts(frame, Bytes::new())
    }

    /// Sends a frame in two parts: a head that announces the body's length, and the body, which is not copied.
    pub fn send_parts(&self, head: Bytes, body: Bytes) -> bool {
        let pushed = self.outbound.push_all([[head, body]]);
        self.pushed(pushed)
    }

    /// Sends frames that leave together.
    pub fn send_many(&self, frames: Vec<Bytes>) -> bool {
        let pushed = self
            .outbound
            .push_all(frames.into_iter().map(|frame| [frame, Bytes::new()]));
        self.pushed(pushed)
    }

    /// Encodes a command straight into the queue; a large body is not copied.
    ///
    /// False if the connection is closed, or if the command breaks the limits of a frame (which is said in the log).
    pub fn send_command(&self, command: Command) -> bool {
        match self.push_command(command) {
            Ok(pushed) => self.pushed(pushed),
            Err(error) => {
                UNSENDABLE.log(self.peer, error);
                false
            }
        }
    }

    /// Answers 2, there is no room, to a request; one-way requests and answers are just dropped.
    pub fn answer_busy(&self, command: &Command) {
        if !command.is_oneway() && !command.is_response() {
            let busy = Command::answer_to(command, codes::response::SYSTEM_BUSY);
            self.send_command(busy.with_remark(OVERLOAD_REMARK));
        }
    }

    /// Encodes a command into the queue and wakes nobody: for callers that queue many and then
    /// [flush](Self::flush) once. False if the connection is closed, or closes because its peer does not read.
    ///
    /// # Errors
    /// If the command breaks the limits of a frame; nothing is queued then.
    pub fn queue_command(&self, command: Command) -> Result<bool, FrameError> {
        match self.push_command(command)? {
            Pushed::Queued => Ok(true),
            Pushed::Full => {
                self.close_as_unread();
                Ok(false)
            }
            Pushed::Closed => Ok(false),
        }
    }

    /// Encodes a command into the queue, and leaves to the caller what a full queue means.
    pub(crate) fn push_command(&self, mut command: Command) -> Result<Pushed, FrameError> {
        let body = std::mem::take(&mut command.body);
        self.outbound.write_with(body, |out, body_bytes| {
            encode_frame_head(&command, body_bytes, out)
        })
    }

    /// Acts on the outcome of queueing: writes or leaves that to the writer task, or closes for a peer that does not
    /// read.
    fn pushed(&self, pushed: Pushed) -> bool {
        match pushed {
            Pushed::Queued if runs_on_a_runtime() => {
                self.outbound.wake_writer();
                true
            }
            Pushed::Queued => match self.outbound.flush(&self.stream, By::Sender) {
                Flushed::Done | Flushed::Blocked => true,
                Flushed::Broken => {
                    self.abort();
                    false
                }
            },
            Pushed::Full => {
                self.close_as_unread();
                false
            }
            Pushed::Closed => false,
        }
    }

    pub(crate) fn close_as_unread(&self) {
        if self.is_open() {
            NEVER_READS.log(
                self.peer,
                format_args!("{} bytes wait for it", self.queued_bytes()),
            );
        }
        self.abort();
    }

    /// Writes what is queued from the calling thread, as far as the socket takes it; the rest is the writer task's.
    pub fn flush(&self) {
        match self.outbound.flush(&self.stream, By::Flusher) {
            Flushed::Broken => self.abort(),
            Flushed::Done | Flushed::Blocked => {}
        }
    }

    /// Closes the connection after a last attempt to write what is queued. The handler hears of it once.
    pub fn close(&self) {
        if self.is_open() {
            // Never waits: what the socket does not take at once is lost, as with any closed connection.
            let _ = self.outbound.flush(&self.stream, By::Flusher);
        }
        self.abort();
    }

    /// Closes the connection and drops what is queued. Calls nobody: the reader finds the end of the stream and tells the
    /// handler, so that a sender may hold what it likes.
    pub(crate) fn abort(&self) {
        if self.open.swap(false, Ordering::AcqRel) {
            self.outbound.close();
            self.load.wake();
            self.stream.shut_down();
        }
    }

    /// The task that writes what nobody could write at once.
    pub(crate) async fn write_queued(self: Arc<Self>) {
        while self.outbound.work().await {
            loop {
                match self.outbound.flush(&self.stream, By::WriterTask) {
                    Flushed::Done => break,
                    Flushed::Blocked if self.stream.writable().await.is_ok() => self.touch(),
                    Flushed::Blocked | Flushed::Broken => return self.abort(),
                }
            }
        }
    }

    pub(crate) fn touch(&self) {
        self.active_ms.store(now_ms(), Ordering::Relaxed);
    }

    pub(crate) fn idle_for(&self, now_ms: u64) -> Duration {
        Duration::from_millis(now_ms.saturating_sub(self.active_ms.load(Ordering::Relaxed)))
    }

    /// Sets when the frame being received must be complete; none with 0.
    pub(crate) fn frame_due(&self, due_ms: u64) {
        self.frame_due_ms.store(due_ms, Ordering::Relaxed);
    }

    pub(crate) fn frame_is_overdue(&self, now_ms: u64) -> bool {
        let due = self.frame_due_ms.load(Ordering::Relaxed);
        due != 0 && now_ms > due
    }

    /// Whether the peer has taken too little of what is queued for it. Asked by one task, again and again.
    pub(crate) fn is_stalled(&self, now_ms: u64, taking: Taking) -> bool {
        let (queued, written) = self.outbound.progress();
        if queued <= taking.watermark {
            self.watched_ms.store(0, Ordering::Relaxed);
            return false;
        }
        let began = self.watched_ms.load(Ordering::Relaxed);
        if began != 0 && u128::from(now_ms.saturating_sub(began)) <= taking.stall.as_millis() {
            return false;
        }
        let before = self.watched_written.swap(written, Ordering::Relaxed);
        self.watched_ms.store(now_ms, Ordering::Relaxed);
        let needed = if self.outbound.is_overdrawn() {
            (u128::from(taking.pace) * taking.stall.as_millis() / 1000).max(1)
        } else {
            1
        };
        began != 0 && u128::from(written - before) < needed
    }
}

/// Whether the calling thread runs tasks: there, the writer task runs without another thread being woken.
fn runs_on_a_runtime() -> bool {
    tokio::runtime::Handle::try_current().is_ok()
}

/// Milliseconds since the process first asked, plus one, so that 0 can mean "not set".
pub(crate) fn now_ms() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    u64::try_from(START.get_or_init(Instant::now).elapsed().as_millis())
        .unwrap_or(u64::MAX)
        .saturating_add(1)
}
