//! Where a log ends.

/// The end of a log, and all that the next frame chains to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogEnd {
    /// Position behind the last frame, a multiple of 8; 0 for an empty log.
    pub position: u64,
    /// Index of the last frame, 0 if there is none.
    pub index: u64,
    /// Term of the last frame, 0 if there is none.
    pub term: u64,
    /// CRC32C of the last frame's header, 0 if there is none.
    pub header_crc: u32,
    /// Store timestamp of the last frame, in milliseconds.
    pub store_timestamp_ms: u64,
}
