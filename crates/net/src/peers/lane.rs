//! The queue in front of one outgoing stream.

use std::collections::VecDeque;

use parking_lot::Mutex;
use tern_replication::PeerMessage;
use tokio::sync::Notify;

/// Messages that wait at most. Appends hold descriptors, not bytes.
const LIMIT: usize = 1024;

/// Bounded; holds nothing while the stream is not connected.
pub(super) struct LaneQueue {
    inner: Mutex<Inner>,
    /// Something waits to be written.
    pub filled: Notify,
    /// The peer was heard of: dial at once.
    pub awake: Notify,
}

struct Inner {
    open: bool,
    messages: VecDeque<PeerMessage>,
}

impl LaneQueue {
    pub fn new() -> Self {
        Self {
            inner: Mutex::new(Inner {
                open: false,
                messages: VecDeque::new(),
            }),
            filled: Notify::new(),
            awake: Notify::new(),
        }
    }

    pub fn push(&self, message: PeerMessage) {
        let mut inner = self.inner.lock();
        if !inner.open {
            return;
        }
        if inner.messages.len() >= LIMIT {
            inner.messages.pop_front();
        }
        inner.messages.push_back(message);
        let first = inner.messages.len() == 1;
        drop(inner);
        if first {
            self.filled.notify_one();
        }
    }

    pub fn take(&self) -> VecDeque<PeerMessage> {
        std::mem::take(&mut self.inner.lock().messages)
    }

    pub fn open(&self) {
        let mut inner = self.inner.lock();
        inner.open = true;
        inner.messages.clear();
    }

    pub fn close(&self) {
        let mut inner = self.inner.lock();
        inner.open = false;
        inner.messages.clear();
    }
}
