//! A disk that has no room: what a replica refuses, what goes on, and that it never stops over it.

mod support;

use support::{One, SEGMENT, TOPIC, filler};
use tern_log::{FrameDraft, FrameKind, LogEnd, LogError, QueueEntry, QueueLimits, Reserve};
use tern_replica::{DiskRoomChange, Outcome, RejectReason};
use tern_replication::{MessageKind, PeerMessage, ThinEntry, replica_id};
use tern_testdisk::Operation;

const NO_ROOM: Outcome = Outcome::Rejected(RejectReason::NoRoom);

/// Send until one is refused; how many were stored.
fn fill(one: &mut One) -> u64 {
    for number in 0..500 {
        one.send(number, 10_000);
        one.settle();
        if !one.is_stored(number) {
            return number;
        }
    }
    panic!("nothing was refused")
}

#[test]
fn sends_are_refused_and_ops_go_on_while_there_is_no_room_for_the_next_segment() {
    let mut one = One::alone(QueueLimits::default());
    one.settle();
    one.disk.inner.set_free_bytes(Some(0));
    let stored = fill(&mut one);
    let left = 2 * SEGMENT - one.reader.end().position;
    assert!(left >= Reserve::of_segment(SEGMENT).ops && left < SEGMENT / 4);
    assert!(stored > 150, "what was prepared is used");
    assert_eq!(one.said, [DiskRoomChange::Gone]);
    for round in 1..50 {
        // One turn for all: an op is not refused, and does not wait, for what stands before it.
        one.send(1000 * round, 10_000);
        one.commit_offsets(1000 * round + 1, 1);
        one.send(1000 * round + 2, 10_000);
        one.settle();
        assert_eq!(one.outcome(1000 * round), NO_ROOM);
        assert!(one.is_stored(1000 * round + 1));
        assert_eq!(one.outcome(1000 * round + 2), NO_ROOM);
    }
    one.disk.inner.set_free_bytes(None);
    one.settle();
    one.send(1, 10_000);
    one.settle();
    let Outcome::Stored(after) = one.outcome(1) else {
        panic!("there is room again");
    };
    assert_eq!(after.queue_offset, stored, "nothing refused took an offset");
    assert_eq!(one.said, [DiskRoomChange::Gone, DiskRoomChange::Back]);
}

#[test]
fn ops_end_before_they_take_what_an_election_needs() {
    let mut one = One::alone(QueueLimits::default());
    one.settle();
    one.disk.inner.set_free_bytes(Some(0));
    fill(&mut one);
    for number in 0.. {
        one.commit_offsets(number, 20);
        one.settle();
        match one.outcome(number) {
            Outcome::Stored(_) => {}
            refused => {
                assert_eq!(refused, NO_ROOM);
                break;
            }
        }
    }
    let left = 2 * SEGMENT - one.reader.end().position;
    let kept = Reserve::of_segment(SEGMENT);
    assert!(left >= kept.elections && left < kept.ops / 2);
}

#[test]
fn sends_stop_while_others_take_what_is_kept_for_views_though_segments_are_there() {
    let mut one = One::alone(QueueLimits::default());
    let kept = Reserve::of_segment(SEGMENT).views;
    one.disk.hook.say_free(Some(64 << 20));
    one.settle();
    one.disk.hook.say_free(Some(kept / 2 - 1));
    let stored = fill(&mut one);
    assert!(stored * 10_000 < kept / 2, "seen in time: {stored}");
    one.commit_offsets(1000, 1);
    one.settle();
    assert!(one.is_stored(1000));
    one.disk.hook.say_free(Some(kept));
    let mut turns = 0;
    while one.said.last() != Some(&DiskRoomChange::Back) {
        one.turn().unwrap();
        turns += 1;
        assert!(turns <= 60, "it looks twice a second");
    }
    one.send(1001, 10_000);
    one.settle();
    assert!(one.is_stored(1001));
}

#[test]
fn a_segment_is_not_made_of_what_is_kept_for_views() {
    let mut one = One::alone(QueueLimits::default());
    let kept = Reserve::of_segment(SEGMENT).views;
    one.disk.hook.say_free(Some(SEGMENT + kept - 1));
    one.settle();
    let stored = fill(&mut one);
    assert!(stored < 100, "only the first segment: {stored}");
    one.disk.hook.say_free(Some(SEGMENT + kept));
    one.settle();
    one.send(1000, 10_000);
    one.settle();
    assert!(one.is_stored(1000));
}

