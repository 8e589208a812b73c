//! The queue in front of one outgoing stream.
//!
//! While the stream's task has nothing to do it lends the stream to the queue, and the thread that queues messages writes
//! them itself, under the queue's lock: no thread is woken for them. It writes what is little and in memory, and waits
//! for nothing. The rest is the task's, which takes the stream back with it: messages keep their order, as all that is
//! queued meanwhile goes behind.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tern_journal::{Level, Logger, RateLimitedLog};
use tern_net::Stream;
use tern_replication::{FrameSource, Packed, PeerMessage, PeerStream};
use tokio::sync::Notify;

/// Messages that wait for *control* at most. Above, the oldest makes way: the newest heartbeat says what it said.
const CONTROL_MESSAGES: usize = 1024;

/// What a thread that queues messages writes of them at once, bytes. More would keep it from its own work for longer
/// than it takes to wake the task.
const SENDER_BYTES: usize = 16 << 10;

static TOO_OLD: RateLimitedLog = RateLimitedLog::new(
    Logger::Net,
    Level::Warning,
    "message to a peer dropped, 1024 wait for its control stream",
);
static TOO_MUCH: RateLimitedLog = RateLimitedLog::new(
    Logger::Net,
    Level::Warning,
    "message to a peer dropped, too many bytes wait for it",
);

/// Bounded; holds nothing while the stream is not connected.
pub(crate) struct StreamQueue {
    peer_stream: PeerStream,
    limit: usize,
    inner: Mutex<StreamBacklog>,
    /// The task has been given back its stream, with something to write.
    pub filled: Notify,
    /// The peer was heard of: dial at once.
    pub awake: Notify,
    /// The network to the peer is cut: what is written does not arrive.
    pub cut: Notify,
}

#[derive(Default)]
struct StreamBacklog {
    open: bool,
    /// The stream, while its task has nothing to write.
    lent: Option<Lent>,
    /// What a sender has taken from the messages to write, and the socket has not taken. Before all messages.
    unsent: Vec<u8>,
    /// How a sender found that the stream is broken, with something unsent.
    broken: Option<io::Error>,
    messages: VecDeque<PeerMessage>,
    /// Bytes in memory for this stream: queued messages, and what is being written of those that were taken.
    bytes: usize,
}

struct Lent {
    stream: Arc<Stream>,
    /// When something was last written to it.
    wrote: Instant,
}

impl StreamQueue {
    /// A queue that holds `limit` bytes; what an append names is not in memory before it is written.
    pub fn new(peer_stream: PeerStream, limit: usize) -> Self {
        Self {
            peer_stream,
            limit,
            inner: Mutex::default(),
            filled: Notify::new(),
            awake: Notify::new(),
            cut: Notify::new(),
        }
    }

    /// Queue a message, or drop it if the stream is not connected; [`send`](Self::send) comes next. False if it was refused
    /// because too much waits: the engine bounds what it has under way to a peer in messages, so that on *bulk* this is
    /// a last resort.
    pub fn push(&self, message: PeerMessage) -> bool {
        let mut inner = self.inner.lock();
        if !inner.open {
            return true;
        }
        let bytes = message.held_bytes();
        if inner.bytes + bytes > self.limit {
            drop(inner);
            TOO_MUCH.log(message.to, format_args!("{} bytes may", self.limit));
            return false;
        }
        if self.peer_stream == PeerStream::Control && inner.messages.len() >= CONTROL_MESSAGES {
            let oldest = inner.messages.pop_front().expect("there are many");
            inner.bytes -= oldest.held_bytes();
            TOO_OLD.log(message.to, "the oldest of them");
        }
        inner.bytes += bytes;
        inner.messages.push_back(message);
        true
    }

