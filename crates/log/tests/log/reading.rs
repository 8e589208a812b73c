//! Reading: memory, files and the sparse index answer the same.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use bytes::BytesMut;
use tern_log::{
    DiskFile, FRAME_HEADER_SIZE, Frame, FrameDraft, Log, LogError, LogOptions, LogReader, StopKind,
};
use tern_testdisk::{DiskHook, FileHook, ForwardingDisk, ForwardingFile};

use crate::support::{DiskBench, GROUP, NOW_MS, append_one, body, draft, seal_run, segment};

const SEGMENT: u64 = 64 << 10;

/// A log over several segments and terms whose ring holds only the last frames.
fn long_log(ring_bytes: usize) -> (DiskBench, Log, Vec<Frame>) {
    let bench = DiskBench::new(SEGMENT);
    let options = LogOptions {
        directory: crate::support::DIRECTORY.into(),
        group_id: GROUP,
        segment_size: SEGMENT,
        ring_bytes,
        ring_descriptors: 65_536,
        near_bytes: tern_log::NEAR_BYTES,
        stop: StopKind::PowerCutPossible,
    };
    let (mut log, _) =
        Log::open(std::sync::Arc::new(bench.disk.clone()), options).expect("an empty directory");
    let mut frames = Vec::new();
    for batch in 0..60 {
        let bodies: Vec<_> = (0..20)
            .map(|at| body(batch * 20 + at, (at * 13 + batch) as usize % 300))
            .collect();
        let run = seal_run(&log, 1 + batch / 7, &bodies);
        log.append(&run).expect("room");
        frames.extend(run);
    }
    assert!(log.end().position > 4 * SEGMENT);
    (bench, log, frames)
}

fn assert_reads(reader: &LogReader, frames: &[Frame]) {
    for frame in frames {
        let header = &frame.header;
        assert_eq!(&reader.frame(header.index).expect("stored"), frame);
        assert_eq!(&reader.header(header.index).expect("stored"), header);
        assert_eq!(reader.term(header.index), Some(header.term));
        assert_eq!(
            reader.position_of(header.index).expect("stored"),
            header.position
        );
        assert_eq!(
            reader.index_at(header.position).expect("stored"),
            header.index
        );
        assert_eq!(
            reader.index_at(header.end_position() - 1).expect("stored"),
            header.index
        );
        let (record, _) = reader
            .bytes(frame.records_position(), frame.records().len())
            .expect("stored");
        assert_eq!(&record[..], frame.records());
        let mut out = BytesMut::from(&b"before"[..]);
        reader
            .copy_bytes(frame.records_position() + 3, 10, &mut out)
            .expect("stored");
        assert_eq!(&out[6..], &frame.records()[3..13]);
    }
}

#[test]
fn the_ring_and_the_files_give_the_same() {
    for ring_bytes in [0, 30_000, 16 << 20] {
        let (bench, log, frames) = long_log(ring_bytes);
        assert_reads(&log.reader(), &frames);
        drop(log);
        bench.disk.kill();
        let (log, _) = bench.open().expect("a whole log");
        assert_reads(&log.reader(), &frames);
    }
}

#[test]
fn a_run_of_frames_is_at_least_one_and_at_most_the_bytes_asked_for() {
    for ring_bytes in [0, 16 << 20] {
        let (_bench, log, frames) = long_log(ring_bytes);
        let reader = log.reader();
        for max_bytes in [0, 100, 1000, 20_000, 10 << 20] {
            for from in [1, 2, 255, 256, 257, 700, 1199, 1200] {
                let run = reader.frames(from, max_bytes).expect("stored");
                let expected = &frames[from as usize - 1..from as usize - 1 + run.len()];
                assert_eq!(run, expected);
                let bytes: usize = run.iter().map(|frame| frame.bytes.len()).sum();
                assert!(run.len() == 1 || bytes <= max_bytes, "{from} {max_bytes}");
            }
        }
        // Reading on gives all of them.
        let mut next = 1;
        while next <= frames.len() as u64 {
            let run = reader.frames(next, 50_000).expect("stored");
            assert_eq!(run[0], frames[next as usize - 1]);
            next += run.len() as u64;
        }
    }
}

