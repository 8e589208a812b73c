//! Zeros ahead of the end of the log: where they are written, and that nothing rests on them.

use std::path::Path;

use tern_log::{Disk, Log, LogError, ScanResult, SegmentNeed, StopKind, prepare_segment};
use tern_testdisk::Operation;

use crate::support::{DIRECTORY, DiskBench, append_one, body, disks, options, segment};

const SEGMENT: u64 = 1 << 20;
const AHEAD: u64 = 256 << 10;
const MS: u64 = 1_000_000;

/// Appends one frame at a time of that clock; answers how many writes that and the zeros behind it were.
fn writes_of(bench: &DiskBench, log: &mut Log, length: usize, now_ms: u64) -> u64 {
    let before = bench.disk.operations();
    append_one(log, 1, &body(now_ms, length)).expect("room");
    log.write_zeros_ahead(now_ms * MS).expect("a healthy disk");
    bench.disk.operations() - before
}

fn prepare(
    bench: &DiskBench,
    base: u64,
) -> std::io::Result<std::sync::Arc<dyn tern_log::DiskFile>> {
    let need = SegmentNeed {
        base,
        length: SEGMENT,
    };
    prepare_segment(&bench.disk, Path::new(DIRECTORY), need, SEGMENT)
}

/// Up to where a file was written to, zeros included, by pages of 4 KiB.
fn written_upto(bench: &DiskBench, base: u64) -> u64 {
    let file = bench.disk.open(&segment(base)).expect("the segment");
    let mut end = 0;
    while let Some(page) = file.next_data(end).expect("readable") {
        end = page + 4096;
    }
    end
}

#[test]
fn a_slow_log_has_zeros_behind_its_end_and_writes_only_frames_until_it_has_passed_them() {
    let bench = DiskBench::new(SEGMENT);
    let (mut log, _) = bench.open().expect("an empty directory");
    log.write_zeros_ahead(0).expect("nothing to do");
    append_one(&mut log, 1, &body(1, 500)).expect("room");
    assert_eq!(writes_of(&bench, &mut log, 300, 0), 2);
    let edge = log.end().position + AHEAD;
    assert_eq!(written_upto(&bench, 0), edge.next_multiple_of(4096));
    for round in 1.. {
        let writes = writes_of(&bench, &mut log, 9000, 100 * round);
        if log.end().position > edge {
            assert_eq!(writes, 2, "frames have passed the zeros");
            break;
        }
        assert_eq!(writes, 1);
    }
    let content = bench.disk.content(&segment(0)).expect("the segment");
    let behind = &content[log.end().position as usize..];
    assert!(behind.iter().all(|byte| *byte == 0));
    log.syncer().sync(u64::MAX).expect("a healthy disk");
    bench.disk.crash(1);
    let (found, recovery) = bench.open().expect("a whole log");
    assert_eq!((found.end(), recovery.found), (log.end(), ScanResult::End));
}

#[test]
fn a_fast_log_writes_frames_only() {
    let bench = DiskBench::new(4 * SEGMENT);
    let (mut log, _) = bench.open().expect("an empty directory");
    let need = SegmentNeed {
        base: 0,
        length: 4 * SEGMENT,
    };
    let file = prepare_segment(&bench.disk, Path::new(DIRECTORY), need, need.length).expect("room");
    log.segment_prepared(0, file).expect("a live file");
    append_one(&mut log, 1, &body(1, 500)).expect("room");
    assert_eq!(writes_of(&bench, &mut log, 500, 0), 2);
    // 64 KiB each 4 ms are 16 MB/s.
    for round in 1..40 {
        assert_eq!(writes_of(&bench, &mut log, 64 << 10, 4 * round), 1);
    }
    // It becomes slow: after 20 ms at the latest there are zeros again.
    assert_eq!(writes_of(&bench, &mut log, 100, 4 * 40 + 20), 2);
}

#[test]
fn zeros_end_with_the_segment_and_the_next_one_has_its_own_on_every_disk() {
    for (disk, directory, _guard) in disks() {
        let (mut log, _) =
            Log::open(disk.clone(), options(&directory, SEGMENT)).expect("a new directory");
        for round in 1..40 {
            append_one(&mut log, 1, &body(round, 60_000)).expect("room");
            log.write_zeros_ahead(100 * round * MS)
                .expect("a healthy disk");
        }
        log.syncer().sync(u64::MAX).expect("a healthy disk");
        let end = log.end();
        assert!(end.position > 2 * SEGMENT);
        drop(log);
        for base in [0, SEGMENT, 2 * SEGMENT] {
            let path = directory.join(format!("log/{base:020}"));
            let file = disk.open(&path).expect("the segment");
            assert_eq!(file.len().expect("readable"), SEGMENT);
        }
        let (log, recovery) = Log::open(disk, options(&directory, SEGMENT)).expect("a whole log");
        assert_eq!(
            (log.end(), recovery.found, recovery.rewritten),
            (end, ScanResult::End, 0)
        );
    }
}

