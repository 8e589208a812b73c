//! Records as queues name them: what a file gives back is not believed.

use bytes::BytesMut;
use tern_log::{Fault, Frame, Log, LogError, LogOptions, QueueEntry, QueuedRecord, Source};
use tern_testdisk::Operation;
use tern_wire::record::iter;

use crate::support::{DiskBench, NOW_MS, body, draft, options, segment};

const SEGMENT: u64 = 1 << 20;

/// Three frames of four records each, in memory or not, and the records as their queue names them.
fn written(ring_bytes: usize) -> (DiskBench, Log, Vec<Frame>, Vec<QueuedRecord>) {
    let bench = DiskBench::new(SEGMENT);
    let options = LogOptions {
        ring_bytes,
        ..options(std::path::Path::new(crate::support::DIRECTORY), SEGMENT)
    };
    let (mut log, _) =
        Log::open(std::sync::Arc::new(bench.disk.clone()), options).expect("an empty directory");
    let mut frames: Vec<Frame> = Vec::new();
    let mut records = Vec::new();
    for number in 0..3 {
        let bodies: Vec<_> = (0..4).map(|at| body(number * 4 + at, 700)).collect();
        let mut draft = draft(&bodies.iter().map(Vec::as_slice).collect::<Vec<_>>());
        draft.queue_offsets = (number * 4..number * 4 + 4).collect();
        let frame = draft
            .seal(&log.end(), 1, NOW_MS, SEGMENT)
            .expect("a good draft");
        log.append(std::slice::from_ref(&frame)).expect("room");
        records.extend(iter(frame.records()).map(|record| {
            let record = record.expect("a record");
            QueuedRecord {
                queue_offset: record.queue_offset(),
                entry: QueueEntry {
                    physical_offset: record.physical_offset(),
                    size: record.size() as u32,
                    tags_code: 0,
                },
            }
        }));
        frames.push(frame);
    }
    (bench, log, frames, records)
}

/// All bytes of some records.
fn stored(frames: &[Frame], records: &[QueuedRecord]) -> Vec<u8> {
    let all = frames.iter().flat_map(|frame| iter(frame.records()));
    all.map(|record| record.expect("a record"))
        .filter(|record| {
            let offset = record.queue_offset();
            records.iter().any(|named| named.queue_offset == offset)
        })
        .flat_map(|record| record.bytes().to_vec())
        .collect()
}

#[test]
fn memory_and_files_give_the_same_records_and_say_which_they_are() {
    for (ring_bytes, source) in [(0, Source::File), (1 << 20, Source::Memory)] {
        let (_bench, log, frames, records) = written(ring_bytes);
        let reader = log.reader();
        let mut out = BytesMut::from(&b"before"[..]);
        reader.copy_records(&records, &mut out).expect("whole");
        assert_eq!(out[6..], stored(&frames, &records));
        // The newest frame is always in memory.
        for named in &records[..8] {
            let record = reader.record(&named.entry).expect("whole");
            assert_eq!(record, stored(&frames, &[*named]));
            let entry = &named.entry;
            let read = reader.bytes(entry.physical_offset, entry.size as usize);
            assert_eq!(read.expect("stored").1, source);
        }
    }
}

/// The fields of a record's beginning: size, magic, body checksum, queue offset, physical offset; and of its body.
#[test]
fn a_damaged_record_takes_its_frame_with_it_and_no_other() {
    for byte in [0, 2, 5, 9, 22, 31, 100, 700] {
        let (bench, log, frames, records) = written(0);
        let reader = log.reader();
        let entry = records[5].entry;
        let path = segment(0);
        bench
            .disk
            .damage(&path, entry.physical_offset + byte, 1)
            .expect("the segment");
        let is_rot = |error: &LogError| {
            matches!(error, LogError::Rotted { index: 2, fault: Fault::PayloadCrc, position }
                if *position == frames[1].header.position)
        };
        let mut out = BytesMut::from(&b"before"[..]);
        let unread = reader.copy_records(&records, &mut out).expect_err("damage");
        assert!(is_rot(&unread.error), "{byte}: {unread:?}");
        let first = records[4].entry.physical_offset;
        assert_eq!((unread.intact, unread.position), (4, first));
        assert_eq!(&out[..], b"before");
        if !(20..28).contains(&byte) {
            let error = reader.record(&entry).expect_err("damage");
            assert!(is_rot(&error), "{byte}: {error}");
        }
        for around in [&records[..4], &records[8..]] {
            out.clear();
            reader.copy_records(around, &mut out).expect("whole");
            assert_eq!(&out[..], stored(&frames, around));
        }
    }
}

