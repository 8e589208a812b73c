//! Reading the log from any thread: memory first, else the segment files.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use parking_lot::RwLock;

use crate::cold_reads::ColdReads;
use crate::descriptor::Descriptor;
use crate::error::LogError;
use crate::fault::Fault;
use crate::files::segment_path;
use crate::frame::Frame;
use crate::header::{FRAME_HEADER_SIZE, FrameHeader};
use crate::index::{ReadIndex, Segment, Waypoint};
use crate::log_end::LogEnd;
use crate::placement::align8;
use crate::segment::SEGMENT_HEADER_SIZE;

/// Bytes of frames that are checked at once.
const CHECKED_AHEAD: usize = 256 << 10;
/// One read of frames takes at least and at most so many bytes, a longer frame apart.
const LEAST_READ: usize = 64 << 10;
const MOST_READ: usize = 1 << 20;

/// Whence bytes of the log come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// From the frames in memory, as they were written.
    Memory,
    /// From a segment file.
    File,
}

/// A reader of a [`crate::Log`]; sees what `append` has finished. Cheap to clone, for use by any thread.
#[derive(Clone)]
pub struct LogReader {
    index: Arc<RwLock<ReadIndex>>,
    directory: Arc<Path>,
    segment_size: u64,
    cold: Arc<ColdReads>,
}

impl LogReader {
    pub(crate) fn new(
        index: Arc<RwLock<ReadIndex>>,
        directory: &Path,
        segment_size: u64,
        near_bytes: u64,
    ) -> Self {
        Self {
            index,
            directory: directory.into(),
            segment_size,
            cold: Arc::new(ColdReads::new(near_bytes, segment_size)),
        }
    }

    /// Whether what stands at a position is old: to read it takes a disk, and its reader must not keep others waiting.
    pub fn is_cold(&self, position: u64) -> bool {
        self.cold.is_cold(position, self.end().position)
    }

    /// The end of the log.
    pub fn end(&self) -> LogEnd {
        self.index.read().end
    }

    /// Index of the first frame that the log has or will have.
    pub fn first_index(&self) -> u64 {
        self.index.read().first_index()
    }

    /// The term of a frame, or of the frame before the first; none for another index.
    pub fn term(&self, index: u64) -> Option<u64> {
        self.index.read().term(index)
    }

    /// Whether a frame changes the membership of its group. Answered from memory.
    pub fn is_membership(&self, index: u64) -> bool {
        let held = self.index.read();
        held.memberships().binary_search(&index).is_ok()
    }

    /// Indexes of the frames behind `index` that change the membership, ascending. Answered from memory.
    pub fn memberships_behind(&self, index: u64) -> Vec<u64> {
        let held = self.index.read();
        let behind = held.memberships().iter().filter(|at| **at > index);
        behind.copied().collect()
    }

    /// The descriptor of a frame, if it is one of the latest 65,536.
    pub fn descriptor(&self, index: u64) -> Option<Descriptor> {
        self.index.read().descriptor(index).copied()
    }

    /// The header of a frame.
    ///
    /// # Errors
    /// [`LogError::NotFound`]; [`LogError::Rotted`] or [`LogError::Io`] if it cannot be read.
    pub fn header(&self, index: u64) -> Result<FrameHeader, LogError> {
        let waypoint = {
            let held = self.index.read();
            if let Some(header) = held.header(index) {
                return Ok(header);
            }
            waypoint(&held, index)?
        };
        let found = self.walk(waypoint, |header| header.index == index);
        self.unless_cut(index, found)
    }

    /// The headers of frames from one index up to and without another. Those that are not held in memory are walked to
    /// once, not once each.
    ///
    /// # Errors
    /// As [`header`](Self::header), for the first of them; the others are then left out.
    pub fn headers(&self, from: u64, to: u64) -> Result<Vec<FrameHeader>, LogError> {
        let mut headers = vec![self.header(from)?];
        for index in from + 1..to {
            let held = self.index.read().header(index);
            let before = headers[headers.len() - 1].end_position();
            let next = match held {
                Some(header) => Ok(header),
                None => self.unless_cut(index, self.read_header(index, before)),
            };
            match next {
                Ok(header) => headers.push(header),
                Err(_) => break,
            }
        }
        Ok(headers)
    }

