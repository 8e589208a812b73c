//! What crosses the bridge between the net threads and an event loop.

#[path = "../../net/tests/support/mod.rs"]
mod support;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use support::{PATIENCE, RawClient, binary, eventually, request, runtime};
use tern_bridge::{Bridge, BridgeAnswer, BridgeEvent};
use tern_net::{
    CallError, CallSink, Client, ClientOptions, Listener, OVERLOAD_REMARK, ServerOptions, listen,
};
use tern_wire::{Command, Fields};
use tokio::runtime::Runtime;

struct BridgeSide {
    bridge: Arc<Bridge<Infallible>>,
    listener: Listener,
    runtime: Runtime,
}

fn side(max_pending: usize, max_pending_bytes: usize) -> BridgeSide {
    let bridge = Bridge::new(max_pending, max_pending_bytes).expect("a descriptor");
    let runtime = runtime();
    let handler = Arc::clone(&bridge) as _;
    let listener = listen(
        runtime.handle(),
        support::any_port(),
        handler,
        ServerOptions::default(),
    );
    BridgeSide {
        bridge,
        listener: listener.expect("a port is free"),
        runtime,
    }
}

impl BridgeSide {
    fn connect(&self) -> RawClient {
        RawClient::connect(self.listener.local_addr())
    }

    fn wait_for(&self, count: usize) -> Vec<BridgeEvent<Infallible>> {
        eventually("events come", || self.bridge.queue().len() >= count);
        let events = self.bridge.drain();
        assert_eq!(events.len(), count, "{events:?}");
        events
    }

    fn answer(&self, request_id: u64, body: &'static str) {
        let mut fields = Fields::new();
        fields.set("a", "b");
        let body = Bytes::from(body);
        self.bridge.answer([BridgeAnswer {
            request_id,
            code: 0,
            remark: None,
            fields,
            body,
        }]);
    }
}

fn id_of(event: &BridgeEvent<Infallible>) -> u64 {
    match event {
        BridgeEvent::Request { request_id, .. } | BridgeEvent::Push { request_id, .. } => {
            *request_id
        }
        other => panic!("no request: {other:?}"),
    }
}

#[test]
fn a_request_becomes_an_event_and_its_answer_goes_back_in_its_header_form() {
    let side = side(10, 1 << 20);
    let mut peer = side.connect();
    for command in [request(105, 7), binary(request(105, 8))] {
        peer.send(&command.clone().with_body("in"));
        let events = side.wait_for(1);
        let BridgeEvent::Request {
            request_id,
            peer: from,
            command: came,
            ..
        } = &events[0]
        else {
            panic!("{events:?}")
        };
        assert_eq!(*from, peer.socket.local_addr().expect("it has an address"));
        assert_eq!((came.code, &came.body[..]), (105, &b"in"[..]));
        side.answer(*request_id, "out");
        let answer = peer.receive();
        assert_eq!(
            (answer.opaque, answer.encoding),
            (command.opaque, command.encoding)
        );
        assert_eq!(
            (answer.fields.get("a"), &answer.body[..]),
            (Some("b"), &b"out"[..])
        );
    }
    assert_eq!(side.bridge.pending(), 0);
}

#[test]
fn a_request_beyond_the_bound_is_answered_busy_at_once_and_the_others_are_kept() {
    let side = side(10, 1 << 20);
    let mut peer = side.connect();
    for opaque in 0..15 {
        peer.send(&request(105, opaque));
    }
    for opaque in 10..15 {
        let busy = peer.receive();
        assert_eq!((busy.opaque, busy.code), (opaque, 2));
        assert_eq!(busy.remark.as_deref(), Some(OVERLOAD_REMARK));
    }
    let events = side.wait_for(10);
    peer.send(&request(105, 99));
    assert_eq!(
        peer.receive().code,
        2,
        "what was taken and not answered still counts"
    );
    for event in &events {
        side.answer(id_of(event), "");
    }
    for opaque in 0..10 {
        assert_eq!(peer.receive().opaque, opaque);
    }
    assert_eq!((side.bridge.pending(), side.bridge.refused()), (0, 6));
}

