//! Walking a log frame by frame at start, with every check, and naming the first thing that is wrong.

use std::sync::Arc;

use crate::disk::DiskFile;
use crate::error::LogError;
use crate::evidence::{frame_is_torn, header_is_torn, segment_header_is_torn};
use crate::fault::Fault;
use crate::files::segment_path;
use crate::frame::check_payload;
use crate::header::{FRAME_HEADER_SIZE, FrameHeader};
use crate::log::LogOptions;
use crate::log_end::LogEnd;
use crate::segment::{SEGMENT_HEADER_SIZE, SegmentHeader};
use crate::zero_map::is_zero;

/// Bytes read at a time.
const READ: usize = 1 << 20;

/// A segment file as it was found.
pub struct SegmentFile {
    pub base: u64,
    pub file: Arc<dyn DiskFile>,
    pub length: u64,
    /// Nothing but zeros: prepared and never written, or never reached by the device.
    pub is_blank: bool,
}

/// What stands behind an end.
pub enum ScanStep {
    /// The next frame, checked.
    Frame(FrameHeader),
    /// The log goes on in the next segment.
    Segment(u64),
    /// Nothing: the normal end.
    End,
    /// Something that is no frame, or nothing where something must be.
    Bad(DamagedFrame),
}

/// What the next segment is.
enum Next {
    /// The log goes on in it, at this base.
    Continues(u64),
    /// Its header was written and is wrong.
    Damaged(DamagedFrame),
    /// There is none, or none that belongs here.
    Other,
}

/// The first thing that is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DamagedFrame {
    /// Where the frame has to stand.
    pub position: u64,
    pub fault: Fault,
    /// A part of it was never written.
    pub is_torn: bool,
}

/// Reads the segments of a log in order.
pub struct Scanner<'a> {
    options: &'a LogOptions,
    segments: &'a [SegmentFile],
    buffer: Vec<u8>,
    /// Position of the buffer's first byte.
    buffered: u64,
}

impl<'a> Scanner<'a> {
    pub const fn new(options: &'a LogOptions, segments: &'a [SegmentFile]) -> Self {
        Self {
            options,
            segments,
            buffer: Vec::new(),
            buffered: 0,
        }
    }

    /// The first segment's header, or what is wrong with it. The segments are not all blank.
    pub fn first(&mut self) -> Result<Result<SegmentHeader, DamagedFrame>, LogError> {
        let base = self.segments[0].base;
        let header = self.segment_header(base)?;
        // Only a log whose older segments were purged starts elsewhere than at index 1.
        let is_first = |header: &SegmentHeader| (base == 0) == (header.first_index == 1);
        Ok(header.and_then(|header| {
            if is_first(&header) {
                Ok(header)
            } else {
                Err(lost_header(base, false))
            }
        }))
    }

    /// What stands behind an end, in the segment with this base.
    pub fn step(&mut self, base: u64, end: &LogEnd) -> Result<ScanStep, LogError> {
        let at = end.position.max(base + SEGMENT_HEADER_SIZE);
        if at + FRAME_HEADER_SIZE as u64 <= base + self.options.segment_size
            && let Some(step) = self.frame(base, at, end)?
        {
            // Where the next segment goes on from this very end, nothing has to stand here, so nothing is lost.
            let is_header_lost =
                matches!(&step, ScanStep::Bad(damage) if damage.fault == Fault::HeaderCrc);
            if is_header_lost && let Next::Continues(next) = self.next(base, end)? {
                return Ok(ScanStep::Segment(next));
            }
            return Ok(step);
        }
        self.behind(base, at, end)
    }

    /// The frame at a position; none if zeros stand there.
    fn frame(&mut self, base: u64, at: u64, end: &LogEnd) -> Result<Option<ScanStep>, LogError> {
        let bad = |fault, is_torn| {
            Ok(Some(ScanStep::Bad(DamagedFrame {
                position: at,
                fault,
                is_torn,
            })))
        };
        let segment_size = self.options.segment_size;
        let bytes = self.bytes(base, at, FRAME_HEADER_SIZE)?;
        if is_zero(bytes) {
            return Ok(None);
        }
        let header = match FrameHeader::decode(bytes) {
            Ok(header) => header,
            // The other faults stand under a right checksum, so the header was written as it is.
            Err(fault) => {
                return bad(
                    fault,
                    fault == Fault::HeaderCrc && header_is_torn(at, bytes),
                );
            }
        };
        if let Err(fault) = header.follows(end, segment_size) {
            return bad(fault, false);
        }
        if header.position != at {
            return bad(Fault::Placement, false);
        }
        let frame = self.bytes(base, at, header.total_length as usize)?;
        match check_payload(&header, frame) {
            Ok(_) => Ok(Some(ScanStep::Frame(header))),
            Err(fault) => bad(
                fault,
                fault == Fault::PayloadCrc && frame_is_torn(&header, frame),
            ),
        }
    }

