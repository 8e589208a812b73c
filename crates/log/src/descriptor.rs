//! What the consensus engine holds of a frame: 40 bytes in place of its content. All integers are big-endian.
//!
//! ```text
//!  0  8  position           20  1  kind
//!  8  4  total length       21  1  flags
//! 12  4  message count      22  2  zero
//! 16  4  metadata length    24  4  payload CRC
//!                           28  4  header CRC
//!                           32  8  store timestamp, ms
//! ```

use crate::fault::Fault;
use crate::files::{be32, be64};
use crate::header::{FrameHeader, FrameKind};

/// Bytes of an encoded descriptor.
pub const DESCRIPTOR_SIZE: usize = 40;

/// The fields of a frame header that the engine's entry does not have by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// Position of the frame.
    pub position: u64,
    /// Header and payload, without padding.
    pub total_length: u32,
    /// Number of message records.
    pub message_count: u32,
    /// Bytes of the metadata block.
    pub metadata_length: u32,
    /// What the frame carries.
    pub kind: FrameKind,
    /// Flags of the header.
    pub flags: u8,
    /// CRC32C of the payload.
    pub payload_crc: u32,
    /// CRC32C of the header.
    pub header_crc: u32,
    /// Store timestamp of the frame, in milliseconds.
    pub store_timestamp_ms: u64,
}

impl Descriptor {
    /// The 40 bytes.
    pub fn encode(&self) -> [u8; DESCRIPTOR_SIZE] {
        let mut bytes = [0; DESCRIPTOR_SIZE];
        bytes[0..8].copy_from_slice(&self.position.to_be_bytes());
        bytes[8..12].copy_from_slice(&self.total_length.to_be_bytes());
        bytes[12..16].copy_from_slice(&self.message_count.to_be_bytes());
        bytes[16..20].copy_from_slice(&self.metadata_length.to_be_bytes());
        bytes[20] = self.kind as u8;
        bytes[21] = self.flags;
        bytes[24..28].copy_from_slice(&self.payload_crc.to_be_bytes());
        bytes[28..32].copy_from_slice(&self.header_crc.to_be_bytes());
        bytes[32..40].copy_from_slice(&self.store_timestamp_ms.to_be_bytes());
        bytes
    }

    /// Reads exactly 40 bytes.
    ///
    /// # Errors
    /// [`Fault::Length`], [`Fault::Kind`], or [`Fault::Flags`] for bytes that have to be zero.
    pub fn decode(bytes: &[u8]) -> Result<Self, Fault> {
        if bytes.len() != DESCRIPTOR_SIZE {
            return Err(Fault::Length);
        }
        if bytes[22..24] != [0, 0] {
            return Err(Fault::Flags);
        }
        Ok(Self {
            position: be64(bytes, 0),
            total_length: be32(bytes, 8),
            message_count: be32(bytes, 12),
            metadata_length: be32(bytes, 16),
            kind: FrameKind::from_number(bytes[20]).ok_or(Fault::Kind)?,
            flags: bytes[21],
            payload_crc: be32(bytes, 24),
            header_crc: be32(bytes, 28),
            store_timestamp_ms: be64(bytes, 32),
        })
    }

    /// The header again, from what the descriptor leaves out.
    pub const fn header(&self, index: u64, term: u64, previous_header_crc: u32) -> FrameHeader {
        FrameHeader {
            total_length: self.total_length,
            index,
            term,
            position: self.position,
            message_count: self.message_count,
            metadata_length: self.metadata_length,
            kind: self.kind,
            flags: self.flags,
            previous_header_crc,
            store_timestamp_ms: self.store_timestamp_ms,
            payload_crc: self.payload_crc,
            header_crc: self.header_crc,
        }
    }
}

impl From<&FrameHeader> for Descriptor {
    fn from(header: &FrameHeader) -> Self {
        Self {
            position: header.position,
            total_length: header.total_length,
            message_count: header.message_count,
            metadata_length: header.metadata_length,
            kind: header.kind,
            flags: header.flags,
            payload_crc: header.payload_crc,
            header_crc: header.header_crc,
            store_timestamp_ms: header.store_timestamp_ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_descriptor_and_its_context_give_the_header_again(
            numbers in prop::array::uniform8(any::<u64>()),
            flags in 0_u8..4,
        ) {
            let mut header = FrameHeader {
                total_length: numbers[0] as u32,
                index: numbers[1],
                term: numbers[2],
                position: numbers[3],
                message_count: numbers[4] as u32,
                metadata_length: numbers[5] as u32,
                kind: FrameKind::Membership,
                flags,
                previous_header_crc: numbers[6] as u32,
                store_timestamp_ms: numbers[7],
                payload_crc: 0x1234_5678,
                header_crc: 0,
            };
            header.seal();
            let decoded = Descriptor::decode(&Descriptor::from(&header).encode()).expect("own bytes");
            prop_assert_eq!(decoded.header(header.index, header.term, header.previous_header_crc), header);
        }
    }

    #[test]
    fn other_lengths_and_kinds_are_refused() {
        assert_eq!(Descriptor::decode(&[0; 39]), Err(Fault::Length));
        assert_eq!(Descriptor::decode(&[0; 40]), Err(Fault::Kind));
    }
}