    /// Write what was queued, if the stream is lent and as far as it is little and in memory; what is left goes to the
    /// task. Never waits for the peer or for a disk.
    pub fn send(&self, source: &dyn FrameSource) {
        let mut inner = self.inner.lock();
        if inner.messages.is_empty() {
            return;
        }
        // Not lent: the task looks at the queue again before it rests.
        let Some(lent) = inner.lent.take() else {
            return;
        };
        inner.pack(source);
        inner.write(&lent.stream);
        if inner.is_through() {
            let wrote = Instant::now();
            inner.lent = Some(Lent { wrote, ..lent });
        } else {
            drop(inner);
            self.filled.notify_one();
        }
    }

    /// All that waits, for the task to write: first `bytes`, which are appended to what is there, then the messages. They
    /// count until they are said to be [written](Self::written). None if there is nothing; then the stream is lent.
    ///
    /// # Errors
    /// The system's, if a sender found that the stream is broken.
    pub fn take_or_lend(
        &self,
        stream: &Arc<Stream>,
        bytes: &mut Vec<u8>,
    ) -> io::Result<Option<VecDeque<PeerMessage>>> {
        let mut inner = self.inner.lock();
        if let Some(broken) = inner.broken.take() {
            return Err(broken);
        }
        if inner.is_through() {
            let stream = Arc::clone(stream);
            // Lent already if the task has only looked: then it has not written anything.
            inner.lent.get_or_insert_with(|| Lent {
                stream,
                wrote: Instant::now(),
            });
            return Ok(None);
        }
        inner.lent = None;
        bytes.append(&mut inner.unsent);
        Ok(Some(std::mem::take(&mut inner.messages)))
    }

    /// How long nothing has been written to a stream that is lent.
    pub fn quiet_for(&self) -> Duration {
        let inner = self.inner.lock();
        let lent = inner.lent.as_ref();
        lent.map_or(Duration::ZERO, |lent| lent.wrote.elapsed())
    }

    /// How a sender found that the stream is broken, if it did: the system tells of it once.
    pub fn take_broken(&self) -> Option<io::Error> {
        self.inner.lock().broken.take()
    }

    /// So many bytes were read from the log to be written.
    pub fn hold(&self, bytes: usize) {
        self.inner.lock().bytes += bytes;
    }

    /// So many bytes have gone to the socket.
    pub fn written(&self, bytes: usize) {
        self.inner.lock().bytes -= bytes;
    }

    /// Whether its stream is connected.
    pub fn is_open(&self) -> bool {
        self.inner.lock().open
    }

    /// Take messages from here on, until what is returned is dropped.
    pub fn open(&self) -> OpenStream<'_> {
        *self.inner.lock() = StreamBacklog {
            open: true,
            ..StreamBacklog::default()
        };
        OpenStream(self)
    }
}

/// A stream that is connected, however its task ends. Nothing of it is held afterwards.
pub(crate) struct OpenStream<'a>(&'a StreamQueue);

impl Drop for OpenStream<'_> {
    fn drop(&mut self) {
        *self.0.inner.lock() = StreamBacklog::default();
    }
}

impl StreamBacklog {
    /// Whether there is nothing for the task to do.
    fn is_through(&self) -> bool {
        self.unsent.is_empty() && self.messages.is_empty()
    }

    /// Makes bytes of the first messages, up to one that is long or needs a file.
    fn pack(&mut self, source: &dyn FrameSource) {
        while let Some(message) = self.messages.front()
            && let Some(left) = SENDER_BYTES.checked_sub(self.unsent.len())
            && let Some(packed) = Packed::of_held(message, source, left)
        {
            self.unsent.extend_from_slice(&packed.head);
            for frame in &packed.frames {
                self.unsent.extend_from_slice(&frame.bytes);
            }
            self.bytes -= message.held_bytes();
            self.messages.pop_front();
        }
    }

    fn write(&mut self, stream: &Stream) {
        if self.unsent.is_empty() {
            return;
        }
        match stream.try_write(&self.unsent) {
            Ok(taken) => {
                self.unsent.drain(..taken);
            }
            Err(error) if is_for_now(error.kind()) => {}
            // Kept for the task, which ends the stream as if it had met the error itself.
            Err(error) => self.broken = Some(error),
        }
    }
}