    /// A frame.
    ///
    /// # Errors
    /// As [`header`](Self::header).
    pub fn frame(&self, index: u64) -> Result<Frame, LogError> {
        let mut frames = self.frames(index, 0)?;
        Ok(frames.swap_remove(0))
    }

    /// Frames from an index on, at most `max_bytes` of them and at least one. Fewer may come than there are.
    ///
    /// # Errors
    /// As [`header`](Self::header).
    pub fn frames(&self, from: u64, max_bytes: usize) -> Result<Vec<Frame>, LogError> {
        let mut frames = Vec::new();
        let waypoint = {
            let held = self.index.read();
            held.frames(from, max_bytes, &mut frames);
            if !frames.is_empty() {
                return Ok(frames);
            }
            waypoint(&held, from)?
        };
        let read = self
            .walk(waypoint, |header| header.index == from)
            .and_then(|header| self.read_frames(&header, max_bytes));
        self.unless_cut(from, read)
    }

    /// As [`LogReader::frames`], but only frames that are in memory: none if the first of them is not.
    pub fn held_frames(&self, from: u64, max_bytes: usize) -> Vec<Frame> {
        let mut frames = Vec::new();
        self.index.read().frames(from, max_bytes, &mut frames);
        frames
    }

    /// Bytes of the log, as a part of one frame or more, and whence they come; the range must lie in one segment and
    /// before the end. They are not checked here: what comes from a file may have been damaged there.
    ///
    /// # Errors
    /// [`LogError::NotStored`], [`LogError::Io`].
    pub fn bytes(&self, physical_offset: u64, length: usize) -> Result<(Bytes, Source), LogError> {
        let segment = {
            let held = self.index.read();
            if let Some(bytes) = held_bytes(&held, physical_offset, length) {
                return Ok((bytes, Source::Memory));
            }
            self.segment_for(&held, physical_offset, length)?
        };
        let mut buffer = vec![0; length];
        self.fill(&segment, physical_offset, &mut buffer)?;
        Ok((buffer.into(), Source::File))
    }

    /// Appends bytes of the log to a buffer; as [`bytes`](Self::bytes), without keeping a frame's memory in use.
    ///
    /// # Errors
    /// As [`bytes`](Self::bytes); then the buffer is as before.
    pub fn copy_bytes(
        &self,
        physical_offset: u64,
        length: usize,
        out: &mut BytesMut,
    ) -> Result<Source, LogError> {
        let segment = {
            let held = self.index.read();
            if let Some(bytes) = held_bytes(&held, physical_offset, length) {
                drop(held);
                out.extend_from_slice(&bytes);
                return Ok(Source::Memory);
            }
            self.segment_for(&held, physical_offset, length)?
        };
        let start = out.len();
        out.resize(start + length, 0);
        self.fill(&segment, physical_offset, &mut out[start..])
            .inspect_err(|_| out.truncate(start))?;
        Ok(Source::File)
    }

    /// Checks the frame that holds a position, as it is stored; returns the positions of that frame.
    ///
    /// # Errors
    /// As [`index_at`](Self::index_at) and [`frame`](Self::frame).
    pub fn check_around(&self, position: u64) -> Result<Range<u64>, LogError> {
        let index = self.index_at(position)?;
        self.frame(index)?;
        let header = self.header(index)?;
        Ok(header.position..header.end_position())
    }

    /// As [`check_around`](Self::check_around), but what was found whole once is not read again. Frames behind it are
    /// checked with it: who reads records in their order pays one read for many.
    ///
    /// # Errors
    /// [`LogError::NotStored`] if no frame holds the position; as [`header`](Self::header) if it cannot be read.
    pub fn sound_around(&self, position: u64) -> Result<Range<u64>, LogError> {
        let (from, last_index, cuts) = {
            let held = self.index.read();
            if let Some(known) = held.sound.around(position) {
                return Ok(known);
            }
            let waypoint = held
                .waypoint_before(position)
                .filter(|_| position < held.end.position)
                .ok_or_else(|| not_stored(&held, position, 1))?;
            let behind = held.sound.last_before(position);
            let from = match behind.filter(|(end, _)| *end > waypoint.position) {
                Some((position, index)) => Waypoint {
                    index: index + 1,
                    position,
                },
                None => waypoint,
            };
            (from, held.end.index, held.cuts)
        };
        let header = self.walk(from, |header| {
            header.end_position() > position || header.index == last_index
        })?;
        let positions = header.position..header.end_position();
        if !positions.contains(&position) {
            return Err(not_stored(&self.index.read(), position, 1));
        }
        let frames = self.read_frames(&header, CHECKED_AHEAD)?;
        let held = self.index.read();
        // Otherwise other frames may stand in the place of what was read.
        if held.cuts == cuts {
            for Frame { header, .. } in &frames {
                let positions = header.position..header.end_position();
                held.sound.note(positions, header.index);
            }
        }
        Ok(positions)
    }

