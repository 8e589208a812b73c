//! The writer of the log: one thread appends.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::RwLock;

use crate::clean_stop::StopKind;
use crate::disk::{Disk, DiskFile};
use crate::durability::Durability;
use crate::error::LogError;
use crate::files::segment_path;
use crate::frame::Frame;
use crate::header::FrameHeader;
use crate::index::{CacheLimits, ReadIndex, Segment};
use crate::log_end::LogEnd;
use crate::reader::LogReader;
use crate::segment::{MIN_SEGMENT_SIZE, SEGMENT_HEADER_SIZE, SegmentHeader};
use crate::syncer::LogSyncer;
use crate::zeros_ahead::{ZEROS, ZerosAhead};

/// Bytes of recent frames held in memory where many processes share a machine.
const SMALL_RING_BYTES: usize = 16 << 20;
/// Not old, unless less memory is there.
pub const NEAR_BYTES: u64 = 256 << 20;
/// Descriptors held: 2.6 MB.
const RING_DESCRIPTORS: usize = 65_536;
/// The buffer in which several frames are put together keeps at most so much.
const SCRATCH_KEPT: usize = 4 << 20;

/// How a log is opened.
#[derive(Clone, Debug)]
pub struct LogOptions {
    /// The replica's directory; segments lie in `log` below it.
    pub directory: PathBuf,
    /// The group's UUID; a log of another group is refused.
    pub group_id: [u8; 16],
    /// Size of a segment, a multiple of 4096; a log with another size is refused.
    pub segment_size: u64,
    /// Bytes of recent frames that are held in memory.
    pub ring_bytes: usize,
    /// Descriptors of recent frames that are held in memory; headers of older ones are read from their files.
    pub ring_descriptors: usize,
    /// How far behind the end of the log frames are not old: the kernel is taken to hold them, as they were just written.
    pub near_bytes: u64,
    /// How the replica stopped last, from [`crate::StopRecord`].
    pub stop: StopKind,
}

impl LogOptions {
    pub(crate) const fn cache_limits(&self) -> CacheLimits {
        CacheLimits {
            frame_bytes: self.ring_bytes,
            descriptors: self.ring_descriptors,
        }
    }

    /// Options with the least segment size, a ring of 16 MiB, and nothing known of the last stop.
    pub fn new(directory: impl Into<PathBuf>, group_id: [u8; 16]) -> Self {
        Self {
            directory: directory.into(),
            group_id,
            segment_size: MIN_SEGMENT_SIZE,
            ring_bytes: SMALL_RING_BYTES,
            ring_descriptors: RING_DESCRIPTORS,
            near_bytes: NEAR_BYTES,
            stop: StopKind::PowerCutPossible,
        }
    }
}

/// A file without a frame.
pub(crate) struct SpareSegment {
    pub file: Arc<dyn DiskFile>,
    /// How much of it is reserved.
    pub length: u64,
}

/// The log of one replica, owned by its log thread.
pub struct Log {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) options: LogOptions,
    pub(crate) index: Arc<RwLock<ReadIndex>>,
    pub(crate) reader: LogReader,
    pub(crate) durability: Arc<Durability>,
    pub(crate) committed_at_start: u64,
    pub(crate) end: LogEnd,
    /// The segment being written.
    pub(crate) current: Option<Segment>,
    /// How much of its file is reserved. All before it have their whole length.
    pub(crate) reserved: u64,
    /// Files without a frame, by base.
    pub(crate) prepared: BTreeMap<u64, SpareSegment>,
    pub(crate) scratch: Vec<u8>,
    pub(crate) zeros: ZerosAhead,
}

impl Log {
    /// What the next frame chains to.
    pub const fn end(&self) -> LogEnd {
        self.end
    }

    /// Index of the first frame that the log has or will have.
    pub fn first_index(&self) -> u64 {
        self.index.read().first_index()
    }

