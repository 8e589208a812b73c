//! The 64-byte header of a frame. All integers are big-endian.
//!
//! ```text
//!  0  4  magic "TFR1"
//!  4  4  total length: header and payload, without padding; at most 8 MiB
//!  8  8  index
//! 16  8  term
//! 24  8  position of this header in the log
//! 32  4  message count
//! 36  4  metadata block length
//! 40  1  kind: 1 batch, 2 no-op, 3 membership
//! 41  1  flags: bit 0 durable, bit 1 zero map present
//! 42  2  header version, 1
//! 44  4  header CRC of the frame before (the chain)
//! 48  8  store timestamp, ms; it falls only if a clock was wrong
//! 56  4  CRC32C of the payload
//! 60  4  CRC32C of bytes 0..60
//! ```

use crate::fault::Fault;
use crate::files::{be32, be64};
use crate::log_end::LogEnd;
use crate::placement::{align8, frame_position};
use crate::planted::{Bug, is_planted};
use crate::segment::SEGMENT_HEADER_SIZE;

/// Bytes of a frame header.
pub const FRAME_HEADER_SIZE: usize = 64;
/// Greatest total length of a frame.
pub const MAX_FRAME_LENGTH: u32 = 8 * 1024 * 1024;
/// Flag: acknowledged after `fdatasync` even where the group flushes later.
pub const FLAG_DURABLE: u8 = 1;
/// Flag: the payload ends with a zero map.
pub const FLAG_ZERO_MAP: u8 = 2;

const MAGIC: [u8; 4] = *b"TFR1";
const VERSION: u16 = 1;

/// What a frame carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum FrameKind {
    /// Records, metadata changes, or both.
    #[default]
    Batch = 1,
    /// Nothing: the entry that a new leader starts its term with.
    NoOp = 2,
    /// A change of membership, in the metadata block.
    Membership = 3,
}

impl FrameKind {
    /// The kind of a number in a header.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Batch),
            2 => Some(Self::NoOp),
            3 => Some(Self::Membership),
            _ => None,
        }
    }
}

/// The header of a frame, decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// Header and payload, without padding.
    pub total_length: u32,
    /// Index of the entry.
    pub index: u64,
    /// Term of the entry.
    pub term: u64,
    /// Position of the header in the log.
    pub position: u64,
    /// Number of message records.
    pub message_count: u32,
    /// Bytes of the metadata block.
    pub metadata_length: u32,
    /// What the frame carries.
    pub kind: FrameKind,
    /// [`FLAG_DURABLE`], [`FLAG_ZERO_MAP`].
    pub flags: u8,
    /// Header CRC of the frame before.
    pub previous_header_crc: u32,
    /// Store timestamp, in milliseconds: that of the frame before or later, unless a clock was wrong.
    pub store_timestamp_ms: u64,
    /// CRC32C of the payload.
    pub payload_crc: u32,
    /// CRC32C of this header.
    pub header_crc: u32,
}

impl FrameHeader {
    /// The header's bytes; computes and keeps the header CRC.
    pub fn seal(&mut self) -> [u8; FRAME_HEADER_SIZE] {
        let mut bytes = [0; FRAME_HEADER_SIZE];
        bytes[0..4].copy_from_slice(&MAGIC);
        bytes[4..8].copy_from_slice(&self.total_length.to_be_bytes());
        bytes[8..16].copy_from_slice(&self.index.to_be_bytes());
        bytes[16..24].copy_from_slice(&self.term.to_be_bytes());
        bytes[24..32].copy_from_slice(&self.position.to_be_bytes());
        bytes[32..36].copy_from_slice(&self.message_count.to_be_bytes());
        bytes[36..40].copy_from_slice(&self.metadata_length.to_be_bytes());
        bytes[40] = self.kind as u8;
        bytes[41] = self.flags;
        bytes[42..44].copy_from_slice(&VERSION.to_be_bytes());
        bytes[44..48].copy_from_slice(&self.previous_header_crc.to_be_bytes());
        bytes[48..56].copy_from_slice(&self.store_timestamp_ms.to_be_bytes());
        bytes[56..60].copy_from_slice(&self.payload_crc.to_be_bytes());
        self.header_crc = crc32c::crc32c(&bytes[..60]);
        bytes[60..64].copy_from_slice(&self.header_crc.to_be_bytes());
        bytes
    }

