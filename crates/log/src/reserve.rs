//! What is kept of a disk, so that all but new messages goes on when it is full.

use crate::disk::Space;

const MIB: u64 = 1 << 20;

/// Bytes that new messages must leave. They follow the segment size: a disk on which segments are small is small.
///
/// | of | for | at 64 MiB | at 1 GiB |
/// |---|---|---|---|
/// | the disk, beside the segments | views of what the log holds, and small files | 32 MiB | 64 MiB |
/// | the log's prepared files | ops: offsets, locks, topics, delay progress | 8 MiB | 64 MiB |
/// | these | the first frame of a new leader, 64 bytes | 1 MiB | 1 MiB |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reserve {
    /// Free bytes of the disk that no segment takes.
    pub views: u64,
    /// Bytes of the prepared segments that no message takes.
    pub ops: u64,
    /// Bytes of them that no op takes either.
    pub elections: u64,
}

impl Reserve {
    /// The reserve of a log with such segments.
    pub const fn of_segment(size: u64) -> Self {
        const fn least(share: u64, most: u64) -> u64 {
            if share < most { share } else { most }
        }
        Self {
            views: least(size / 2, 64 * MIB),
            ops: least(size / 8, 64 * MIB),
            elections: least(size / 64, MIB),
        }
    }

    /// Whether a segment may take so many bytes more of the disk.
    pub const fn allows(&self, space: Space, bytes: u64) -> bool {
        space.free >= bytes.saturating_add(self.views)
    }

    /// Whether others took so much of the disk that views may soon find no room: new messages stop.
    pub const fn is_low(&self, space: Space) -> bool {
        space.free < self.views / 2
    }

    /// Whether new messages may go on after [`is_low`](Self::is_low); apart from it, so that they do not stop and go.
    pub const fn is_enough(&self, space: Space) -> bool {
        space.free >= self.views / 4 * 3
    }
}
