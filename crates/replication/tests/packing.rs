//! From an append of the engine to bytes and back, over a log on a disk in memory.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use tern_log::{FRAME_HEADER_SIZE, Frame, FrameDraft, Log, LogError, LogOptions};
use tern_replication::{
    FrameSource, HEAD_BYTES, Intake, MessageKind, Packed, Packer, PeerCodecError, PeerMessage,
    PeerStream, ThinEntry, replica_id, sign_of_life,
};
use tern_testdisk::MemoryDisk;

const SEGMENT: u64 = 1 << 20;
const LEADER: u64 = replica_id(1, 1);
const FOLLOWER: u64 = replica_id(2, 1);
const INTAKE: Intake = Intake {
    from: LEADER,
    to: FOLLOWER,
    stream: PeerStream::Bulk,
    limit: 1 << 20,
};

/// A log whose ring holds `ring_bytes`, with frames of 10,000 bytes of ops in term 1.
fn log_with(count: usize, ring_bytes: usize) -> (MemoryDisk, Log, Vec<Frame>) {
    let disk = MemoryDisk::new();
    let options = LogOptions {
        segment_size: SEGMENT,
        ring_bytes,
        ..LogOptions::new(Path::new("/data/n0"), [7; 16])
    };
    let (mut log, _) = Log::open(Arc::new(disk.clone()), options).expect("an empty directory");
    let mut frames = Vec::new();
    for _ in 0..count {
        frames.push(append(&mut log, 1));
    }
    (disk, log, frames)
}

fn append(log: &mut Log, term: u64) -> Frame {
    let draft = FrameDraft {
        metadata: vec![7; 10_000],
        ..FrameDraft::default()
    };
    let frame = draft.seal(&log.end(), term, 0, SEGMENT).expect("it fits");
    log.append(std::slice::from_ref(&frame)).expect("room");
    frame
}

fn append_of(frames: &[Frame]) -> PeerMessage {
    let mut message = PeerMessage::raft(MessageKind::Append, LEADER, FOLLOWER);
    message.term = 1;
    message.entries = frames
        .iter()
        .map(|frame| ThinEntry {
            index: frame.header.index,
            term: frame.header.term,
            kind: frame.header.kind,
            descriptor: Some((&frame.header).into()),
        })
        .collect();
    message
}

fn received(intake: &Intake, packed: &Packed) -> Result<Option<PeerMessage>, PeerCodecError> {
    let (head, context) = packed.head.split_first_chunk::<HEAD_BYTES>().unwrap();
    let mut rest = context.to_vec();
    for frame in &packed.frames {
        rest.extend_from_slice(&frame.bytes);
    }
    intake.finish(intake.head(head)?, &Bytes::from(rest))
}

#[test]
fn an_append_becomes_messages_of_which_each_follows_the_one_before() {
    let (_disk, log, frames) = log_with(20, 1 << 20);
    let reader = log.reader();
    let mut parts = Packer::new(append_of(&frames));
    let (mut got, mut last, mut count) = (Vec::new(), (0, 0), 0);
    while let Some(packed) = parts.next(&reader, 35_000).unwrap() {
        assert!(packed.frames_len <= 35_000);
        let message = received(&INTAKE, &packed).unwrap().unwrap();
        assert_eq!((message.index, message.log_term), last);
        last = message
            .entries
            .last()
            .map(|entry| (entry.index, entry.term))
            .unwrap();
        got.extend(message.frames);
        count += 1;
    }
    assert_eq!(got, frames);
    assert_eq!(count, 7, "three frames in each");
}

#[test]
fn an_append_without_entries_is_one_message() {
    let (_disk, log, _) = log_with(1, 1 << 20);
    let mut parts = Packer::new(append_of(&[]));
    let packed = parts.next(&log.reader(), 35_000).unwrap().unwrap();
    assert_eq!(received(&INTAKE, &packed), Ok(Some(append_of(&[]))));
    assert!(parts.next(&log.reader(), 35_000).unwrap().is_none());
}

#[test]
fn frames_are_those_of_the_moment_at_which_a_part_is_written() {
    let (_disk, mut log, frames) = log_with(20, 1 << 20);
    let reader = log.reader();
    let mut parts = Packer::new(append_of(&frames));
    let first = parts.next(&reader, 35_000).unwrap().unwrap();
    assert_eq!(first.frames, frames[..3]);
    log.truncate_after(4).unwrap();
    append(&mut log, 2);
    let second = parts.next(&reader, 35_000).unwrap().unwrap();
    assert_eq!(second.frames, frames[3..4], "up to another term's frame");
    assert!(parts.next(&reader, 35_000).unwrap().is_none());
}

