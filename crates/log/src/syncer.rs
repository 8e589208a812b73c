//! The flush thread's hold on the log.

use std::sync::Arc;

use crate::durability::{Durability, Syncing};
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
        match self.begin(upto)? {
            Some(syncing) => self.finish(syncing),
            None => Ok(self.durable()),
        }
    }

    /// The first half of [`sync`](Self::sync): what is to be covered is settled when this returns, and what is appended
    /// or cut from here on belongs to the next one. None if the log is durable up to `upto` already.
    ///
    /// # Errors
    /// [`LogError::Failed`].
    ///
    /// # Panics
    /// If one that was begun is not finished.
    pub fn begin(&self, upto: u64) -> Result<Option<Syncing>, LogError> {
        self.durability.begin_sync(upto)
    }

    /// The second half: the disk's part, and the new position in `flushed.pos`.
    ///
    /// # Errors
    /// As [`sync`](Self::sync).
    pub fn finish(&self, syncing: Syncing) -> Result<u64, LogError> {
        self.durability.finish_sync(syncing)
    }

    /// Whether frames are durable here that are not known to be committed.
    pub fn awaits_commit(&self) -> bool {
        self.durability.awaits_commit()
    }

    /// Writes the newest commit that [`crate::Log::committed`] was told to `flushed.pos`, as far as it is durable here. To
    /// be called a moment after it changed where no sync follows.
    ///
    /// # Errors
    /// [`LogError::Write`], [`LogError::Failed`].
    pub fn keep_marks(&self) -> Result<(), LogError> {
        self.durability.keep_marks()
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
