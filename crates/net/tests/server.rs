//! What a server does for peers that behave.

mod support;

use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use support::{
    ECHO, KEEP, PANIC, SIZED, any_port, binary, eventually, frame, request, runtime, serve,
};
use tern_net::{Budget, ServerOptions, listen};
use tern_wire::{Command, HeaderEncoding};

#[test]
fn a_request_is_answered_in_the_form_of_its_header() {
    let server = serve(ServerOptions::default());
    let mut peer = server.connect();
    for command in [request(ECHO, 7), binary(request(ECHO, 8)), request(ECHO, 9)] {
        let answer = peer.ask(&command.clone().with_body("hello"));
        assert!(answer.is_response());
        assert_eq!(
            (answer.code, answer.opaque, answer.encoding),
            (0, command.opaque, command.encoding)
        );
        assert_eq!(answer.fields.get("topic"), Some("TopicTest"));
        assert_eq!(&answer.body[..], b"hello");
    }
}

#[test]
fn pipelined_requests_are_all_answered_in_their_order() {
    let server = serve(ServerOptions::default());
    let mut peer = server.connect();
    let count = 5_000;
    let mut bytes = Vec::new();
    for opaque in 0..count {
        let command = request(ECHO, opaque);
        bytes.extend(frame(&if opaque % 2 == 0 {
            command
        } else {
            binary(command)
        }));
    }
    peer.send_bytes(&bytes);
    for opaque in 0..count {
        assert_eq!(peer.receive().opaque, opaque);
    }
    assert_eq!(server.control.seen(), 5_000);
}

#[test]
fn frames_that_arrive_in_pieces_are_put_together() {
    let server = serve(ServerOptions::default());
    let mut peer = server.connect();
    let mut bytes = Vec::new();
    for opaque in 0..3 {
        bytes.extend(frame(
            &request(ECHO, opaque).with_body(vec![opaque as u8; 100]),
        ));
    }
    for piece in [1, 2, 3, 5, 7, 64] {
        for chunk in bytes.chunks(piece) {
            peer.send_bytes(chunk);
        }
        for opaque in 0..3 {
            let answer = peer.receive();
            assert_eq!(
                (answer.opaque, &answer.body[..]),
                (opaque, &[opaque as u8; 100][..])
            );
        }
    }
}

#[test]
fn bodies_of_every_size_come_and_go_unchanged() {
    let server = serve(ServerOptions::default());
    let mut peer = server.connect();
    for size in [
        0,
        1,
        4_095,
        4_096,
        65_000,
        65_536,
        70_000,
        300_000,
        1 << 20,
        5 << 20,
        (16 << 20) - 200,
    ] {
        let body: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
        let mut large = frame(&request(ECHO, 1).with_body(body.clone()));
        // A small request right behind a large one is not lost in its buffer.
        large.extend(frame(&request(ECHO, 2)));
        let mut sending = support::RawClient {
            socket: peer.socket.try_clone().expect("a socket can be cloned"),
        };
        let sender = std::thread::spawn(move || sending.send_bytes(&large));
        let answer = peer.receive();
        assert!(
            answer.body == body,
            "a body of {size} bytes changed on its way"
        );
        assert_eq!(peer.receive().opaque, 2);
        sender.join().expect("all was sent");
    }
    assert_eq!(server.listener.counts().bad_frames, 0);
}

#[test]
fn answers_to_requests_that_were_in_flight_together_wait_beyond_the_cap_for_a_peer_that_reads() {
    let overdraft = Budget::new(256 << 20);
    let server = serve(ServerOptions {
        outbound_bytes: 1 << 20,
        overdraft: Arc::clone(&overdraft),
        ..ServerOptions::default()
    });
    let mut peer = server.connect();
    eventually("it is accepted", || server.control.opened.lock().len() == 1);
    let connection = Arc::clone(&server.control.opened.lock()[0]);
    for opaque in 0..100 {
        let answer = request(ECHO, opaque).with_body(vec![0; 500_000]);
        assert!(
            connection.send(frame(&answer).into()),
            "answer {opaque} was dropped"
        );
    }
    assert!(overdraft.used() > 0, "the peer took all before it read");
    for opaque in 0..100 {
        assert_eq!(peer.receive().opaque, opaque);
    }
    eventually("all is given back", || overdraft.used() == 0);
}

