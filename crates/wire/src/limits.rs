//! What a peer may send.

/// The largest frame of the protocol, its length field included.
pub const MAX_FRAME_BYTES: u32 = 16 * 1024 * 1024;

/// What a peer may send. A frame beyond it closes the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameLimits {
    /// Bytes of a frame, its length field included.
    pub max_frame_bytes: u32,
    /// Bytes of a header.
    pub max_header_bytes: u32,
    /// Fields of a header, and keys of a JSON object anywhere in it.
    pub max_fields: usize,
    /// Nesting of a JSON header. It bounds a recursion: thousands would be too many.
    pub max_depth: usize,
}

impl Default for FrameLimits {
    fn default() -> Self {
        Self {
            max_frame_bytes: MAX_FRAME_BYTES,
            max_header_bytes: 1024 * 1024,
            max_fields: 256,
            max_depth: 32,
        }
    }
}