#[test]
fn a_message_that_is_in_memory_and_short_is_packed_as_one_part_would_be() {
    let (_disk, log, frames) = log_with(3, 1 << 20);
    let reader = log.reader();
    let context = Bytes::from_static(b"context");
    for message in [
        append_of(&frames),
        append_of(&frames[..2]),
        PeerMessage::status(LEADER, FOLLOWER, context),
    ] {
        let whole = Packer::new(message.clone()).next(&reader, 1 << 20);
        let whole = whole.unwrap().expect("it has one part");
        let length = whole.head.len() + whole.frames_len;
        let held = Packed::of_held(&message, &reader, length);
        assert!(held == Some(whole));
        assert!(Packed::of_held(&message, &reader, length - 1).is_none());
    }
}

#[test]
fn a_message_of_which_a_frame_is_not_in_memory_any_more_is_not_packed_without_its_file() {
    let (_disk, mut log, frames) = log_with(3, 25_000);
    let reader = log.reader();
    let of_held = |frames| Packed::of_held(&append_of(frames), &reader, 1 << 20);
    assert!(of_held(&frames[1..]).is_some());
    assert!(of_held(&frames).is_none());
    log.truncate_after(2).unwrap();
    assert!(of_held(&frames[1..]).is_none(), "a part of it was cut off");
    append(&mut log, 2);
    assert!(of_held(&frames[1..]).is_none(), "another term's frame");
    assert!(of_held(&frames[1..2]).is_some());
}

#[test]
fn an_append_whose_first_frame_was_cut_off_is_dropped() {
    let (_disk, mut log, frames) = log_with(3, 0);
    log.truncate_after(1).unwrap();
    let reader = log.reader();
    let mut parts = Packer::new(append_of(&frames[1..]));
    assert!(parts.next(&reader, 35_000).unwrap().is_none());
}

#[test]
fn a_frame_that_rotted_on_the_disk_is_an_error_and_not_one_that_is_no_longer_there() {
    let (disk, log, frames) = log_with(4, 0);
    let reader = log.reader();
    let at = frames[2].header.position + FRAME_HEADER_SIZE as u64 + 5_000;
    let segment = Path::new("/data/n0/log/00000000000000000000");
    disk.damage(segment, at, 0x10).unwrap();
    let mut parts = Packer::new(append_of(&frames[2..]));
    let error = parts.next(&reader, 35_000).unwrap_err();
    assert!(
        matches!(error, LogError::Rotted { index: 3, .. }),
        "{error}"
    );
    assert!(parts.next(&reader, 35_000).unwrap().is_none(), "given up");
    let entries = append_of(&frames[..2]).entries;
    let healthy = FrameSource::frames(&reader, &entries, 0).unwrap();
    assert_eq!(healthy.as_deref(), Some(&frames[..1]));
}

#[test]
fn a_disk_that_cannot_be_read_is_an_error() {
    let (disk, log, frames) = log_with(4, 0);
    let reader = log.reader();
    disk.cut_file(Path::new("/data/n0/log/00000000000000000000"), 4096)
        .unwrap();
    let entries = append_of(&frames[1..]).entries;
    let error = FrameSource::frames(&reader, &entries, 35_000).unwrap_err();
    assert!(matches!(error, LogError::Io { .. }), "{error}");
}

#[test]
fn a_stream_takes_nothing_that_speaks_for_somebody_else_or_belongs_on_the_other_stream() {
    let (_disk, log, _) = log_with(1, 1 << 20);
    let packed = Packer::new(append_of(&[]))
        .next(&log.reader(), 35_000)
        .unwrap()
        .unwrap();
    let third = replica_id(3, 1);
    for intake in [
        Intake {
            from: third,
            ..INTAKE
        },
        Intake {
            to: third,
            ..INTAKE
        },
        Intake {
            stream: PeerStream::Control,
            ..INTAKE
        },
    ] {
        assert_eq!(received(&intake, &packed), Err(PeerCodecError::Foreign));
    }
}

#[test]
fn a_sign_of_life_is_no_message() {
    let (_disk, log, _) = log_with(1, 1 << 20);
    let packed = Packer::new(sign_of_life(LEADER, FOLLOWER))
        .next(&log.reader(), 35_000)
        .unwrap()
        .unwrap();
    let control = Intake {
        stream: PeerStream::Control,
        ..INTAKE
    };
    assert_eq!(received(&control, &packed), Ok(None));
}