    /// Size of a segment.
    pub const fn segment_size(&self) -> u64 {
        self.options.segment_size
    }

    /// The position below which everything is durable.
    pub fn durable(&self) -> u64 {
        self.durability.durable()
    }

    /// An index known to be committed and durable when the log was opened; 0 if none was known.
    pub const fn committed_at_start(&self) -> u64 {
        self.committed_at_start
    }

    /// The group has committed everything up to a frame that the log has. The mark in `flushed.pos` follows as soon as the
    /// frame is durable here.
    ///
    /// # Errors
    /// As [`LogReader::header`].
    pub fn committed(&self, index: u64) -> Result<(), LogError> {
        let end = self.reader.header(index)?.end_position();
        self.durability.committed(index, end);
        Ok(())
    }

    /// Appends frames, which readers see when the call returns. They are durable only after [`LogSyncer::sync`].
    ///
    /// Nothing is made on disk where the segments that the frames need were handed over with
    /// [`segment_prepared`](Self::segment_prepared); else the missing file is made here.
    ///
    /// # Errors
    /// [`LogError::Diverged`] if a frame does not continue the log, and [`LogError::NoSpace`] if there is no room for
    /// a new segment: then nothing was appended. [`LogError::Write`] if writing failed: the replica must stop.
    pub fn append(&mut self, frames: &[Frame]) -> Result<(), LogError> {
        self.durability.check()?;
        self.check_chain(frames)?;
        self.make_room(frames)?;
        let mut rest = frames;
        let mut touched = Vec::new();
        while !rest.is_empty() {
            let (run, behind) = rest.split_at(self.run_length(rest));
            let written = self
                .write_run(run)
                .inspect_err(|_| self.durability.fail())?;
            touched.push(written);
            rest = behind;
        }
        let ends = touched
            .iter()
            .map(|segment| (segment.base, Arc::clone(&segment.file)));
        self.durability.wrote(ends, self.end.position);
        self.publish(frames, touched);
        Ok(())
    }

    /// Writes zeros behind the end of the log where frames have passed the last ones, unless the log grows too fast for that
    /// to pay: the syncs of the next frames then meet no block that nothing was written to. To be called after an
    /// append; `now_ns` is the caller's monotonic clock.
    ///
    /// Zeros are never part of what a sync has to cover, and a log without them is as good.
    ///
    /// # Errors
    /// [`LogError::Write`]: the replica must stop. The space is reserved, so a disk that does not take zeros there, full or
    /// not, would not take the next frame.
    pub fn write_zeros_ahead(&mut self, now_ns: u64) -> Result<(), LogError> {
        let Some(segment) = &self.current else {
            return Ok(());
        };
        let segment_end = segment.base + self.reserved;
        let Some(due) = self.zeros.due(self.end.position, segment_end, now_ns) else {
            return Ok(());
        };
        let zeros = &ZEROS[..(due.end - due.start) as usize];
        self.write(segment, zeros, due.start)
            .inspect_err(|_| self.durability.fail())
    }

    /// The header of a frame.
    ///
    /// # Errors
    /// As [`LogReader::header`].
    pub fn header(&self, index: u64) -> Result<FrameHeader, LogError> {
        self.reader.header(index)
    }

    /// The term of a frame, or of the frame before the first; none for another index.
    ///
    /// # Errors
    /// None today; the signature leaves room for terms that have to be read.
    pub fn term(&self, index: u64) -> Result<Option<u64>, LogError> {
        Ok(self.index.read().term(index))
    }

    /// A reader that sees what `append` has finished.
    pub fn reader(&self) -> LogReader {
        self.reader.clone()
    }

    /// Whether everything that was appended is durable and committed positions are kept, as a clean stop has to say.
    ///
    /// # Errors
    /// [`LogError::Failed`] if a write or sync has failed, or if frames are not durable.
    pub fn check_flushed(&self) -> Result<(), LogError> {
        self.durability.check()?;
        if self.durability.durable() < self.end.position {
            return Err(LogError::Failed);
        }
        Ok(())
    }

