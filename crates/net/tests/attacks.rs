//! What a server does about peers that do not behave. An honest client beside them notices nothing.

mod support;

use std::cell::Cell;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use support::{ECHO, KEEP, SIZED, Server, eventually, frame, request, resident_bytes, serve};
use tern_net::{Budget, OVERLOAD_REMARK, ServerOptions};

const SOON: Duration = Duration::from_millis(100);
const LATE: Duration = Duration::from_secs(3600);

fn assert_honest_clients_are_served(server: &Server) {
    assert_eq!(server.connect().ask(&request(ECHO, 4)).opaque, 4);
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex"))
        .collect()
}

#[test]
fn frames_with_lying_lengths_close_the_connection() {
    let server = serve(ServerOptions::default());
    let lies = [
        ("length of two gigabytes", "7fffffff"),
        ("negative length", "ffffffff"),
        ("smallest negative length", "80000000"),
        ("a byte more than the limit", "00fffffd"),
        ("length 0", "00000000"),
        ("length 3", "00000003000000"),
        ("header longer than its frame", "0000000400000001"),
        ("large header longer than its frame", "000fffff00ffffff"),
        ("header beyond the header limit", "00ffff0000f00000"),
        ("unknown header form", "0000000402000000"),
        ("last unknown header form", "00000004ff000000"),
        ("a header that is no JSON", "00000006000000027b7b"),
        ("a binary header cut short", "0000000601000002000a"),
    ];
    for (number, (lie, bytes)) in lies.iter().enumerate() {
        let mut peer = server.connect();
        peer.send_bytes(&hex(bytes));
        peer.wait_for_close();
        eventually(lie, || {
            server.listener.counts().bad_frames == number as u64 + 1
        });
    }
    eventually("all ends are told", || {
        server.control.closed() == lies.len()
    });
    assert_honest_clients_are_served(&server);
    assert_eq!(server.control.seen(), 1);
}

#[test]
fn memory_grows_with_bytes_received_and_not_with_what_is_claimed() {
    let server = serve(ServerOptions::default());
    assert_honest_clients_are_served(&server);
    let before = resident_bytes();
    let mut claim = hex("00fffff0000000c8");
    claim.extend([b'x'; 200]);
    let claimants: Vec<_> = (0..200)
        .map(|_| {
            let mut peer = server.connect();
            peer.send_bytes(&claim);
            peer
        })
        .collect();
    eventually("all are accepted", || server.listener.counts().open >= 200);
    assert_honest_clients_are_served(&server);
    let grown = resident_bytes().saturating_sub(before);
    assert!(
        grown < 32 << 20,
        "{} claims of 16 MiB took {grown} bytes",
        claimants.len()
    );
}

#[test]
fn a_connection_on_which_nothing_moves_is_closed() {
    let server = serve(ServerOptions {
        idle: SOON,
        ..ServerOptions::default()
    });
    let mut peer = server.connect();
    peer.wait_for_close();
    eventually("it is counted", || server.listener.counts().idle == 1);
    assert_eq!(server.listener.counts().slow_frames, 0);
}

#[test]
fn a_frame_that_takes_too_long_is_cut_off_however_steadily_it_trickles() {
    let options = ServerOptions {
        frame_grace: SOON,
        frame_pace: u64::MAX,
        idle: LATE,
        ..ServerOptions::default()
    };
    let server = serve(options);
    for (number, size) in [(1, 60_000), (2, 600_000)] {
        let mut peer = server.connect();
        let bytes = frame(&request(ECHO, 1).with_body(vec![0; size]));
        let sent = Cell::new(300);
        peer.send_bytes(&bytes[..sent.get()]);
        // Every byte is progress, and the last one is far away.
        eventually("the trickle is cut off", || {
            let _ = (&peer.socket).write_all(&bytes[sent.get()..=sent.get()]);
            sent.set(sent.get() + 1);
            server.listener.counts().slow_frames == number
        });
        peer.wait_for_close();
    }
    assert_honest_clients_are_served(&server);
    assert_eq!(server.control.seen(), 1);
}

