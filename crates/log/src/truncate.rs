//! Truncation: a follower is told that frames of its own were never committed.

use crate::error::LogError;
use crate::log::Log;
use crate::recovery::{unlink_segments, zero_behind};

impl Log {
    /// Cuts every frame behind an index. The caller has made sure that none of them is committed.
    ///
    /// The order lets a crash at any point leave a valid log, and no cut frame can come back: first
    /// `flushed.pos` is lowered and marked, then later segments go, last first, then the rest of the segment is zeroed. Each step
    /// is durable before the next; the next append comes after all of them.
    ///
    /// # Errors
    /// [`LogError::NotFound`] if the log has no such frame: nothing was changed. [`LogError::Write`] or
    /// [`LogError::Sync`]: the replica must stop.
    pub fn truncate_after(&mut self, index: u64) -> Result<(), LogError> {
        self.durability.check()?;
        if index == self.end.index {
            return Ok(());
        }
        let start = self.index.read().start;
        let end = if index == 0 && start.index == 0 {
            start
        } else {
            self.reader.header(index)?.end()
        };
        self.durability.begin_cut(end.position)?;
        let gone = self.index.write().cut(end);
        self.end = end;
        self.current = self.index.read().segments.last().cloned();
        self.durability.forget(&gone);
        self.cut_files(&gone)
            .inspect_err(|_| self.durability.fail())?;
        self.durability.end_cut()
    }

    fn cut_files(&self, gone: &[u64]) -> Result<(), LogError> {
        unlink_segments(&*self.disk, &self.options.directory, gone)?;
        match &self.current {
            Some(segment) => zero_behind(&self.options, segment, self.end.position),
            None => Ok(()),
        }
    }
}
