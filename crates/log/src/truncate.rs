//! Truncation: a follower is told that frames of its own were never committed.

use std::path::PathBuf;

use crate::error::LogError;
use crate::files::sync_directory;
use crate::log::Log;
use crate::recovery::{reserved_of, unlink_segments, zero_behind};
use crate::zeros_ahead::ZerosAhead;

/// Where what is cut off is kept, if it was anybody's only copy.
const SET_ASIDE: &str = "set-aside";

impl Log {
    /// Keeps bytes that are about to be cut off, in a file beside the log; durable when this returns. A file of that name
    /// is one that a crash left before the cut.
    ///
    /// # Errors
    /// [`LogError::Io`], [`LogError::NoSpace`], [`LogError::Write`] or [`LogError::Sync`]: nothing may be cut.
    pub fn set_aside(&self, name: &str, bytes: &[u8]) -> Result<PathBuf, LogError> {
        let root = &self.options.directory;
        let directory = root.join(SET_ASIDE);
        let path = directory.join(name);
        self.disk
            .create_dir(&directory)
            .map_err(|error| LogError::allocation(&directory, error))?;
        let file = self
            .disk
            .create(&path)
            .map_err(|error| LogError::allocation(&path, error))?;
        file.write_at(bytes, 0)
            .map_err(|error| LogError::allocation(&path, error))?;
        file.sync_data()
            .map_err(|error| LogError::sync(&path, error))?;
        sync_directory(&*self.disk, &directory)?;
        sync_directory(&*self.disk, root)?;
        Ok(path)
    }

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
        self.reserved = match &self.current {
            Some(segment) => reserved_of(&self.options, segment)?,
            None => 0,
        };
        // What is zeroed by a cut counts as unwritten again, and another segment may be the last one.
        self.zeros = ZerosAhead::default();
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
