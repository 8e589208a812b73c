//! Outcomes of sends: many come back as one event.
//!
//! A pipelining producer has thousands of answers a second that all say the same: stored, in this queue, at this offset.
//! They are read here, on the net threads, and told as a list of numbers; whatever is not that plain is told in full.

use std::sync::Arc;

use tern_net::{CallError, CallSink};
use tern_wire::codes::response;
use tern_wire::headers::optional_integer;
use tern_wire::{Command, Fields};

use crate::events::{BridgeEvent, EventQueue, StoredSend};

/// Takes the outcomes of one sender's calls.
pub struct SendOutcomes<A> {
    sender: u32,
    queue: Arc<EventQueue<A>>,
}

impl<A> SendOutcomes<A> {
    /// Outcomes for the sender with this number, told through `queue`.
    pub fn new(sender: u32, queue: Arc<EventQueue<A>>) -> Arc<Self> {
        Arc::new(Self { sender, queue })
    }
}

impl<A: Send + 'static> CallSink for SendOutcomes<A> {
    fn done(&self, call_id: u64, outcome: Result<Command, CallError>) {
        let stored = outcome
            .as_ref()
            .ok()
            .filter(|answer| answer.code == response::SUCCESS)
            .and_then(|answer| stored_at(&answer.fields));
        match stored {
            Some((queue_id, queue_offset)) => self.queue.push_stored(
                self.sender,
                StoredSend {
                    call_id,
                    queue_id,
                    queue_offset,
                },
            ),
            None => self.queue.push(BridgeEvent::NotStored {
                sender: self.sender,
                call_id,
                outcome,
            }),
        }
    }
}

/// Queue and offset, if the answer names both.
fn stored_at(fields: &Fields) -> Option<(i32, i64)> {
    let number = |name| optional_integer(fields, name).ok().flatten();
    let queue_id = i32::try_from(number("queueId")?).ok()?;
    Some((queue_id, number("queueOffset")?))
}
