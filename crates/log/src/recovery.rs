//! Start: find what is left of the log, cut what was never finished, and never cut what was damaged later.
//!
//! The scan stops at the first position where no right frame stands. What that means is decided from evidence:
//!
//! | first bad frame | evidence | then |
//! |---|---|---|
//! | zeros, and nothing behind | at or above `flushed.pos` | the normal end |
//! | anything | a clean stop, or below `flushed.pos`, or `flushed.pos` damaged | rot: [`LogError::Rotted`], nothing is changed |
//! | a part was never written, or frames stand behind zeros | unclean stop, at or above `flushed.pos` | torn: cut, zeroed, synced; the replica keeps its identity |
//! | every part was written | unclean stop | rot until proven otherwise |
//!
//! Frames above `flushed.pos` were perhaps only in the page cache, and after a failed sync the kernel calls lost
//! pages clean. So they are written again, the same bytes, and synced before they count. A second recovery
//! changes nothing.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use parking_lot::RwLock;

use crate::clean_stop::StopKind;
use crate::disk::Disk;
use crate::durability::{Durability, Mark, StoredPosition, store_position, stored_position};
use crate::error::LogError;
use crate::fault::Fault;
use crate::files::{
    log_directory, make_directory, segment_base, segment_path, sync_directory, sync_names_above,
};
use crate::index::{ReadIndex, Segment};
use crate::log::{Log, LogOptions, SpareSegment, check_segment_size};
use crate::log_end::LogEnd;
use crate::reader::LogReader;
use crate::scan::{DamagedFrame, ScanStep, Scanner, SegmentFile, is_zero_behind};
use crate::segment::{SEGMENT_HEADER_SIZE, SegmentHeader};
use crate::zeros_ahead::ZerosAhead;

/// Bytes written again at a time.
const REWRITE: u64 = 1 << 20;

/// How the scan of the log ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScanResult {
    /// No frame.
    Empty,
    /// The normal end.
    End,
    /// A write that was never finished: it and everything behind it were cut.
    Torn {
        /// Where the first cut frame stood or should have stood.
        position: u64,
        /// What was wrong with it.
        fault: Fault,
    },
}

/// What was found and done at start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recovery {
    /// How the scan ended.
    pub found: ScanResult,
    /// The last right frame.
    pub end: LogEnd,
    /// Index of the first frame; greater than 1 only if older segments were purged.
    pub first_index: u64,
    /// Number of frames.
    pub frames: u64,
    /// `flushed.pos` as it was found; none if it was missing or damaged.
    pub flushed: Option<u64>,
    /// The commit index in it, 0 if none is known.
    pub commit: u64,
    /// Bytes that were written again because they were perhaps not durable.
    pub rewritten: u64,
    /// How the replica had stopped.
    pub stop: StopKind,
}

/// Group id and segment size of the log in a directory, from its first segment; none without a log. For a start
/// that does not know its group's settings by itself.
///
/// # Errors
/// [`LogError::Io`]; [`LogError::Rotted`] if the header is damaged.
pub fn stored_settings(
    disk: &dyn Disk,
    directory: &Path,
) -> Result<Option<SegmentHeader>, LogError> {
    let found = find_segments(disk, directory)?;
    let Some(first) = found.iter().find(|segment| !segment.is_blank) else {
        return Ok(None);
    };
    let mut bytes = vec![0; SEGMENT_HEADER_SIZE as usize];
    let path = segment_path(directory, first.base);
    first
        .file
        .read_at(&mut bytes, 0)
        .map_err(|error| LogError::io("read", &path, error))?;
    let header = SegmentHeader::decode(&bytes).ok_or(LogError::Rotted {
        position: first.base,
        index: 0,
        fault: Fault::SegmentHeader,
    })?;
    Ok(Some(header))
}

