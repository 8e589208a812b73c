//! What is held in memory of the log: where its frames are, and the latest of them. Rebuilt from headers at start.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::descriptor::Descriptor;
use crate::disk::DiskFile;
use crate::frame::Frame;
use crate::header::{FrameHeader, FrameKind};
use crate::log_end::LogEnd;
use crate::segment::SEGMENT_HEADER_SIZE;
use crate::sound_frames::SoundFrames;

/// One position is kept for so many frames.
const SPARSE_EVERY: u64 = 256;

/// A segment that holds frames.
#[derive(Clone)]
pub struct Segment {
    pub base: u64,
    pub first_index: u64,
    pub file: Arc<dyn DiskFile>,
}

/// From this index on, frames have this term.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TermRun {
    pub term: u64,
    pub first_index: u64,
}

/// A frame whose position is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waypoint {
    pub index: u64,
    pub position: u64,
}

/// How much of the latest frames is held.
#[derive(Clone, Copy, Debug)]
pub struct CacheLimits {
    /// Bytes of whole frames.
    pub frame_bytes: usize,
    /// Descriptors.
    pub descriptors: usize,
}

/// The read index. Behind a lock: the log thread writes, readers look up and go.
pub struct ReadIndex {
    /// What the first frame chains to.
    pub start: LogEnd,
    pub end: LogEnd,
    pub segments: Vec<Segment>,
    limits: CacheLimits,
    descriptors: VecDeque<Descriptor>,
    /// Header CRC of the frame before the first descriptor.
    before_descriptors: u32,
    frames: VecDeque<Frame>,
    frame_bytes: usize,
    sparse: Vec<Waypoint>,
    terms: Vec<TermRun>,
    /// Indexes of the frames that change the membership, ascending: there are few of them.
    memberships: Vec<u64>,
    /// Frames found whole in their files.
    pub sound: SoundFrames,
    /// How often frames were cut off.
    pub cuts: u64,
}

impl ReadIndex {
    pub fn new(start: LogEnd, limits: CacheLimits) -> Self {
        Self {
            start,
            end: start,
            segments: Vec::new(),
            limits,
            descriptors: VecDeque::new(),
            before_descriptors: start.header_crc,
            frames: VecDeque::new(),
            frame_bytes: 0,
            sparse: Vec::new(),
            terms: Vec::new(),
            memberships: Vec::new(),
            sound: SoundFrames::default(),
            cuts: 0,
        }
    }

    pub const fn first_index(&self) -> u64 {
        self.start.index + 1
    }

    pub const fn contains(&self, index: u64) -> bool {
        index > self.start.index && index <= self.end.index
    }

    /// Takes a frame that was written.
    pub fn push(&mut self, frame: &Frame) {
        self.push_header(&frame.header);
        self.frame_bytes += frame.bytes.len();
        self.frames.push_back(frame.clone());
        while self.frame_bytes > self.limits.frame_bytes && self.frames.len() > 1 {
            if let Some(oldest) = self.frames.pop_front() {
                self.frame_bytes -= oldest.bytes.len();
            }
        }
    }

    /// Takes the header of a frame that recovery has found.
    pub fn push_header(&mut self, header: &FrameHeader) {
        if self.descriptors.is_empty() {
            self.before_descriptors = self.end.header_crc;
        }
        self.descriptors.push_back(Descriptor::from(header));
        if self.descriptors.len() > self.limits.descriptors
            && let Some(oldest) = self.descriptors.pop_front()
        {
            self.before_descriptors = oldest.header_crc;
        }
        if header.index.is_multiple_of(SPARSE_EVERY) {
            self.sparse.push(Waypoint {
                index: header.index,
                position: header.position,
            });
        }
        if self.terms.last().is_none_or(|run| run.term != header.term) {
            self.terms.push(TermRun {
                term: header.term,
                first_index: header.index,
            });
        }
        if header.kind == FrameKind::Membership {
            self.memberships.push(header.index);
        }
        self.end = header.end();
    }

    /// Forgets what lies behind a frame; `end` is the end of that frame. Answers the bases of segments that hold
    /// nothing any more.
    pub fn cut(&mut self, end: LogEnd) -> Vec<u64> {
        let first_descriptor = self.first_descriptor();
        self.descriptors
            .truncate((end.index + 1).saturating_sub(first_descriptor) as usize);
        let first_frame = self.first_frame();
        self.frames
            .truncate((end.index + 1).saturating_sub(first_frame) as usize);
        self.frame_bytes = self.frames.iter().map(|frame| frame.bytes.len()).sum();
        self.sparse.retain(|waypoint| waypoint.index <= end.index);
        self.terms.retain(|run| run.first_index <= end.index);
        self.memberships.retain(|index| *index <= end.index);
        self.sound.cut(end.position);
        self.cuts += 1;
        self.end = end;
        let kept = self
            .segments
            .partition_point(|segment| segment.first_index <= end.index);
        self.segments
            .drain(kept..)
            .map(|segment| segment.base)
            .collect()
    }

