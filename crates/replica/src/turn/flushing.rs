//! When the log is flushed, and whether the turn waits for it (L51).
//!
//! Handing a flush to another thread costs two wake-ups, and its notice a turn. That buys something only where the turn
//! has something to do meanwhile. A follower has not: what comes while it flushes is covered by the next flush in
//! either case. A leader has, while many proposals come: their frames leave for the followers during its own flush.
//!
//! A turn that waits for a slow disk hears nothing. So this is asked of quick disks alone, and whoever carries a turn
//! must see to it that the next one does not wait for a flush that takes longer than [`crate::LONGEST_FLUSH_WAIT_NS`].

use tern_replication::{Persisted, Role};

use super::Replica;
use crate::flusher::{Durable, FlushRequest};
use crate::inputs::Outbox;
use crate::options::Flush;

/// A disk whose mean sync is quicker is worth waiting for, nanoseconds.
const QUICK_SYNC_NS: u64 = 2_000_000;
/// Where more proposals a second come, a leader has something to do while it flushes.
const BUSY_PER_SECOND: u64 = 60_000;

impl<T> Replica<T> {
    /// A flush is over.
    pub(super) fn flushed(&mut self, durable: Durable, out: &mut Outbox<T>) {
        if let Some(took_ns) = durable.took_ns() {
            self.pace.synced(took_ns);
            self.disk.synced(took_ns, self.now_ns);
        }
        self.durable(durable.number(), out);
    }

    /// Ask for a flush of everything that is written.
    pub(super) fn ask_flush(&mut self, number: Persisted, out: &mut Outbox<T>) {
        out.flush = Some(FlushRequest {
            number,
            position: self.log.end().position,
        });
    }

    /// Where no answer waits for a flush, one is asked for now and then.
    pub(super) fn flush_in_time(&mut self, out: &mut Outbox<T>) {
        let Flush::Async { every_ns } = self.options.flush else {
            return;
        };
        if self.unflushed > 0 && self.now_ns >= self.flush_due_ns {
            self.flush_due_ns = self.now_ns + every_ns;
            let number = std::mem::take(&mut self.unflushed);
            self.ask_flush(number, out);
        }
    }

    /// Whether the flush that this turn has asked for is best carried out before the next turn.
    pub(super) fn waits_for_flush(&self) -> bool {
        let quick = (1..QUICK_SYNC_NS).contains(&self.pace.sync_ns());
        let has_nothing_to_do = self.engine.status().role != Role::Leader
            || self.pace.per_second() < BUSY_PER_SECOND
            || (self.waiting.len() == 0 && self.tickets.frames() <= 1);
        self.options.flush == Flush::Sync && quick && has_nothing_to_do
    }
}