impl Log {
    /// Opens the log of a directory, which may be empty, and recovers it.
    ///
    /// # Errors
    /// [`LogError::Rotted`] if stored data was damaged: nothing was changed, the log needs repair.
    /// [`LogError::Foreign`] for the log of another group or other settings. [`LogError::NoSpace`],
    /// [`LogError::Write`], [`LogError::Sync`], [`LogError::Io`] from the disk.
    pub fn open(disk: Arc<dyn Disk>, options: LogOptions) -> Result<(Self, Recovery), LogError> {
        check_segment_size(options.segment_size)?;
        make_directory(&*disk, &log_directory(&options.directory))?;
        let segments = find_segments(&*disk, &options.directory)?;
        let is_blank = segments.iter().all(|segment| segment.is_blank);
        let stored = stored_position(&*disk, &options.directory)?;
        let flushed = known_position(stored, is_blank);
        let (index, damage) = scan_log(&options, &segments)?;
        if let Some(damage) = damage {
            judge(&damage, &index.end, flushed, options.stop)?;
        } else if flushed.is_some_and(|flushed| index.end.position < flushed) {
            return Err(rotted(index.end.position, &index.end, Fault::Missing));
        }
        if index.end.index < stored.commit() {
            return Err(rotted(index.end.position, &index.end, Fault::Missing));
        }
        let mut start = Start {
            disk: &*disk,
            options: &options,
            segments,
            index,
        };
        if damage.is_some() {
            let mark = Mark {
                position: flushed.unwrap_or(0),
                commit: stored.commit(),
                is_cutting: true,
            };
            store_position(&*disk, &start.options.directory, mark)?;
        }
        if damage.is_some() || stored.is_cutting() {
            start.cut()?;
        }
        if flushed.is_none_or(|flushed| flushed == 0) {
            // Before the first position is recorded, and only then, the directories may be new.
            sync_names_above(&*disk, &log_directory(&start.options.directory))?;
        }
        let from = flushed.unwrap_or(start.index.start.position);
        let rewritten = start.rewrite(from)?;
        let recovery = Recovery {
            commit: stored.commit(),
            ..start.report(damage, flushed, rewritten)
        };
        let prepared = start.prepared();
        let index = start.index;
        let durability = Durability::open(
            &*disk,
            &options.directory,
            index.end.position,
            stored.commit(),
        )?;
        let reserved = match index.segments.last() {
            Some(segment) => reserved_of(&options, segment)?,
            None => 0,
        };
        let mut log = Self::opened(disk, options, index, durability, (reserved, prepared));
        log.committed_at_start = stored.commit();
        Ok((log, recovery))
    }

    fn opened(
        disk: Arc<dyn Disk>,
        options: LogOptions,
        index: ReadIndex,
        durability: Durability,
        (reserved, prepared): (u64, BTreeMap<u64, SpareSegment>),
    ) -> Self {
        let end = index.end;
        let current = index.segments.last().cloned();
        let index = Arc::new(RwLock::new(index));
        Self {
            reader: LogReader::new(
                Arc::clone(&index),
                &options.directory,
                options.segment_size,
                options.near_bytes,
            ),
            disk,
            options,
            index,
            durability: Arc::new(durability),
            committed_at_start: 0,
            end,
            current,
            reserved,
            prepared,
            scratch: Vec::new(),
            zeros: ZerosAhead::default(),
        }
    }
}

/// The segment files of a directory, by base.
fn find_segments(disk: &dyn Disk, directory: &Path) -> Result<Vec<SegmentFile>, LogError> {
    let log = log_directory(directory);
    let names = match disk.list(&log) {
        Ok(names) => names,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(LogError::io("list", &log, error)),
    };
    let mut found = Vec::new();
    for base in names.iter().filter_map(|name| segment_base(name)) {
        let path = segment_path(directory, base);
        let file = disk
            .open(&path)
            .map_err(|error| LogError::io("open", &path, error))?;
        let length = file
            .len()
            .map_err(|error| LogError::io("look at", &path, error))?;
        let is_blank =
            is_zero_behind(&*file, 0).map_err(|error| LogError::io("read", &path, error))?;
        found.push(SegmentFile {
            base,
            file,
            length,
            is_blank,
        });
    }
    Ok(found)
}