    /// Reads a header: CRC, magic, version, kind, flags, and lengths that can be true.
    ///
    /// # Errors
    /// The first [`Fault`] in the order of the checks; [`Fault::Short`] below 64 bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, Fault> {
        let bytes = bytes
            .first_chunk::<FRAME_HEADER_SIZE>()
            .ok_or(Fault::Short)?;
        let header_crc = be32(bytes, 60);
        if crc32c::crc32c(&bytes[..60]) != header_crc {
            return Err(Fault::HeaderCrc);
        }
        if bytes[..4] != MAGIC {
            return Err(Fault::Magic);
        }
        if u16::from_be_bytes([bytes[42], bytes[43]]) != VERSION {
            return Err(Fault::Version);
        }
        let header = Self {
            total_length: be32(bytes, 4),
            index: be64(bytes, 8),
            term: be64(bytes, 16),
            position: be64(bytes, 24),
            message_count: be32(bytes, 32),
            metadata_length: be32(bytes, 36),
            kind: FrameKind::from_number(bytes[40]).ok_or(Fault::Kind)?,
            flags: bytes[41],
            previous_header_crc: be32(bytes, 44),
            store_timestamp_ms: be64(bytes, 48),
            payload_crc: be32(bytes, 56),
            header_crc,
        };
        header.check_content()?;
        Ok(header)
    }

    fn check_content(&self) -> Result<(), Fault> {
        if self.flags & !(FLAG_DURABLE | FLAG_ZERO_MAP) != 0 {
            return Err(Fault::Flags);
        }
        let empty = self.message_count == 0 && self.metadata_length == 0;
        let fits = match self.kind {
            FrameKind::Batch => !empty,
            FrameKind::NoOp => empty && self.payload_length() == 0,
            FrameKind::Membership => self.message_count == 0,
        };
        if !fits {
            return Err(Fault::Kind);
        }
        let least = FRAME_HEADER_SIZE as u64 + u64::from(self.metadata_length);
        if self.total_length > MAX_FRAME_LENGTH || u64::from(self.total_length) < least {
            return Err(Fault::Length);
        }
        Ok(())
    }

    /// Whether the frame continues a log that ends at `end`: position, chain, index, term, in this order.
    ///
    /// # Errors
    /// The first [`Fault`].
    pub fn follows(&self, end: &LogEnd, segment_size: u64) -> Result<(), Fault> {
        let length = u64::from(self.total_length);
        let fits = align8(length) + SEGMENT_HEADER_SIZE <= segment_size;
        let stands = self.position == frame_position(end.position, length, segment_size);
        if !fits || (!stands && !is_planted(Bug::PlacementUnchecked)) {
            return Err(Fault::Placement);
        }
        if self.previous_header_crc != end.header_crc {
            return Err(Fault::Chain);
        }
        if self.index != end.index + 1 {
            return Err(Fault::Index);
        }
        if self.term < end.term {
            return Err(Fault::Term);
        }
        Ok(())
    }

    /// The end of a log whose last frame this is.
    pub const fn end(&self) -> LogEnd {
        LogEnd {
            position: self.end_position(),
            index: self.index,
            term: self.term,
            header_crc: self.header_crc,
            store_timestamp_ms: self.store_timestamp_ms,
        }
    }

    /// Position behind the frame and its padding.
    pub const fn end_position(&self) -> u64 {
        self.position + align8(self.total_length as u64)
    }

    /// Bytes behind the header.
    pub const fn payload_length(&self) -> usize {
        (self.total_length as usize).saturating_sub(FRAME_HEADER_SIZE)
    }

    /// Whether the frame asks to be acknowledged only after `fdatasync`.
    pub const fn is_durable(&self) -> bool {
        self.flags & FLAG_DURABLE != 0
    }

    /// Whether the payload ends with a zero map.
    pub const fn has_zero_map(&self) -> bool {
        self.flags & FLAG_ZERO_MAP != 0
    }
}