#[test]
fn what_the_log_does_not_have_is_refused_with_its_bounds() {
    let (_bench, log, frames) = long_log(0);
    let reader = log.reader();
    let last = frames.len() as u64;
    for index in [0, last + 1, u64::MAX] {
        assert!(matches!(
            reader.frame(index),
            Err(LogError::NotFound { first: 1, .. })
        ));
        assert!(matches!(
            reader.header(index),
            Err(LogError::NotFound { .. })
        ));
    }
    assert_eq!((reader.term(0), reader.term(last + 1)), (Some(0), None));
    let end = log.end().position;
    assert!(matches!(
        reader.bytes(end - 4, 8),
        Err(LogError::NotStored { .. })
    ));
    assert!(matches!(
        reader.bytes(u64::MAX, 8),
        Err(LogError::NotStored { .. })
    ));
    assert!(matches!(
        reader.bytes(SEGMENT - 4, 8),
        Err(LogError::NotStored { .. })
    ));
    assert!(matches!(
        reader.index_at(end),
        Err(LogError::NotStored { .. })
    ));
    assert!(matches!(
        reader.index_at(100),
        Err(LogError::NotStored { .. })
    ));
    let mut out = BytesMut::from(&b"before"[..]);
    assert!(reader.copy_bytes(end, 1, &mut out).is_err());
    assert_eq!(&out[..], b"before");
}

#[test]
fn a_log_whose_timestamps_fell_once_opens_as_it_was() {
    let bench = DiskBench::new(SEGMENT);
    let (mut log, _) = bench.open().expect("an empty directory");
    let mut frames = Vec::new();
    for clock_ms in [NOW_MS, NOW_MS + 31_536_000_000, NOW_MS + 1, NOW_MS + 2] {
        let frame = draft(&[b"m"])
            .seal(&log.end(), 1, clock_ms, SEGMENT)
            .expect("a good draft");
        log.append(std::slice::from_ref(&frame)).expect("room");
        assert_eq!(frame.header.store_timestamp_ms, clock_ms);
        frames.push(frame);
    }
    drop(log);
    bench.disk.kill();
    let (log, recovery) = bench.open().expect("a whole log");
    assert_eq!(recovery.end, frames[3].end());
    assert_reads(&log.reader(), &frames);
}

#[test]
fn damage_is_named_when_a_frame_is_read_from_its_file() {
    let (bench, log, frames) = long_log(0);
    let frame = &frames[300];
    let base = frame.header.position / SEGMENT * SEGMENT;
    let within = frame.header.position - base;
    bench
        .disk
        .damage(&segment(base), within + 80, 4)
        .expect("the segment");
    let read = log.reader().frame(301);
    assert!(
        matches!(read, Err(LogError::Rotted { index: 301, .. })),
        "{read:?}"
    );
    log.reader().frame(300).expect("its neighbours are whole");
    log.reader().frame(302).expect("its neighbours are whole");
}

#[test]
fn an_error_of_the_disk_while_reading_is_not_fatal() {
    let (bench, log, _) = long_log(0);
    bench
        .disk
        .fail_next(tern_testdisk::Operation::Read, "/log/");
    let failed = log.reader().frame(10).expect_err("an error of the disk");
    assert!(matches!(failed, LogError::Io { .. }) && !failed.is_fatal());
    log.reader().frame(10).expect("the next read works");
}

/// More frames than there are descriptors in memory: the oldest are found by the sparse index.
#[test]
fn frames_older_than_the_descriptors_are_found_by_walking_headers() {
    let bench = DiskBench::new(1 << 20);
    let (mut log, _) = bench.open().expect("an empty directory");
    let no_op = FrameDraft::no_op();
    let mut headers = Vec::new();
    while headers.len() < 70_000 {
        let mut run = Vec::new();
        let mut end = log.end();
        for _ in 0..500 {
            let frame = no_op
                .seal(&end, 1 + end.index / 1000, NOW_MS, 1 << 20)
                .expect("a no-op");
            end = frame.end();
            headers.push(frame.header);
            run.push(frame);
        }
        log.append(&run).expect("room");
    }
    let check = |log: &Log| {
        let reader = log.reader();
        let oldest_held = headers.iter().skip(4_460).take(10);
        for header in headers
            .iter()
            .step_by(37)
            .chain(headers.iter().take(600))
            .chain(oldest_held)
        {
            assert_eq!(&reader.header(header.index).expect("stored"), header);
            assert_eq!(
                reader.index_at(header.position + 8).expect("stored"),
                header.index
            );
        }
        assert_eq!(reader.descriptor(4_464), None);
        assert!(reader.descriptor(4_465).is_some());
    };
    check(&log);
    drop(log);
    bench.disk.kill();
    check(&bench.open().expect("a whole log").0);
}

struct SetAtEnd<'a>(&'a AtomicBool);

