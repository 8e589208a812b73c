//! Recovery of damaged logs: torn is cut, rot is named and left alone, and a bad frame is never accepted.

use std::path::Path;

use tern_log::{Fault, Frame, Log, LogEnd, LogError, ScanResult, StopKind};

use crate::support::{DIRECTORY, DiskBench, NOW_MS, append_one, body, draft, erase, segment};

const SEGMENT: u64 = 32 << 10;

/// A log of two segments, 64 KiB, with bodies of many sizes, some of them zeros; nothing of it is recorded as synced.
struct Sample {
    bench: DiskBench,
    frames: Vec<Frame>,
    ends: Vec<LogEnd>,
}

fn sample() -> Sample {
    let bench = DiskBench::new(SEGMENT);
    let (mut log, _) = bench.open().expect("an empty directory");
    let mut frames = Vec::new();
    let mut ends = vec![log.end()];
    for number in 0.. {
        let length = [0, 20, 700, 3000, 130, 1500][number as usize % 6];
        let content = if number % 4 == 3 {
            vec![0; length]
        } else {
            body(number, length)
        };
        let mut draft = draft(&[&content, b"second"]);
        draft.metadata = vec![number as u8 + 1; number as usize % 9];
        let frame = draft
            .seal(&log.end(), 1 + number / 10, NOW_MS, SEGMENT)
            .expect("a good draft");
        if frame.header.end_position() > 2 * SEGMENT - 500 {
            break;
        }
        log.append(std::slice::from_ref(&frame)).expect("room");
        ends.push(frame.end());
        frames.push(frame);
    }
    assert!(
        log.end().position > 2 * SEGMENT - 6000,
        "the second segment is nearly full"
    );
    bench.disk.kill();
    Sample {
        bench,
        frames,
        ends,
    }
}

impl Sample {
    fn fork(&self) -> DiskBench {
        DiskBench::with_disk(self.bench.disk.fork(), SEGMENT)
    }

    /// The same log with everything recorded as synced.
    fn synced(&self) -> DiskBench {
        let bench = self.fork();
        drop(bench.open().expect("a whole log"));
        bench.disk.kill();
        bench
    }

    /// Opens a damaged copy: a prefix of the log, or rot. Answers how many frames are left.
    fn recover(&self, bench: &DiskBench, stop: StopKind) -> Result<usize, LogError> {
        match bench.open_after(stop) {
            Ok((log, recovery)) => {
                let count = recovery.frames as usize;
                assert_eq!(log.end(), self.ends[count], "a prefix");
                self.assert_last_frame(&log, count);
                bench.assert_recovery_is_done(&recovery);
                Ok(count)
            }
            Err(error @ LogError::Rotted { .. }) => Err(error),
            Err(other) => panic!("neither a prefix nor rot: {other}"),
        }
    }

    fn assert_last_frame(&self, log: &Log, count: usize) {
        if let Some(expected) = count.checked_sub(1).map(|at| &self.frames[at]) {
            let frame = log
                .reader()
                .frame(expected.header.index)
                .expect("the last frame");
            assert_eq!(&frame, expected);
        }
    }

    /// The frame that holds a position, if one does.
    fn frame_at(&self, position: u64) -> Option<usize> {
        self.frames.iter().position(|frame| {
            let start = frame.header.position;
            (start..start + frame.bytes.len() as u64).contains(&position)
        })
    }
}

#[test]
fn a_log_cut_at_any_byte_gives_a_prefix_or_asks_for_repair() {
    let sample = sample();
    let mut cut = 0;
    let mut rotted = 0;
    for length in 0..2 * SEGMENT {
        let bench = sample.fork();
        for base in [0, SEGMENT] {
            let kept = length.saturating_sub(base).min(SEGMENT);
            bench
                .disk
                .cut_file(&segment(base), kept)
                .expect("the segment");
        }
        let whole = sample
            .ends
            .iter()
            .filter(|end| end.index > 0 && end.position <= length)
            .count();
        match sample.recover(&bench, StopKind::PowerCutPossible) {
            Ok(count) => {
                // A frame may be whole without its padding.
                assert!(
                    count == whole || count == whole + 1,
                    "{count} of {whole} frames at {length}"
                );
                cut += 1;
            }
            Err(_) => rotted += 1,
        }
    }
    assert!(cut > rotted, "{cut} cut, {rotted} need repair");
}

#[test]
fn a_synced_log_cut_at_any_byte_asks_for_repair() {
    let sample = sample();
    let synced = sample.synced();
    let end = sample.ends.last().expect("frames").position;
    for length in (0..end - 8).step_by(7) {
        let bench = DiskBench::with_disk(synced.disk.fork(), SEGMENT);
        for base in [0, SEGMENT] {
            let kept = length.saturating_sub(base).min(SEGMENT);
            bench
                .disk
                .cut_file(&segment(base), kept)
                .expect("the segment");
        }
        let before = bench.disk.operations();
        assert!(
            sample.recover(&bench, StopKind::PowerCutPossible).is_err(),
            "cut at {length}"
        );
        assert_eq!(bench.disk.operations(), before, "nothing was changed");
    }
}