    /// Position of a frame's header.
    ///
    /// # Errors
    /// As [`header`](Self::header).
    pub fn position_of(&self, index: u64) -> Result<u64, LogError> {
        Ok(self.header(index)?.position)
    }

    /// Index of the frame that holds a position, its padding included.
    ///
    /// # Errors
    /// [`LogError::NotStored`] if none does; as [`header`](Self::header) if it cannot be read.
    pub fn index_at(&self, position: u64) -> Result<u64, LogError> {
        let (waypoint, end) = {
            let held = self.index.read();
            let waypoint = held
                .waypoint_before(position)
                .filter(|_| position < held.end.position);
            (
                waypoint.ok_or_else(|| not_stored(&held, position, 1))?,
                held.end,
            )
        };
        let header = self.walk(waypoint, |header| {
            header.end_position() > position || header.index == end.index
        })?;
        if header.position <= position && position < header.end_position() {
            Ok(header.index)
        } else {
            Err(not_stored(&self.index.read(), position, 1))
        }
    }

    /// Walks headers from a known position up to the frame that is looked for.
    fn walk(
        &self,
        from: Waypoint,
        is_it: impl Fn(&FrameHeader) -> bool,
    ) -> Result<FrameHeader, LogError> {
        let Waypoint {
            mut index,
            mut position,
        } = from;
        loop {
            let header = self.read_header(index, position)?;
            if is_it(&header) {
                return Ok(header);
            }
            index += 1;
            position = header.end_position();
        }
    }

    /// The header of the frame behind a position: right there, or at the start of the next segment.
    fn read_header(&self, index: u64, position: u64) -> Result<FrameHeader, LogError> {
        let (segment, at) = {
            let held = self.index.read();
            let segment = held
                .segment_of(index)
                .ok_or_else(|| not_stored(&held, position, 1))?;
            (
                segment.clone(),
                position.max(segment.base + SEGMENT_HEADER_SIZE),
            )
        };
        let mut bytes = [0; FRAME_HEADER_SIZE];
        // Headers are walked over, frame by frame: for one of them no whole chunk is read.
        if !self.cold.copy_held(at, self.index.read().cuts, &mut bytes) {
            self.fill_from_file(&segment, at, &mut bytes)?;
        }
        let rotted = |fault| LogError::Rotted {
            position: at,
            index,
            fault,
        };
        let header = FrameHeader::decode(&bytes).map_err(rotted)?;
        if header.position != at {
            return Err(rotted(Fault::Placement));
        }
        if header.index != index {
            return Err(rotted(Fault::Index));
        }
        Ok(header)
    }

    /// Reads frames of one segment, the first of which is known.
    fn read_frames(&self, first: &FrameHeader, max_bytes: usize) -> Result<Vec<Frame>, LogError> {
        let (segment, end) = {
            let held = self.index.read();
            let segment = held.segment_at(first.position).cloned();
            (
                segment.ok_or_else(|| not_stored(&held, first.position, 1))?,
                held.end.position,
            )
        };
        // The frame may have been cut since its header was read, and then the log ends before it.
        let there = end
            .min(segment.base + self.segment_size)
            .checked_sub(first.position)
            .ok_or_else(|| not_stored(&self.index.read(), first.position, 1))?;
        let wanted = max_bytes
            .clamp(LEAST_READ, MOST_READ)
            .max(first.total_length as usize);
        let mut buffer = vec![0; wanted.min(there as usize)];
        self.fill(&segment, first.position, &mut buffer)?;
        cut_frames(&Bytes::from(buffer), first, max_bytes)
    }

