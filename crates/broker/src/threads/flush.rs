//! The flush thread: carries flushes to the [`Flusher`] and its notices to the turn.

use std::collections::VecDeque;
use std::time::Duration;

use tern_log::LogError;
use tern_replica::{FlushRequest, Flusher};

use crate::channels::batch_queue::BatchReceiver;
use crate::channels::mailbox::{Input, Mailbox};
use crate::clock;

pub(super) enum FlushCommand {
    Sync(FlushRequest),
    Stop,
}

/// Runs until told to stop. An error ends the process and is never retried (R2).
pub(super) fn run(
    mut flusher: Flusher,
    requests: &BatchReceiver<FlushCommand>,
    mailbox: &Mailbox,
) -> Result<(), LogError> {
    loop {
        let asked = match flusher.due_ns() {
            None => requests.wait(),
            Some(due) => {
                let wait = due.saturating_sub(clock::monotonic_ns());
                requests.wait_for(Duration::from_nanos(wait))
            }
        };
        let (newest, stop) = newest_of(asked);
        if let Some(flush) = newest {
            let under_way = flusher.begin(flush)?;
            let durable = flusher.end(under_way, clock::monotonic_ns())?;
            mailbox.tell(Input::Durable(durable));
        }
        if stop {
            return flusher.finish();
        }
        flusher.keep_position(clock::monotonic_ns())?;
    }
}

/// The newest sync covers the ones before it.
fn newest_of(requests: VecDeque<FlushCommand>) -> (Option<FlushRequest>, bool) {
    let (mut newest, mut stop) = (None, false);
    for request in requests {
        match request {
            FlushCommand::Sync(flush) => newest = Some(flush),
            FlushCommand::Stop => stop = true,
        }
    }
    (newest, stop)
}