#[test]
fn a_roll_into_a_prepared_segment_is_one_write_for_frames_and_one_for_zeros() {
    let bench = DiskBench::new(SEGMENT);
    let (mut log, _) = bench.open().expect("an empty directory");
    let file = prepare(&bench, 0).expect("room");
    log.segment_prepared(0, file).expect("a live file");
    assert_eq!(writes_of(&bench, &mut log, 900_000, 0), 2);
    assert_eq!(written_upto(&bench, 0), SEGMENT);
    let file = prepare(&bench, SEGMENT).expect("room");
    log.segment_prepared(SEGMENT, file).expect("a live file");
    assert_eq!(writes_of(&bench, &mut log, 200_000, 100), 2);
    let end = log.end().position - SEGMENT;
    assert_eq!(
        written_upto(&bench, SEGMENT),
        (end + AHEAD).next_multiple_of(4096)
    );
}

#[test]
fn zeros_are_written_again_behind_a_truncation_and_after_a_start() {
    let bench = DiskBench::new(SEGMENT);
    let (mut log, _) = bench.open().expect("an empty directory");
    append_one(&mut log, 1, &body(1, 100)).expect("room");
    assert_eq!(writes_of(&bench, &mut log, 100, 0), 2);
    assert_eq!(writes_of(&bench, &mut log, 100, 100), 1);
    log.truncate_after(2).expect("a healthy disk");
    assert_eq!(
        writes_of(&bench, &mut log, 100, 101),
        2,
        "a cut range is reserved again, not written"
    );
    assert_eq!(writes_of(&bench, &mut log, 100, 200), 1);
    log.syncer().sync(u64::MAX).expect("a healthy disk");
    log.syncer().sync_position().expect("a healthy disk");
    bench.disk.kill();
    let (mut log, recovery) = bench.open_after(StopKind::Clean).expect("a whole log");
    assert_eq!(recovery.found, ScanResult::End);
    // The clock of another life begins anywhere.
    assert_eq!(writes_of(&bench, &mut log, 100, 3), 2);
}

#[test]
fn a_segment_of_which_only_zeros_were_left_is_taken_for_an_empty_one() {
    let bench = DiskBench::new(SEGMENT);
    let (mut log, _) = bench.open().expect("an empty directory");
    append_one(&mut log, 1, &body(1, 900_000)).expect("room");
    log.syncer().sync(u64::MAX).expect("a healthy disk");
    let end = log.end();
    assert!(writes_of(&bench, &mut log, 200_000, 100) > 2, "it rolls");
    // The power goes: of the next segment the device has the zeros, and nothing of header and frame.
    let frames = log.end().position - SEGMENT;
    bench
        .disk
        .cut_file(&segment(SEGMENT), SEGMENT)
        .expect("the segment");
    bench
        .disk
        .overwrite(&segment(SEGMENT), 0, &vec![0; frames as usize])
        .expect("the segment");
    assert!(written_upto(&bench, SEGMENT) > frames + AHEAD);
    bench.disk.kill();
    let (mut log, recovery) = bench.open().expect("nothing is torn");
    assert_eq!((log.end(), recovery.found), (end, ScanResult::End));
    append_one(&mut log, 2, &body(2, 200_000)).expect("room");
}

#[test]
fn a_bit_that_rots_in_zeros_is_cut_or_wants_repair_and_is_never_taken_for_a_frame() {
    let bench = DiskBench::new(SEGMENT);
    let (mut log, _) = bench.open().expect("an empty directory");
    // The frame ends far from the end of a sector, so the next header would lie in one.
    append_one(&mut log, 1, &body(1, 20)).expect("room");
    log.write_zeros_ahead(0).expect("a healthy disk");
    log.syncer().sync(u64::MAX).expect("a healthy disk");
    let end = log.end();
    for (behind, stop, is_cut) in [
        (100_000, StopKind::PowerCutPossible, true),
        (100_000, StopKind::Clean, false),
        (10, StopKind::PowerCutPossible, false),
    ] {
        let rotten = DiskBench::with_disk(bench.disk.fork(), SEGMENT);
        rotten.disk.kill();
        rotten
            .disk
            .damage(&segment(0), end.position + behind, 4)
            .expect("the segment");
        match rotten.open_after(stop) {
            Ok((log, recovery)) => {
                assert!(is_cut && matches!(recovery.found, ScanResult::Torn { .. }));
                assert_eq!(log.end(), end);
            }
            Err(error) => {
                assert!(
                    !is_cut && matches!(error, LogError::Rotted { .. }),
                    "{error}"
                );
            }
        }
    }
}

#[test]
fn after_zeros_that_the_disk_did_not_take_the_log_takes_nothing_more() {
    let bench = DiskBench::new(SEGMENT);
    let (mut log, _) = bench.open().expect("an empty directory");
    append_one(&mut log, 1, &body(1, 100)).expect("room");
    bench.disk.fail_next(Operation::Write, "/log/");
    let failed = log.write_zeros_ahead(0).expect_err("an error of the disk");
    assert!(matches!(failed, LogError::Write { .. }) && failed.is_fatal());
    assert!(matches!(
        append_one(&mut log, 1, b"x"),
        Err(LogError::Failed)
    ));
    assert!(matches!(log.syncer().sync(u64::MAX), Err(LogError::Failed)));
    bench.disk.kill();
    assert_eq!(bench.open().expect("a whole log").0.end().index, 1);
}