#[test]
fn a_flipped_bit_anywhere_in_a_frame_asks_for_repair_and_nothing_is_changed() {
    let sample = sample();
    let end = sample.ends.last().expect("frames").position;
    let mut rotted = 0;
    for position in 0..2 * SEGMENT {
        let bench = sample.fork();
        let base = position / SEGMENT * SEGMENT;
        let mask = 1 << (position % 8);
        bench
            .disk
            .damage(&segment(base), position - base, mask)
            .expect("the segment");
        let before = bench.disk.operations();
        let recovered = sample.recover(&bench, StopKind::PowerCutPossible);
        // A damaged place for the next header looks like a damaged header.
        let is_header = position % SEGMENT < 4096 || (end..end + 64).contains(&position);
        match (recovered, sample.frame_at(position)) {
            (Err(_), Some(_)) => {
                assert_eq!(bench.disk.operations(), before, "nothing was changed");
                rotted += 1;
            }
            (Ok(count), Some(frame)) => {
                panic!("flip at {position} in frame {frame}: {count} frames accepted or cut")
            }
            (Err(_), None) => assert!(is_header, "flip at {position}"),
            // Padding, and zeros behind the end of a segment: nothing of the log is lost.
            (Ok(count), None) => assert_eq!(count, sample.frames.len(), "flip at {position}"),
        }
    }
    assert!(rotted > 40_000);
}

#[test]
fn a_clean_stop_makes_every_damage_rot() {
    let sample = sample();
    for length in (0..2 * SEGMENT - 6000).step_by(97) {
        let bench = sample.fork();
        for base in [0, SEGMENT] {
            let kept = length.saturating_sub(base).min(SEGMENT);
            bench
                .disk
                .cut_file(&segment(base), kept)
                .expect("the segment");
        }
        let is_inside = sample
            .frame_at(length)
            .is_some_and(|at| sample.frames[at].header.position < length);
        let recovered = sample.recover(&bench, StopKind::Clean);
        assert!(recovered.is_err() || !is_inside, "cut at {length}");
    }
}

/// Three frames, of which the middle one is given; answers the bench and the middle frame.
fn three_frames(middle: &[u8]) -> (DiskBench, Frame) {
    let bench = DiskBench::new(SEGMENT);
    let (mut log, _) = bench.open().expect("an empty directory");
    append_one(&mut log, 1, &body(1, 300)).expect("room");
    let frame = append_one(&mut log, 1, middle).expect("room");
    append_one(&mut log, 1, &body(3, 300)).expect("room");
    bench.disk.kill();
    (bench, frame)
}

#[test]
fn every_single_unwritten_sector_of_a_frame_makes_it_torn_and_the_frames_behind_go_with_it() {
    let (bench, frame) = three_frames(&body(2, 5000));
    let first = frame.header.position / 512;
    let last = (frame.header.position + frame.bytes.len() as u64 - 1) / 512;
    for sector in first + 1..last {
        let torn = DiskBench::with_disk(bench.disk.fork(), SEGMENT);
        erase(&torn.disk, &segment(0), sector * 512, 512);
        let (log, recovery) = torn.open().expect("torn is no error");
        assert_eq!(log.end().index, 1);
        let position = frame.header.position;
        assert!(matches!(recovery.found, ScanResult::Torn { position: at, .. } if at == position));
        let content = torn.disk.content(&segment(0)).expect("the segment");
        assert!(
            content[log.end().position as usize..]
                .iter()
                .all(|byte| *byte == 0)
        );
        torn.assert_recovery_is_done(&recovery);
    }
}

#[test]
fn the_same_unwritten_sector_below_the_synced_position_is_rot() {
    let (bench, frame) = three_frames(&body(2, 5000));
    drop(bench.open().expect("a whole log"));
    bench.disk.kill();
    let sector = frame.header.position / 512 + 2;
    erase(&bench.disk, &segment(0), sector * 512, 512);
    let found = bench.open().err().expect("rot");
    assert!(
        matches!(
            found,
            LogError::Rotted {
                index: 2,
                fault: Fault::PayloadCrc,
                ..
            }
        ),
        "{found}"
    );
}

#[test]
fn a_body_of_zeros_is_not_taken_for_unwritten_sectors() {
    let (bench, frame) = three_frames(&[0; 5000]);
    assert!(frame.header.has_zero_map());
    // Every share was written; a bit rots. Without the map the zeros would prove a torn write.
    let rotted = DiskBench::with_disk(bench.disk.fork(), SEGMENT);
    rotted
        .disk
        .damage(&segment(0), frame.header.position + 70, 1)
        .expect("the segment");
    assert!(matches!(
        rotted.open(),
        Err(LogError::Rotted { index: 2, .. })
    ));
    // The sector that holds the record's end and the map's start is lost: torn.
    let torn = DiskBench::with_disk(bench.disk.fork(), SEGMENT);
    let end = frame.header.position + frame.bytes.len() as u64;
    let sector = (end - 1) / 512 * 512;
    erase(&torn.disk, &segment(0), sector, end - sector);
    let (log, _) = torn.open().expect("torn");
    assert_eq!(log.end().index, 1);
}