/// Whether what was not written now may be written later.
fn is_for_now(error: io::ErrorKind) -> bool {
    matches!(
        error,
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}

#[cfg(test)]
mod tests {
    use tern_log::{Frame, LogError};
    use tern_net::{ListeningSocket, connect};
    use tern_replication::{HEAD_BYTES, Intake, MessageKind, ThinEntry, replica_id};
    use tokio::io::AsyncReadExt;

    use super::*;

    fn message(kind: MessageKind, term: u64) -> PeerMessage {
        let mut message = PeerMessage::raft(kind, replica_id(1, 1), replica_id(2, 1));
        message.term = term;
        message
    }

    fn terms(messages: impl IntoIterator<Item = PeerMessage>) -> Vec<u64> {
        messages.into_iter().map(|message| message.term).collect()
    }

    fn waiting(queue: &StreamQueue) -> VecDeque<PeerMessage> {
        std::mem::take(&mut queue.inner.lock().messages)
    }

    /// A log whose frames all lie on a disk.
    struct OnDisk;

    impl FrameSource for OnDisk {
        fn frames(&self, _: &[ThinEntry], _: usize) -> Result<Option<Vec<Frame>>, LogError> {
            unreachable!("a sender reads no file")
        }

        fn held_frames(&self, _: &[ThinEntry], _: usize) -> Option<Vec<Frame>> {
            None
        }

        fn is_cold(&self, _: &[ThinEntry]) -> bool {
            true
        }
    }

    /// An open queue with its stream, and the other end of that.
    struct Streaming {
        queue: StreamQueue,
        stream: Arc<Stream>,
        other: Stream,
    }

    impl Streaming {
        async fn new() -> Self {
            let port = ListeningSocket::open(([127, 0, 0, 1], 0).into()).unwrap();
            let stream = connect(port.local_addr().unwrap()).await.unwrap();
            stream.writable().await.unwrap();
            let queue = StreamQueue::new(PeerStream::Bulk, usize::MAX);
            std::mem::forget(queue.open());
            Self {
                queue,
                stream: Arc::new(stream),
                other: port.accept().await.unwrap().0,
            }
        }

        /// What the task does when it comes by: the bytes and the terms that it is to write; none if it lends.
        fn look(&self) -> io::Result<Option<(Vec<u8>, Vec<u64>)>> {
            let mut bytes = Vec::new();
            let messages = self.queue.take_or_lend(&self.stream, &mut bytes)?;
            Ok(messages.map(|messages| (bytes, terms(messages))))
        }

        fn send(&self, message: PeerMessage) {
            assert!(self.queue.push(message));
            self.queue.send(&OnDisk);
        }

        /// The term of the next message that arrives.
        async fn next(&mut self) -> u64 {
            let mut head = [0; HEAD_BYTES];
            let reading = self.other.read_exact(&mut head);
            let in_time = tokio::time::timeout(Duration::from_secs(10), reading).await;
            in_time.expect("it arrives").unwrap();
            let intake = Intake {
                from: replica_id(1, 1),
                to: replica_id(2, 1),
                stream: PeerStream::Bulk,
                limit: 1 << 20,
            };
            let head = intake.head(&head).unwrap();
            let mut context = vec![0; head.context_len];
            let reading = self.other.read_exact(&mut context);
            let in_time = tokio::time::timeout(Duration::from_secs(10), reading).await;
            in_time.expect("it arrives").unwrap();
            let message = intake.finish(head, &context.into()).unwrap();
            message.unwrap().term
        }
    }

    fn wakes_the_task(queue: &StreamQueue) -> bool {
        let filled = std::pin::pin!(queue.filled.notified());
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        Future::poll(filled, &mut context).is_ready()
    }

    /// An answer to an append: a message without frames.
    fn answer(term: u64) -> PeerMessage {
        message(MessageKind::AppendAnswer, term)
    }

    fn append(term: u64) -> PeerMessage {
        let entry = ThinEntry {
            index: 1,
            term,
            kind: tern_log::FrameKind::NoOp,
            descriptor: None,
        };
        PeerMessage {
            entries: vec![entry],
            ..message(MessageKind::Append, term)
        }
    }

    #[tokio::test]
    async fn who_queues_messages_for_an_idle_stream_writes_them_and_wakes_nobody() {
        let mut streaming = Streaming::new().await;
        streaming.send(answer(1));
        assert!(streaming.queue.inner.lock().messages.len() == 1, "not lent");
        let (_, taken) = streaming.look().unwrap().expect("it is for the task");
        assert_eq!(taken, [1]);
        assert!(streaming.look().unwrap().is_none());
        for term in 2..5 {
            streaming.send(answer(term));
        }
        assert!(!wakes_the_task(&streaming.queue));
        assert_eq!(streaming.queue.inner.lock().bytes, answer(1).held_bytes());
        for term in 2..5 {
            assert_eq!(streaming.next().await, term);
        }
    }

    #[tokio::test]
    async fn what_is_not_in_memory_goes_to_the_task_with_all_that_is_queued_behind_it() {
        let mut streaming = Streaming::new().await;
        assert!(streaming.look().unwrap().is_none());
        for message in [answer(1), append(2), answer(3)] {
            assert!(streaming.queue.push(message));
        }
        streaming.queue.send(&OnDisk);
        assert!(wakes_the_task(&streaming.queue));
        assert_eq!(streaming.next().await, 1);
        streaming.send(answer(4));
        let (bytes, taken) = streaming.look().unwrap().expect("it is for the task");
        assert_eq!((bytes.len(), taken), (0, vec![2, 3, 4]));
        streaming.send(answer(5));
        let (_, taken) = streaming.look().unwrap().expect("it has the stream");
        assert_eq!(taken, [5]);
    }

    #[tokio::test]
    async fn a_task_that_takes_what_was_just_queued_has_the_stream_to_itself() {
        let streaming = Streaming::new().await;
        assert!(streaming.look().unwrap().is_none());
        assert!(streaming.queue.push(answer(1)));
        let (_, taken) = streaming
            .look()
            .unwrap()
            .expect("it came by at this moment");
        assert_eq!(taken, [1]);
        streaming.queue.send(&OnDisk);
        streaming.send(answer(2));
        let (_, taken) = streaming
            .look()
            .unwrap()
            .expect("not sent before the first");
        assert_eq!(taken, [2]);
    }

    #[tokio::test]
    async fn a_stream_is_quiet_since_a_sender_or_its_task_last_wrote_to_it() {
        let streaming = Streaming::new().await;
        assert!(streaming.look().unwrap().is_none());
        let lent = Instant::now();
        tokio::time::sleep(Duration::from_millis(2)).await;
        assert!(streaming.look().unwrap().is_none());
        let quiet = lent.elapsed();
        assert!(streaming.queue.quiet_for() >= quiet);
        let before = Instant::now();
        streaming.send(answer(1));
        assert!(streaming.queue.quiet_for() <= before.elapsed());
    }

    #[tokio::test]
    async fn a_sender_writes_no_more_than_a_little_and_leaves_the_rest_to_the_task() {
        let streaming = Streaming::new().await;
        assert!(streaming.look().unwrap().is_none());
        let many = (SENDER_BYTES / HEAD_BYTES + 10) as u64;
        for term in 0..many {
            assert!(streaming.queue.push(answer(term)));
        }
        streaming.queue.send(&OnDisk);
        assert!(wakes_the_task(&streaming.queue));
        let (bytes, taken) = streaming.look().unwrap().expect("it is for the task");
        assert!(bytes.is_empty(), "the socket has room");
        assert!(taken.into_iter().eq(many - 10..many));
    }

    #[tokio::test]
    async fn what_the_socket_does_not_take_from_a_sender_is_the_first_that_the_task_writes() {
        let mut streaming = Streaming::new().await;
        assert!(streaming.look().unwrap().is_none());
        let mut sent = 0;
        while !wakes_the_task(&streaming.queue) {
            sent += 1;
            streaming.send(PeerMessage {
                context: vec![7; 10_000].into(),
                ..answer(sent)
            });
        }
        streaming.send(answer(sent + 1));
        let (bytes, taken) = streaming.look().unwrap().expect("it is for the task");
        assert!(!bytes.is_empty());
        assert_eq!(taken, [sent + 1]);
        let stream = Arc::clone(&streaming.stream);
        let writing = tokio::spawn(async move { stream.write_whole(&bytes).await });
        for term in 1..=sent {
            assert_eq!(streaming.next().await, term);
        }
        writing.await.unwrap().unwrap();
        assert!(streaming.look().unwrap().is_none());
        streaming.send(answer(sent + 2));
        assert_eq!(streaming.next().await, sent + 2);
    }

    #[tokio::test]
    async fn a_sender_that_finds_the_stream_broken_tells_its_task_once() {
        let streaming = Streaming::new().await;
        assert!(streaming.look().unwrap().is_none());
        streaming.send(answer(1));
        let Streaming {
            queue,
            stream,
            other,
        } = streaming;
        // With something unread, it is reset.
        drop(other);
        assert!(queue.push(answer(2)));
        queue.send(&OnDisk);
        assert!(wakes_the_task(&queue));
        let error = queue.take_or_lend(&stream, &mut Vec::new()).unwrap_err();
        assert!(!is_for_now(error.kind()), "{error}");
        assert!(queue.take_broken().is_none());
    }

    #[test]
    fn bulk_is_bounded_in_bytes_and_refuses_the_newest() {
        let one = message(MessageKind::Append, 0).held_bytes();
        let queue = StreamQueue::new(PeerStream::Bulk, 3 * one);
        let _open = queue.open();
        let before = TOO_MUCH.total();
        let taken: Vec<bool> = (0..5)
            .map(|term| queue.push(message(MessageKind::Append, term)))
            .collect();
        assert_eq!(taken, [true, true, true, false, false]);
        assert_eq!(TOO_MUCH.total() - before, 2);
        assert_eq!(terms(waiting(&queue)), [0, 1, 2]);
        assert!(!queue.push(message(MessageKind::Append, 5)), "not written");
        queue.written(one);
        assert!(queue.push(message(MessageKind::Append, 6)));
        queue.written(2 * one);
        queue.hold(3 * one);
        assert!(!queue.push(message(MessageKind::Append, 7)), "frames count");
    }

    #[test]
    fn control_is_bounded_in_messages_and_drops_the_oldest() {
        let queue = StreamQueue::new(PeerStream::Control, usize::MAX);
        let _open = queue.open();
        let before = TOO_OLD.total();
        for term in 0..CONTROL_MESSAGES as u64 + 2 {
            assert!(queue.push(message(MessageKind::Heartbeat, term)));
        }
        assert_eq!(TOO_OLD.total() - before, 2);
        let kept = terms(waiting(&queue));
        assert!(kept.iter().copied().eq(2..CONTROL_MESSAGES as u64 + 2));
    }

    #[test]
    fn nothing_is_held_for_a_stream_that_is_not_connected() {
        let queue = StreamQueue::new(PeerStream::Bulk, 1 << 20);
        assert!(queue.push(message(MessageKind::Append, 0)));
        assert!(waiting(&queue).is_empty());
        let open = queue.open();
        queue.push(message(MessageKind::Append, 1));
        drop(open);
        assert_eq!(queue.inner.lock().bytes, 0);
        assert!(waiting(&queue).is_empty());
    }
}
