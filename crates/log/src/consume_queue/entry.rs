//! One entry of a consume queue.

use crate::files::{be32, be64};

/// Bytes of an entry.
pub const ENTRY_SIZE: usize = 20;

/// Topic id and queue id.
pub type QueueIds = (u32, u32);

/// Where one message stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueEntry {
    /// Position of the record in the log.
    pub physical_offset: u64,
    /// Bytes of the record.
    pub size: u32,
    /// Code of the message's tag, for filtering.
    pub tags_code: i64,
}

impl QueueEntry {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.physical_offset.to_be_bytes());
        out.extend_from_slice(&self.size.to_be_bytes());
        out.extend_from_slice(&self.tags_code.to_be_bytes());
    }

    pub(crate) fn decode(bytes: &[u8]) -> Self {
        Self {
            physical_offset: be64(bytes, 0),
            size: be32(bytes, 8),
            tags_code: be64(bytes, 12).cast_signed(),
        }
    }
}
