//! The queue in front of one outgoing stream.

use std::collections::VecDeque;

use parking_lot::Mutex;
use tern_journal::{Level, Logger, RateLimitedLog};
use tern_replication::{PeerMessage, PeerStream};
use tokio::sync::Notify;

/// Messages that wait for *control* at most. Above, the oldest makes way: the newest heartbeat says what it said.
const CONTROL_MESSAGES: usize = 1024;

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
    /// Something waits to be written.
    pub filled: Notify,
    /// The peer was heard of: dial at once.
    pub awake: Notify,
    /// The network to the peer is cut: what is written does not arrive.
    pub cut: Notify,
}

#[derive(Default)]
struct StreamBacklog {
    open: bool,
    messages: VecDeque<PeerMessage>,
    /// Bytes in memory for this stream: queued messages, and what is being written of those that were taken.
    bytes: usize,
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

    /// Queue a message, or drop it if the stream is not connected. False if it was refused because too much waits: the
    /// engine bounds what it has under way to a peer in messages, so that on *bulk* this is a last resort.
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
        let first = inner.messages.len() == 1;
        drop(inner);
        if first {
            self.filled.notify_one();
        }
        true
    }

    /// All that waits. It counts until it is said to be [written](Self::written).
    pub fn take(&self) -> VecDeque<PeerMessage> {
        std::mem::take(&mut self.inner.lock().messages)
    }

    /// So many bytes were read from the log to be written.
    pub fn hold(&self, bytes: usize) {
        self.inner.lock().bytes += bytes;
    }

    /// So many bytes have gone to the socket.
    pub fn written(&self, bytes: usize) {
        self.inner.lock().bytes -= bytes;
    }

    pub fn open(&self) {
        *self.inner.lock() = StreamBacklog {
            open: true,
            ..StreamBacklog::default()
        };
    }

    pub fn close(&self) {
        *self.inner.lock() = StreamBacklog::default();
    }
}

#[cfg(test)]
mod tests {
    use tern_replication::{MessageKind, replica_id};

    use super::*;

    fn message(kind: MessageKind, term: u64) -> PeerMessage {
        let mut message = PeerMessage::raft(kind, replica_id(1, 1), replica_id(2, 1));
        message.term = term;
        message
    }

    fn terms(messages: impl IntoIterator<Item = PeerMessage>) -> Vec<u64> {
        messages.into_iter().map(|message| message.term).collect()
    }

    #[test]
    fn bulk_is_bounded_in_bytes_and_refuses_the_newest() {
        let one = message(MessageKind::Append, 0).held_bytes();
        let queue = StreamQueue::new(PeerStream::Bulk, 3 * one);
        queue.open();
        let before = TOO_MUCH.total();
        let taken: Vec<bool> = (0..5)
            .map(|term| queue.push(message(MessageKind::Append, term)))
            .collect();
        assert_eq!(taken, [true, true, true, false, false]);
        assert_eq!(TOO_MUCH.total() - before, 2);
        assert_eq!(terms(queue.take()), [0, 1, 2]);
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
        queue.open();
        let before = TOO_OLD.total();
        for term in 0..CONTROL_MESSAGES as u64 + 2 {
            assert!(queue.push(message(MessageKind::Heartbeat, term)));
        }
        assert_eq!(TOO_OLD.total() - before, 2);
        let kept = terms(queue.take());
        assert!(kept.iter().copied().eq(2..CONTROL_MESSAGES as u64 + 2));
    }

    #[test]
    fn nothing_is_held_for_a_stream_that_is_not_connected() {
        let queue = StreamQueue::new(PeerStream::Bulk, 1 << 20);
        assert!(queue.push(message(MessageKind::Append, 0)));
        assert!(queue.take().is_empty());
        queue.open();
        queue.push(message(MessageKind::Append, 1));
        queue.close();
        assert_eq!(queue.inner.lock().bytes, 0);
        assert!(queue.take().is_empty());
    }
}