#[test]
fn what_views_cannot_hold_is_not_shown_until_there_is_room_and_nothing_dies() {
    let mut one = One::alone(QueueLimits {
        tail_entries: 4,
        held_bytes: 600,
        ..QueueLimits::default()
    });
    one.settle();
    one.disk.inner.set_free_bytes(Some(0));
    for number in 0..100 {
        one.send(number, 100);
        one.settle();
        assert!(one.is_stored(number));
    }
    let mut blocked = None;
    while one.applier.applied() < one.committed && blocked.is_none() {
        blocked = one
            .applier
            .apply(one.committed, 1)
            .expect("no reason to stop")
            .blocked;
    }
    let error = blocked.expect("600 bytes hold some 30 of 100 entries");
    assert!(!error.is_fatal());
    let shown = one.applier.state().next_offset(TOPIC, 0);
    assert!((5..100).contains(&shown), "{shown}");
    let topic = one.applier.state().topic(TOPIC).expect("a topic").id;
    assert_eq!(one.queues.range(topic, 0), (0, shown), "whole frames");
    let again = one.applier.apply(one.committed, 1 << 20).expect("waits");
    assert!(again.blocked.is_some() && again.records == 0);

    one.disk.inner.set_free_bytes(None);
    let rest = one.applier.apply(one.committed, 1 << 20).expect("room");
    assert!(rest.blocked.is_none());
    assert_eq!(one.applier.applied(), one.committed);
    let mut found = Vec::new();
    one.queues.read(topic, 0, 0, 1000, &mut found).unwrap();
    assert_eq!(found.len(), 100);
    assert!(found.is_sorted_by_key(|entry| entry.physical_offset));
}

/// A queue with 100 messages, most of them in files of small buffers; its topic's id.
fn queue_of_100() -> (One, u32) {
    let mut one = One::alone(QueueLimits {
        tail_entries: 4,
        ..QueueLimits::default()
    });
    one.settle();
    for number in 0..100 {
        one.send(number, 100);
        one.settle();
    }
    one.applier.apply(one.committed, 1 << 20).expect("applied");
    let topic = one.applier.state().topic(TOPIC).expect("a topic").id;
    (one, topic)
}

fn entries(one: &One, topic: u32) -> Result<Vec<QueueEntry>, LogError> {
    let mut found = Vec::new();
    one.queues.read(topic, 0, 0, 1000, &mut found)?;
    Ok(found)
}

#[test]
fn a_queue_whose_file_was_cut_is_written_again_from_the_log() {
    let (mut one, topic) = queue_of_100();
    let whole = entries(&one, topic).expect("readable");
    assert_eq!((whole.len(), one.applier.mends()), (100, false));
    let path = format!("/replica/views/{topic}/0/{:020}", 0);
    one.disk.inner.cut_file(path.as_ref(), 700).expect("a file");
    assert!(matches!(entries(&one, topic), Err(LogError::View { .. })));
    assert!(one.applier.mends());
    // Small steps, and one of them finds that nothing can be written for now.
    one.disk.inner.fail_next(Operation::Write, "/views/");
    let mut waited = 0;
    while one.applier.mends() {
        let applied = one
            .applier
            .apply(one.committed, 1000)
            .expect("no reason to stop");
        waited += u32::from(applied.blocked.is_some());
    }
    assert_eq!(waited, 1);
    assert_eq!(entries(&one, topic).expect("mended"), whole);
    assert!(!one.applier.mends());
}

#[test]
fn rot_in_the_log_that_is_met_while_a_queue_is_written_again_is_told_and_stops_nobody() {
    let (mut one, topic) = queue_of_100();
    let whole = entries(&one, topic).expect("readable");
    let path = format!("/replica/views/{topic}/0/{:020}", 0);
    one.disk.inner.cut_file(path.as_ref(), 700).expect("a file");
    entries(&one, topic).expect_err("cut");
    let position = one.reader.header(10).expect("a frame").position;
    let segment = format!("/replica/log/{:020}", 0);
    let disk = one.disk.inner.clone();
    let flip = || disk.damage(segment.as_ref(), position + 100, 1);
    flip().expect("a file");
    let mut told = 0;
    for _ in 0..20 {
        let applied = one.applier.apply(one.committed, 1000);
        let blocked = applied.expect("no reason to stop").blocked;
        told += u32::from(blocked.is_some_and(|error| error.is_damage()));
    }
    assert!(told > 0 && one.applier.mends());
    flip().expect("a file");
    while one.applier.mends() {
        let applied = one.applier.apply(one.committed, 1000);
        applied.expect("no reason to stop");
    }
    assert_eq!(entries(&one, topic).expect("mended"), whole);
}

