//! Answers on their way out: collected while tickets are completed, written once a connection.

use bytes::Bytes;
use std::sync::Arc;
use tern_net::Connection;
use tern_replica::Outcome;

/// What a proposal or read leaves behind to be called once with its outcome.
pub type Ticket = Box<dyn FnOnce(Outcome, &mut ResponseBatch) + Send>;

/// A batch of answers.
#[derive(Default)]
pub struct ResponseBatch {
    frames: Vec<(Arc<Connection>, Bytes)>,
}

impl ResponseBatch {
    /// Collect some and send them.
    pub fn at_once<T>(collect: impl FnOnce(&mut Self) -> T) -> T {
        let mut batch = Self::default();
        let collected = collect(&mut batch);
        batch.flush();
        collected
    }

    /// Call the ticket of what was refused where it was handed in.
    pub fn settle(&mut self, handed_in: Result<(), (Ticket, Outcome)>) {
        if let Err((ticket, outcome)) = handed_in {
            ticket(outcome, self);
        }
    }

    /// Add one encoded frame for a connection.
    pub fn push(&mut self, connection: &Arc<Connection>, frame: Bytes) {
        self.frames.push((Arc::clone(connection), frame));
    }

    /// Send everything, one call a connection, in the order in which it was added.
    pub fn flush(&mut self) {
        if self.frames.len() == 1 {
            let (connection, frame) = self.frames.pop().expect("there is one");
            connection.send(frame);
            return;
        }
        self.frames.sort_by_key(|(connection, _)| connection.id());
        let mut frames = self.frames.drain(..).peekable();
        while let Some((connection, frame)) = frames.next() {
            let mut batch = vec![frame];
            while let Some((_, frame)) = frames.next_if(|(next, _)| next.id() == connection.id()) {
                batch.push(frame);
            }
            connection.send_many(batch);
        }
    }
}
