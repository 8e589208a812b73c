//! Golden bytes. Computed apart from this crate by a Python 3 program with `struct`, `zlib.crc32` and a bitwise CRC32C
//! (check value of "123456789": E3069283), field by field from the layout.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use tern_log::{
    BootMark, Descriptor, Disk, Fault, Frame, FrameDraft, FrameHeader, LogEnd, LogError, RaftState,
    RaftStateFile, SegmentHeader, StopRecord, claim_directory,
};
use tern_testdisk::MemoryDisk;

use crate::support::{DIRECTORY, DiskBench, GROUP, NOW_MS, append_one, body, draft, segment};

const BATCH: &str = "54465231000000af000000000000000100000000000000050000000000001000000000010000000a01010001\
000000000000018bcfe5687b8dc87a80f0ece3be00000065daa320a73610a6860000000300000009000000000000000700000000000010400000\
00000000018bcfe564180a0000020000c3500000018bcfe5687b7f00000100002a9f0000000200000000000000000000000568656c6c6f015400\
044b0176020001000100000002abcd";
const NO_OP: &str = "54465231000000400000000000000002000000000000000600000000000010b000000000000000000200000\
1f0ece3be0000018bcfe5687b00000000b7fc1f2e";
const DESCRIPTOR: &str =
    "0000000000001000000000af000000010000000a010100008dc87a80f0ece3be0000018bcfe5687b";
const SEGMENT_START: &str = "5445524e534547310000000100001000000102030405060708090a0b0c0d0e0f0000000000100000\
0000000000300000000000000000002a0000000000000006a1b2c3d4000000000000018bcfe5687b";
const SEGMENT_CRC: &str = "0294356e";
const FLUSHED: &str = "5445524e464c5348000000000001e2400000000000000007e6b64f64";
const RAFT_STATE: &str = "5445524e5241465400000001000000030000000000000001000102030405060708090a0b0c0d0e0f0000\
00010000000100000000000000090000000200000001000000000000004d0000000000000046000300010001000100000000000000010000000000\
00000200000000000000030000000000000002000000000000000400000000000000030000";
const RAFT_STATE_CRC: &str = "b04cf2dc";
const BOOT_MARK: &str =
    "5445524e424f4f54010101010101010101010101010101010000000000000005000000000000000642963c3a";
const CLEAN_STOP: &str =
    "5445524e53544f500101010101010101010101010101010100000000000000050000000000000006508f8f46";

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal");
    (0..text.len()).step_by(2).map(digit).collect()
}

fn golden_draft() -> FrameDraft {
    let mut draft = draft(&[b"hello"]);
    draft.queue_offsets = vec![7];
    draft.metadata = unhex("0001000100000002abcd");
    draft.flags = tern_log::FLAG_DURABLE;
    draft
}

#[test]
fn a_batch_and_the_no_op_behind_it_have_the_computed_bytes() {
    let batch = golden_draft()
        .seal(&LogEnd::default(), 5, NOW_MS, 1 << 20)
        .expect("a good draft");
    assert_eq!(hex(&batch.bytes), BATCH);
    // The clock has gone back: the timestamp does not.
    let no_op = FrameDraft::no_op()
        .seal(&batch.end(), 6, NOW_MS - 5000, 1 << 20)
        .expect("a no-op");
    assert_eq!(hex(&no_op.bytes), NO_OP);
}

#[test]
fn the_computed_bytes_parse_to_the_same_frame() {
    let frame = Frame::parse(Bytes::from(unhex(BATCH))).expect("golden bytes");
    let sealed = golden_draft()
        .seal(&LogEnd::default(), 5, NOW_MS, 1 << 20)
        .expect("a good draft");
    assert_eq!(frame, sealed);
    assert_eq!(frame.metadata(), unhex("0001000100000002abcd"));
    assert_eq!(frame.records().len(), 101);
    assert_eq!(frame.records_position(), 4096 + 64);
    assert!(frame.header.is_durable());
}

#[test]
fn a_descriptor_has_the_computed_bytes() {
    let header = FrameHeader::decode(&unhex(BATCH)).expect("golden bytes");
    assert_eq!(hex(&Descriptor::from(&header).encode()), DESCRIPTOR);
}