#[test]
fn zeros_and_numbers_that_cannot_be_in_a_queue_are_damage_and_mended() {
    let (mut one, topic) = queue_of_100();
    let whole = entries(&one, topic).expect("readable");
    let path = format!("/replica/views/{topic}/0/{:020}", 0);
    // The highest bits of a position, and a size that becomes zero.
    for (offset, mask) in [(20 * 40 + 1, 0x80), (20 * 50 + 11, whole[50].size as u8)] {
        assert!(whole[50].size < 256, "its size is in one byte");
        one.disk
            .inner
            .damage(path.as_ref(), offset, mask)
            .expect("a file");
        let refused = entries(&one, topic);
        assert!(
            matches!(&refused, Err(LogError::DamagedView { .. })),
            "{refused:?}"
        );
        while one.applier.mends() {
            one.applier
                .apply(one.committed, 1 << 20)
                .expect("no reason to stop");
        }
        assert_eq!(entries(&one, topic).expect("mended"), whole);
    }
}

/// An append of the second replica, which leads term 2.
fn append(frame: tern_log::Frame, before: &LogEnd) -> PeerMessage {
    PeerMessage {
        term: 2,
        index: before.index,
        log_term: before.term,
        commit: 1,
        entries: vec![ThinEntry {
            index: frame.header.index,
            term: frame.header.term,
            kind: FrameKind::Batch,
            descriptor: Some((&frame.header).into()),
        }],
        frames: vec![frame],
        ..PeerMessage::raft(MessageKind::Append, replica_id(2, 1), replica_id(1, 1))
    }
}

#[test]
fn an_append_without_room_is_dropped_from_the_first_moment_on_and_taken_when_there_is_some() {
    let mut one = One::of_three(|disk, log| {
        log.append(&[filler(&log.end(), 32)]).unwrap();
        disk.inner.set_free_bytes(Some(0));
    });
    let end = one.reader.end();
    let draft = FrameDraft {
        metadata: vec![0xAA; 5000],
        ..FrameDraft::default()
    };
    let frame = draft.seal(&end, 2, 1, SEGMENT).unwrap();
    assert!(frame.header.position > SEGMENT, "it needs the next segment");
    one.inbox.peers.push(append(frame.clone(), &end));
    one.turn().expect("dropped like a lost message");
    one.settle();
    assert_eq!(one.reader.end(), end);
    let answers = |one: &One| {
        let mut sent = one.sent.iter();
        sent.any(|message| message.message == MessageKind::AppendAnswer && !message.reject)
    };
    assert!(!answers(&one));
    one.disk.inner.set_free_bytes(None);
    one.inbox.peers.push(append(frame.clone(), &end));
    one.settle();
    assert_eq!(one.reader.end(), frame.end());
    assert!(answers(&one));
}

/// The other two agree to whatever this one asks.
fn agree(one: &mut One) {
    for message in std::mem::take(&mut one.sent) {
        let answer = match message.message {
            MessageKind::PreVote => MessageKind::PreVoteAnswer,
            MessageKind::Vote => MessageKind::VoteAnswer,
            _ => continue,
        };
        one.inbox.peers.push(PeerMessage {
            term: message.term,
            ..PeerMessage::raft(answer, message.to, message.from)
        });
    }
}

#[test]
fn who_has_no_room_for_the_first_frame_of_a_leader_is_not_elected_and_votes_for_others() {
    let mut one = One::of_three(|disk, log| {
        log.append(&[filler(&log.end(), 32)]).unwrap();
        disk.inner.set_free_bytes(Some(0));
    });
    let end = one.reader.end();
    for _ in 0..500 {
        one.turn().expect("no reason to stop");
        agree(&mut one);
    }
    assert!(!one.leads());
    assert_eq!(one.reader.end(), end);

    one.inbox.peers.push(PeerMessage {
        term: 5,
        index: end.index,
        log_term: end.term,
        ..PeerMessage::raft(MessageKind::Vote, replica_id(2, 1), replica_id(1, 1))
    });
    one.sent.clear();
    one.settle();
    let mut sent = one.sent.iter();
    assert!(sent.any(|sent| sent.message == MessageKind::VoteAnswer && !sent.reject));

    one.disk.inner.set_free_bytes(None);
    let mut turns = 0;
    while !one.leads() {
        one.turn().expect("no reason to stop");
        agree(&mut one);
        turns += 1;
        assert!(turns < 500, "there is room");
    }
}

/// Without a descriptor the next segment cannot be made either, and there is room on the disk.
#[test]
#[ignore = "known defect: a refusal for want of file descriptors says that the disk has no room"]
fn a_refusal_for_want_of_descriptors_does_not_speak_of_the_disk() {
    let mut one = One::alone(QueueLimits::default());
    one.settle();
    for _ in 0..10_000 {
        one.disk.inner.fail_next(Operation::Open, "/log/");
    }
    let stored = fill(&mut one);
    one.send(stored + 1, 10_000);
    one.settle();
    assert_ne!(one.outcome(stored + 1), NO_ROOM);
    assert_eq!(one.said, []);
}
