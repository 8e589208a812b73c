//! A receiver that is busy, and what waits for it where.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tern_replication::{PeerMessage, PeerStream, replica_id};

use crate::support::{
    PATIENCE, Pair, PeerNotice, append, frames, heartbeat, send_until_seen, wait_for,
};

const FRAME_BYTES: usize = 256 << 10;
const FRAMES: usize = 400;
/// Room at the receiver.
const ROOM: usize = 4 << 20;
/// What two sockets on loopback may hold at most by the system's settings, and what is being written or read.
const ON_THE_WAY: usize = 24 << 20;
/// Several times what a control stream may go without progress (0.6 s here): the kernel looks at its probes of a closed
/// window only, which come at growing intervals.
const STALLED: Duration = Duration::from_millis(2500);

#[test]
fn a_receiver_that_is_busy_stops_its_sender_and_gets_everything_once_it_goes_on() {
    let pair = Pair::new();
    let stored = frames(FRAMES, FRAME_BYTES);
    let (one, told, sender) = pair.start_whole(1, |_, _| {}, stored.clone());
    let (_two, seen, receiver) =
        pair.start_whole(2, |_, options| options.waiting_bytes = ROOM, Vec::new());
    send_until_seen(&one, &seen, &append(1, 2, &[]));
    send_until_seen(&one, &seen, &heartbeat(1, 2));
    *receiver.busy.lock().unwrap() = Some(PeerStream::Bulk);
    one.send(vec![append(1, 2, &stored)]);

    // So long that on control the stream would count as broken.
    let (mut got, mut beats, begun) = (Vec::new(), 0, Instant::now());
    while got.len() * FRAME_BYTES < ROOM / 2 || begun.elapsed() < STALLED {
        assert!(begun.elapsed() < PATIENCE, "{} frames came", got.len());
        one.send(vec![heartbeat(1, 2)]);
        let PeerNotice::Message(message) =
            wait_for(&seen, |seen| matches!(seen, PeerNotice::Message(_)))
        else {
            unreachable!()
        };
        beats += usize::from(message.frames.is_empty());
        got.extend(message.frames);
        assert!(got.len() * FRAME_BYTES <= ROOM, "{} frames wait", got.len());
    }
    assert!(beats > 0, "control goes on");
    let asked = sender.asked.load(Ordering::SeqCst);
    assert!(
        asked * FRAME_BYTES <= ROOM + ON_THE_WAY,
        "{asked} of {FRAMES} frames were taken from the log"
    );

    receiver.go_on();
    while got.len() < FRAMES {
        if let PeerNotice::Message(message) =
            wait_for(&seen, |seen| matches!(seen, PeerNotice::Message(_)))
        {
            got.extend(message.frames);
        }
    }
    assert!(got == stored, "each once, and in order");
    assert!(
        told.try_iter()
            .all(|told| told != PeerNotice::Disconnected(2)),
        "one stream carried all of it"
    );
}

#[test]
fn a_control_stream_is_kept_while_there_is_nothing_to_say_and_after_what_was_said_at_once() {
    // Longer than the silence after which its reader gives it up.
    const LONG: Duration = Duration::from_millis(900);
    let pair = Pair::new();
    let (one, told) = pair.start(1, |_, _| {}, Vec::new());
    let (_two, seen) = pair.start(2, |_, _| {}, Vec::new());
    send_until_seen(&one, &seen, &heartbeat(1, 2));
    let stays = |time| {
        let end = Instant::now() + time;
        while let Ok(told) = told.recv_timeout(end.saturating_duration_since(Instant::now())) {
            assert_ne!(told, PeerNotice::Disconnected(2));
        }
    };
    stays(LONG);
    let end = Instant::now() + LONG;
    while Instant::now() < end {
        one.send(vec![heartbeat(1, 2)]);
        stays(Duration::from_millis(30));
    }
    stays(LONG);
}

#[test]
fn control_messages_that_wait_are_counted_and_dropped_when_they_are_too_many() {
    let pair = Pair::new();
    let (one, _told) = pair.start(1, |_, _| {}, Vec::new());
    let (_two, seen, receiver) = pair.start_whole(2, |_, _| {}, Vec::new());
    send_until_seen(&one, &seen, &heartbeat(1, 2));
    *receiver.busy.lock().unwrap() = Some(PeerStream::Control);
    let numbered = |number: u64| PeerMessage {
        commit: number,
        ..heartbeat(1, 2)
    };
    let (mut number, begun) = (0, Instant::now());
    while receiver.kept() < 1024 {
        assert!(begun.elapsed() < PATIENCE, "{} wait", receiver.kept());
        number += 1;
        one.send(vec![numbered(number)]);
        wait_for(&seen, |seen| matches!(seen, PeerNotice::Message(_)));
    }
    while seen.try_recv().is_ok() {}
    for refused in 10_000..10_050 {
        one.send(vec![numbered(refused)]);
        let more = seen.recv_timeout(Duration::from_millis(10));
        assert!(more.is_err(), "{more:?}");
    }
    receiver.go_on();
    let mut number = 20_000;
    let next = loop {
        number += 1;
        one.send(vec![numbered(number)]);
        if let Ok(PeerNotice::Message(next)) = seen.recv_timeout(Duration::from_millis(50)) {
            break next;
        }
    };
    assert!(next.commit > 10_000, "what was refused was dropped");
}

#[test]
fn a_control_message_that_is_too_long_ends_the_stream_and_the_next_one_passes() {
    let pair = Pair::new();
    let (one, told) = pair.start(1, |_, _| {}, Vec::new());
    let (_two, seen) = pair.start(2, |_, _| {}, Vec::new());
    send_until_seen(&one, &seen, &heartbeat(1, 2));
    let long = Bytes::from(vec![1; 65 << 10]);
    one.send(vec![PeerMessage::status(
        replica_id(1, 1),
        replica_id(2, 1),
        long,
    )]);
    wait_for(&told, |told| *told == PeerNotice::Disconnected(2));
    send_until_seen(&one, &seen, &heartbeat(1, 2));
}
