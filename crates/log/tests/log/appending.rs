//! Appending and rolling: what the log takes, what it refuses, and what it does to the disk meanwhile.

use std::path::Path;
use std::sync::Arc;

use tern_log::{
    Fault, Log, LogError, LogOptions, ScanResult, SegmentNeed, SegmentRoom, StopKind,
    prepare_segment, stored_settings,
};
use tern_testdisk::{MemoryDisk, Operation};

use crate::support::{
    DIRECTORY, DiskBench, GROUP, append_one, body, disks, draft, options, seal_run,
};

const SEGMENT: u64 = 16 << 10;

/// A whole segment.
fn whole(base: u64) -> SegmentNeed {
    SegmentNeed {
        base,
        length: SEGMENT,
    }
}

fn base_to_prepare(log: &Log) -> Option<u64> {
    log.segment_to_prepare(0).map(|need| need.base)
}

fn prepare(bench: &DiskBench, base: u64) -> Arc<dyn tern_log::DiskFile> {
    prepare_segment(&bench.disk, Path::new(DIRECTORY), whole(base), SEGMENT).expect("room")
}

#[test]
fn what_was_appended_and_synced_is_found_again_on_every_disk() {
    for (disk, directory, _guard) in disks() {
        let (mut log, recovery) =
            Log::open(disk.clone(), options(&directory, SEGMENT)).expect("a new directory");
        assert_eq!(
            (recovery.found, recovery.first_index),
            (ScanResult::Empty, 1)
        );
        let bodies: Vec<_> = (0..40)
            .map(|number| body(number, 50 + 37 * number as usize))
            .collect();
        let frames = seal_run(&log, 7, &bodies);
        for pair in frames.chunks(3) {
            log.append(pair).expect("room");
        }
        assert!(log.end().position > 2 * SEGMENT, "the log has rolled");
        assert_eq!(
            log.syncer()
                .sync(log.end().position)
                .expect("a healthy disk"),
            log.end().position
        );
        let end = log.end();
        drop(log);
        let (log, recovery) =
            Log::open(disk.clone(), options(&directory, SEGMENT)).expect("a whole log");
        assert_eq!(
            (log.end(), recovery.found, recovery.rewritten),
            (end, ScanResult::End, 0)
        );
        let reader = log.reader();
        for frame in &frames {
            assert_eq!(&reader.frame(frame.header.index).expect("stored"), frame);
            assert_eq!(
                log.header(frame.header.index).expect("stored"),
                frame.header
            );
        }
        let settings = stored_settings(&*disk, &directory)
            .expect("readable")
            .expect("a log");
        assert_eq!((settings.group_id, settings.segment_size), (GROUP, SEGMENT));
        // The same without flushing: the frames are in the page cache, and count after they were written again.
        drop(log);
        let (mut log, _) =
            Log::open(disk.clone(), options(&directory, SEGMENT)).expect("a whole log");
        let more = append_one(&mut log, 7, &body(9, 900)).expect("room");
        drop(log);
        let (log, recovery) = Log::open(disk, options(&directory, SEGMENT)).expect("a whole log");
        assert_eq!(log.end(), more.end());
        assert!(recovery.rewritten >= 900);
        assert_eq!(log.durable(), log.end().position);
    }
}

#[test]
fn frames_of_one_segment_are_one_write_whatever_their_number() {
    let bench = DiskBench::new(1 << 20);
    let (mut log, _) = bench.open().expect("an empty directory");
    append_one(&mut log, 1, b"first").expect("room");
    for count in [1, 2, 16] {
        let frames = seal_run(&log, 1, &vec![body(count, 500); count as usize]);
        let before = bench.disk.operations();
        log.append(&frames).expect("room");
        assert_eq!(bench.disk.operations() - before, 1);
    }
}