#[test]
fn a_peer_that_reads_may_ask_for_more_than_the_outbound_cap_at_once() {
    let server = serve(ServerOptions {
        outbound_bytes: 1 << 20,
        ..ServerOptions::default()
    });
    let mut peer = server.connect();
    let mut command = request(SIZED, 0);
    command.fields.set("size", "500000");
    let bytes: Vec<u8> = (0..100)
        .flat_map(|opaque| {
            frame(&Command {
                opaque,
                ..command.clone()
            })
        })
        .collect();
    peer.send_bytes(&bytes);
    for opaque in 0..100 {
        let answer = peer.receive();
        assert_eq!((answer.opaque, answer.body.len()), (opaque, 500_000));
    }
}

#[test]
fn an_answer_that_nobody_waits_for_is_dropped_and_the_connection_stays() {
    let server = serve(ServerOptions::default());
    let mut peer = server.connect();
    peer.send(&Command::answer(0, 5, HeaderEncoding::Json));
    assert_eq!(peer.ask(&request(ECHO, 6)).opaque, 6);
    assert_eq!(server.listener.counts().unexpected_answers, 1);
    assert_eq!(server.control.seen(), 1);
}

#[test]
fn a_one_way_request_reaches_the_handler_and_is_not_answered() {
    let server = serve(ServerOptions::default());
    let mut peer = server.connect();
    peer.send(&request(ECHO, 1).one_way());
    assert_eq!(peer.ask(&request(ECHO, 2)).opaque, 2);
    assert_eq!(server.control.oneway.load(Ordering::SeqCst), 1);
}

#[test]
fn answers_may_come_from_another_thread_and_out_of_order() {
    let server = serve(ServerOptions::default());
    let mut peer = server.connect();
    peer.send(&request(KEEP, 1));
    assert_eq!(peer.ask(&request(ECHO, 2)).opaque, 2);
    // The only net thread is done with the first connection when it answers on another one.
    assert_eq!(server.connect().ask(&request(ECHO, 3)).opaque, 3);
    server.control.release(1);
    assert_eq!(peer.receive().opaque, 1);
}

#[test]
fn the_handler_hears_of_the_end_of_a_connection_once() {
    let server = serve(ServerOptions::default());
    let peer = server.connect();
    eventually("the connection is opened", || {
        server.control.opened.lock().len() == 1
    });
    drop(peer);
    eventually("the end is told", || server.control.closed() == 1);
    server.control.opened.lock()[0].close();
    assert!(!server.control.opened.lock()[0].is_open());
    server.listener.close();
    assert_eq!(server.control.closed(), 1);
    assert_eq!(server.listener.counts().open, 0);
}

#[test]
fn a_panic_in_a_handler_ends_its_connection_alone() {
    let server = serve(ServerOptions::default());
    let mut honest = server.connect();
    let mut peer = server.connect();
    peer.send(&request(PANIC, 1));
    peer.wait_for_close();
    eventually("the end is told", || server.control.closed() == 1);
    assert_eq!(honest.ask(&request(ECHO, 2)).opaque, 2);
    assert_eq!(server.listener.counts().open, 1);
}

#[test]
fn a_port_that_is_not_accepting_any_more_is_free_while_its_connections_stay() {
    let server = serve(ServerOptions::default());
    let mut peer = server.connect();
    assert_eq!(peer.ask(&request(ECHO, 1)).opaque, 1);
    server.listener.stop_accepting();
    let address = server.listener.local_addr();
    assert!(TcpStream::connect(address).is_err());
    let other = runtime();
    let again = listen(
        other.handle(),
        address,
        std::sync::Arc::clone(&server.control) as _,
        ServerOptions::default(),
    );
    assert_eq!(again.expect("the port is free").local_addr(), address);
    assert_eq!(peer.ask(&request(ECHO, 2)).opaque, 2);
}

#[test]
fn a_taken_port_is_an_error_that_says_so() {
    let server = serve(ServerOptions::default());
    let handler = std::sync::Arc::clone(&server.control) as _;
    let second = listen(
        server.runtime.handle(),
        server.listener.local_addr(),
        handler,
        ServerOptions::default(),
    );
    assert_eq!(
        second.err().map(|error| error.kind()),
        Some(std::io::ErrorKind::AddrInUse)
    );
}

#[test]
fn closing_a_listener_closes_its_connections_after_what_was_queued() {
    let server = serve(ServerOptions::default());
    let mut peer = server.connect();
    peer.send(&request(KEEP, 1));
    eventually("the request is kept", || {
        server.control.kept.lock().len() == 1
    });
    server.control.release(1);
    server.listener.close();
    assert_eq!(peer.receive().opaque, 1);
    peer.wait_for_close();
    assert!(TcpStream::connect(any_port()).is_err());
}