    fn segment_for(
        &self,
        held: &ReadIndex,
        position: u64,
        length: usize,
    ) -> Result<Segment, LogError> {
        let end = position.saturating_add(length as u64);
        held.segment_at(position)
            .filter(|segment| end <= held.end.position && end <= segment.base + self.segment_size)
            .cloned()
            .ok_or_else(|| not_stored(held, position, length as u64))
    }

    fn fill(&self, segment: &Segment, position: u64, buffer: &mut [u8]) -> Result<(), LogError> {
        let (end, cuts) = {
            let held = self.index.read();
            (held.end.position, held.cuts)
        };
        let last = position + (buffer.len() as u64).saturating_sub(1);
        if self.cold.is_cold(last, end) && self.cold.read(segment, position, cuts, buffer) {
            return Ok(());
        }
        self.fill_from_file(segment, position, buffer)
    }

    fn fill_from_file(
        &self,
        segment: &Segment,
        position: u64,
        buffer: &mut [u8],
    ) -> Result<(), LogError> {
        let path = || segment_path(&self.directory, segment.base);
        let read = segment
            .file
            .read_at(buffer, position - segment.base)
            .map_err(|error| LogError::io("read", &path(), error))?;
        if read < buffer.len() {
            let error = std::io::ErrorKind::UnexpectedEof.into();
            return Err(LogError::io("read", &path(), error));
        }
        Ok(())
    }

    /// What was read may have been truncated meanwhile: then it was no damage.
    fn unless_cut<T>(&self, index: u64, found: Result<T, LogError>) -> Result<T, LogError> {
        let Err(error) = found else { return found };
        let held = self.index.read();
        if held.contains(index) {
            return Err(error);
        }
        Err(LogError::NotFound {
            index,
            first: held.first_index(),
            last: held.end.index,
        })
    }
}

fn waypoint(held: &ReadIndex, index: u64) -> Result<Waypoint, LogError> {
    let known = held.waypoint(index).filter(|_| held.contains(index));
    known.ok_or(LogError::NotFound {
        index,
        first: held.first_index(),
        last: held.end.index,
    })
}

fn held_bytes(held: &ReadIndex, position: u64, length: usize) -> Option<Bytes> {
    let frame = held.frame_around(position)?;
    let start = (position - frame.header.position) as usize;
    let end = start.checked_add(length)?;
    (end <= frame.bytes.len()).then(|| frame.bytes.slice(start..end))
}

/// Cuts a buffer that starts with a known frame into frames: at most `max_bytes`, at least the first.
fn cut_frames(
    buffer: &Bytes,
    first: &FrameHeader,
    max_bytes: usize,
) -> Result<Vec<Frame>, LogError> {
    let mut frames: Vec<Frame> = Vec::new();
    let mut at = 0;
    let mut taken = 0;
    let mut expected = *first;
    while let Some(header) = next_header(buffer, at, &expected, frames.is_empty()) {
        let length = header.total_length as usize;
        taken += length;
        if at + length > buffer.len() || (taken > max_bytes && !frames.is_empty()) {
            break;
        }
        match Frame::parse_first(&buffer.slice(at..)) {
            Ok(frame) => frames.push(frame),
            // What stands before the damage is whole; whoever wants more asks again from there.
            Err(_) if !frames.is_empty() => break,
            Err(error) => {
                return Err(LogError::Rotted {
                    position: header.position,
                    index: header.index,
                    fault: match error {
                        LogError::BadFrame { fault } => fault,
                        _ => Fault::PayloadCrc,
                    },
                });
            }
        }
        expected = header;
        at += align8(length as u64) as usize;
    }
    Ok(frames)
}

/// The header at an offset of the buffer if it is the one that follows.
fn next_header(
    buffer: &Bytes,
    at: usize,
    before: &FrameHeader,
    is_first: bool,
) -> Option<FrameHeader> {
    if is_first {
        return Some(*before);
    }
    let header = FrameHeader::decode(buffer.get(at..)?).ok()?;
    (header.previous_header_crc == before.header_crc && header.index == before.index + 1)
        .then_some(header)
}

fn not_stored(held: &ReadIndex, position: u64, length: u64) -> LogError {
    LogError::NotStored {
        position,
        length,
        first: held.start.position,
        end: held.end.position,
    }
}
