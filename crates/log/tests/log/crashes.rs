//! A crash at every write of a run, and every way in which the disk may come out of it.

use tern_log::{Frame, Log, LogError, LogSyncer, prepare_segment};
use tern_testdisk::MemoryDisk;

use crate::support::{DIRECTORY, DiskBench, append_one, body, erase, seal_run, segment};

const SEGMENT: u64 = 16 << 10;
const SEEDS: u64 = 48;
/// Between two steps of a run: long enough that zeros are written ahead wherever frames have passed them.
const STEP_NS: u64 = 25_000_000;

/// One step of the run.
#[derive(Clone, Copy, Debug)]
enum CrashStep {
    /// Frames of this many bytes each, in one append.
    Append(usize, usize),
    Sync,
    SyncPosition,
    /// Cut so many frames, and go on in the next term.
    Truncate(u64),
    Prepare,
}

const RUN: [CrashStep; 32] = [
    CrashStep::Prepare,
    CrashStep::Append(1, 100),
    CrashStep::Append(3, 700),
    CrashStep::Sync,
    CrashStep::Prepare,
    CrashStep::Append(2, 5000),
    CrashStep::SyncPosition,
    CrashStep::Append(2, 300),
    CrashStep::Sync,
    CrashStep::Append(3, 900),
    CrashStep::Truncate(2),
    CrashStep::Append(2, 450),
    CrashStep::Sync,
    CrashStep::Prepare,
    CrashStep::Append(4, 3000),
    CrashStep::Append(1, 10),
    CrashStep::Truncate(5),
    CrashStep::Append(6, 2900),
    CrashStep::Sync,
    CrashStep::SyncPosition,
    CrashStep::Append(9, 2500),
    CrashStep::Truncate(8),
    CrashStep::Append(1, 60),
    CrashStep::Append(1, 9000),
    CrashStep::Truncate(1),
    CrashStep::Append(5, 40),
    CrashStep::Sync,
    CrashStep::Truncate(5),
    CrashStep::Append(1, 3000),
    CrashStep::Append(2, 9000),
    CrashStep::Sync,
    CrashStep::Append(1, 500),
];

/// Where zeros written ahead end within a segment: 256 KiB of them, several times in each.
const ZEROS_SEGMENT: u64 = 640 << 10;

const ZEROS_RUN: [CrashStep; 15] = [
    CrashStep::Append(1, 100),
    CrashStep::Append(3, 70_000),
    CrashStep::Sync,
    CrashStep::Append(2, 50_000),
    CrashStep::Append(1, 300),
    CrashStep::Truncate(2),
    CrashStep::Append(1, 400),
    CrashStep::Append(2, 140_000),
    CrashStep::Sync,
    CrashStep::Append(2, 90_000),
    CrashStep::Truncate(3),
    CrashStep::Append(1, 1),
    CrashStep::Sync,
    CrashStep::Append(3, 120_000),
    CrashStep::Append(1, 200),
];

/// What a run has done and been promised.
#[derive(Default)]
struct Promises {
    /// For each index the frames that were ever appended there.
    written: Vec<Vec<Frame>>,
    /// Greatest index that a sync has covered and no truncation has cut.
    durable: u64,
    /// Frames that a finished truncation has cut.
    cut: Vec<Frame>,
    term: u64,
}

impl Promises {
    fn wrote(&mut self, frames: &[Frame]) {
        for frame in frames {
            let at = frame.header.index as usize - 1;
            self.written
                .resize_with(self.written.len().max(at + 1), Vec::new);
            self.written[at].push(frame.clone());
        }
    }
}

fn run(
    steps: &[CrashStep],
    log: &mut Log,
    syncer: &LogSyncer,
    disk: &MemoryDisk,
    promises: &mut Promises,
) -> Result<(), LogError> {
    promises.term = 1;
    for (number, step) in steps.iter().enumerate() {
        take(*step, number as u64, log, syncer, disk, promises)?;
    }
    Ok(())
}

