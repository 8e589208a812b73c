//! What shows that a peer's process is gone, and what does not: three pieces, each of them missing once.

use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use tern_peers::{PeerOptions, Peers};
use tern_replication::PeerStream;

use crate::proxy::Proxy;
use crate::support::{
    PATIENCE, Pair, PeerNotice, append, frames, heartbeat, send_until_seen, wait_for,
};

const STREAMS: [PeerStream; 2] = [PeerStream::Control, PeerStream::Bulk];

/// Two replicas that reach each other through proxies, and what the first one is told of the second.
struct Watched {
    told: Receiver<PeerNotice>,
    one: Peers,
    two: Peers,
    seen_by_two: Receiver<PeerNotice>,
    /// What the second one dials.
    to_one: Proxy,
    /// What the first one dials.
    to_two: Proxy,
    _pair: Pair,
}

impl Watched {
    /// Both streams of each to the other stand.
    fn new() -> Self {
        let pair = Pair::new();
        let to_one = Proxy::to(pair.addresses[0]);
        let to_two = Proxy::to(pair.addresses[1]);
        let through = |options: &mut PeerOptions| {
            options.members[0].address = to_one.address.to_string();
            options.members[1].address = to_two.address.to_string();
        };
        let (one, told) = pair.start(1, |_, options| through(options), Vec::new());
        let (two, seen_by_two) = pair.start(2, |_, options| through(options), Vec::new());
        for message in [heartbeat(2, 1), append(2, 1, &[])] {
            send_until_seen(&two, &told, &message);
        }
        for message in [heartbeat(1, 2), append(1, 2, &[])] {
            send_until_seen(&one, &seen_by_two, &message);
        }
        Self {
            told,
            one,
            two,
            seen_by_two,
            to_one,
            to_two,
            _pair: pair,
        }
    }

    /// Dials of the first one are refused from now on, and it dials.
    fn refuse_dials(&self) {
        self.to_two.refuse();
        for peer_stream in STREAMS {
            self.to_two.cut(peer_stream);
        }
        for _ in STREAMS {
            self.told_before_gone(|told| *told == PeerNotice::Disconnected(2));
        }
    }

    /// Waits for something that is told, before which the second one must not be told to be gone.
    fn told_before_gone(&self, mut wanted: impl FnMut(&PeerNotice) -> bool) {
        wait_for(&self.told, |told| {
            assert_ne!(*told, PeerNotice::Gone(2));
            wanted(told)
        });
    }