#[test]
fn a_lost_sector_between_intended_zeros_is_seen_through_the_map() {
    let mut content = vec![0; 2000];
    content.extend_from_slice(&body(5, 1200));
    content.resize(6000, 0);
    let (bench, frame) = three_frames(&content);
    let text = frame.header.position + 64 + 88 + 2100;
    erase(&bench.disk, &segment(0), text / 512 * 512, 512);
    let (log, _) = bench.open().expect("torn");
    assert_eq!(log.end().index, 1);
}

#[test]
fn zeros_where_a_frame_has_to_be_with_frames_behind_are_a_hole() {
    let (bench, frame) = three_frames(&body(2, 100));
    erase(
        &bench.disk,
        &segment(0),
        frame.header.position,
        frame.bytes.len() as u64,
    );
    let (log, recovery) = bench.open().expect("torn");
    assert_eq!(log.end().index, 1);
    let position = frame.header.position;
    assert_eq!(
        recovery.found,
        ScanResult::Torn {
            position,
            fault: Fault::Missing
        }
    );
}

#[test]
fn a_lost_segment_header_with_frames_behind_is_torn_and_the_segment_goes() {
    let sample = sample();
    let bench = sample.fork();
    erase(&bench.disk, &segment(SEGMENT), 0, 512);
    let kept = sample
        .frames
        .iter()
        .filter(|frame| frame.header.position < SEGMENT)
        .count();
    let recovered = sample.recover(&bench, StopKind::PowerCutPossible);
    assert_eq!(recovered.expect("torn"), kept);
    assert!(bench.disk.content(&segment(SEGMENT)).is_err());
}

#[test]
fn a_segment_whose_first_frame_was_lost_with_all_behind_it_goes() {
    let sample = sample();
    let bench = sample.fork();
    erase(&bench.disk, &segment(SEGMENT), 4096, SEGMENT - 4096);
    let kept = sample
        .frames
        .iter()
        .filter(|frame| frame.header.position < SEGMENT)
        .count();
    let recovered = sample.recover(&bench, StopKind::PowerCutPossible);
    assert_eq!(recovered.expect("torn"), kept);
    assert!(bench.disk.content(&segment(SEGMENT)).is_err());
}

#[test]
fn a_lost_end_of_the_first_segment_cuts_the_second_too() {
    let sample = sample();
    let bench = sample.fork();
    let last = sample
        .frames
        .iter()
        .rfind(|frame| frame.header.position < SEGMENT)
        .expect("frames");
    erase(
        &bench.disk,
        &segment(0),
        last.header.position,
        last.bytes.len() as u64,
    );
    let count = sample
        .recover(&bench, StopKind::PowerCutPossible)
        .expect("a hole");
    assert_eq!(count as u64, last.header.index - 1);
}

#[test]
fn without_flushed_pos_every_damage_is_rot_and_a_whole_log_is_written_again() {
    let sample = sample();
    let flushed = Path::new(DIRECTORY).join("flushed.pos");
    let whole = sample.fork();
    whole.disk.damage(&flushed, 9, 0xFF).expect("flushed.pos");
    let (log, recovery) = whole.open().expect("a whole log");
    assert_eq!(
        (log.end().index, recovery.flushed),
        (sample.frames.len() as u64, None)
    );
    assert_eq!(recovery.rewritten, log.end().position);
    let torn = sample.fork();
    torn.disk.damage(&flushed, 9, 0xFF).expect("flushed.pos");
    erase(&torn.disk, &segment(SEGMENT), 0, SEGMENT);
    drop(torn.open().expect("the first segment ends there"));
    let torn = sample.fork();
    torn.disk.damage(&flushed, 9, 0xFF).expect("flushed.pos");
    erase(&torn.disk, &segment(SEGMENT), 8192, 4096);
    assert!(matches!(torn.open(), Err(LogError::Rotted { .. })));
}

#[test]
fn the_log_of_another_group_or_size_is_refused() {
    let sample = sample();
    let other_size = DiskBench::with_disk(sample.bench.disk.fork(), 2 * SEGMENT);
    assert!(matches!(
        other_size.open(),
        Err(LogError::Foreign {
            what: "the segment size",
            ..
        })
    ));
    let options = tern_log::LogOptions {
        segment_size: SEGMENT,
        ..tern_log::LogOptions::new(DIRECTORY, [9; 16])
    };
    let other_group = Log::open(std::sync::Arc::new(sample.bench.disk.fork()), options);
    assert!(matches!(
        other_group,
        Err(LogError::Foreign {
            what: "the group id",
            ..
        })
    ));
}