impl Drop for SetAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Readers follow a writer that appends and truncates: what they see is whole, and of the log at some moment.
#[test]
fn readers_beside_the_writer_see_whole_frames_or_none() {
    let bench = DiskBench::new(SEGMENT);
    let options = LogOptions {
        segment_size: SEGMENT,
        ring_bytes: 20_000,
        ..LogOptions::new(crate::support::DIRECTORY, GROUP)
    };
    let (mut log, _) =
        Log::open(std::sync::Arc::new(bench.disk.clone()), options).expect("an empty directory");
    append_one(&mut log, 1, &body(0, 100)).expect("room");
    let committed = AtomicU64::new(1);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        // Also if the writer fails, or the readers would never end.
        let _end = SetAtEnd(&done);
        for seed in 0..3_u64 {
            let reader = log.reader();
            let (committed, done) = (&committed, &done);
            scope.spawn(move || {
                let mut random = seed;
                while !done.load(Ordering::Acquire) {
                    random = random
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1);
                    // Below the commit position a frame is always there; above it, it may just have been cut.
                    let certain = committed.load(Ordering::Acquire);
                    let index = 1 + (random >> 33) % (certain + 5);
                    match reader.frames(index, 3000) {
                        Ok(frames) => assert!(
                            frames
                                .iter()
                                .zip(index..)
                                .all(|(frame, at)| frame.header.index == at)
                        ),
                        Err(LogError::NotFound { .. }) => {
                            assert!(index > certain, "{index} {certain}");
                        }
                        Err(other) => panic!("{other}"),
                    }
                }
            });
        }
        for round in 0..3000_u64 {
            let bodies = vec![body(round, (round % 700) as usize); 1 + round as usize % 4];
            let run = seal_run(&log, 1 + round / 10, &bodies);
            log.append(&run).expect("room");
            if round % 10 == 9 {
                log.truncate_after(log.end().index - 1)
                    .expect("a healthy disk");
            } else if round % 10 < 8 {
                committed.store(log.end().index, Ordering::Release);
            }
        }
    });
}

#[test]
fn a_reader_sees_a_frame_as_soon_as_it_is_appended() {
    let bench = DiskBench::new(SEGMENT);
    let (mut log, _) = bench.open().expect("an empty directory");
    let reader = log.reader();
    assert_eq!((reader.first_index(), reader.end().index), (1, 0));
    let frame = draft(&[b"a", b"b"])
        .seal(&log.end(), 1, NOW_MS, SEGMENT)
        .expect("a good draft");
    log.append(std::slice::from_ref(&frame)).expect("room");
    assert_eq!(reader.end(), frame.end());
    assert_eq!(reader.frame(1).expect("stored"), frame);
}

/// What happens once.
type Interrupt = Arc<Mutex<Option<Box<dyn FnOnce() + Send>>>>;

/// Does something in the middle of the first read of a frame's header.
#[derive(Clone, Default)]
struct Interrupting(Interrupt);

impl DiskHook for Interrupting {
    fn opened(&self, _: &Path, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        ForwardingFile::over(file, self.clone())
    }
}

impl FileHook for Interrupting {
    fn read_at(
        &self,
        file: &Arc<dyn DiskFile>,
        buffer: &mut [u8],
        offset: u64,
    ) -> io::Result<usize> {
        let read = file.read_at(buffer, offset)?;
        if buffer.len() == FRAME_HEADER_SIZE
            && let Some(interrupt) = self.0.lock().expect("no panic").take()
        {
            interrupt();
        }
        Ok(read)
    }
}

#[test]
fn a_frame_that_is_cut_between_its_header_and_its_content_is_not_found() {
    let disk = ForwardingDisk::<Interrupting>::default();
    let at_header = Arc::clone(&disk.hook.0);
    let options = LogOptions {
        segment_size: SEGMENT,
        ring_bytes: 0,
        ..LogOptions::new(crate::support::DIRECTORY, GROUP)
    };
    let (mut log, _) = Log::open(Arc::new(disk), options).expect("an empty directory");
    // The newest frame is held in memory whatever is asked.
    let run = seal_run(&log, 1, &[1, 2, 3, 4].map(|number| body(number, 100)));
    log.append(&run).expect("room");
    let reader = log.reader();
    *at_header.lock().expect("no panic") = Some(Box::new(move || {
        log.truncate_after(1).expect("a healthy disk");
    }));
    let read = reader.frames(3, 0);
    assert!(matches!(read, Err(LogError::NotFound { .. })), "{read:?}");
    assert!(at_header.lock().expect("no panic").is_none(), "it was cut");
}