fn take(
    step: CrashStep,
    number: u64,
    log: &mut Log,
    syncer: &LogSyncer,
    disk: &MemoryDisk,
    promises: &mut Promises,
) -> Result<(), LogError> {
    match step {
        CrashStep::Append(count, length) => {
            let bodies: Vec<_> = (0..count as u64)
                .map(|at| {
                    if at % 3 == 2 {
                        vec![0; length]
                    } else {
                        body(number + at, length)
                    }
                })
                .collect();
            let frames = seal_run(log, promises.term, &bodies);
            promises.wrote(&frames);
            log.append(&frames)?;
            log.write_zeros_ahead(number * STEP_NS)
        }
        CrashStep::Sync => {
            let end = log.end();
            syncer.sync(end.position)?;
            promises.durable = end.index;
            Ok(())
        }
        CrashStep::SyncPosition => syncer.sync_position(),
        CrashStep::Truncate(count) => {
            let kept = log.end().index - count;
            promises.durable = promises.durable.min(kept);
            promises.term += 1;
            log.truncate_after(kept)?;
            for frames in promises.written.iter().skip(kept as usize) {
                promises.cut.extend(frames.iter().cloned());
            }
            Ok(())
        }
        CrashStep::Prepare => {
            let Some(need) = log.segment_to_prepare(0) else {
                return Ok(());
            };
            match prepare_segment(disk, DIRECTORY.as_ref(), need, log.segment_size()) {
                Ok(file) => log.segment_prepared(need.base, file),
                Err(source) => Err(LogError::Io {
                    doing: "prepare",
                    path: DIRECTORY.into(),
                    source,
                }),
            }
        }
    }
}

/// Runs until a call of the disk is the last; answers what is left.
fn run_until(operations: u64) -> (DiskBench, Promises, bool) {
    steps_until(&RUN, SEGMENT, operations)
}

fn steps_until(
    steps: &[CrashStep],
    segment_size: u64,
    operations: u64,
) -> (DiskBench, Promises, bool) {
    let bench = DiskBench::new(segment_size);
    bench.disk.stop_after(operations);
    let mut promises = Promises::default();
    let finished = bench
        .open()
        .and_then(|(mut log, _)| {
            let syncer = log.syncer();
            run(steps, &mut log, &syncer, &bench.disk, &mut promises)
        })
        .is_ok();
    (bench, promises, finished)
}

fn check(bench: &DiskBench, promises: &Promises, case: &str) {
    let (mut log, recovery) = bench
        .open()
        .unwrap_or_else(|error| panic!("{case}: {error}"));
    let end = log.end();
    assert!(
        end.index >= promises.durable,
        "{case}: {} frames, {} promised",
        end.index,
        promises.durable
    );
    let reader = log.reader();
    for index in 1..=end.index {
        let frame = reader
            .frame(index)
            .unwrap_or_else(|error| panic!("{case}: {error}"));
        let known = &promises.written[index as usize - 1];
        assert!(
            known.contains(&frame),
            "{case}: frame {index} was never written"
        );
        assert!(
            !promises.cut.contains(&frame),
            "{case}: frame {index} came back"
        );
    }
    if promises.durable > 0 {
        let at = promises.durable as usize - 1;
        let last = promises.written[at]
            .last()
            .expect("written before it was synced");
        assert_eq!(
            &reader.frame(promises.durable).expect("promised"),
            last,
            "{case}"
        );
    }
    bench.assert_recovery_is_done(&recovery);
    // What recovery answers has to be durable: the power goes again, and everything unsynced with it.
    let (again, _) = bench.open().expect("a recovered log");
    drop(again);
    bench.disk.crash(1);
    let (found, _) = bench
        .open()
        .unwrap_or_else(|error| panic!("{case}, second cut: {error}"));
    assert_eq!(found.end(), end, "{case}, second cut");
    drop(found);
    // And the log goes on, over segments whose files it may have found.
    log = bench.open().expect("a recovered log").0;
    for number in 0..3 {
        append_one(&mut log, 1000, &body(number, 9000))
            .unwrap_or_else(|error| panic!("{case}: {error}"));
    }
    log.syncer().sync(u64::MAX).expect("a healthy disk");
    for seed in 0..4 {
        let last = DiskBench::with_disk(bench.disk.fork(), bench.segment_size);
        last.disk.crash(seed);
        let found = last
            .open()
            .unwrap_or_else(|error| panic!("{case}, third cut: {error}"));
        assert_eq!(found.0.end(), log.end(), "{case}, third cut");
    }
}