/// The position below which damage is rot; none if that is unknown, and then all of it is.
const fn known_position(stored: StoredPosition, is_blank: bool) -> Option<u64> {
    match stored {
        StoredPosition::At { position, .. } => Some(position),
        // The file is made before the first segment is written.
        StoredPosition::Missing | StoredPosition::Unreadable if is_blank => Some(0),
        StoredPosition::Missing | StoredPosition::Unreadable => None,
    }
}

/// Reads the log up to its end or to the first thing that is wrong.
fn scan_log(
    options: &LogOptions,
    segments: &[SegmentFile],
) -> Result<(ReadIndex, Option<DamagedFrame>), LogError> {
    if segments.iter().all(|segment| segment.is_blank) {
        return Ok((
            ReadIndex::new(LogEnd::default(), options.cache_limits()),
            None,
        ));
    }
    let mut scanner = Scanner::new(options, segments);
    let header = match scanner.first()? {
        Ok(header) => header,
        Err(damage) => {
            let index = ReadIndex::new(LogEnd::default(), options.cache_limits());
            if segments[0].base > 0 {
                return Err(rotted(damage.position, &index.end, damage.fault));
            }
            return Ok((index, Some(damage)));
        }
    };
    let mut index = ReadIndex::new(header.end_before(), options.cache_limits());
    let mut base = header.base;
    loop {
        match scanner.step(base, &index.end)? {
            ScanStep::Frame(header) => {
                if index.segments.last().is_none_or(|last| last.base != base) {
                    let found = segments.iter().find(|segment| segment.base == base);
                    let file = Arc::clone(&found.expect("the frame was read from it").file);
                    index.segments.push(Segment {
                        base,
                        first_index: header.index,
                        file,
                    });
                }
                index.push_header(&header);
            }
            ScanStep::Segment(next) => base = next,
            ScanStep::End => return Ok((index, None)),
            ScanStep::Bad(damage) => return Ok((index, Some(damage))),
        }
    }
}

/// Torn may be cut; everything else is an error.
fn judge(
    damage: &DamagedFrame,
    end: &LogEnd,
    flushed: Option<u64>,
    stop: StopKind,
) -> Result<(), LogError> {
    let was_synced = flushed.is_none_or(|flushed| end.position < flushed);
    if damage.is_torn && !was_synced && stop != StopKind::Clean {
        return Ok(());
    }
    Err(rotted(damage.position, end, damage.fault))
}

const fn rotted(position: u64, end: &LogEnd, fault: Fault) -> LogError {
    LogError::Rotted {
        position,
        index: end.index + 1,
        fault,
    }
}

/// The steps that change the disk.
struct Start<'a> {
    disk: &'a dyn Disk,
    options: &'a LogOptions,
    segments: Vec<SegmentFile>,
    index: ReadIndex,
}