    fn first_descriptor(&self) -> u64 {
        self.end.index + 1 - self.descriptors.len() as u64
    }

    fn first_frame(&self) -> u64 {
        self.end.index + 1 - self.frames.len() as u64
    }

    pub fn descriptor(&self, index: u64) -> Option<&Descriptor> {
        let at = index.checked_sub(self.first_descriptor())?;
        self.descriptors.get(at as usize)
    }

    /// The header of a frame whose descriptor is held.
    pub fn header(&self, index: u64) -> Option<FrameHeader> {
        let descriptor = self.descriptor(index)?;
        let previous = match index
            .checked_sub(1)
            .and_then(|before| self.descriptor(before))
        {
            Some(before) => before.header_crc,
            None => self.before_descriptors,
        };
        Some(descriptor.header(index, self.term(index)?, previous))
    }

    /// A frame whose bytes are held.
    pub fn frame(&self, index: u64) -> Option<&Frame> {
        let at = index.checked_sub(self.first_frame())?;
        self.frames.get(at as usize)
    }

    /// Frames from an index on whose bytes are held: at most `max_bytes`, at least one.
    pub fn frames(&self, from: u64, max_bytes: usize, out: &mut Vec<Frame>) {
        let mut bytes = 0;
        let mut index = from;
        while let Some(frame) = self.frame(index) {
            bytes += frame.bytes.len();
            if bytes > max_bytes && index > from {
                return;
            }
            out.push(frame.clone());
            index += 1;
        }
    }

    /// A frame whose bytes are held, by a position within it.
    pub fn frame_around(&self, position: u64) -> Option<&Frame> {
        let behind = self
            .frames
            .partition_point(|frame| frame.header.position <= position);
        let frame = self.frames.get(behind.checked_sub(1)?)?;
        (position < frame.header.end_position()).then_some(frame)
    }

    /// The term of a frame, or of the one before the first.
    pub fn term(&self, index: u64) -> Option<u64> {
        if index == self.start.index {
            return Some(self.start.term);
        }
        if !self.contains(index) {
            return None;
        }
        let behind = self.terms.partition_point(|run| run.first_index <= index);
        Some(self.terms[behind.checked_sub(1)?].term)
    }

    /// Indexes of the frames that change the membership, ascending.
    pub fn memberships(&self) -> &[u64] {
        &self.memberships
    }

    /// The nearest known frame at or before one of the log: from its position headers are walked.
    pub fn waypoint(&self, index: u64) -> Option<Waypoint> {
        if let Some(descriptor) = self.descriptor(index) {
            return Some(Waypoint {
                index,
                position: descriptor.position,
            });
        }
        self.best_waypoint(|waypoint| waypoint.index <= index)
    }

    /// The nearest known frame that starts at or before a position.
    pub fn waypoint_before(&self, position: u64) -> Option<Waypoint> {
        let behind = self
            .descriptors
            .partition_point(|descriptor| descriptor.position <= position);
        if let Some(at) = behind.checked_sub(1) {
            return Some(Waypoint {
                index: self.first_descriptor() + at as u64,
                position: self.descriptors[at].position,
            });
        }
        self.best_waypoint(|waypoint| waypoint.position <= position)
    }

    fn best_waypoint(&self, is_before: impl Fn(&Waypoint) -> bool) -> Option<Waypoint> {
        let sparse = self.sparse.partition_point(&is_before);
        let sparse = sparse.checked_sub(1).map(|at| self.sparse[at]);
        let first_of = |segment: &Segment| Waypoint {
            index: segment.first_index,
            position: segment.base + SEGMENT_HEADER_SIZE,
        };
        let segment = self
            .segments
            .partition_point(|segment| is_before(&first_of(segment)));
        let segment = segment
            .checked_sub(1)
            .map(|at| first_of(&self.segments[at]));
        sparse
            .into_iter()
            .chain(segment)
            .max_by_key(|waypoint| waypoint.index)
    }

    /// The segment that a frame lies in.
    pub fn segment_of(&self, index: u64) -> Option<&Segment> {
        let behind = self
            .segments
            .partition_point(|segment| segment.first_index <= index);
        self.segments.get(behind.checked_sub(1)?)
    }

    /// The segment that a position lies in.
    pub fn segment_at(&self, position: u64) -> Option<&Segment> {
        let behind = self
            .segments
            .partition_point(|segment| segment.base <= position);
        self.segments.get(behind.checked_sub(1)?)
    }
}
