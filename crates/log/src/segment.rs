//! Segment files: header and preparation. All integers are big-endian.
//!
//! ```text
//!    0     8  magic "TERNSEG1"
//!    8     4  format version, 1
//!   12     4  header size, 4096
//!   16    16  group id
//!   32     8  segment size
//!   40     8  base position, a multiple of the segment size
//!   48     8  index of the first frame
//!   56     8  term of the frame before, 0 if there is none
//!   64     4  header CRC of the frame before, 0 if there is none
//!   68     4  zero
//!   72     8  store timestamp of the frame before, ms
//!   80  4012  zero
//! 4092     4  CRC32C of bytes 0..4092
//! ```
//!
//! The header is the same on all replicas. Behind the written end a segment is zero.

use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::disk::{Disk, DiskFile};
use crate::files::{be32, be64, log_directory, segment_path};
use crate::log_end::LogEnd;
use crate::reserve::Reserve;

/// Bytes of a segment header.
pub const SEGMENT_HEADER_SIZE: u64 = 4096;
/// Segment size of a group that names none.
pub const DEFAULT_SEGMENT_SIZE: u64 = 1 << 30;
/// Least segment size that a group may name. Tests use smaller ones.
pub const MIN_SEGMENT_SIZE: u64 = 32 << 20;

const MAGIC: [u8; 8] = *b"TERNSEG1";
const VERSION: u32 = 1;
const CRC_AT: usize = SEGMENT_HEADER_SIZE as usize - 4;

/// The header of a segment, decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentHeader {
    /// The group's UUID.
    pub group_id: [u8; 16],
    /// Size of every segment of the group.
    pub segment_size: u64,
    /// Position of the segment's first byte.
    pub base: u64,
    /// Index of the first frame.
    pub first_index: u64,
    /// Term of the frame before, 0 if there is none.
    pub previous_term: u64,
    /// Header CRC of the frame before, 0 if there is none.
    pub previous_header_crc: u32,
    /// Store timestamp of the frame before, in milliseconds.
    pub store_timestamp_ms: u64,
}

impl SegmentHeader {
    /// The header of a segment that continues a log.
    pub const fn after(end: &LogEnd, base: u64, group_id: [u8; 16], segment_size: u64) -> Self {
        Self {
            group_id,
            segment_size,
            base,
            first_index: end.index + 1,
            previous_term: end.term,
            previous_header_crc: end.header_crc,
            store_timestamp_ms: end.store_timestamp_ms,
        }
    }

    /// The end of the log before this segment; the position is the segment's base.
    pub const fn end_before(&self) -> LogEnd {
        LogEnd {
            position: self.base,
            index: self.first_index.saturating_sub(1),
            term: self.previous_term,
            header_crc: self.previous_header_crc,
            store_timestamp_ms: self.store_timestamp_ms,
        }
    }

    /// Whether the segment continues a log that ends so.
    pub const fn continues(&self, end: &LogEnd) -> bool {
        self.first_index == end.index + 1
            && self.previous_term == end.term
            && self.previous_header_crc == end.header_crc
    }

    /// Appends the 4096 bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_be_bytes());
        out.extend_from_slice(&(SEGMENT_HEADER_SIZE as u32).to_be_bytes());
        out.extend_from_slice(&self.group_id);
        out.extend_from_slice(&self.segment_size.to_be_bytes());
        out.extend_from_slice(&self.base.to_be_bytes());
        out.extend_from_slice(&self.first_index.to_be_bytes());
        out.extend_from_slice(&self.previous_term.to_be_bytes());
        out.extend_from_slice(&self.previous_header_crc.to_be_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.store_timestamp_ms.to_be_bytes());
        out.resize(start + CRC_AT, 0);
        let crc = crc32c::crc32c(&out[start..]);
        out.extend_from_slice(&crc.to_be_bytes());
    }

    /// Reads a header; none if the bytes are none.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.first_chunk::<{ SEGMENT_HEADER_SIZE as usize }>()?;
        let right = crc32c::crc32c(&bytes[..CRC_AT]) == be32(bytes, CRC_AT)
            && bytes[..8] == MAGIC
            && be32(bytes, 8) == VERSION
            && u64::from(be32(bytes, 12)) == SEGMENT_HEADER_SIZE;
        right.then(|| Self {
            group_id: bytes[16..32].try_into().expect("sixteen bytes"),
            segment_size: be64(bytes, 32),
            base: be64(bytes, 40),
            first_index: be64(bytes, 48),
            previous_term: be64(bytes, 56),
            previous_header_crc: be32(bytes, 64),
            store_timestamp_ms: be64(bytes, 72),
        })
    }
}

/// A file that is to be made, or to be made longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentNeed {
    /// Base position of the segment.
    pub base: u64,
    /// Bytes of it that are to be reserved.
    pub length: u64,
}

/// Makes the file of a segment ready up to a length: reserved, durable, reading as zeros. For a thread that may wait; the
/// log thread takes the file with [`crate::Log::segment_prepared`]. `size` is that of a whole segment.
///
/// An existing file is completed, never emptied, so that a second call does no harm: the log thread may have
/// made the file itself in the meantime. What a disk keeps free for views ([`Reserve`]) is not taken.
///
/// # Errors
/// For a full disk an error that [`crate::is_no_space`] recognises; the name stays and is used by the next try.
pub fn prepare_segment(
    disk: &dyn Disk,
    directory: &Path,
    need: SegmentNeed,
    size: u64,
) -> io::Result<Arc<dyn DiskFile>> {
    let file = disk.create(&segment_path(directory, need.base))?;
    let missing = need.length.saturating_sub(file.allocated()?);
    // Not tried where it cannot end well: a tmpfs has no room for anybody else during the try.
    if missing > 0
        && let Ok(Some(space)) = disk.space(directory)
        && !Reserve::of_segment(size).allows(space, missing)
    {
        return Err(io::ErrorKind::StorageFull.into());
    }
    complete(disk, directory, file, need.length)
}

/// As [`prepare_segment`], from the reserve: for a frame that is past refusing.
pub fn prepare_from_reserve(
    disk: &dyn Disk,
    directory: &Path,
    need: SegmentNeed,
) -> io::Result<Arc<dyn DiskFile>> {
    let file = disk.create(&segment_path(directory, need.base))?;
    complete(disk, directory, file, need.length)
}

fn complete(
    disk: &dyn Disk,
    directory: &Path,
    file: Arc<dyn DiskFile>,
    length: u64,
) -> io::Result<Arc<dyn DiskFile>> {
    file.allocate(length)?;
    file.sync_data()?;
    disk.sync_dir(&log_directory(directory))?;
    Ok(file)
}