#[test]
fn a_roll_into_a_prepared_segment_only_writes() {
    let bench = DiskBench::new(SEGMENT);
    let (mut log, _) = bench.open().expect("an empty directory");
    assert_eq!(base_to_prepare(&log), Some(0));
    assert_eq!(
        log.segment_ready_for(64),
        SegmentRoom::NextMissing { base: 0 }
    );
    let file = prepare(&bench, 0);
    log.segment_prepared(0, file).expect("a live file");
    assert_eq!(log.segment_ready_for(64), SegmentRoom::NextReady);
    let before = bench.disk.operations();
    append_one(&mut log, 1, &body(1, 9000)).expect("room");
    assert_eq!(
        bench.disk.operations() - before,
        1,
        "header and frame are one write"
    );
    assert_eq!(base_to_prepare(&log), Some(SEGMENT));
    let file = prepare(&bench, SEGMENT);
    log.segment_prepared(SEGMENT, file).expect("a live file");
    assert_eq!(base_to_prepare(&log), None);
    assert_eq!(log.segment_ready_for(100), SegmentRoom::Here);
    assert_eq!(log.segment_ready_for(9000), SegmentRoom::NextReady);
    let before = bench.disk.operations();
    let rolled = append_one(&mut log, 1, &body(2, 9000)).expect("room");
    assert_eq!(rolled.header.position, SEGMENT + 4096);
    assert_eq!(bench.disk.operations() - before, 1);
    assert_eq!(
        log.segment_ready_for(9000),
        SegmentRoom::NextMissing { base: 2 * SEGMENT }
    );
}

#[test]
fn a_roll_without_a_prepared_segment_makes_one() {
    let bench = DiskBench::new(SEGMENT);
    let (mut log, _) = bench.open().expect("an empty directory");
    let frames = seal_run(&log, 1, &vec![body(1, 9000); 4]);
    log.append(&frames).expect("room for four segments");
    assert_eq!(log.end().position / SEGMENT, 3);
    log.syncer().sync(u64::MAX).expect("a healthy disk");
    bench.disk.crash(1);
    assert_eq!(bench.open().expect("a whole log").0.end(), frames[3].end());
}

#[test]
fn without_room_for_the_next_segment_nothing_is_appended_and_the_log_stays_usable() {
    let bench = DiskBench::new(SEGMENT);
    let (mut log, _) = bench.open().expect("an empty directory");
    append_one(&mut log, 1, &body(1, 5000)).expect("room");
    bench.disk.set_free_bytes(Some(SEGMENT / 2));
    let end = log.end();
    // The first of the two would fit; both are refused.
    let frames = seal_run(&log, 1, &[body(2, 1000), body(3, 9000)]);
    for _ in 0..3 {
        let refused = log.append(&frames);
        assert!(
            matches!(&refused, Err(LogError::NoSpace { .. })),
            "{refused:?}"
        );
        assert!(!refused.expect_err("refused").is_fatal());
        assert_eq!((log.end(), log.reader().end()), (end, end));
    }
    append_one(&mut log, 1, &body(2, 1000)).expect("still room here");
    log.syncer().sync(u64::MAX).expect("a healthy disk");
    assert_eq!(log.reader().frame(2).expect("stored").records().len(), 1096);
    bench.disk.set_free_bytes(None);
    append_one(&mut log, 1, &body(3, 9000)).expect("room again");
    log.syncer().sync(u64::MAX).expect("a healthy disk");
    bench.disk.crash(3);
    assert_eq!(bench.open().expect("a whole log").0.end().index, 3);
}

#[test]
fn a_full_disk_while_preparing_leaves_nothing_that_harms() {
    let bench = DiskBench::new(SEGMENT);
    let (mut log, _) = bench.open().expect("an empty directory");
    append_one(&mut log, 1, &body(1, 9000)).expect("room");
    bench.disk.fail_next(Operation::Allocate, "/log/");
    let refused = prepare_segment(&bench.disk, Path::new(DIRECTORY), whole(SEGMENT), SEGMENT)
        .err()
        .expect("full");
    assert!(tern_log::is_no_space(&refused));
    bench.disk.kill();
    let (mut log, _) = bench.open().expect("a short empty file is no damage");
    assert_eq!(base_to_prepare(&log), Some(SEGMENT));
    let file = prepare(&bench, SEGMENT);
    log.segment_prepared(SEGMENT, file).expect("a live file");
    append_one(&mut log, 1, &body(2, 9000)).expect("room");
}