/// Runs these steps up to each call of the disk in turn, and cuts the power there in so many ways; answers the number of
/// calls.
fn cut_power_at_each_call(steps: &[CrashStep], segment_size: u64, seeds: u64) -> u64 {
    let mut operations = 1;
    loop {
        let (bench, promises, finished) = steps_until(steps, segment_size, operations);
        for seed in 0..seeds {
            let crashed = DiskBench::with_disk(bench.disk.fork(), segment_size);
            crashed.disk.crash(seed);
            check(
                &crashed,
                &promises,
                &format!("after {operations} calls, seed {seed}"),
            );
        }
        if finished {
            return operations;
        }
        operations += 1;
    }
}

#[test]
fn a_power_cut_at_any_write_loses_nothing_that_was_synced() {
    let operations = cut_power_at_each_call(&RUN, SEGMENT, SEEDS);
    assert!(operations > 80, "{operations} calls");
}

/// The same where zeros end in the middle of a segment, behind frames, and a cut may leave any part of them.
#[test]
fn a_power_cut_inside_zeros_written_ahead_loses_nothing_that_was_synced() {
    let operations = cut_power_at_each_call(&ZEROS_RUN, ZEROS_SEGMENT, 16);
    assert!(operations > 35, "{operations} calls");
}

/// The process dies, recovers, goes on, and then the power goes: what it found in the page cache has to be durable by
/// the time it counts.
#[test]
fn the_death_of_the_process_at_any_write_loses_nothing_that_was_synced() {
    let mut operations = 1;
    loop {
        let (bench, promises, finished) = run_until(operations);
        bench.disk.kill();
        check(&bench, &promises, &format!("after {operations} calls"));
        if finished {
            break;
        }
        operations += 1;
    }
}

#[test]
fn a_crash_at_any_write_of_recovery_itself_changes_nothing_of_the_outcome() {
    // A torn log: frames above the synced position, some sectors of which are lost.
    let (bench, promises, _) = run_until(u64::MAX / 2);
    for seed in 0..SEEDS {
        let crashed = DiskBench::with_disk(bench.disk.fork(), SEGMENT);
        crashed.disk.crash(seed);
        let whole = DiskBench::with_disk(crashed.disk.fork(), SEGMENT);
        let expected = whole.open().expect("torn at most").0.end();
        for operations in 1.. {
            let again = DiskBench::with_disk(crashed.disk.fork(), SEGMENT);
            again.disk.stop_after(operations);
            let finished = again.open().is_ok();
            let killed = DiskBench::with_disk(again.disk.fork(), SEGMENT);
            again.disk.crash(seed + operations);
            let case = format!("seed {seed}, call {operations}");
            let (log, _) = again
                .open()
                .unwrap_or_else(|error| panic!("{case}: {error}"));
            assert!(log.end().index >= promises.durable, "{case}");
            killed.disk.kill();
            goes_on_from(&killed, seed, &case);
            if finished {
                assert_eq!(log.end(), expected, "{case}");
                break;
            }
        }
    }
}

/// A recovery that only the death of the process ended: the next one goes on, and what it then writes is not harmed by
/// what the platter still has from before.
fn goes_on_from(killed: &DiskBench, seed: u64, case: &str) {
    let (mut log, _) = killed
        .open()
        .unwrap_or_else(|error| panic!("{case}: {error}"));
    append_one(&mut log, 1000, &body(seed, 40)).unwrap_or_else(|error| panic!("{case}: {error}"));
    log.syncer().sync(u64::MAX).expect("a healthy disk");
    for cut in 0..4 {
        let last = DiskBench::with_disk(killed.disk.fork(), SEGMENT);
        last.disk.crash(seed * 4 + cut);
        let found = last
            .open()
            .unwrap_or_else(|error| panic!("{case}, cut {cut}: {error}"));
        assert_eq!(found.0.end(), log.end(), "{case}, cut {cut}");
    }
}