#[test]
fn requests_are_bounded_in_bytes_too_but_one_always_passes() {
    let side = side(100, 10_000);
    let mut peer = side.connect();
    peer.send(&request(105, 1).with_body(vec![0; 50_000]));
    peer.send(&request(105, 2));
    let busy = peer.receive();
    assert_eq!((busy.opaque, busy.code), (2, 2));
    side.answer(id_of(&side.wait_for(1)[0]), "");
    assert_eq!(peer.receive().opaque, 1);
    peer.send(&request(105, 3));
    side.answer(id_of(&side.wait_for(1)[0]), "");
    assert_eq!(peer.receive().opaque, 3);
}

#[test]
fn one_way_requests_count_until_they_are_taken_and_are_dropped_without_an_answer_when_there_is_no_room()
 {
    let side = side(3, 1 << 20);
    let mut peer = side.connect();
    for opaque in 0..5 {
        peer.send(&request(34, opaque).one_way());
    }
    peer.send(&request(105, 5));
    assert_eq!(
        peer.receive().opaque,
        5,
        "the first answer is the one to the request that wants one"
    );
    let events = side.wait_for(3);
    assert!(events.iter().all(|event| id_of(event) == 0));
    assert_eq!((side.bridge.pending(), side.bridge.refused()), (0, 3));
}

#[test]
fn the_end_of_a_connection_is_an_event_only_if_it_had_sent_a_request() {
    let side = side(10, 1 << 20);
    drop(side.connect());
    eventually("it is gone", || {
        side.listener.counts().accepted == 1 && side.listener.counts().open == 0
    });
    assert!(side.bridge.queue().is_empty());
    let mut peer = side.connect();
    peer.send(&request(105, 1));
    let events = side.wait_for(1);
    let BridgeEvent::Request {
        connection_id: asked_by,
        ..
    } = events[0]
    else {
        panic!("{events:?}")
    };
    drop(peer);
    let ended = side.wait_for(1);
    assert!(
        matches!(ended[0], BridgeEvent::Closed { connection_id, .. } if connection_id == asked_by),
        "{ended:?}"
    );
    assert_eq!(
        side.bridge.pending(),
        0,
        "nobody waits for its answer any more"
    );
    side.answer(id_of(&events[0]), "too late");
    side.answer(12_345, "never asked");
}

#[test]
fn calls_end_as_events_and_pushes_are_requests_of_the_other_direction() {
    let side = side(10, 1 << 20);
    let other = Bridge::<Infallible>::new(10, 1 << 20).expect("a descriptor");
    let client = Client::new(
        side.runtime.handle(),
        Arc::clone(&other) as _,
        ClientOptions::default(),
    );
    let sink: Arc<dyn CallSink> = Arc::clone(&other) as _;
    let address: Arc<str> = side.listener.local_addr().to_string().into();
    let call = |id, command: Command, timeout| tern_net::Call {
        id,
        address: Arc::clone(&address),
        command,
        timeout,
    };
    client.start_calls(
        [
            call(1, request(105, 0), PATIENCE),
            call(2, request(105, 0), Duration::from_millis(50)),
        ],
        &sink,
    );
    let asked = side.wait_for(2);
    side.answer(id_of(&asked[0]), "one");
    eventually("both calls end", || other.queue().len() == 2);
    let ended = other.drain();
    assert!(
        matches!(&ended[0], BridgeEvent::Answer { call_id: 1, command } if &command.body[..] == b"one"),
        "{ended:?}"
    );
    assert!(
        matches!(
            &ended[1],
            BridgeEvent::Failed {
                call_id: 2,
                error: CallError::TimedOut { .. }
            }
        ),
        "{ended:?}"
    );

    side.listener.connections()[0].send_command(request(40, 3));
    eventually("the push comes", || other.queue().len() == 1);
    let pushed = other.drain();
    assert!(
        matches!(&pushed[0], BridgeEvent::Push { command, .. } if command.code == 40),
        "{pushed:?}"
    );
    let answer = BridgeAnswer {
        request_id: id_of(&pushed[0]),
        code: 0,
        remark: None,
        fields: Fields::new(),
        body: Bytes::new(),
    };
    other.answer([answer]);
    eventually("the server has its answer", || {
        side.listener.counts().unexpected_answers == 1
    });

    client.close();
    eventually("the end is told", || other.queue().len() == 1);
    assert!(
        matches!(&other.drain()[0], BridgeEvent::Disconnected { address: from } if *from == address)
    );
}