#[test]
fn connections_beyond_a_limit_are_not_accepted_until_one_leaves() {
    for (total, of_address) in [(3, 100), (100, 3)] {
        let options = ServerOptions {
            max_connections: total,
            max_connections_per_address: of_address,
            ..ServerOptions::default()
        };
        let server = serve(options);
        let mut peers: Vec<_> = (0..3).map(|_| server.connect()).collect();
        eventually("three are accepted", || server.listener.counts().open == 3);
        server.connect().wait_for_close();
        assert_eq!(server.listener.counts().not_accepted, 1);
        peers.pop();
        eventually("one has left", || server.listener.counts().open == 2);
        assert_honest_clients_are_served(&server);
    }
}

#[test]
fn a_peer_that_never_reads_is_closed_when_the_cap_and_the_overdraft_are_used_up() {
    let overdraft = Budget::new(4 << 20);
    let options = ServerOptions {
        outbound_bytes: 1 << 20,
        overdraft: Arc::clone(&overdraft),
        stall: LATE,
        ..ServerOptions::default()
    };
    let server = serve(options);
    let _peer = server.connect();
    eventually("it is accepted", || server.control.opened.lock().len() == 1);
    let connection = Arc::clone(&server.control.opened.lock()[0]);
    let push = bytes::Bytes::from(frame(&request(40, 1).one_way().with_body(vec![0; 50_000])));
    let mut sent = 0;
    while connection.send(push.clone()) {
        sent += push.len();
        assert!(connection.queued_bytes() <= (5 << 20) + push.len());
        assert!(
            sent < 1 << 30,
            "a gigabyte was queued for a peer that reads nothing"
        );
    }
    assert!(!connection.is_open());
    eventually("the end is told", || server.control.closed() == 1);
    assert!(sent > 4 << 20, "the overdraft was not granted");
    // A thread that was writing when the connection closed drops what is queued, and may be told of it last.
    eventually("all is dropped", || connection.queued_bytes() == 0);
    eventually("all is given back", || overdraft.used() == 0);
}

#[test]
fn a_peer_with_more_than_its_cap_queued_is_closed_if_it_takes_it_at_less_than_the_pace() {
    let overdraft = Budget::new(64 << 20);
    let options = ServerOptions {
        outbound_bytes: 1 << 20,
        overdraft: Arc::clone(&overdraft),
        stall: SOON,
        frame_pace: 1 << 30,
        ..ServerOptions::default()
    };
    let server = serve(options);
    let mut peer = server.connect();
    eventually("it is accepted", || server.control.opened.lock().len() == 1);
    let connection = Arc::clone(&server.control.opened.lock()[0]);
    let push = bytes::Bytes::from(frame(&request(40, 1).one_way().with_body(vec![0; 50_000])));
    for _ in 0..1000 {
        assert!(connection.send(push.clone()));
    }
    while connection.is_open() {
        let _ = std::io::Read::read(&mut peer.socket, &mut [0; 100]);
    }
    eventually("it is counted", || server.listener.counts().stalled == 1);
    eventually("all is given back", || overdraft.used() == 0);
}

#[test]
fn a_peer_that_asks_without_reading_is_read_no_further_and_then_closed() {
    let options = ServerOptions {
        outbound_bytes: 1 << 20,
        stall: SOON,
        idle: LATE,
        ..ServerOptions::default()
    };
    let server = serve(options);
    let peer = server.connect();
    let mut command = request(SIZED, 0);
    command.fields.set("size", "100000");
    let bytes = frame(&command).repeat(64);
    let mut sending = &peer.socket;
    // Either the server has stopped reading, or it has closed: the writes end by themselves.
    sending
        .set_write_timeout(Some(SOON))
        .expect("a timeout can be set");
    while sending.write_all(&bytes).is_ok() {}
    eventually("it is closed", || server.listener.counts().stalled == 1);
    let opened = Arc::clone(&server.control.opened.lock()[0]);
    eventually("all is dropped", || opened.queued_bytes() == 0);
    assert_honest_clients_are_served(&server);
}

#[test]
fn a_connection_with_too_many_requests_in_flight_is_read_again_when_one_is_answered() {
    let server = serve(ServerOptions {
        requests_in_flight: 10,
        ..ServerOptions::default()
    });
    let mut peer = server.connect();
    let bytes: Vec<u8> = (0..50)
        .flat_map(|opaque| frame(&request(KEEP, opaque)))
        .collect();
    peer.send_bytes(&bytes);
    for answered in 0..50 {
        eventually("the next ones are read", || {
            server.control.kept.lock().len() == 10.min(50 - answered)
        });
        // The only net thread has had its turn: whatever it would read of the other connection, it has read.
        assert_honest_clients_are_served(&server);
        assert_eq!(server.control.kept.lock().len(), 10.min(50 - answered));
        server.control.release(1);
        assert_eq!(peer.receive().opaque, answered as i32);
    }
}

