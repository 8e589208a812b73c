//! The flush thread's hold on the log.

use std::sync::Arc;

use crate::durability::Durability;
use crate::error::LogError;

/// Makes what was appended durable. For the flush thread; the log thread goes on appending meanwhile.
pub struct LogSyncer {
    durability: Arc<Durability>,
}

impl LogSyncer {
    pub(crate) const fn new(durability: Arc<Durability>) -> Self {
        Self { durability }
    }

    /// Makes the log durable at least up to `upto`, the end position of an append, and records the new position in
    /// `flushed.pos`. Everything that was written when the call began is covered. Answers the durable position; it is
    /// below `upto` only if the log was truncated there.
    ///
    /// # Errors
    /// [`LogError::Sync`] or [`LogError::Write`]; then the log is lost for this process and the replica must stop.
    /// [`LogError::Failed`] ever after: a failed sync is never tried again.
    pub fn sync(&self, upto: u64) -> Result<u64, LogError> {
        self.durability.sync(upto)
    }

    /// Makes `flushed.pos` itself durable if it has changed. To be called about once a second, and before a clean stop.
    ///
    /// # Errors
    /// As [`sync`](Self::sync).
    pub fn sync_position(&self) -> Result<(), LogError> {
        self.durability.sync_position()
    }

    /// The position below which everything is durable.
    pub fn durable(&self) -> u64 {
        self.durability.durable()
    }
}
