//! From messages and metadata changes to a frame.

use bytes::Bytes;
use tern_wire::record::{MIN_SIZE, stamp};

use crate::error::LogError;
use crate::frame::Frame;
use crate::header::{
    FLAG_DURABLE, FLAG_ZERO_MAP, FRAME_HEADER_SIZE, FrameHeader, FrameKind, MAX_FRAME_LENGTH,
};
use crate::log_end::LogEnd;
use crate::placement::{align8, frame_position};
use crate::segment::SEGMENT_HEADER_SIZE;
use crate::zero_map::{append_map, longest_map};

/// How far the store timestamp of a frame runs ahead of its leader's clock at most, in milliseconds.
///
/// It does not fall while clocks differ as they do, so that messages can be searched by time; beyond that a clock was
/// wrong once, and what follows would be stamped wrongly for as long as it was ahead: a year, perhaps.
pub const MAX_AHEAD_MS: u64 = 60_000;

/// A frame before it has a position. The vectors may be cleared and used again after [`seal`](Self::seal).
#[derive(Clone, Debug, Default)]
pub struct FrameDraft {
    /// What the frame carries.
    pub kind: FrameKind,
    /// Encoded records, back to back, with holes for queue offset, physical offset and store timestamp.
    pub records: Vec<u8>,
    /// Size of each record in bytes.
    pub record_sizes: Vec<u32>,
    /// Queue offset of each record.
    pub queue_offsets: Vec<u64>,
    /// Places, in order, of those records that carry the leader's clock, whatever the log's timestamp is: what becomes due does
    /// so by the clock, and no other leader's that was ahead once may hold it back.
    pub by_clock: Vec<usize>,
    /// The metadata block.
    pub metadata: Vec<u8>,
    /// [`FLAG_DURABLE`] or nothing; the zero map's flag is set by `seal`.
    pub flags: u8,
}

impl FrameDraft {
    /// The entry that a new leader starts its term with.
    pub fn no_op() -> Self {
        Self {
            kind: FrameKind::NoOp,
            ..Self::default()
        }
    }

    /// Adds one encoded record.
    pub fn push_record(&mut self, record: &[u8], queue_offset: u64) {
        self.records.extend_from_slice(record);
        self.record_sizes.push(record.len() as u32);
        self.queue_offsets.push(queue_offset);
    }

    /// Bytes of the frame, a zero map apart.
    pub const fn length(&self) -> usize {
        FRAME_HEADER_SIZE + self.records.len() + self.metadata.len()
    }

    /// Number of records.
    pub const fn message_count(&self) -> usize {
        self.record_sizes.len()
    }

    /// Whether there is nothing in it.
    pub const fn is_empty(&self) -> bool {
        self.records.is_empty() && self.metadata.is_empty()
    }

    /// Empties the draft and keeps its memory.
    pub fn clear(&mut self) {
        self.kind = FrameKind::Batch;
        self.records.clear();
        self.record_sizes.clear();
        self.queue_offsets.clear();
        self.by_clock.clear();
        self.metadata.clear();
        self.flags = 0;
    }

    /// Builds the frame that follows `end`: finds its position, fills the holes of the records, adds a zero map if
    /// the content has zero shares there, and computes the checksums.
    ///
    /// The store timestamp is the greater of `wall_clock_ms` and that of the frame before, one for the frame; but if
    /// the one before lies more than [`MAX_AHEAD_MS`] ahead of the clock, a clock was wrong, and the timestamp falls to
    /// `wall_clock_ms`. The same draft, end, term and time make the same bytes.
    ///
    /// # Errors
    /// [`LogError::BadDraft`] if the draft contradicts itself, [`LogError::TooLarge`] if the frame is longer than
    /// the format or a segment allows.
    pub fn seal(
        &self,
        end: &LogEnd,
        term: u64,
        wall_clock_ms: u64,
        segment_size: u64,
    ) -> Result<Frame, LogError> {
        self.check(end, term)?;
        check_length(self.length(), segment_size)?;
        let store_timestamp_ms = store_timestamp(wall_clock_ms, end.store_timestamp_ms);
        let stamps = (store_timestamp_ms, wall_clock_ms);
        let mut position = frame_position(end.position, self.length() as u64, segment_size);
        let mut bytes = Vec::with_capacity(self.length());
        self.write_content(&mut bytes, position, stamps);
        let mut mapped = append_map(&mut bytes, position, 0);
        let with_map = frame_position(end.position, bytes.len() as u64, segment_size);
        if with_map != position {
            // The map made the frame too long for the rest of the segment. In the next one the sectors cut the
            // content elsewhere, and a shorter map could make the frame fit here again; so the map keeps its size.
            let least = bytes.len() - self.length();
            position = with_map;
            bytes.clear();
            self.write_content(&mut bytes, position, stamps);
            mapped = append_map(&mut bytes, position, least);
        }
        check_length(bytes.len(), segment_size)?;
        let mut header = FrameHeader {
            total_length: bytes.len() as u32,
            index: end.index + 1,
            term,
            position,
            message_count: self.record_sizes.len() as u32,
            metadata_length: self.metadata.len() as u32,
            kind: self.kind,
            flags: self.flags | if mapped { FLAG_ZERO_MAP } else { 0 },
            previous_header_crc: end.header_crc,
            store_timestamp_ms,
            payload_crc: crc32c::crc32c(&bytes[FRAME_HEADER_SIZE..]),
            header_crc: 0,
        };
        let sealed = header.seal();
        bytes[..FRAME_HEADER_SIZE].copy_from_slice(&sealed);
        let records_end = FRAME_HEADER_SIZE + self.records.len();
        Ok(Frame::built(header, Bytes::from(bytes), records_end))
    }

