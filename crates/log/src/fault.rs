//! What can be wrong with a frame.

use std::fmt;

/// Why bytes are not the frame that should stand there, in the order of the checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Fewer bytes than the frame needs.
    Short,
    /// CRC32C of the header.
    HeaderCrc,
    /// The magic number of the header.
    Magic,
    /// A header version that is not known.
    Version,
    /// A kind that is not known, or content that does not fit it.
    Kind,
    /// A flag that is not known.
    Flags,
    /// Lengths that contradict each other or a limit.
    Length,
    /// The frame does not stand where it has to.
    Placement,
    /// The CRC of the header before is another.
    Chain,
    /// The index does not follow.
    Index,
    /// The term falls.
    Term,
    /// CRC32C of the payload.
    PayloadCrc,
    /// The sizes of the records do not add up.
    Records,
    /// The zero map contradicts itself.
    ZeroMap,
    /// Zeros stand where a frame has to be.
    Missing,
    /// A segment header is damaged.
    SegmentHeader,
    /// The disk does not give the bytes back.
    Unreadable,
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Short => "too few bytes",
            Self::HeaderCrc => "header checksum",
            Self::Magic => "magic number",
            Self::Version => "unknown header version",
            Self::Kind => "kind",
            Self::Flags => "unknown flag",
            Self::Length => "lengths",
            Self::Placement => "position is not the frame's place",
            Self::Chain => "checksum of the header before",
            Self::Index => "index does not follow",
            Self::Term => "term falls",
            Self::PayloadCrc => "payload checksum",
            Self::Records => "record sizes do not add up",
            Self::ZeroMap => "zero map",
            Self::Missing => "zeros where a frame has to be",
            Self::SegmentHeader => "segment header",
            Self::Unreadable => "the disk does not give it back",
        })
    }
}