/// Frames that were read from the page cache after a failed sync count only when they were written again: the
/// kernel calls their pages clean.
#[test]
fn frames_found_after_a_failed_sync_are_durable_once_recovery_has_counted_them() {
    let bench = DiskBench::new(SEGMENT);
    let (mut log, _) = bench.open().expect("an empty directory");
    append_one(&mut log, 1, &body(1, 2000)).expect("room");
    log.syncer().sync(u64::MAX).expect("a healthy disk");
    append_one(&mut log, 1, &body(2, 2000)).expect("room");
    bench
        .disk
        .fail_next(tern_testdisk::Operation::Sync, "/log/");
    let failed = log.syncer().sync(log.end().position);
    assert!(matches!(failed, Err(LogError::Sync { .. })));
    assert!(
        matches!(log.syncer().sync(u64::MAX), Err(LogError::Failed)),
        "never again"
    );
    assert!(matches!(
        append_one(&mut log, 1, b"x"),
        Err(LogError::Failed)
    ));
    bench.disk.kill();
    let (log, recovery) = bench.open().expect("the page cache has it");
    assert_eq!(log.end().index, 2);
    assert!(recovery.rewritten > 2000);
    for seed in 0..SEEDS {
        let crashed = DiskBench::with_disk(bench.disk.fork(), SEGMENT);
        crashed.disk.crash(seed);
        assert_eq!(
            crashed.open().expect("a good log").0.end().index,
            2,
            "seed {seed}"
        );
    }
}

/// The same for the zeros of a cut: if they are in the page cache only, the old bytes stand behind new frames later.
#[test]
fn a_cut_whose_sync_failed_is_made_again_at_the_next_start() {
    let bench = DiskBench::new(SEGMENT);
    let (mut log, _) = bench.open().expect("an empty directory");
    append_one(&mut log, 1, &body(1, 200)).expect("room");
    log.syncer().sync(u64::MAX).expect("a healthy disk");
    let synced = log.end().position;
    append_one(&mut log, 1, &body(2, 3000)).expect("room");
    append_one(&mut log, 1, &body(3, 3000)).expect("room");
    // The device has written everything but one sector of the second frame.
    bench
        .disk
        .cut_file(&segment(0), SEGMENT)
        .expect("the segment");
    erase(&bench.disk, &segment(0), synced.next_multiple_of(512), 512);
    bench.disk.kill();
    bench
        .disk
        .fail_next(tern_testdisk::Operation::Sync, "/log/");
    assert!(matches!(bench.open(), Err(LogError::Sync { .. })));
    bench.disk.kill();
    let (mut log, _) = bench.open().expect("the rest was cut");
    assert_eq!(log.end().position, synced);
    // The new frame ends with a sector, so the place behind it shows what the platter has there.
    let room = synced.next_multiple_of(512) + 1024 - synced;
    append_one(&mut log, 2, &body(4, room as usize - 64 - 96)).expect("room");
    assert_eq!(log.end().position % 512, 0);
    log.syncer().sync(u64::MAX).expect("a healthy disk");
    bench.disk.crash(1);
    assert_eq!(bench.open().expect("a whole log").0.end(), log.end());
}

/// Beyond the promise of whole sectors the log may ask for repair; it never accepts a bad frame.
#[test]
fn half_written_sectors_give_a_prefix_or_ask_for_repair() {
    let (bench, promises, _) = run_until(u64::MAX / 2);
    let mut opened = 0;
    for seed in 0..200 {
        let crashed = DiskBench::with_disk(bench.disk.fork(), SEGMENT);
        crashed.disk.power_cut(tern_testdisk::PowerCut {
            seed,
            tears_sectors: true,
        });
        match crashed.open() {
            Ok((log, _)) => {
                assert!(log.end().index >= promises.durable);
                opened += 1;
            }
            Err(LogError::Rotted { .. }) => {}
            Err(other) => panic!("seed {seed}: {other}"),
        }
    }
    assert!(opened > 0);
}

#[test]
fn a_power_cut_after_a_start_that_took_over_from_a_dead_one_loses_nothing_that_was_synced() {
    for last in 1..14 {
        for seed in 0..16 {
            let bench = DiskBench::new(SEGMENT);
            bench.disk.stop_after(last);
            let _ = bench.open();
            bench.disk.kill();
            let (mut log, _) = bench.open().expect("nothing is there yet");
            for _ in 0..3 {
                append_one(&mut log, 1, &body(1, 300)).expect("room");
            }
            log.syncer()
                .sync(log.end().position)
                .expect("a healthy disk");
            append_one(&mut log, 1, &body(1, 3000)).expect("room");
            bench.disk.crash(seed);
            let (log, _) = bench.open().unwrap_or_else(|error| {
                panic!("call {last}, seed {seed}: {error}");
            });
            assert!(log.end().index >= 3, "call {last}, seed {seed}");
        }
    }
}
