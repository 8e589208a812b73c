//! The flush thread's part of a replica: what it makes durable, and when it says so (L17).
//!
//! A flush has a beginning and an end, and things happen in between: frames are appended, the log is cut. What it covers
//! is settled at its beginning, what it has reached is told at its end, and only there.

use tern_log::{LogError, LogSyncer, Syncing};
use tern_replication::Persisted;

/// `flushed.pos` itself is synced this often while it changes: it is exact after a process died, and at most this old
/// after a power cut.
const POSITION_EVERY_NS: u64 = 1_000_000_000;
/// A newer commit index waits so long for a flush that takes it along, before it is written by itself.
const MARK_AFTER_NS: u64 = 100_000_000;

/// A request to the flush thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlushRequest {
    /// Comes back when the position is durable.
    pub number: Persisted,
    /// End of the written log.
    pub position: u64,
}

/// Makes the log durable, one flush at a time.
pub struct Flusher {
    syncer: LogSyncer,
    /// When `flushed.pos` is to be synced, on the clock of the caller.
    position_due_ns: Option<u64>,
    /// When a commit index that no flush took along is to be written.
    mark_due_ns: Option<u64>,
}

/// A flush that has begun.
#[must_use = "a flush that is not ended leaves its frames unsynced"]
pub struct FlushUnderWay {
    number: Persisted,
    began_ns: u64,
    syncing: Option<Syncing>,
}

/// Everything up to this number of the engine's works is on the platter. Made by [`Flusher::end`] alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Durable {
    number: Persisted,
    took_ns: Option<u64>,
}

impl Durable {
    /// The newest work that is durable.
    pub const fn number(self) -> Persisted {
        self.number
    }

    /// How long the disk took for it, nanoseconds; none if it had nothing to do.
    pub const fn took_ns(self) -> Option<u64> {
        self.took_ns
    }
}

impl Flusher {
    /// For a log that has just been opened.
    pub const fn new(syncer: LogSyncer) -> Self {
        Self {
            syncer,
            position_due_ns: None,
            mark_due_ns: None,
        }
    }

    /// Begin the newest flush that was asked for; older ones are covered by it. `now_ns` is the caller's monotonic clock.
    ///
    /// # Errors
    /// [`LogError::Failed`] if one failed before: the replica must stop.
    pub fn begin(&mut self, flush: FlushRequest, now_ns: u64) -> Result<FlushUnderWay, LogError> {
        Ok(FlushUnderWay {
            number: flush.number,
            began_ns: now_ns,
            syncing: self.syncer.begin(flush.position)?,
        })
    }

    /// Carry it out; the notice goes to the turn. `clock` is the caller's monotonic clock, read when the disk has done
    /// its part.
    ///
    /// # Errors
    /// [`LogError`]: the replica must stop, and what waits is never acknowledged (R2).
    pub fn end(
        &mut self,
        flush: FlushUnderWay,
        clock: impl FnOnce() -> u64,
    ) -> Result<Durable, LogError> {
        let did_something = flush.syncing.is_some();
        if let Some(syncing) = flush.syncing {
            self.syncer.finish(syncing)?;
        }
        let now_ns = clock();
        self.position_due_ns
            .get_or_insert(now_ns + POSITION_EVERY_NS);
        self.mark_due_ns = Some(now_ns + MARK_AFTER_NS);
        Ok(Durable {
            number: flush.number,
            took_ns: did_something.then(|| now_ns.saturating_sub(flush.began_ns)),
        })
    }

    /// When [`Self::keep_position`] wants to be called; none while nothing changes.
    pub fn due_ns(&self) -> Option<u64> {
        match (self.mark_due_ns, self.position_due_ns) {
            (Some(mark), Some(position)) => Some(mark.min(position)),
            (one, other) => one.or(other),
        }
    }

    /// Write and sync what is due of `flushed.pos`; called when nothing else is to be done.
    ///
    /// # Errors
    /// [`LogError`]: the replica must stop.
    pub fn keep_position(&mut self, now_ns: u64) -> Result<(), LogError> {
        if self.mark_due_ns.is_some_and(|due| due <= now_ns) {
            self.syncer.keep_marks()?;
            self.mark_due_ns = None;
        }
        if self.position_due_ns.is_some_and(|due| due <= now_ns) {
            // Without the position of an older copy a start could not tell torn from rotted.
            self.syncer.keep_marks()?;
            self.syncer.sync_position()?;
            // What is flushed and not committed will be, and no flush may follow that could take the mark along.
            self.position_due_ns = self
                .syncer
                .awaits_commit()
                .then_some(now_ns + POSITION_EVERY_NS);
        }
        Ok(())
    }

    /// The last flush of a clean stop: everything, and the position too.
    ///
    /// # Errors
    /// [`LogError`]: the stop is not clean.
    pub fn finish(&mut self) -> Result<(), LogError> {
        self.syncer.keep_marks()?;
        self.syncer.sync_position()
    }
}