    /// As much passes on a stream as several dials take, and the second one is not told to be gone.
    fn lives_on(&self, peer_stream: PeerStream) {
        let end = Instant::now() + PATIENCE;
        for number in 1..=30 {
            let mut message = match peer_stream {
                PeerStream::Control => heartbeat(2, 1),
                PeerStream::Bulk => append(2, 1, &[]),
            };
            message.commit = number;
            self.two.send(vec![message]);
            self.told_before_gone(|told| {
                assert!(Instant::now() < end);
                matches!(told, PeerNotice::Message(got) if got.commit == number)
            });
            // The longest pause between two dials is 500 ms.
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn is_told_gone(&self) {
        wait_for(&self.told, |told| *told == PeerNotice::Gone(2));
    }
}

#[test]
fn a_peer_whose_process_ends_is_told_to_be_gone_once_and_again_when_it_came_back() {
    let pair = Pair::new();
    let (_one, told) = pair.start(1, |_, _| {}, Vec::new());
    for _ in 0..2 {
        let (two, _) = pair.start(2, |_, _| {}, Vec::new());
        for message in [heartbeat(2, 1), append(2, 1, &[])] {
            send_until_seen(&two, &told, &message);
        }
        drop(two);
        wait_for(&told, |told| *told == PeerNotice::Gone(2));
        // Several dials are refused in this time, each after 500 ms at the latest.
        let end = Instant::now() + Duration::from_millis(1500);
        // A handshake that was under way may still be answered by what is being closed here; then it is told again.
        let mut answered = false;
        while let Ok(more) = told.recv_timeout(end.saturating_duration_since(Instant::now())) {
            match more {
                PeerNotice::Connected(2) => answered = true,
                PeerNotice::Gone(2) => assert!(std::mem::take(&mut answered), "told twice"),
                _ => {}
            }
        }
    }
}

#[test]
fn a_peer_whose_control_stream_goes_on_is_not_gone() {
    let watched = Watched::new();
    watched.to_one.refuse();
    watched.to_one.cut(PeerStream::Bulk);
    watched.refuse_dials();
    watched.lives_on(PeerStream::Control);
    watched.to_one.cut(PeerStream::Control);
    watched.is_told_gone();
}

#[test]
fn a_peer_whose_bulk_stream_goes_on_is_not_gone() {
    let watched = Watched::new();
    watched.to_one.refuse();
    watched.to_one.cut(PeerStream::Control);
    watched.refuse_dials();
    watched.lives_on(PeerStream::Bulk);
    watched.to_one.cut(PeerStream::Bulk);
    watched.is_told_gone();
}

#[test]
fn a_peer_that_answers_a_dial_is_not_gone() {
    let watched = Watched::new();
    watched.to_one.refuse();
    for peer_stream in STREAMS {
        watched.to_one.cut(peer_stream);
    }
    for _ in 0..3 {
        for peer_stream in STREAMS {
            watched.to_two.cut(peer_stream);
        }
        for _ in STREAMS {
            watched.told_before_gone(|told| *told == PeerNotice::Connected(2));
        }
        // A new connection of both streams, through which something passes.
        for message in [heartbeat(1, 2), append(1, 2, &[])] {
            send_until_seen(&watched.one, &watched.seen_by_two, &message);
        }
    }
    watched.refuse_dials();
    watched.is_told_gone();
}

#[test]
fn the_late_end_of_a_stream_that_was_replaced_does_not_count() {
    let watched = Watched::new();
    watched.to_one.detach(PeerStream::Control);
    watched.told_before_gone(|told| *told == PeerNotice::Connected(2));
    // The new one carries, so the old one was replaced; now its end comes.
    send_until_seen(&watched.two, &watched.told, &heartbeat(2, 1));
    watched.to_one.refuse();
    watched.to_one.cut_oldest(PeerStream::Control);
    watched.to_one.cut(PeerStream::Bulk);
    watched.refuse_dials();
    watched.lives_on(PeerStream::Control);
    watched.to_one.cut(PeerStream::Control);
    watched.is_told_gone();
}

#[test]
fn a_peer_that_fell_silent_is_not_gone() {
    let watched = Watched::new();
    watched.to_one.refuse();
    watched.to_one.stall(PeerStream::Control);
    // Its silence is too long for the first one, which closes the stream; the proxy ends it on the other side, too.
    watched
        .to_one
        .wait_until_closed_by_acceptor(PeerStream::Control);
    watched.to_one.cut(PeerStream::Control);
    watched.refuse_dials();
    watched.lives_on(PeerStream::Bulk);
    watched.to_one.cut(PeerStream::Bulk);
    let more = watched.told.recv_timeout(Duration::from_millis(1500));
    assert!(more.is_err(), "{more:?}");
}

#[test]
fn what_a_peer_had_sent_is_told_before_it_is_told_to_be_gone() {
    let pair = Pair::new();
    let stored = frames(12, 256 << 10);
    let (_one, told, receiver) =
        pair.start_whole(1, |_, options| options.waiting_bytes = 1 << 20, Vec::new());
    let (two, _, sender) = pair.start_whole(2, |_, _| {}, stored.clone());
    for message in [heartbeat(2, 1), append(2, 1, &[])] {
        send_until_seen(&two, &told, &message);
    }
    *receiver.busy.lock().unwrap() = Some(PeerStream::Bulk);
    two.send(vec![append(2, 1, &stored)]);
    let has_frames =
        |told: &PeerNotice| matches!(told, PeerNotice::Message(got) if !got.frames.is_empty());
    wait_for(&told, has_frames);
    let end = Instant::now() + PATIENCE;
    while sender.asked.load(Ordering::SeqCst) < stored.len() {
        assert!(Instant::now() < end, "its sockets take all of it");
        std::thread::yield_now();
    }
    drop(two);
    // It is gone, and one piece is missing: most of what it sent is still to be read.
    for _ in STREAMS {
        wait_for(&told, |told| *told == PeerNotice::Disconnected(2));
    }
    let more = told.recv_timeout(Duration::from_millis(500));
    assert!(more.is_err(), "{more:?}");
    receiver.go_on();
    wait_for(&told, |told| {
        assert_ne!(*told, PeerNotice::Gone(2));
        matches!(told, PeerNotice::Message(got) if got.frames.iter().any(|frame| frame.header.index > 6))
    });
    wait_for(&told, |told| *told == PeerNotice::Gone(2));
    assert!(told.try_iter().all(|told| !has_frames(&told)));
}