#[test]
fn an_entry_that_names_another_place_is_not_damage_of_the_log() {
    let (_bench, log, _, records) = written(0);
    let reader = log.reader();
    let swapped = QueuedRecord {
        queue_offset: 3,
        entry: records[6].entry,
    };
    let beside = QueueEntry {
        physical_offset: records[6].entry.physical_offset + 8,
        ..records[6].entry
    };
    let mut out = BytesMut::new();
    let unread = reader
        .copy_records(&[swapped], &mut out)
        .expect_err("another");
    assert!(matches!(unread.error, LogError::WrongEntry { .. }));
    let error = reader.record(&beside).expect_err("no record");
    assert!(matches!(error, LogError::WrongEntry { .. }) && !error.is_fatal());
}

/// What is in memory is served as it was written, whatever the file has become.
#[test]
fn records_in_memory_are_not_looked_up_in_the_file() {
    let (bench, log, frames, records) = written(1 << 20);
    let at = records[5].entry.physical_offset + 100;
    bench.disk.damage(&segment(0), at, 1).expect("the segment");
    let mut out = BytesMut::new();
    log.reader()
        .copy_records(&records, &mut out)
        .expect("in memory");
    assert_eq!(&out[..], stored(&frames, &records));
}

#[test]
fn what_stands_before_a_place_that_cannot_be_read_is_read() {
    let (bench, log, _, records) = written(0);
    let mut out = BytesMut::new();
    for _ in 0..2 {
        bench.disk.fail_next(Operation::Read, "/log/");
    }
    let unread = log
        .reader()
        .copy_records(&records[..4], &mut out)
        .expect_err("the disk fails twice");
    assert!(matches!(unread.error, LogError::Io { .. }));
    assert_eq!(
        (unread.intact, unread.position),
        (0, records[0].entry.physical_offset)
    );
    bench.disk.clear_failures();
    bench.disk.fail_next(Operation::Read, "/log/");
    log.reader()
        .copy_records(&records[..4], &mut out)
        .expect("each by itself");
}

/// The checksum of a record covers its body; properties are covered by the checksum of their frame.
#[test]
fn a_record_whose_properties_rotted_is_named() {
    let (bench, log, _, records) = written(0);
    let entry = records[5].entry;
    let last = entry.physical_offset + u64::from(entry.size) - 1;
    bench
        .disk
        .damage(&segment(0), last, 1)
        .expect("the segment");
    let mut out = BytesMut::new();
    let unread = log.reader().copy_records(&records, &mut out);
    assert_eq!(unread.expect_err("damage").intact, 4);
    let error = log.reader().record(&entry).expect_err("damage");
    assert!(matches!(error, LogError::Rotted { .. }), "{error}");
}

#[test]
fn a_frame_that_was_found_whole_is_read_once_and_again_for_who_writes_it_again() {
    let (bench, log, _, records) = written(0);
    let (reader, mut out) = (log.reader(), BytesMut::new());
    reader.copy_records(&records, &mut out).expect("whole");
    let entry = records[5].entry;
    let last = entry.physical_offset + u64::from(entry.size) - 1;
    bench
        .disk
        .damage(&segment(0), last, 1)
        .expect("the segment");
    // The page was read a moment ago: a kernel would have it in its cache.
    assert!(reader.record(&entry).is_ok());
    let error = reader
        .sound_record(&entry, &mut (0..0))
        .expect_err("damage");
    assert!(matches!(error, LogError::Rotted { .. }), "{error}");
}