    fn check(&self, end: &LogEnd, term: u64) -> Result<(), LogError> {
        let bad = |reason| Err(LogError::BadDraft { reason });
        let sum: u64 = self.record_sizes.iter().map(|size| u64::from(*size)).sum();
        if sum != self.records.len() as u64 {
            return bad("record sizes do not add up");
        }
        if self
            .record_sizes
            .iter()
            .any(|size| (*size as usize) < MIN_SIZE)
        {
            return bad("a record is too short for its layout");
        }
        if self.queue_offsets.len() != self.record_sizes.len() {
            return bad("not one queue offset for each record");
        }
        let is_ordered = self.by_clock.is_sorted_by(|one, next| one < next);
        if !is_ordered
            || self
                .by_clock
                .last()
                .is_some_and(|last| *last >= self.message_count())
        {
            return bad("records by the clock that are not there");
        }
        if self.flags & !FLAG_DURABLE != 0 {
            return bad("unknown flag");
        }
        if term < end.term || term == 0 {
            return bad("the term falls");
        }
        match self.kind {
            FrameKind::Batch if self.is_empty() => bad("a batch with nothing in it"),
            FrameKind::NoOp if !self.is_empty() => bad("a no-op with content"),
            FrameKind::Membership if !self.records.is_empty() => {
                bad("a membership change with records")
            }
            _ => Ok(()),
        }
    }

    /// Room for the header, then records and metadata, stamped for a position: with the log's timestamp, or with the
    /// leader's clock.
    fn write_content(&self, bytes: &mut Vec<u8>, position: u64, (log_ms, clock_ms): (u64, u64)) {
        bytes.resize(FRAME_HEADER_SIZE, 0);
        bytes.extend_from_slice(&self.records);
        bytes.extend_from_slice(&self.metadata);
        let mut at = FRAME_HEADER_SIZE;
        let mut by_clock = self.by_clock.iter().copied().peekable();
        let numbers = self.record_sizes.iter().zip(&self.queue_offsets);
        for (number, (size, queue_offset)) in numbers.enumerate() {
            let record = &mut bytes[at..at + *size as usize];
            let stored_ms = match by_clock.next_if_eq(&number) {
                Some(_) => clock_ms,
                None => log_ms,
            };
            stamp(record, *queue_offset, position + at as u64, stored_ms);
            at += *size as usize;
        }
    }
}

const fn store_timestamp(clock_ms: u64, before_ms: u64) -> u64 {
    if before_ms > clock_ms && before_ms - clock_ms <= MAX_AHEAD_MS {
        before_ms
    } else {
        clock_ms
    }
}

/// Whether content of so many bytes, records and metadata, fits into a frame, whatever zeros it holds.
pub const fn fits_frame(content: usize, segment_size: u64) -> bool {
    let longest = FRAME_HEADER_SIZE + content + longest_map(content);
    fits(longest, segment_size)
}

const fn fits(length: usize, segment_size: u64) -> bool {
    align8(length as u64) <= limit(segment_size)
}

const fn limit(segment_size: u64) -> u64 {
    let room = segment_size.saturating_sub(SEGMENT_HEADER_SIZE);
    if room < MAX_FRAME_LENGTH as u64 {
        room
    } else {
        MAX_FRAME_LENGTH as u64
    }
}

fn check_length(length: usize, segment_size: u64) -> Result<(), LogError> {
    if fits(length, segment_size) {
        return Ok(());
    }
    Err(LogError::TooLarge {
        length: length as u64,
        limit: limit(segment_size),
    })
}