#[test]
fn a_prepared_segment_is_taken_again_after_a_clean_stop_and_completed_after_another() {
    let bench = DiskBench::new(SEGMENT);
    let (mut log, _) = bench.open().expect("an empty directory");
    append_one(&mut log, 1, &body(1, 9000)).expect("room");
    prepare(&bench, SEGMENT);
    log.syncer().sync(u64::MAX).expect("a healthy disk");
    bench.disk.kill();
    let (log, _) = bench.open().expect("a whole log");
    assert_eq!(
        base_to_prepare(&log),
        Some(SEGMENT),
        "its preparation may not have ended"
    );
    bench.disk.kill();
    let (mut log, _) = bench.open_after(StopKind::Clean).expect("a whole log");
    assert_eq!(log.segment_ready_for(9000), SegmentRoom::NextReady);
    let before = bench.disk.operations();
    append_one(&mut log, 1, &body(2, 9000)).expect("room");
    assert_eq!(bench.disk.operations() - before, 1);
}

#[test]
fn a_file_that_was_prepared_used_and_cut_off_meanwhile_is_not_taken() {
    let bench = DiskBench::new(SEGMENT);
    let (mut log, _) = bench.open().expect("an empty directory");
    append_one(&mut log, 1, &body(1, 9000)).expect("room");
    // The preparation is slow; the log needs the segment, makes it, and is truncated before the answer comes.
    let late = prepare(&bench, SEGMENT);
    append_one(&mut log, 1, &body(2, 9000)).expect("room");
    log.truncate_after(1).expect("a healthy disk");
    log.segment_prepared(SEGMENT, late).expect("dropped");
    assert_eq!(
        log.segment_ready_for(9000),
        SegmentRoom::NextMissing { base: SEGMENT }
    );
    append_one(&mut log, 2, &body(3, 9000)).expect("room");
    log.syncer().sync(u64::MAX).expect("a healthy disk");
    bench.disk.crash(5);
    assert_eq!(bench.open().expect("a whole log").0.end().index, 2);
}

#[test]
fn a_file_for_a_segment_that_is_in_use_is_dropped() {
    let bench = DiskBench::new(SEGMENT);
    let (mut log, _) = bench.open().expect("an empty directory");
    let late = prepare(&bench, 0);
    append_one(&mut log, 1, &body(1, 100)).expect("room");
    log.segment_prepared(0, late).expect("dropped");
    append_one(&mut log, 1, &body(2, 100)).expect("room");
    // If it had been kept, it would be used again after its name was taken away.
    log.truncate_after(0).expect("a healthy disk");
    append_one(&mut log, 2, &body(3, 100)).expect("room");
    log.syncer().sync(u64::MAX).expect("a healthy disk");
    bench.disk.crash(3);
    assert_eq!(bench.open().expect("a whole log").0.end().term, 2);
}

#[test]
fn frames_that_do_not_continue_the_log_are_refused_and_nothing_is_appended() {
    let bench = DiskBench::new(SEGMENT);
    let (mut log, _) = bench.open().expect("an empty directory");
    append_one(&mut log, 5, &body(1, 100)).expect("room");
    let end = log.end();
    let seal = |end: &tern_log::LogEnd, term| {
        draft(&[b"x"])
            .seal(end, term, 1, SEGMENT)
            .expect("a good draft")
    };
    let good = seal(&end, 5);
    let mut moved = end;
    moved.position += 8;
    let mut forked = end;
    forked.header_crc ^= 1;
    let mut later = end;
    later.index += 1;
    let mut older = end;
    older.term = 4;
    for (bad, fault) in [
        (seal(&moved, 5), Fault::Placement),
        (seal(&forked, 5), Fault::Chain),
        (seal(&later, 5), Fault::Index),
        (seal(&older, 4), Fault::Term),
    ] {
        let refused = log.append(&[bad]);
        assert!(
            matches!(refused, Err(LogError::Diverged { fault: found, .. }) if found == fault),
            "{fault}"
        );
        assert_eq!(log.end(), end);
    }
    // The second of two is wrong: neither is taken.
    assert!(log.append(&[good.clone(), good.clone()]).is_err());
    assert_eq!(log.end(), end);
    log.append(&[good]).expect("continues");
}

