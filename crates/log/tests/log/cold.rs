//! Old parts of the log are read by chunks that their readers share, and leave no page behind.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tern_log::{DiskFile, Frame, Log, LogOptions, NEAR_BYTES};
use tern_testdisk::{DiskHook, FileHook, ForwardingDisk, ForwardingFile};

use crate::support::{DIRECTORY, GROUP, body, seal_run};

const SEGMENT: u64 = 1 << 20;
const CHUNK: u64 = 256 << 10;
const NEAR: u64 = 1 << 20;

/// What was asked of a segment file: positions in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Access {
    Read(u64, u64),
    WillRead(u64, u64),
    Forget(u64, u64),
}

/// Remembers how segments are read, and may fail long reads.
#[derive(Clone, Default)]
struct AccessWatch {
    seen: Arc<Mutex<Vec<Access>>>,
    /// Reads of more bytes fail; 0 for none.
    longest_read: Arc<AtomicUsize>,
}

/// The same for the segment with this base.
struct SegmentWatch {
    base: u64,
    watch: AccessWatch,
}

type WatchedDisk = ForwardingDisk<AccessWatch>;

impl AccessWatch {
    /// What was asked since the last time.
    fn take(&self) -> Vec<Access> {
        std::mem::take(&mut self.seen.lock())
    }
}

impl DiskHook for AccessWatch {
    fn opened(&self, path: &Path, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        let name = path.file_name().and_then(|name| name.to_str());
        match name.and_then(|name| name.parse().ok()) {
            Some(base) => {
                let watch = self.clone();
                ForwardingFile::over(file, SegmentWatch { base, watch })
            }
            None => file,
        }
    }
}

impl SegmentWatch {
    fn note(&self, access: Access) {
        self.watch.seen.lock().push(access);
    }
}

impl FileHook for SegmentWatch {
    fn read_at(
        &self,
        file: &Arc<dyn DiskFile>,
        buffer: &mut [u8],
        offset: u64,
    ) -> io::Result<usize> {
        let longest = self.watch.longest_read.load(Ordering::Relaxed);
        if longest > 0 && buffer.len() > longest {
            return Err(io::Error::from_raw_os_error(5));
        }
        self.note(Access::Read(self.base + offset, buffer.len() as u64));
        file.read_at(buffer, offset)
    }

    fn will_read(&self, _: &Arc<dyn DiskFile>, from: u64, length: u64) {
        self.note(Access::WillRead(self.base + from, length));
    }

    fn forget(&self, _: &Arc<dyn DiskFile>, from: u64, length: u64) {
        self.note(Access::Forget(self.base + from, length));
    }
}

/// A log of twelve segments and a bit, of which the last frame is in memory.
fn long_log(near_bytes: u64) -> (WatchedDisk, Log, Vec<Frame>) {
    let disk = WatchedDisk::default();
    let options = LogOptions {
        segment_size: SEGMENT,
        ring_bytes: 0,
        near_bytes,
        ..LogOptions::new(DIRECTORY, GROUP)
    };
    let (mut log, _) = Log::open(Arc::new(disk.clone()), options).expect("an empty directory");
    let frames = append_run(&mut log, 1, 0, 12 * SEGMENT + SEGMENT / 3);
    disk.hook.take();
    (disk, log, frames)
}

fn append_run(log: &mut Log, term: u64, first: u64, until: u64) -> Vec<Frame> {
    let mut frames = Vec::new();
    let mut number = first;
    while log.end().position < until {
        let run = seal_run(
            log,
            term,
            &[body(number, 900 + (number % 7) as usize * 500)],
        );
        log.append(&run).expect("room");
        frames.extend(run);
        number += 1;
    }
    frames
}

/// Bytes of a frame, as its reader gets them.
fn bytes_of(log: &Log, frame: &Frame) -> Vec<u8> {
    let read = log.reader().bytes(frame.header.position, frame.bytes.len());
    read.expect("stored").0.to_vec()
}