    /// The flush thread's part.
    pub fn syncer(&self) -> LogSyncer {
        LogSyncer::new(Arc::clone(&self.durability))
    }

    pub(crate) const fn base_of(&self, position: u64) -> u64 {
        position - position % self.options.segment_size
    }

    fn check_chain(&self, frames: &[Frame]) -> Result<(), LogError> {
        let mut end = self.end;
        for Frame { header, .. } in frames {
            header
                .follows(&end, self.options.segment_size)
                .map_err(|fault| LogError::Diverged {
                    index: header.index,
                    position: header.position,
                    fault,
                })?;
            end = header.end();
        }
        Ok(())
    }

    /// How many frames stand one behind the other in one segment.
    fn run_length(&self, frames: &[Frame]) -> usize {
        let base = self.base_of(frames[0].header.position);
        frames
            .iter()
            .position(|frame| self.base_of(frame.header.position) != base)
            .unwrap_or(frames.len())
    }

    /// Writes frames of one segment in one call, with the segment's header if they are its first.
    fn write_run(&mut self, run: &[Frame]) -> Result<Segment, LogError> {
        let base = self.base_of(run[0].header.position);
        let rolled = self
            .current
            .as_ref()
            .is_none_or(|current| current.base != base);
        self.scratch.clear();
        if rolled {
            let SpareSegment { file, length } = self
                .prepared
                .remove(&base)
                .expect("make_room has prepared it");
            self.reserved = length;
            let header = SegmentHeader::after(
                &self.end,
                base,
                self.options.group_id,
                self.options.segment_size,
            );
            header.encode(&mut self.scratch);
            self.current = Some(Segment {
                base,
                first_index: run[0].header.index,
                file,
            });
        }
        let segment = self.current.clone().expect("a frame has a segment");
        let start = if rolled { base } else { run[0].header.position };
        if let ([frame], false) = (run, rolled) {
            // Behind the written end a segment is zero, so the padding is there already.
            self.write(&segment, &frame.bytes, start)?;
        } else {
            let scratch = self.put_together(run, start);
            let written = self.write(&segment, &scratch, start);
            self.scratch = scratch;
            self.scratch.clear();
            self.scratch.shrink_to(SCRATCH_KEPT);
            written?;
        }
        self.end = run[run.len() - 1].end();
        Ok(segment)
    }

    fn put_together(&mut self, run: &[Frame], start: u64) -> Vec<u8> {
        let mut scratch = std::mem::take(&mut self.scratch);
        for frame in run {
            scratch.resize((frame.header.position - start) as usize, 0);
            scratch.extend_from_slice(&frame.bytes);
        }
        scratch
    }

    fn write(&self, segment: &Segment, bytes: &[u8], position: u64) -> Result<(), LogError> {
        segment
            .file
            .write_at(bytes, position - segment.base)
            .map_err(|error| {
                LogError::write(&segment_path(&self.options.directory, segment.base), error)
            })
    }

    /// Lets readers see the frames: their bytes can be read now.
    fn publish(&self, frames: &[Frame], touched: Vec<Segment>) {
        let mut index = self.index.write();
        for segment in touched {
            if index
                .segments
                .last()
                .is_none_or(|last| last.base < segment.base)
            {
                index.segments.push(segment);
            }
        }
        for frame in frames {
            index.push(frame);
        }
    }
}

/// Refuses a segment size that cannot work.
pub(crate) const fn check_segment_size(size: u64) -> Result<(), LogError> {
    if size < 2 * SEGMENT_HEADER_SIZE || !size.is_multiple_of(SEGMENT_HEADER_SIZE) {
        return Err(LogError::BadSetting {
            reason: "the segment size must be a multiple of 4096, at least 8192",
        });
    }
    Ok(())
}
