//! Segments that are reserved in steps: how much a log takes, and that nothing rests on how far a file reaches.

use std::path::Path;

use tern_log::{Disk, Log, LogError, Reserve, SegmentRoom, StopKind, prepare_segment};

use crate::support::{DIRECTORY, DiskBench, append_one, body, segment};

const SEGMENT: u64 = 8 << 20;
const STEP: u64 = 1 << 20;

/// Does what is asked for ahead of the log's end; answers how often.
fn prepare_all(bench: &DiskBench, log: &mut Log, waiting: u64) -> u32 {
    let mut times = 0;
    while let Some(need) = log.segment_to_prepare(waiting) {
        let file = prepare_segment(&bench.disk, Path::new(DIRECTORY), need, SEGMENT).expect("room");
        log.segment_prepared(need.base, file).expect("a live file");
        times += 1;
        assert!(times < 4, "it is enough at some time: {need:?}");
    }
    times
}

/// Bytes that all segments take.
fn taken(bench: &DiskBench) -> u64 {
    let names = bench.disk.list(&Path::new(DIRECTORY).join("log"));
    let bases = names.expect("a directory").into_iter();
    let files = bases.map(|name| {
        let base = name.parse().expect("a base");
        bench.disk.open(&segment(base)).expect("a segment")
    });
    files.map(|file| file.allocated().expect("known")).sum()
}

#[test]
fn an_empty_log_takes_little_and_a_long_one_a_whole_segment_ahead() {
    let bench = DiskBench::new(SEGMENT);
    let (mut log, _) = bench.open().expect("an empty directory");
    assert_eq!(prepare_all(&bench, &mut log, 0), 1);
    assert_eq!(taken(&bench), Reserve::of_segment(SEGMENT).ops + STEP);
    append_one(&mut log, 1, &body(1, 1000)).expect("room");
    assert_eq!(prepare_all(&bench, &mut log, 0), 0, "idle");
    for number in 0..70 {
        append_one(&mut log, 1, &body(number, 500_000)).expect("room");
        prepare_all(&bench, &mut log, 0);
    }
    let base = log.end().position / SEGMENT * SEGMENT;
    assert!(base >= 4 * SEGMENT);
    assert_eq!(taken(&bench), base + 2 * SEGMENT, "one spare segment");
    for segment_base in (0..=base + SEGMENT).step_by(SEGMENT as usize) {
        let file = bench.disk.open(&segment(segment_base)).expect("there");
        assert_eq!(file.len().expect("known"), SEGMENT, "{segment_base}");
    }
}

#[test]
fn what_is_prepared_is_written_to_without_another_call_and_what_is_not_is_reserved_first() {
    let bench = DiskBench::new(SEGMENT);
    let (mut log, _) = bench.open().expect("an empty directory");
    prepare_all(&bench, &mut log, 0);
    let before = bench.disk.operations();
    append_one(&mut log, 1, &body(1, 500_000)).expect("room");
    assert_eq!(bench.disk.operations() - before, 1);
    assert_eq!(log.segment_ready_for(1_000_000), SegmentRoom::Here);
    let more = 2 * STEP;
    assert_eq!(
        log.segment_ready_for(more),
        SegmentRoom::NextMissing { base: 0 }
    );
    let room = bench.disk.clone();
    room.set_free_bytes(Some(0));
    let refused = append_one(&mut log, 1, &body(2, more as usize));
    assert!(
        matches!(&refused, Err(LogError::NoSpace { .. })),
        "{refused:?}"
    );
    append_one(&mut log, 1, &body(2, 500_000)).expect("what is reserved is there");
    room.set_free_bytes(None);
    append_one(&mut log, 1, &body(3, more as usize)).expect("room");
}

#[test]
fn a_large_message_finds_room_in_this_segment_or_in_the_next() {
    let bench = DiskBench::new(SEGMENT);
    let (mut log, _) = bench.open().expect("an empty directory");
    let kept = Reserve::of_segment(SEGMENT).ops;
    for round in 0..12 {
        let waiting = 3 * STEP + 4096;
        prepare_all(&bench, &mut log, waiting);
        let room = log.segment_ready_for(waiting + kept);
        assert!(!matches!(room, SegmentRoom::NextMissing { .. }), "{room:?}");
        append_one(&mut log, 1, &body(round, 3 << 20)).expect("room");
    }
    assert!(log.end().position > 4 * SEGMENT);
}

#[test]
fn a_log_whose_files_end_early_is_whole_after_any_stop() {
    for stop in [StopKind::Clean, StopKind::PowerCutPossible] {
        let bench = DiskBench::new(SEGMENT);
        let (mut log, _) = bench.open().expect("an empty directory");
        prepare_all(&bench, &mut log, 0);
        append_one(&mut log, 1, &body(0, 1_500_000)).expect("room");
        append_one(&mut log, 1, &body(1, 1_000)).expect("room");
        // A roll without any preparation: the rest of the segment is left.
        append_one(&mut log, 1, &body(2, 7 << 20)).expect("room");
        append_one(&mut log, 1, &body(3, 3 << 20)).expect("room");
        log.syncer().sync(u64::MAX).expect("a healthy disk");
        log.syncer().sync_position().expect("a healthy disk");
        if stop == StopKind::Clean {
            bench.disk.kill();
        } else {
            bench.disk.crash(7);
        }
        let (mut found, recovery) = bench.open_after(stop).expect("a whole log");
        assert_eq!((found.end(), recovery.rewritten), (log.end(), 0));
        for index in 1..=4 {
            let frames = found.reader().frames(index, 8 << 20).expect("readable");
            assert_eq!(frames[0].header.index, index);
        }
        found.truncate_after(1).expect("a healthy disk");
        append_one(&mut found, 2, &body(4, 5 << 20)).expect("room");
        found.syncer().sync(u64::MAX).expect("a healthy disk");
        bench.disk.crash(8);
        assert_eq!(bench.open().expect("a whole log").0.end(), found.end());
    }
}
