//! Room for frames to come: it is reserved before a frame is written there, so that the log never writes where a disk is full.

use std::io;
use std::sync::Arc;

use crate::disk::DiskFile;
use crate::error::LogError;
use crate::files::segment_path;
use crate::frame::Frame;
use crate::log::{Log, LogOptions, SpareSegment};
use crate::placement::frame_position;
use crate::room_ahead::{RoomAhead, RoomWanted, in_steps};
use crate::segment::{SegmentNeed, prepare_from_reserve, prepare_segment};

/// Where a frame would go, and whether a file is there for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SegmentRoom {
    /// Into the segment being written.
    Here,
    /// Into the next segment, whose file is prepared.
    NextReady,
    /// Where nothing is reserved yet: an append would have to do so.
    NextMissing {
        /// Base position of that segment.
        base: u64,
    },
}

impl Log {
    /// Where a frame of this length would go now.
    pub fn segment_ready_for(&self, length: u64) -> SegmentRoom {
        let position = frame_position(self.end.position, length, self.options.segment_size);
        let base = self.base_of(position);
        if self.reserved_in(base) < position - base + length {
            SegmentRoom::NextMissing { base }
        } else if self.is_current(base) {
            SegmentRoom::Here
        } else {
            SegmentRoom::NextReady
        }
    }

    /// Makes sure that frames that end at a position have their segments, in the thread that appends: before a frame is
    /// taken that cannot be given back. False if the disk has no room for it beside its reserve, or the system has no descriptor
    /// left; nothing was changed.
    ///
    /// # Errors
    /// [`LogError::Write`] if the disk fails otherwise: the replica must stop.
    pub fn make_room_upto(&mut self, end: u64) -> Result<bool, LogError> {
        match self.reserve_upto(end, false) {
            Ok(()) => Ok(true),
            Err(LogError::NoSpace { .. } | LogError::Scarce { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// What is to be reserved next, if it is time: so much that a proposal of `waiting` bytes finds room, and more, the longer
    /// the log is, up to a whole segment behind the one being written.
    pub fn segment_to_prepare(&self, waiting: u64) -> Option<SegmentNeed> {
        let (size, end) = (self.options.segment_size, self.end.position);
        let base = self.first_base();
        let wanted = RoomAhead::of(size, end, end - base, waiting);
        let need = |base: u64, wanted: RoomWanted| {
            let length = wanted.length;
            (self.reserved_in(base) < wanted.least).then_some(SegmentNeed { base, length })
        };
        need(base, wanted.here).or_else(|| need(base + size, wanted.next?))
    }

    /// Takes a file from [`prepare_segment`]. One that comes late is dropped without harm.
    ///
    /// # Errors
    /// [`LogError::Io`] if the file cannot be looked at.
    pub fn segment_prepared(&mut self, base: u64, file: Arc<dyn DiskFile>) -> Result<(), LogError> {
        let cannot = |error| {
            let path = segment_path(&self.options.directory, base);
            LogError::io("look at", &path, error)
        };
        // The file may have been used without this thread's waiting for it, and have been cut off again: then the
        // name now belongs to nothing or to another file.
        let linked = file.is_linked().map_err(cannot)?;
        let length = file.len().map_err(cannot)?;
        if linked && base >= self.first_base() {
            self.has_reserved(base, file, length);
        }
        Ok(())
    }

    /// Another thread met an error while it prepared a segment, for which neither room nor descriptors were missing: the log
    /// takes nothing more.
    pub fn preparation_failed(&self, base: u64, error: io::Error) -> LogError {
        self.durability.fail();
        LogError::write(&segment_path(&self.options.directory, base), error)
    }

    fn is_current(&self, base: u64) -> bool {
        let current = self.current.as_ref();
        current.is_some_and(|current| current.base == base)
    }

    /// Base of the segment being written, or of the first one.
    fn first_base(&self) -> u64 {
        let current = self.current.as_ref();
        current.map_or_else(|| self.base_of(self.end.position), |current| current.base)
    }

    /// How much of a segment is reserved.
    fn reserved_in(&self, base: u64) -> u64 {
        if self.is_current(base) {
            return self.reserved;
        }
        self.prepared.get(&base).map_or(0, |spare| spare.length)
    }

    fn has_reserved(&mut self, base: u64, file: Arc<dyn DiskFile>, length: u64) {
        if self.is_current(base) {
            self.reserved = self.reserved.max(length);
        } else if self.reserved_in(base) < length {
            self.prepared.insert(base, SpareSegment { file, length });
        }
    }

    /// Makes sure, before anything is written, that every segment the frames need has its file.
    pub(crate) fn make_room(&mut self, frames: &[Frame]) -> Result<(), LogError> {
        match frames.last() {
            Some(last) => self.reserve_upto(last.header.end_position(), true),
            None => Ok(()),
        }
    }

    /// Reserves what is missing up to a position; `from_reserve`: also of what the disk keeps free for views.
    fn reserve_upto(&mut self, end: u64, from_reserve: bool) -> Result<(), LogError> {
        let size = self.options.segment_size;
        let last = self.base_of(end.saturating_sub(1));
        let mut base = self.first_base();
        while base <= last {
            let wanted = if base == last { end - base } else { size };
            if self.reserved_in(base) < wanted {
                let length = in_steps(size, wanted);
                self.reserve_now(SegmentNeed { base, length }, from_reserve)?;
            }
            base += size;
        }
        Ok(())
    }

    fn reserve_now(&mut self, need: SegmentNeed, from_reserve: bool) -> Result<(), LogError> {
        let LogOptions {
            directory,
            segment_size,
            ..
        } = &self.options;
        let made = if from_reserve {
            prepare_from_reserve(&*self.disk, directory, need)
        } else {
            prepare_segment(&*self.disk, directory, need, *segment_size)
        };
        let made = made.and_then(|file| Ok((file.len()?, file)));
        let path = segment_path(directory, need.base);
        let (length, file) = made
            .map_err(|error| LogError::allocation(&path, error))
            .inspect_err(|error| {
                if error.is_fatal() {
                    self.durability.fail();
                }
            })?;
        self.has_reserved(need.base, file, length);
        Ok(())
    }
}
