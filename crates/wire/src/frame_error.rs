//! Why a frame is refused.

/// Why a frame is refused. None of these can be answered: where the next frame begins is not known, or the peer is hostile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The frame is longer than the limit (both with the length field).
    #[error("frame of {announced} bytes, the limit is {limit}")]
    TooLong {
        /// Bytes of the frame.
        announced: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// These are no frames: the first four bytes of another protocol read as a huge length.
    #[error("no frame of this protocol: it begins with \"{first}\", so the peer speaks {protocol}")]
    OtherProtocol {
        /// What stands where a length should.
        first: String,
        /// Whose beginning that is.
        protocol: &'static str,
    },
    /// The frame has no room for the word that describes its header.
    #[error("frame of {announced} bytes has no room for a header")]
    TooShort {
        /// Bytes after the length field.
        announced: u64,
    },
    /// The header is longer than the limit.
    #[error("header of {announced} bytes, the limit is {limit}")]
    HeaderTooLong {
        /// Bytes of the header.
        announced: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// The header would end after the frame.
    #[error("header of {announced} bytes in a frame with room for {room}")]
    HeaderBeyondFrame {
        /// Bytes of the header.
        announced: usize,
        /// Bytes between the header word and the end of the frame.
        room: usize,
    },
    /// The header is neither JSON nor binary.
    #[error("unknown header form {0}")]
    UnknownForm(u8),
    /// The JSON header is not what it should be.
    #[error("JSON header, byte {at}: {problem}")]
    Json {
        /// Offset in the header.
        at: usize,
        /// What is wrong there.
        problem: &'static str,
    },
    /// The binary header is not what it should be.
    #[error("binary header, byte {at}: {problem}")]
    Binary {
        /// Offset in the header.
        at: usize,
        /// What is wrong there.
        problem: &'static str,
    },
    /// More fields than the limit.
    #[error("more than {limit} header fields")]
    TooManyFields {
        /// Fields allowed.
        limit: usize,
    },
    /// A JSON header nested deeper than the limit.
    #[error("header is nested deeper than {limit}")]
    TooDeep {
        /// Levels allowed.
        limit: usize,
    },
    /// A key that occurs twice and so has no single meaning.
    #[error("header, byte {at}: a key occurs twice")]
    DuplicateKey {
        /// Offset in the header.
        at: usize,
    },
}