#[test]
fn a_segment_header_has_the_computed_bytes() {
    let header = SegmentHeader {
        group_id: GROUP,
        segment_size: 1 << 20,
        base: 3 << 20,
        first_index: 42,
        previous_term: 6,
        previous_header_crc: 0xA1B2_C3D4,
        store_timestamp_ms: NOW_MS,
    };
    let mut bytes = Vec::new();
    header.encode(&mut bytes);
    assert_eq!(bytes.len(), 4096);
    assert_eq!(hex(&bytes[..80]), SEGMENT_START);
    assert!(bytes[80..4092].iter().all(|byte| *byte == 0));
    assert_eq!(hex(&bytes[4092..]), SEGMENT_CRC);
    assert_eq!(SegmentHeader::decode(&bytes), Some(header));
    bytes[2000] ^= 1;
    assert_eq!(SegmentHeader::decode(&bytes), None);
}

#[test]
fn a_segment_on_disk_is_its_header_then_frames_on_multiples_of_eight_then_zeros() {
    let bench = DiskBench::new(64 << 10);
    let (mut log, _) = bench.open().expect("an empty directory");
    let first = append_one(&mut log, 1, b"hello").expect("room");
    let second = append_one(&mut log, 1, &body(1, 300)).expect("room");
    let content = bench.disk.content(&segment(0)).expect("the first segment");
    assert_eq!(content.len(), 64 << 10);
    let header = SegmentHeader::decode(&content).expect("a header");
    assert_eq!(
        (header.base, header.first_index, header.previous_term),
        (0, 1, 0)
    );
    let at = first.header.position as usize;
    assert_eq!(&content[at..at + first.bytes.len()], &first.bytes[..]);
    let at = second.header.position as usize;
    assert_eq!(at % 8, 0);
    assert_eq!(&content[at..at + second.bytes.len()], &second.bytes[..]);
    assert!(
        content[at + second.bytes.len()..]
            .iter()
            .all(|byte| *byte == 0)
    );
}

#[test]
fn flushed_pos_has_the_computed_bytes() {
    // A log whose end is exactly 123,456: frames of 64 to 8,192 bytes up to there.
    let bench = DiskBench::new(1 << 20);
    let (mut log, _) = bench.open().expect("an empty directory");
    while log.end().position < 123_456 {
        let left = 123_456 - log.end().position;
        let room = if left > 8192 { 4096 } else { left };
        append_one(&mut log, 1, &body(left, room as usize - 64 - 96)).expect("room");
    }
    assert_eq!(log.end().position, 123_456);
    log.committed(7).expect("a frame of the log");
    assert_eq!(log.syncer().sync(123_456).expect("a healthy disk"), 123_456);
    let content = bench
        .disk
        .content(&Path::new(DIRECTORY).join("flushed.pos"));
    assert_eq!(hex(&content.expect("flushed.pos")), FLUSHED);
}

#[test]
fn both_copies_of_raft_state_have_the_computed_bytes() {
    let disk = MemoryDisk::new();
    let directory = Path::new(DIRECTORY);
    disk.create_dir(directory).expect("a directory");
    let (mut file, none) = RaftStateFile::load(Arc::new(disk.clone()), directory).expect("no file");
    assert_eq!(none, None);
    let state = RaftState {
        group_id: GROUP,
        own_id: 1 << 32 | 1,
        term: 9,
        vote: 2 << 32 | 1,
        commit: 77,
        membership_index: 70,
        voters: vec![1, 2, 3],
        outgoing: vec![2],
        learners: vec![4],
        learners_next: vec![3],
        memory_acked: true,
        founding: true,
        superseded: false,
        handed_over: false,
    };
    file.store(&state).expect("a healthy disk");
    let content = disk
        .content(&directory.join("raft.state"))
        .expect("raft.state");
    assert_eq!(content.len(), 65536 + 4096);
    for at in [0, 65536] {
        let copy = &content[at..at + 4096];
        assert_eq!(hex(&copy[..RAFT_STATE.len() / 2]), RAFT_STATE);
        assert!(
            copy[RAFT_STATE.len() / 2..4092]
                .iter()
                .all(|byte| *byte == 0)
        );
        assert_eq!(hex(&copy[4092..]), RAFT_STATE_CRC);
    }
}

