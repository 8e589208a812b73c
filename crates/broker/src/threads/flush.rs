//! The flush thread: one `fdatasync` at a time. What was written meanwhile is the next group (L17).

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use tern_log::{LogError, LogSyncer};

use crate::mailbox::{Input, Mailbox};
use crate::post::PostBox;
use crate::replica::Flush;

pub(super) enum Request {
    Sync(Flush),
    Stop,
}

/// `flushed.pos` itself is synced this often while it changes: it is exact after a process died, and at most this old
/// after a power cut.
const POSITION_EVERY: Duration = Duration::from_secs(1);

/// Runs until told to stop. An error ends the process and is never retried (R2).
pub(super) fn run(
    syncer: &LogSyncer,
    requests: &PostBox<Request>,
    mailbox: &Mailbox,
) -> Result<(), LogError> {
    let mut position_due: Option<Instant> = None;
    loop {
        let asked = match position_due {
            None => requests.wait(),
            Some(due) => requests.wait_for(due.saturating_duration_since(Instant::now())),
        };
        let (newest, stop) = newest_of(asked);
        if let Some(flush) = newest {
            syncer.sync(flush.position)?;
            mailbox.tell(Input::Durable(flush.number));
            position_due.get_or_insert_with(|| Instant::now() + POSITION_EVERY);
        }
        if stop || position_due.is_some_and(|due| Instant::now() >= due) {
            syncer.sync_position()?;
            position_due = None;
        }
        if stop {
            return Ok(());
        }
    }
}

/// The newest sync covers the ones before it.
fn newest_of(requests: VecDeque<Request>) -> (Option<Flush>, bool) {
    let (mut newest, mut stop) = (None, false);
    for request in requests {
        match request {
            Request::Sync(flush) => newest = Some(flush),
            Request::Stop => stop = true,
        }
    }
    (newest, stop)
}
