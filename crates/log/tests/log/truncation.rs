//! Truncation: what is cut is gone for good, and what the flush thread does meanwhile cannot bring it back.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use parking_lot::{Condvar, Mutex};
use tern_log::{Disk, DiskFile, Log, LogEnd, LogError};
use tern_testdisk::{DiskHook, FileHook, ForwardingDisk, ForwardingFile, Operation};

use crate::support::{DIRECTORY, DiskBench, append_one, body, disks, options};

const SEGMENT: u64 = 16 << 10;

fn append_many(log: &mut Log, term: u64, count: u64) -> Vec<LogEnd> {
    let append = |number| {
        append_one(log, term, &body(number, 1500))
            .expect("room")
            .end()
    };
    (0..count).map(append).collect()
}

#[test]
fn truncated_frames_are_gone_and_their_places_are_zero_and_used_again_on_every_disk() {
    for (disk, directory, _guard) in disks() {
        let (mut log, _) =
            Log::open(disk.clone(), options(&directory, SEGMENT)).expect("a new directory");
        let ends = append_many(&mut log, 1, 40);
        log.syncer().sync(u64::MAX).expect("a healthy disk");
        log.truncate_after(5).expect("a healthy disk");
        assert_eq!(log.end(), ends[4]);
        assert_eq!(log.durable(), ends[4].position);
        assert_eq!(log.term(6).expect("known"), None);
        let gone = log.reader().frame(6);
        assert!(matches!(
            gone,
            Err(LogError::NotFound {
                index: 6,
                first: 1,
                last: 5
            })
        ));
        assert_eq!(
            disk.list(&directory.join("log")).expect("a directory"),
            [format!("{:020}", 0)]
        );
        let file = disk
            .open(&directory.join(format!("log/{:020}", 0)))
            .expect("the first segment");
        let mut rest = vec![1; (SEGMENT - ends[4].position) as usize];
        file.read_at(&mut rest, ends[4].position).expect("readable");
        assert!(rest.iter().all(|byte| *byte == 0));
        let again = append_one(&mut log, 2, &body(99, 1500)).expect("room");
        assert_eq!(
            again.end().position,
            ends[5].position,
            "the place is used again"
        );
        drop(log);
        let (log, _) = Log::open(disk, options(&directory, SEGMENT)).expect("a whole log");
        assert_eq!(log.end(), again.end());
    }
}

#[test]
fn all_frames_can_be_truncated_and_the_log_starts_anew() {
    let bench = DiskBench::new(SEGMENT);
    let (mut log, _) = bench.open().expect("an empty directory");
    append_many(&mut log, 1, 20);
    log.truncate_after(0).expect("a healthy disk");
    assert_eq!(log.end(), LogEnd::default());
    bench.disk.crash(4);
    let (mut log, recovery) = bench.open().expect("an empty log");
    assert_eq!(recovery.frames, 0);
    append_many(&mut log, 3, 20);
    assert_eq!(log.reader().frame(20).expect("stored").header.term, 3);
}

#[test]
fn truncating_to_the_end_does_nothing_and_beyond_it_is_refused() {
    let bench = DiskBench::new(SEGMENT);
    let (mut log, _) = bench.open().expect("an empty directory");
    append_many(&mut log, 1, 3);
    let before = bench.disk.operations();
    log.truncate_after(3).expect("nothing to do");
    assert!(matches!(
        log.truncate_after(4),
        Err(LogError::NotFound { .. })
    ));
    assert_eq!(bench.disk.operations(), before);
}

