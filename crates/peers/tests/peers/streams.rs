//! Handshakes, messages, and coming back.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::channel;

use tern_log::Frame;
use tern_replication::{PeerMessage, PeerRefusal, Phase};

use crate::support::{
    PATIENCE, Pair, PeerNotice, append, frames, heartbeat, send_until_seen, wait_for, wait_until,
};

#[test]
fn messages_pass_both_ways_once_both_have_proven_the_secret() {
    let pair = Pair::new();
    let (one, seen_by_one) = pair.start(1, |_, _| {}, Vec::new());
    let (two, seen_by_two) = pair.start(2, |_, _| {}, Vec::new());
    assert_eq!(
        send_until_seen(&one, &seen_by_two, &heartbeat(1, 2)),
        heartbeat(1, 2)
    );
    assert_eq!(
        send_until_seen(&two, &seen_by_one, &heartbeat(2, 1)),
        heartbeat(2, 1)
    );
}

#[test]
fn a_long_append_is_split_and_arrives_as_one_run() {
    let pair = Pair::new();
    let stored = frames(12, 300 << 10);
    let (one, _seen) = pair.start(1, |_, _| {}, stored.clone());
    let (_two, seen) = pair.start(2, |_, _| {}, Vec::new());
    let append = append(1, 2, &stored);
    let mut got = vec![send_until_seen(&one, &seen, &append)];
    while got.last().unwrap().frames.last().unwrap().header.index < 12 {
        let PeerNotice::Message(next) = wait_for(&seen, |s| matches!(s, PeerNotice::Message(_)))
        else {
            unreachable!()
        };
        got.push(*next);
    }
    assert!(got.len() > 2, "split into {}", got.len());
    let all: Vec<Frame> = got
        .iter()
        .flat_map(|message| message.frames.clone())
        .collect();
    assert_eq!(all, stored);
    for pair in got.windows(2) {
        let last = &pair[0].frames.last().unwrap().header;
        assert_eq!((pair[1].index, pair[1].log_term), (last.index, last.term));
    }
}

#[test]
fn little_messages_reach_an_idle_peer_while_the_net_thread_is_busy() {
    let pair = Pair::new();
    let stored = frames(1, 1 << 10);
    let (one, _told) = pair.start(1, |_, _| {}, stored.clone());
    let other = pair.on_another_thread();
    let (_two, seen) = other.start(2, |_, _| {}, Vec::new());
    send_until_seen(&one, &seen, &heartbeat(1, 2));
    send_until_seen(&one, &seen, &append(1, 2, &[]));
    let _busy = pair.keep_busy();
    one.send(vec![append(1, 2, &stored)]);
    wait_for(
        &seen,
        |seen| matches!(seen, PeerNotice::Message(message) if message.frames == stored),
    );
    let late = PeerMessage {
        commit: 9,
        ..heartbeat(1, 2)
    };
    one.send(vec![late.clone()]);
    wait_for(&seen, |seen| {
        *seen == PeerNotice::Message(Box::new(late.clone()))
    });
}

#[test]
fn heartbeats_pass_and_lost_streams_come_back_while_clients_keep_both_net_threads_busy() {
    let pair = Pair::new();
    let (one, _told) = pair.start(1, |_, _| {}, Vec::new());
    let other = pair.on_another_thread();
    let (two, seen) = other.start(2, |_, _| {}, Vec::new());
    send_until_seen(&one, &seen, &heartbeat(1, 2));
    let _busy = [pair.keep_busy(), other.keep_busy()];
    send_until_seen(&one, &seen, &heartbeat(1, 2));
    // It is silent for no longer than it is away.
    drop(two);
    wait_until("nobody to be in reach", || one.in_reach().is_empty());
    let (_two, seen) = other.start(2, |_, _| {}, Vec::new());
    send_until_seen(&one, &seen, &heartbeat(1, 2));
}

#[test]
fn messages_of_every_length_keep_their_order_whoever_writes_them() {
    const COUNT: u64 = 600;
    let pair = Pair::new();
    let stored = frames(8, 100 << 10);
    let short = frames(1, 1 << 10);
    let all: Vec<Frame> = short.iter().chain(&stored).cloned().collect();
    let (one, told, _) = pair.start_whole(1, |_, _| {}, all);
    let other = pair.on_another_thread();
    let (_two, seen) = other.start(2, |_, _| {}, Vec::new());
    send_until_seen(&one, &seen, &append(1, 2, &[]));
    for number in 1..=COUNT {
        let entries = match number % 7 {
            0 => &stored[..1],
            1 | 2 => &short[..],
            _ => &[],
        };
        one.send(vec![PeerMessage {
            commit: number,
            ..append(1, 2, entries)
        }]);
    }
    for number in 1..=COUNT {
        let PeerNotice::Message(next) = wait_for(
            &seen,
            |s| matches!(s, PeerNotice::Message(message) if message.commit > 0),
        ) else {
            unreachable!()
        };
        assert_eq!(next.commit, number);
    }
    assert!(
        told.try_iter()
            .all(|told| told != PeerNotice::Disconnected(2)),
        "one stream carried all of it"
    );
}

#[test]
fn a_replica_that_closes_its_streams_leaves_none_of_them_open() {
    let pair = Pair::new();
    let (_one, told) = pair.start(1, |_, _| {}, Vec::new());
    let (two, _seen) = pair.start(2, |_, _| {}, Vec::new());
    send_until_seen(&two, &told, &heartbeat(2, 1));
    send_until_seen(&two, &told, &append(2, 1, &[]));
    two.close();
    wait_for(&told, |told| *told == PeerNotice::Gone(2));
}

