//! Why a record is refused.

/// Why a record is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The slice ends inside the record.
    #[error("a record needs {need} bytes, there are {have}")]
    Truncated {
        /// Bytes needed, as far as known.
        need: usize,
        /// Bytes there.
        have: usize,
    },
    /// The record's size is not what its fields add up to.
    #[error("a record of {size} bytes whose {field} does not fit")]
    BadSize {
        /// Size that the record claims.
        size: usize,
        /// The field at which it shows.
        field: &'static str,
    },
    /// Neither V1 nor V2.
    #[error("unknown record magic {0:08x}")]
    UnknownMagic(u32),
    /// A field with an impossible value.
    #[error("a record with a bad {field}")]
    BadField {
        /// The field.
        field: &'static str,
    },
    /// The body is not what its CRC covers.
    #[error("body CRC {found}, the record says {expected}")]
    BodyCrc {
        /// CRC in the record.
        expected: u32,
        /// CRC of the body.
        found: u32,
    },
    /// A part is too long to be encoded.
    #[error("{field} of {have} bytes, the limit is {limit}")]
    TooLong {
        /// The part.
        field: &'static str,
        /// Its bytes.
        have: usize,
        /// Bytes allowed.
        limit: usize,
    },
}