    /// There is no frame at the position: the next segment, the end, or a hole.
    fn behind(&mut self, base: u64, at: u64, end: &LogEnd) -> Result<ScanStep, LogError> {
        match self.next(base, end)? {
            Next::Continues(next) => return Ok(ScanStep::Segment(next)),
            Next::Damaged(damage) => return Ok(ScanStep::Bad(damage)),
            Next::Other => {}
        }
        let is_more = self
            .segments
            .iter()
            .any(|found| found.base > base && !found.is_blank);
        // A segment gets its header and its first frame in one write.
        let is_begun = end.position < base + SEGMENT_HEADER_SIZE;
        if is_more || is_begun || !self.is_zero_from(base, at)? {
            return Ok(ScanStep::Bad(DamagedFrame {
                position: at,
                fault: Fault::Missing,
                is_torn: true,
            }));
        }
        Ok(ScanStep::End)
    }

    /// What the segment behind one is to a log that ends so.
    fn next(&mut self, base: u64, end: &LogEnd) -> Result<Next, LogError> {
        let next = base + self.options.segment_size;
        if self
            .segments
            .iter()
            .all(|found| found.base != next || found.is_blank)
        {
            return Ok(Next::Other);
        }
        Ok(match self.segment_header(next)? {
            Ok(header) if header.continues(end) => Next::Continues(next),
            Err(damage) if damage.fault == Fault::SegmentHeader => Next::Damaged(damage),
            Ok(_) | Err(_) => Next::Other,
        })
    }

    /// A segment's header, or what is wrong with it.
    fn segment_header(
        &mut self,
        base: u64,
    ) -> Result<Result<SegmentHeader, DamagedFrame>, LogError> {
        let bytes = self.bytes(base, base, SEGMENT_HEADER_SIZE as usize)?;
        if is_zero(bytes) {
            return Ok(Err(DamagedFrame {
                position: base + SEGMENT_HEADER_SIZE,
                fault: Fault::Missing,
                is_torn: true,
            }));
        }
        let Some(header) = SegmentHeader::decode(bytes) else {
            let is_torn = segment_header_is_torn(bytes);
            return Ok(Err(lost_header(base, is_torn)));
        };
        let foreign = |what| {
            Err(LogError::Foreign {
                path: segment_path(&self.options.directory, base),
                what,
            })
        };
        if header.group_id != self.options.group_id {
            return foreign("the group id");
        }
        if header.segment_size != self.options.segment_size {
            return foreign("the segment size");
        }
        if header.base != base {
            return foreign("the base position");
        }
        Ok(Ok(header))
    }

    /// Whether the segment holds only zeros from a position on.
    fn is_zero_from(&mut self, base: u64, position: u64) -> Result<bool, LogError> {
        let segment = self.segment(base);
        is_zero_behind(&*segment.file, position - base).map_err(|error| {
            LogError::io("read", &segment_path(&self.options.directory, base), error)
        })
    }

    fn segment(&self, base: u64) -> &'a SegmentFile {
        let segments = self.segments;
        segments
            .iter()
            .find(|segment| segment.base == base)
            .expect("only segments that were found are read")
    }

    /// Bytes of one segment; behind the end of a short file they are zero.
    fn bytes(&mut self, base: u64, position: u64, length: usize) -> Result<&[u8], LogError> {
        let held = self.buffered..self.buffered + self.buffer.len() as u64;
        if position < held.start || position + length as u64 > held.end {
            let room = (base + self.options.segment_size - position) as usize;
            self.buffer.clear();
            self.buffer.resize(length.max(READ).min(room), 0);
            self.buffered = position;
            self.segment(base)
                .file
                .read_at(&mut self.buffer, position - base)
                .map_err(|error| {
                    LogError::io("read", &segment_path(&self.options.directory, base), error)
                })?;
        }
        let start = (position - self.buffered) as usize;
        Ok(&self.buffer[start..start + length])
    }
}

const fn lost_header(base: u64, is_torn: bool) -> DamagedFrame {
    DamagedFrame {
        position: base + SEGMENT_HEADER_SIZE,
        fault: Fault::SegmentHeader,
        is_torn,
    }
}

/// Whether a file holds only zeros from an offset on. Holes are not read.
pub fn is_zero_behind(file: &dyn DiskFile, from: u64) -> std::io::Result<bool> {
    let mut buffer = vec![0; 64 << 10];
    let mut at = from;
    while let Some(data) = file.next_data(at)? {
        let read = file.read_at(&mut buffer, data)?;
        if read == 0 {
            break;
        }
        if !is_zero(&buffer[..read]) {
            return Ok(false);
        }
        at = data + read as u64;
    }
    Ok(true)
}