#[test]
fn a_request_waits_while_the_budget_is_used_up_and_goes_on_when_it_is_given_back() {
    let budget = Budget::new(100_000);
    let options = ServerOptions {
        budget: Arc::clone(&budget),
        patience: LATE,
        ..ServerOptions::default()
    };
    let server = serve(options);
    let (mut holder, mut waiter) = (server.connect(), server.connect());
    holder.send(&request(KEEP, 1).with_body(vec![0; 60_000]));
    eventually("the first is kept", || {
        server.control.kept.lock().len() == 1
    });
    for (seen, size) in [(0, 50_000), (2, 90_000)] {
        waiter.send(&request(ECHO, 2).with_body(vec![0; size]));
        eventually("the second waits for the rest of the budget", || {
            budget.used() == budget.limit()
        });
        assert_eq!(server.control.seen(), seen + 1);
        server.control.release(1);
        assert_eq!(holder.receive().opaque, 1);
        assert_eq!(waiter.receive().body.len(), size);
        holder.send(&request(KEEP, 1).with_body(vec![0; 60_000]));
        eventually("the first is kept again", || {
            server.control.kept.lock().len() == 1
        });
    }
    server.control.release(1);
    drop((holder, waiter));
    eventually("all is given back", || budget.used() == 0);
}

#[test]
fn a_request_for_which_the_budget_has_no_room_in_time_is_answered_busy_and_the_connection_stays() {
    let budget = Budget::new(600_000);
    let options = ServerOptions {
        budget: Arc::clone(&budget),
        patience: Duration::from_millis(20),
        ..ServerOptions::default()
    };
    let server = serve(options);
    let mut holder = server.connect();
    holder.send(&request(KEEP, 1).with_body(vec![0; 590_000]));
    eventually("the first is kept", || {
        server.control.kept.lock().len() == 1
    });
    for size in [20_000, 200_000, 3_000_000] {
        let mut peer = server.connect();
        let busy = peer.ask(&request(ECHO, 9).with_body(vec![0; size]));
        assert_eq!((busy.code, busy.opaque), (2, 9));
        assert_eq!(busy.remark.as_deref(), Some(OVERLOAD_REMARK));
        peer.send(&request(ECHO, 10).one_way().with_body(vec![0; size]));
        assert_eq!(
            peer.ask(&request(ECHO, 11)).code,
            0,
            "what is small still has room"
        );
    }
    assert_eq!(server.control.oneway.load(Ordering::SeqCst), 0);
    assert_eq!(server.listener.counts().no_room, 6);
    server.control.release(1);
    assert_eq!(holder.receive().opaque, 1);
    eventually("all is given back", || budget.used() == 0);
    assert_eq!(
        server
            .connect()
            .ask(&request(ECHO, 12).with_body(vec![0; 200_000]))
            .code,
        0
    );
}

#[test]
fn many_large_frames_at_once_stay_within_the_budget() {
    let budget = Budget::new(8 << 20);
    let options = ServerOptions {
        budget: Arc::clone(&budget),
        patience: Duration::from_millis(20),
        ..ServerOptions::default()
    };
    let server = serve(options);
    let address = server.listener.local_addr();
    let bytes = Arc::new(frame(&request(ECHO, 1).with_body(vec![0; 4 << 20])));
    let codes: Vec<i32> = std::thread::scope(|scope| {
        let senders: Vec<_> = (0..16)
            .map(|_| {
                let bytes = Arc::clone(&bytes);
                scope.spawn(move || {
                    let mut peer = support::RawClient::connect(address);
                    peer.send_bytes(&bytes);
                    peer.receive().code
                })
            })
            .collect();
        senders
            .into_iter()
            .map(|sender| sender.join().expect("an answer comes"))
            .collect()
    });
    assert!(codes.iter().all(|code| [0, 2].contains(code)), "{codes:?}");
    assert!(codes.contains(&0), "nobody came through: {codes:?}");
    eventually("all is given back", || budget.used() == 0);
}