#[test]
fn the_marks_of_start_and_stop_have_the_computed_bytes() {
    let disk = MemoryDisk::new();
    let directory = Path::new(DIRECTORY);
    disk.create_dir(directory).expect("a directory");
    let mark = BootMark {
        boot_id: [1; 16],
        device: 5,
        mount_id: 6,
    };
    let record = StopRecord::new(Arc::new(disk.clone()), directory, Some(mark));
    record.started().expect("a healthy disk");
    record.stopped_cleanly().expect("a healthy disk");
    let content = |name: &str| hex(&disk.content(&directory.join(name)).expect("the file"));
    assert_eq!(content("boot.mark"), BOOT_MARK);
    assert_eq!(content("clean.stop"), CLEAN_STOP);
}

#[test]
fn the_identity_is_four_lines_of_text() {
    let disk = MemoryDisk::new();
    let directory = Path::new(DIRECTORY);
    claim_directory(&disk, directory, "main/group-a/n0", [7; 16]).expect("a new directory");
    let content = disk.content(&directory.join("identity")).expect("identity");
    let content = String::from_utf8(content).expect("text");
    let lines: Vec<&str> = content.lines().collect();
    assert_eq!(
        lines[..3],
        [
            "ternmq node 2",
            "main/group-a/n0",
            "07070707070707070707070707070707"
        ]
    );
    let named = format!("{}\n{}\n", lines[1], lines[2]);
    assert_eq!(
        lines[3],
        format!("{:08x}", crc32c::crc32c(named.as_bytes()))
    );
    assert_eq!(lines.len(), 4);
}

#[test]
fn an_identity_without_an_id_is_read_and_has_none() {
    let disk = MemoryDisk::new();
    let directory = Path::new(DIRECTORY);
    disk.create_dir(directory).expect("a directory");
    let file = disk.create(&directory.join("identity")).expect("a file");
    file.write_at(b"ternmq node 1\nmain/group-a/n0\n028c93a5\n", 0)
        .expect("written");
    let id = claim_directory(&disk, directory, "main/group-a/n0", [7; 16]).expect("its own");
    assert_eq!(id, [0; 16]);
}

/// Each check of a frame, by a change of the golden bytes whose later checksums are made right again.
#[test]
fn a_frame_is_refused_with_the_first_thing_that_is_wrong() {
    type FrameEdit = fn(&mut Vec<u8>);
    let cases: [(FrameEdit, Fault); 11] = [
        (|frame| frame[20] ^= 1, Fault::HeaderCrc),
        (|frame| change(frame, |bytes| bytes[3] = b'2'), Fault::Magic),
        (|frame| change(frame, |bytes| bytes[43] = 2), Fault::Version),
        (|frame| change(frame, |bytes| bytes[40] = 4), Fault::Kind),
        (|frame| change(frame, |bytes| bytes[40] = 2), Fault::Kind),
        (|frame| change(frame, |bytes| bytes[41] = 4), Fault::Flags),
        (|frame| change(frame, |bytes| bytes[4] = 1), Fault::Length),
        (|frame| change(frame, |bytes| bytes[36] = 1), Fault::Length),
        (|frame| frame.truncate(174), Fault::Short),
        (|frame| frame[100] ^= 0x40, Fault::PayloadCrc),
        (
            |frame| change(frame, |bytes| bytes[67] = 100),
            Fault::Records,
        ),
    ];
    for (at, (change, fault)) in cases.into_iter().enumerate() {
        let mut frame = unhex(BATCH);
        change(&mut frame);
        match Frame::parse(Bytes::from(frame)) {
            Err(LogError::BadFrame { fault: found }) => assert_eq!(found, fault, "case {at}"),
            other => panic!("case {at}: {other:?}"),
        }
    }
}

/// Changes a frame and makes payload and header checksums right again.
fn change(frame: &mut [u8], work: impl Fn(&mut [u8])) {
    work(frame);
    let payload = crc32c::crc32c(&frame[64..]);
    frame[56..60].copy_from_slice(&payload.to_be_bytes());
    let header = crc32c::crc32c(&frame[..60]);
    frame[60..64].copy_from_slice(&header.to_be_bytes());
}
