//! Entries of the log as consensus sees them: without their bytes.

use tern_log::{Descriptor, FrameHeader, FrameKind};

/// One log entry without its bytes: all that consensus has to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThinEntry {
    /// Index in the log, from 1.
    pub index: u64,
    /// Term (mode `raft`) or epoch of the frame.
    pub term: u64,
    /// What the frame is for. Taken from the engine's entry, never from what was proposed.
    pub kind: FrameKind,
    /// Set for batches. Entries that the engine made by itself have no frame yet; a change of the membership has one, of
    /// which the engine knows nothing.
    pub descriptor: Option<Descriptor>,
}

/// The log as the engine reads it. Implemented by the log's reader; it may read headers from disk.
pub trait EntrySource: Send {
    /// Index of the oldest frame that is there.
    fn first_index(&self) -> u64;
    /// Index of the newest frame that is readable; `first_index() - 1` for an empty log.
    fn last_index(&self) -> u64;
    /// Term of the frame at `index`, or of the frame before the first one.
    fn term(&self, index: u64) -> Option<u64>;
    /// Header of the frame at `index`.
    fn header(&self, index: u64) -> Option<FrameHeader>;
    /// Whether the frame at `index` changes the membership. Answered from memory.
    fn is_membership(&self, index: u64) -> bool;
    /// Headers from `low` up to and without `high`; fewer if one cannot be read, and then those before it.
    fn headers(&self, low: u64, high: u64) -> Vec<FrameHeader>;
}

impl EntrySource for tern_log::LogReader {
    fn first_index(&self) -> u64 {
        Self::first_index(self)
    }

    fn last_index(&self) -> u64 {
        self.end().index
    }

    fn term(&self, index: u64) -> Option<u64> {
        Self::term(self, index)
    }

    fn header(&self, index: u64) -> Option<FrameHeader> {
        Self::header(self, index).ok()
    }

    fn is_membership(&self, index: u64) -> bool {
        Self::is_membership(self, index)
    }

    fn headers(&self, low: u64, high: u64) -> Vec<FrameHeader> {
        Self::headers(self, low, high).unwrap_or_default()
    }
}