#[test]
fn flushed_pos_is_marked_while_a_truncation_is_under_way_and_not_after_it() {
    let bench = DiskBench::new(SEGMENT);
    let (mut log, _) = bench.open().expect("an empty directory");
    append_many(&mut log, 1, 5);
    let path = Path::new(DIRECTORY).join("flushed.pos");
    let mark = |bench: &DiskBench| bench.disk.content(&path).expect("flushed.pos")[..8].to_vec();
    let cut_short = DiskBench::with_disk(bench.disk.fork(), SEGMENT);
    log.truncate_after(2).expect("a healthy disk");
    assert_eq!(mark(&bench), b"TERNFLSH");
    cut_short.disk.kill();
    let (mut log, _) = cut_short.open().expect("a whole log");
    cut_short.disk.fail_next(Operation::Write, "/log/");
    log.truncate_after(2).expect_err("an error of the disk");
    assert_eq!(mark(&cut_short), b"TERNFCUT");
    cut_short.disk.kill();
    drop(cut_short.open().expect("a whole log"));
    assert_eq!(mark(&cut_short), b"TERNFLSH");
}

#[test]
fn a_truncation_over_many_segments_leaves_a_shorter_log_at_every_moment() {
    for operations in 1.. {
        let bench = DiskBench::new(SEGMENT);
        let (mut log, _) = bench.open().expect("an empty directory");
        append_many(&mut log, 1, 40);
        bench.disk.stop_after(operations);
        let finished = log.truncate_after(3).is_ok();
        bench.disk.kill();
        let names = bench
            .disk
            .list(&Path::new(DIRECTORY).join("log"))
            .expect("a directory");
        let first: Vec<_> = (0..names.len() as u64)
            .map(|at| format!("{:020}", at * SEGMENT))
            .collect();
        assert_eq!(names, first, "the last segments go first");
        if finished {
            assert_eq!(names.len(), 1);
            return;
        }
    }
}

#[test]
fn an_error_in_a_truncation_ends_the_log_for_this_process() {
    for (operation, path) in [
        (Operation::Sync, "flushed.pos"),
        (Operation::Write, "flushed.pos"),
        (Operation::SyncDirectory, "/log"),
        (Operation::Write, "/log/"),
        (Operation::Sync, "/log/"),
    ] {
        let bench = DiskBench::new(SEGMENT);
        let (mut log, _) = bench.open().expect("an empty directory");
        append_many(&mut log, 1, 20);
        bench.disk.fail_next(operation, path);
        let failed = log.truncate_after(2).expect_err("an error of the disk");
        assert!(failed.is_fatal(), "{operation:?}");
        assert!(
            matches!(append_one(&mut log, 2, b"x"), Err(LogError::Failed)),
            "{operation:?}"
        );
        bench.disk.kill();
        let (mut log, _) = bench.open().expect("a shorter or the same log");
        assert!(log.end().index >= 2);
        append_one(&mut log, 2, b"x").expect("room");
    }
}

/// Has the next sync or read of a segment wait until it is let go.
#[derive(Clone, Default)]
struct SlowSegments {
    gate: Arc<(Mutex<Gate>, Condvar)>,
}

type SlowDisk = ForwardingDisk<SlowSegments>;

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Gate {
    #[default]
    Open,
    ArmedForSync,
    ArmedForRead,
    Waiting,
    LetGo,
}

impl SlowSegments {
    fn set(&self, gate: Gate) {
        *self.gate.0.lock() = gate;
        self.gate.1.notify_all();
    }

    /// Waits until a call has come to the gate.
    fn wait_for_call<T>(&self, caller: &thread::JoinHandle<T>) {
        let mut now = self.gate.0.lock();
        while *now != Gate::Waiting {
            assert!(!caller.is_finished(), "the call comes to the disk");
            self.gate
                .1
                .wait_for(&mut now, std::time::Duration::from_millis(20));
        }
    }

    fn pass(&self, armed: Gate) {
        let (gate, changed) = &*self.gate;
        let mut now = gate.lock();
        if *now != armed {
            return;
        }
        *now = Gate::Waiting;
        changed.notify_all();
        while *now != Gate::LetGo {
            changed.wait(&mut now);
        }
        *now = Gate::Open;
    }
}

impl DiskHook for SlowSegments {
    fn opened(&self, path: &Path, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        if path.to_string_lossy().contains("/log/") {
            ForwardingFile::over(file, self.clone())
        } else {
            file
        }
    }
}