impl Start<'_> {
    /// Cuts everything behind the last right frame: segments last first, then the rest of its own.
    fn cut(&mut self) -> Result<(), LogError> {
        let kept = self.index.segments.last().map(|segment| segment.base);
        let is_cut =
            |found: &SegmentFile| !found.is_blank && kept.is_none_or(|kept| found.base > kept);
        let gone: Vec<u64> = self
            .segments
            .iter()
            .filter(|found| is_cut(found))
            .map(|found| found.base)
            .collect();
        unlink_segments(self.disk, &self.options.directory, &gone)?;
        self.segments.retain(|found| !gone.contains(&found.base));
        // Names may be gone in memory only, from a cut that was not finished.
        sync_directory(self.disk, &log_directory(&self.options.directory))?;
        if let Some(segment) = self.index.segments.last() {
            zero_behind(self.options, segment, self.index.end.position)?;
        }
        Ok(())
    }

    /// Writes the frames above a position again and syncs them; answers how many bytes that were.
    fn rewrite(&self, from: u64) -> Result<u64, LogError> {
        let end = self.index.end.position;
        if from >= end {
            return Ok(0);
        }
        sync_directory(self.disk, &log_directory(&self.options.directory))?;
        let mut rewritten = 0;
        for segment in &self.index.segments {
            let start = from.max(segment.base);
            let stop = end.min(segment.base + self.options.segment_size);
            if start < stop {
                self.rewrite_segment(segment, start, stop)?;
                rewritten += stop - start;
            }
        }
        Ok(rewritten)
    }

    fn rewrite_segment(&self, segment: &Segment, start: u64, stop: u64) -> Result<(), LogError> {
        let path = segment_path(&self.options.directory, segment.base);
        let mut buffer = vec![0; REWRITE.min(stop - start) as usize];
        let mut at = start;
        while at < stop {
            let part = buffer.len().min((stop - at) as usize);
            let offset = at - segment.base;
            let read = segment
                .file
                .read_at(&mut buffer[..part], offset)
                .map_err(|error| LogError::io("read", &path, error))?;
            buffer[read..part].fill(0);
            segment
                .file
                .write_at(&buffer[..part], offset)
                .map_err(|error| LogError::write(&path, error))?;
            at += part as u64;
        }
        segment
            .file
            .sync_data()
            .map_err(|error| LogError::sync(&path, error))
    }

    fn report(
        &self,
        damage: Option<DamagedFrame>,
        flushed: Option<u64>,
        rewritten: u64,
    ) -> Recovery {
        let ReadIndex { start, end, .. } = &self.index;
        let found = match damage {
            Some(damage) => ScanResult::Torn {
                position: damage.position,
                fault: damage.fault,
            },
            None if end.index == start.index => ScanResult::Empty,
            None => ScanResult::End,
        };
        Recovery {
            found,
            end: *end,
            first_index: self.index.first_index(),
            frames: end.index - start.index,
            flushed,
            commit: 0,
            rewritten,
            stop: self.options.stop,
        }
    }

    /// Files that were prepared and not yet used. After an unclean stop none is taken as it is found: its preparation
    /// may have been under way, so its name may not be durable. The next preparation completes it.
    fn prepared(&self) -> BTreeMap<u64, SpareSegment> {
        let used = self.index.segments.last().map(|segment| segment.base);
        let is_ready = |found: &&SegmentFile| {
            let is_ahead = used.is_none_or(|used| found.base > used);
            found.is_blank && is_ahead && self.options.stop == StopKind::Clean
        };
        let ready = self.segments.iter().filter(is_ready);
        ready
            .map(|found| {
                let spare = SpareSegment {
                    file: Arc::clone(&found.file),
                    length: found.length,
                };
                (found.base, spare)
            })
            .collect()
    }
}

/// How much of a segment is reserved: the length of its file.
pub fn reserved_of(options: &LogOptions, segment: &Segment) -> Result<u64, LogError> {
    let path = segment_path(&options.directory, segment.base);
    let length = segment.file.len();
    length.map_err(|error| LogError::io("look at", &path, error))
}

/// Takes segments away, last first, so that what is left is a shorter log at every moment.
pub fn unlink_segments(disk: &dyn Disk, directory: &Path, bases: &[u64]) -> Result<(), LogError> {
    for base in bases.iter().rev() {
        let path = segment_path(directory, *base);
        disk.unlink(&path)
            .map_err(|error| LogError::write(&path, error))?;
    }
    if bases.is_empty() {
        return Ok(());
    }
    sync_directory(disk, &log_directory(directory))
}

/// Zeroes a segment from a position on, durably.
pub fn zero_behind(options: &LogOptions, segment: &Segment, position: u64) -> Result<(), LogError> {
    let path = segment_path(&options.directory, segment.base);
    let from = position - segment.base;
    let length = reserved_of(options, segment)?.saturating_sub(from);
    segment
        .file
        .zero_range(from, length)
        .map_err(|error| LogError::write(&path, error))?;
    segment
        .file
        .sync_data()
        .map_err(|error| LogError::sync(&path, error))
}
