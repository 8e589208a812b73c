//! A whole frame: header and payload.

use bytes::Bytes;
use tern_wire::record::MIN_SIZE;

use crate::error::LogError;
use crate::fault::Fault;
use crate::files::be32;
use crate::header::{FRAME_HEADER_SIZE, FrameHeader, FrameKind};
use crate::log_end::LogEnd;
use crate::zero_map::intact_map;

/// One entry of the log, as it stands in the segment. Made by [`crate::FrameDraft::seal`] or [`Frame::parse`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The decoded header.
    pub header: FrameHeader,
    /// Header and payload, without padding.
    pub bytes: Bytes,
    /// Where the records end and the metadata block starts, counted from the header's first byte.
    records_end: usize,
}

impl Frame {
    /// Checks bytes that are exactly one frame: header, payload CRC, record sizes.
    ///
    /// Place, chain, index and term are checked against a log by [`FrameHeader::follows`].
    ///
    /// # Errors
    /// [`LogError::BadFrame`] with the first fault.
    pub fn parse(bytes: Bytes) -> Result<Self, LogError> {
        let (header, records_end) =
            check_frame(&bytes).map_err(|fault| LogError::BadFrame { fault })?;
        if header.total_length as usize != bytes.len() {
            return Err(LogError::BadFrame {
                fault: Fault::Length,
            });
        }
        Ok(Self {
            header,
            bytes,
            records_end,
        })
    }

    /// Checks the frame at the start of `bytes`, of which more may follow. The frame shares the buffer.
    ///
    /// # Errors
    /// [`LogError::BadFrame`] with the first fault.
    pub fn parse_first(bytes: &Bytes) -> Result<Self, LogError> {
        let (header, records_end) =
            check_frame(bytes).map_err(|fault| LogError::BadFrame { fault })?;
        Ok(Self {
            header,
            bytes: bytes.slice(..header.total_length as usize),
            records_end,
        })
    }

    /// For the builder, which knows that its frame is right.
    pub(crate) const fn built(header: FrameHeader, bytes: Bytes, records_end: usize) -> Self {
        Self {
            header,
            bytes,
            records_end,
        }
    }

    /// The message records, back to back.
    pub fn records(&self) -> &[u8] {
        &self.bytes[FRAME_HEADER_SIZE..self.records_end]
    }

    /// The metadata block: operations, or the payload of a membership change.
    pub fn metadata(&self) -> &[u8] {
        &self.bytes[self.records_end..self.records_end + self.header.metadata_length as usize]
    }

    /// The operations of its metadata block; none in a frame that changes the membership.
    pub fn ops(&self) -> &[u8] {
        match self.header.kind {
            FrameKind::Membership => &[],
            FrameKind::Batch | FrameKind::NoOp => self.metadata(),
        }
    }

    /// Physical offset of the first record.
    pub const fn records_position(&self) -> u64 {
        self.header.position + FRAME_HEADER_SIZE as u64
    }

    /// The end of a log whose last frame this is.
    pub const fn end(&self) -> LogEnd {
        self.header.end()
    }
}

/// Checks the frame that bytes start with; answers its header and where its records end.
fn check_frame(bytes: &[u8]) -> Result<(FrameHeader, usize), Fault> {
    let header = FrameHeader::decode(bytes)?;
    let frame = bytes
        .get(..header.total_length as usize)
        .ok_or(Fault::Short)?;
    Ok((header, check_payload(&header, frame)?))
}

/// Checks the payload of a frame whose header is right; answers where the records end.
pub fn check_payload(header: &FrameHeader, frame: &[u8]) -> Result<usize, Fault> {
    if crc32c::crc32c(&frame[FRAME_HEADER_SIZE..]) != header.payload_crc {
        return Err(Fault::PayloadCrc);
    }
    let content_end = if header.has_zero_map() {
        intact_map(frame).ok_or(Fault::ZeroMap)?.start
    } else {
        frame.len()
    };
    let records_end = content_end
        .checked_sub(header.metadata_length as usize)
        .filter(|end| *end >= FRAME_HEADER_SIZE)
        .ok_or(Fault::Length)?;
    check_records(header.message_count, &frame[FRAME_HEADER_SIZE..records_end])?;
    Ok(records_end)
}

/// Each record starts with its size; `count` of them must fill the bytes exactly.
fn check_records(count: u32, mut records: &[u8]) -> Result<(), Fault> {
    for _ in 0..count {
        if records.len() < MIN_SIZE {
            return Err(Fault::Records);
        }
        let size = be32(records, 0) as usize;
        if size < MIN_SIZE || size > records.len() {
            return Err(Fault::Records);
        }
        records = &records[size..];
    }
    if records.is_empty() {
        Ok(())
    } else {
        Err(Fault::Records)
    }
}
