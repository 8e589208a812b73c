//! Who writes what any thread sends on a connection.

mod support;

use std::sync::Arc;

use support::{ECHO, eventually, frame, request, serve};
use tern_net::{Connection, ServerOptions};

/// Sends frames of `size` bytes and more, numbered from `first` on.
fn send_numbered(connection: &Connection, first: i32, count: i32, size: usize) {
    for opaque in first..first + count {
        let numbered = request(ECHO, opaque).with_body(vec![opaque as u8; size]);
        assert!(connection.send(frame(&numbered).into()), "frame {opaque}");
    }
}

#[test]
fn a_thread_outside_of_the_runtime_writes_what_it_sends_while_the_net_thread_is_busy() {
    let server = serve(ServerOptions::default());
    let (mut peer, connection) = server.connected();
    let _busy = server.keep_busy();
    send_numbered(&connection, 1, 2, 100);
    assert_eq!(connection.queued_bytes(), 0);
    assert_eq!((peer.receive().opaque, peer.receive().opaque), (1, 2));
}

#[test]
fn a_task_leaves_what_it_sends_to_the_writer_task_and_all_of_it_arrives() {
    let server = serve(ServerOptions::default());
    let (mut peer, connection) = server.connected();
    let queued = server.runtime.block_on(server.runtime.spawn(async move {
        send_numbered(&connection, 1, 3, 100);
        connection.queued_bytes()
    }));
    let frames: usize = (1..=3)
        .map(|opaque| frame(&request(ECHO, opaque).with_body(vec![0; 100])).len())
        .sum();
    assert_eq!(queued.expect("the task ends"), frames, "in one write");
    for opaque in 1..=3 {
        assert_eq!(peer.receive().opaque, opaque);
    }
}

#[test]
fn a_large_frame_is_left_to_the_writer_task_and_small_ones_stay_behind_it() {
    let server = serve(ServerOptions::default());
    let (mut peer, connection) = server.connected();
    let busy = server.keep_busy();
    send_numbered(&connection, 1, 1, 100_000);
    send_numbered(&connection, 2, 1, 10);
    assert!(connection.queued_bytes() > 100_000, "the task has not run");
    drop(busy);
    for (opaque, size) in [(1, 100_000), (2, 10)] {
        let answer = peer.receive();
        assert_eq!((answer.opaque, answer.body.len()), (opaque, size));
    }
}

#[test]
fn frames_of_many_threads_arrive_whole_and_those_of_one_thread_in_its_order() {
    const THREADS: i32 = 4;
    const EACH: i32 = 2_000;
    let server = serve(ServerOptions::default());
    let (mut peer, connection) = server.connected();
    let senders: Vec<_> = (0..THREADS)
        .map(|thread| {
            let connection = Arc::clone(&connection);
            let size = [10, 3_000, 5_000, 20_000][thread as usize];
            std::thread::spawn(move || send_numbered(&connection, thread * EACH, EACH, size))
        })
        .collect();
    let mut next: Vec<i32> = (0..THREADS).map(|thread| thread * EACH).collect();
    for _ in 0..THREADS * EACH {
        let got = peer.receive();
        let expected = &mut next[(got.opaque / EACH) as usize];
        assert_eq!(got.opaque, *expected);
        assert!(got.body.iter().all(|byte| *byte == got.opaque as u8));
        *expected += 1;
    }
    for sender in senders {
        sender.join().expect("all was sent");
    }
}

#[test]
fn what_the_socket_does_not_take_from_a_sender_follows_when_the_peer_reads() {
    const COUNT: i32 = 4_000;
    let server = serve(ServerOptions {
        outbound_bytes: 64 << 20,
        ..ServerOptions::default()
    });
    let (mut peer, connection) = server.connected();
    send_numbered(&connection, 0, COUNT, 10_000);
    assert!(connection.queued_bytes() > 0, "the sockets took all of it");
    for opaque in 0..COUNT {
        assert_eq!(peer.receive().opaque, opaque);
    }
    eventually("nothing waits", || connection.queued_bytes() == 0);
}

#[test]
fn a_sender_that_finds_the_connection_broken_closes_it_and_the_handler_is_told_by_the_net_thread() {
    let server = serve(ServerOptions::default());
    let (peer, connection) = server.connected();
    // A peer that goes without having read this resets the connection.
    send_numbered(&connection, 1, 1, 10);
    let busy = server.keep_busy();
    drop(peer);
    eventually("sending fails", || {
        !connection.send(frame(&request(ECHO, 2)).into())
    });
    assert!(!connection.is_open());
    assert_eq!(server.control.closed(), 0, "not within the sender's call");
    drop(busy);
    eventually("the end is told", || server.control.closed() == 1);
    assert!(!connection.send(frame(&request(ECHO, 3)).into()));
    server.listener.close();
    assert_eq!(server.control.closed(), 1);
}