impl FileHook for SlowSegments {
    fn read_at(
        &self,
        file: &Arc<dyn DiskFile>,
        buffer: &mut [u8],
        offset: u64,
    ) -> io::Result<usize> {
        self.pass(Gate::ArmedForRead);
        file.read_at(buffer, offset)
    }

    fn sync_data(&self, file: &Arc<dyn DiskFile>) -> io::Result<()> {
        self.pass(Gate::ArmedForSync);
        file.sync_data()
    }
}

/// A sync began for frames 1 to 8; while the device works, frames 4 to 8 are cut and others are written in their place.
/// When the sync comes back it has covered 1 to 3 only.
#[test]
fn a_sync_that_a_truncation_overtakes_does_not_call_the_new_frames_durable() {
    let disk = SlowDisk::default();
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let (mut log, _) =
        Log::open(shared, options(Path::new(DIRECTORY), 64 << 10)).expect("a new directory");
    let ends = append_many(&mut log, 1, 8);
    let syncer = log.syncer();
    disk.hook.set(Gate::ArmedForSync);
    let flusher = thread::spawn(move || {
        let reached = syncer.sync(u64::MAX).expect("a healthy disk");
        (syncer, reached)
    });
    disk.hook.wait_for_call(&flusher);
    log.truncate_after(3).expect("a healthy disk");
    append_many(&mut log, 2, 8);
    disk.hook.set(Gate::LetGo);
    let (syncer, reached) = flusher.join().expect("the flush thread");
    assert_eq!(reached, ends[2].position);
    assert_eq!(syncer.durable(), ends[2].position);
    // The next sync covers the new ones.
    assert_eq!(
        syncer.sync(log.end().position).expect("a healthy disk"),
        log.end().position
    );
    disk.inner.crash(1);
    let bench = DiskBench::with_disk(disk.inner.clone(), 64 << 10);
    assert_eq!(bench.open().expect("a whole log").0.end(), log.end());
}

/// Frames that are appended while the device works are no part of the running sync.
#[test]
fn a_sync_covers_what_was_written_when_it_began_and_the_next_one_the_rest() {
    let disk = SlowDisk::default();
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let (mut log, _) =
        Log::open(shared, options(Path::new(DIRECTORY), 64 << 10)).expect("a new directory");
    let first = append_many(&mut log, 1, 2)[1];
    let syncer = log.syncer();
    disk.hook.set(Gate::ArmedForSync);
    let flusher = thread::spawn(move || (syncer.sync(u64::MAX).expect("a healthy disk"), syncer));
    disk.hook.wait_for_call(&flusher);
    append_many(&mut log, 1, 2);
    disk.hook.set(Gate::LetGo);
    let (reached, syncer) = flusher.join().expect("the flush thread");
    assert_eq!(reached, first.position);
    assert_eq!(
        syncer.sync(log.end().position).expect("a healthy disk"),
        log.end().position
    );
    let before = disk.inner.operations();
    syncer.sync(first.position).expect("durable already");
    assert_eq!(disk.inner.operations(), before);
}

/// Bytes that a reader finds zeroed because they were cut meanwhile are not damage.
#[test]
fn a_read_that_a_truncation_overtakes_finds_no_frame() {
    let disk = SlowDisk::default();
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let options = tern_log::LogOptions {
        ring_bytes: 0,
        ..options(Path::new(DIRECTORY), 64 << 10)
    };
    let (mut log, _) = Log::open(shared, options).expect("a new directory");
    append_many(&mut log, 1, 8);
    let reader = log.reader();
    disk.hook.set(Gate::ArmedForRead);
    let reading = thread::spawn(move || reader.frame(6));
    disk.hook.wait_for_call(&reading);
    log.truncate_after(5).expect("a healthy disk");
    disk.hook.set(Gate::LetGo);
    let read = reading.join().expect("the reader");
    assert!(
        matches!(read, Err(LogError::NotFound { last: 5, .. })),
        "{read:?}"
    );
}