#[test]
fn after_a_failed_write_the_log_takes_nothing_more() {
    let bench = DiskBench::new(SEGMENT);
    let (mut log, _) = bench.open().expect("an empty directory");
    append_one(&mut log, 1, &body(1, 100)).expect("room");
    bench.disk.fail_next(Operation::Write, "/log/");
    let failed = append_one(&mut log, 1, &body(2, 100)).expect_err("an error of the disk");
    assert!(matches!(failed, LogError::Write { .. }) && failed.is_fatal());
    assert_eq!(log.reader().end().index, 1, "readers do not see it");
    assert!(matches!(
        append_one(&mut log, 1, b"x"),
        Err(LogError::Failed)
    ));
    assert!(matches!(log.syncer().sync(u64::MAX), Err(LogError::Failed)));
    assert!(matches!(log.truncate_after(0), Err(LogError::Failed)));
}

#[test]
fn settings_that_cannot_work_are_refused() {
    for segment_size in [0, 4096, 8191, 12_000] {
        let options = LogOptions {
            segment_size,
            ..LogOptions::new(DIRECTORY, GROUP)
        };
        let refused = Log::open(Arc::new(MemoryDisk::new()), options);
        assert!(
            matches!(refused, Err(LogError::BadSetting { .. })),
            "{segment_size}"
        );
    }
}

#[test]
fn a_clean_stop_with_everything_flushed_starts_without_a_write() {
    let bench = DiskBench::new(SEGMENT);
    let (mut log, _) = bench.open().expect("an empty directory");
    append_one(&mut log, 1, &body(1, 100)).expect("room");
    let syncer = log.syncer();
    syncer.sync(u64::MAX).expect("a healthy disk");
    syncer.sync_position().expect("a healthy disk");
    bench.disk.kill();
    let before = bench.disk.operations();
    let (log, recovery) = bench.open_after(StopKind::Clean).expect("a whole log");
    assert_eq!((log.end().index, recovery.found), (1, ScanResult::End));
    assert_eq!(bench.disk.operations(), before);
}

#[test]
fn a_segment_for_which_there_is_no_descriptor_is_asked_for_again_and_stops_nobody() {
    let bench = DiskBench::new(SEGMENT);
    let (mut log, _) = bench.open().expect("an empty directory");
    append_one(&mut log, 1, &body(1, 9000)).expect("room");
    bench.disk.fail_next(Operation::Open, "/log/");
    let has_room = log.make_room_upto(SEGMENT + 1);
    assert!(!has_room.expect("no reason to stop"));
    assert!(log.make_room_upto(SEGMENT + 1).expect("room"));
    append_one(&mut log, 1, &body(2, 9000)).expect("the log is well");
}

#[test]
fn a_commit_that_no_sync_took_along_is_waited_for_until_it_is_written() {
    let bench = DiskBench::new(SEGMENT);
    let (mut log, _) = bench.open().expect("an empty directory");
    let syncer = log.syncer();
    append_one(&mut log, 1, &body(1, 100)).expect("room");
    syncer.sync(log.end().position).expect("a healthy disk");
    assert!(syncer.awaits_commit(), "of what is durable");
    log.committed(1).expect("it is there");
    assert!(syncer.awaits_commit(), "in the file");
    syncer.keep_marks().expect("a healthy disk");
    assert!(!syncer.awaits_commit());
}