#[test]
fn old_frames_that_wait_for_a_disk_keep_no_other_stream_waiting() {
    // The sockets of both have one thread.
    let pair = Pair::new();
    let stored = frames(3, 1 << 10);
    let (one, _seen, sender) = pair.start_whole(1, |_, _| {}, stored.clone());
    let (_two, seen) = pair.start(2, |_, _| {}, Vec::new());
    send_until_seen(&one, &seen, &append(1, 2, &[]));
    let (go_on, disk) = channel();
    *sender.disk.lock().unwrap() = Some(disk);
    one.send(vec![append(1, 2, &stored)]);
    wait_until("the frames are asked for", || {
        sender.disk.lock().unwrap().is_none()
    });
    send_until_seen(&one, &seen, &heartbeat(1, 2));
    go_on.send(()).expect("it waits");
    let PeerNotice::Message(got) = wait_for(
        &seen,
        |seen| matches!(seen, PeerNotice::Message(message) if !message.frames.is_empty()),
    ) else {
        unreachable!()
    };
    assert_eq!(got.frames, stored);
}

#[test]
fn a_peer_with_another_secret_is_refused_by_both() {
    let pair = Pair::new();
    let (_one, seen) = pair.start(1, |_, _| {}, Vec::new());
    let (_two, _) = pair.start(
        2,
        |_, options| options.secret = Some(b"other".to_vec()),
        Vec::new(),
    );
    let refused = wait_for(&seen, |seen| matches!(seen, PeerNotice::Refused(..)));
    assert!(
        matches!(
            refused,
            PeerNotice::Refused(2, false, PeerRefusal::NotAuthenticated)
        ),
        "{refused:?}"
    );
}

#[test]
fn an_empty_replica_learns_from_its_group_that_it_was_wiped() {
    let pair = Pair::new();
    let (_one, _seen) = pair.start(1, |_, _| {}, Vec::new());
    let (_two, seen) = pair.start(2, |hello, _| hello.phase = Phase::Empty, Vec::new());
    let wiped = PeerNotice::Refused(1, true, PeerRefusal::EmptyReplicaOfFoundedGroup);
    wait_for(&seen, |seen| *seen == wiped);
}

#[test]
fn a_member_of_another_group_is_refused() {
    let pair = Pair::new();
    let (_one, seen) = pair.start(1, |_, _| {}, Vec::new());
    let (_two, _) = pair.start(2, |hello, _| hello.group = "other".to_owned(), Vec::new());
    wait_for(&seen, |seen| {
        matches!(seen, PeerNotice::Refused(2, _, PeerRefusal::UnknownGroup))
    });
}

#[test]
fn a_port_scan_is_closed_without_a_word_and_harms_nobody() {
    let pair = Pair::new();
    let (one, _) = pair.start(1, |_, _| {}, Vec::new());
    for probe in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0; 64], &[0xff; 64]] {
        let mut scan = TcpStream::connect(pair.addresses[0]).unwrap();
        scan.set_read_timeout(Some(PATIENCE)).unwrap();
        scan.write_all(probe).unwrap();
        let mut answer = Vec::new();
        // A reset is as good an end as a close.
        let _ = scan.read_to_end(&mut answer);
        assert!(answer.is_empty());
    }
    let (_two, seen) = pair.start(2, |_, _| {}, Vec::new());
    send_until_seen(&one, &seen, &heartbeat(1, 2));
}

#[test]
fn a_peer_that_comes_back_is_connected_again() {
    let pair = Pair::new();
    let (one, _) = pair.start(1, |_, _| {}, Vec::new());
    let (two, seen) = pair.start(2, |_, _| {}, Vec::new());
    send_until_seen(&one, &seen, &heartbeat(1, 2));
    assert_eq!(one.in_reach(), [2]);
    drop(two);
    wait_until("nobody to be in reach", || one.in_reach().is_empty());
    let (_two, seen) = pair.start(2, |_, _| {}, Vec::new());
    send_until_seen(&one, &seen, &heartbeat(1, 2));
    assert_eq!(one.in_reach(), [2]);
}

#[test]
fn a_member_that_nobody_has_listed_is_dialled_where_it_says_that_it_is() {
    let pair = Pair::new();
    let (one, seen_by_one) = pair.start(
        1,
        |_, options| options.members[1].address.clear(),
        Vec::new(),
    );
    let address = pair.addresses[1].to_string();
    let (two, seen_by_two) = pair.start(2, |hello, _| hello.peer_address = address, Vec::new());
    send_until_seen(&two, &seen_by_one, &heartbeat(2, 1));
    send_until_seen(&one, &seen_by_two, &heartbeat(1, 2));
}

#[test]
fn a_frame_that_cannot_be_read_is_told_and_the_stream_goes_on() {
    let pair = Pair::new();
    let stored = frames(2, 1000);
    let (one, told) = pair.start(1, |_, _| {}, stored[..1].to_vec());
    let (_two, seen) = pair.start(2, |_, _| {}, Vec::new());
    send_until_seen(&one, &seen, &append(1, 2, &stored[..1]));
    one.send(vec![append(1, 2, &stored[1..])]);
    let damaged = wait_for(&told, |seen| matches!(seen, PeerNotice::Damaged(_)));
    assert!(matches!(&damaged, PeerNotice::Damaged(why) if why.contains("frame 2")));
    let got = send_until_seen(&one, &seen, &append(1, 2, &stored[..1]));
    assert_eq!(got.frames, stored[..1]);
}