#[test]
fn who_reads_on_through_old_frames_reads_each_chunk_once_ahead_and_leaves_no_page_of_it() {
    let (disk, log, frames) = long_log(NEAR);
    let end = log.end().position;
    for frame in &frames {
        assert_eq!(bytes_of(&log, frame), frame.bytes);
    }
    let seen = disk.hook.take();
    let old_chunks = (end - NEAR) / CHUNK;
    let chunks: Vec<u64> = (0..old_chunks).map(|number| number * CHUNK).collect();
    let of = |pick: fn(&Access) -> Option<u64>| seen.iter().filter_map(pick).collect::<Vec<u64>>();
    let read = of(|access| match access {
        Access::Read(at, CHUNK) => Some(*at),
        _ => None,
    });
    assert_eq!(read, chunks, "each once, in order");
    let mut forgotten = 0;
    for access in &seen {
        if let Access::Forget(at, length) = access {
            assert_eq!(*at, forgotten, "from the beginning on");
            forgotten = at + length;
        }
    }
    assert!(forgotten <= end - NEAR, "nothing near the end");
    assert!(end - NEAR - forgotten < 17 * CHUNK, "the rest is read on");
    let mut furthest_ahead = 0;
    for access in &seen {
        if let Access::WillRead(at, length) = access {
            assert!(at % CHUNK == 0 && *length <= 4 * CHUNK, "{access:?}");
            assert!(at / SEGMENT == (at + length - 1) / SEGMENT, "one file");
            furthest_ahead = at + length;
        }
    }
    assert!(furthest_ahead > end - NEAR - SEGMENT, "it is read ahead");
}

#[test]
fn readers_of_the_same_part_share_what_was_read_and_a_look_elsewhere_reads_nothing_ahead() {
    let (disk, log, frames) = long_log(NEAR);
    for frame in &frames[..200] {
        bytes_of(&log, frame);
    }
    disk.hook.take();
    let other = log.reader();
    for frame in &frames[..200] {
        let bytes = other.bytes(frame.header.position, frame.bytes.len());
        assert_eq!(bytes.expect("stored").0, frame.bytes);
    }
    assert_eq!(disk.hook.take(), []);
    let far = &frames[frames.len() / 2];
    assert_eq!(bytes_of(&log, far), far.bytes);
    let looked = disk.hook.take();
    assert!(matches!(looked[..], [Access::Read(_, CHUNK)]), "{looked:?}");
}

#[test]
fn where_a_chunk_cannot_be_read_what_stands_in_it_still_can() {
    let (disk, log, frames) = long_log(NEAR);
    disk.hook.longest_read.store(64 << 10, Ordering::Relaxed);
    for frame in &frames {
        assert_eq!(bytes_of(&log, frame), frame.bytes);
    }
}

#[test]
fn what_is_near_the_end_is_left_to_the_kernel() {
    let (disk, log, frames) = long_log(NEAR_BYTES);
    for frame in &frames {
        assert_eq!(bytes_of(&log, frame), frame.bytes);
        assert!(!log.reader().is_cold(frame.header.position));
    }
    let hints = disk.hook.take();
    assert!(
        hints
            .iter()
            .all(|access| matches!(access, Access::Read(_, length) if *length < CHUNK))
    );
}

#[test]
fn a_chunk_is_not_served_after_other_frames_have_taken_its_place() {
    let (_disk, mut log, frames) = long_log(0);
    let kept = 100;
    for frame in &frames[..2 * kept] {
        bytes_of(&log, frame);
    }
    let last = frames[kept - 1].header.index;
    log.truncate_after(last).expect("it can be cut");
    let replaced = append_run(&mut log, 2, 9_000, 12 * SEGMENT);
    for frame in frames[..kept].iter().chain(&replaced) {
        assert_eq!(bytes_of(&log, frame), frame.bytes);
    }
}

#[test]
fn a_walk_over_headers_reads_no_chunks() {
    let (disk, log, frames) = long_log(0);
    let reader = log.reader();
    let headers = reader.headers(1, frames.len() as u64 + 1).expect("stored");
    assert_eq!(headers.len(), frames.len());
    assert!(
        disk.hook
            .take()
            .iter()
            .all(|access| matches!(access, Access::Read(_, length) if *length < 4096))
    );
}
