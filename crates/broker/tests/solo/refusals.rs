//! What is refused, with which code, and that nothing of it was stored.

use std::io::{Read, Write};
use std::net::TcpStream;

use bytes::BytesMut;
use tern_wire::codes::request as codes;
use tern_wire::headers::{PullRequest, SendRequest};
use tern_wire::{Command, FrameLimits, decode_frame, encode_frame, properties};

use crate::support::{
    PATIENCE, SoloBroker, message, pull, pull_header, request, send, send_header,
};

fn with_property(name: &str, value: &str) -> Command {
    let text = properties::to_text([(name, value)]).expect("a pair");
    send(&send_header("orders", 0, &text), b"m")
}

#[test]
fn sends_are_refused_by_rocketmqs_codes_and_nothing_is_stored() {
    let broker = SoloBroker::start_with(|options| options.settings.max_message_bytes = 1_000);
    assert_eq!(
        broker.client.call(message("orders", 0, "", "first")).code,
        0
    );
    let header = |topic| send_header(topic, 0, "");
    let long_name = "t".repeat(128);
    let long_dlq = format!("%DLQ%{long_name}");
    let refused = [
        (29, send(&header("../x"), b"m")),
        (29, send(&header("a\u{0}b"), b"m")),
        (29, send(&header("ünicode"), b"m")),
        (29, send(&header(""), b"m")),
        (29, send(&header(&long_name), b"m")),
        (13, send(&header(&long_dlq), b"m")),
        (16, send(&header("SCHEDULE_TOPIC_XXXX"), b"m")),
        (16, send(&header("RMQ_SYS_TRANS_HALF_TOPIC"), b"m")),
        (16, send(&header("rmq_sys_wheel_timer"), b"m")),
        (16, send(&header("rmq_sys_REVIVE_LOG_demo"), b"m")),
        (
            17,
            send(
                &SendRequest {
                    default_topic: "none",
                    ..header("unknown")
                },
                b"m",
            ),
        ),
        (26, send(&header("%RETRY%CG"), b"m")),
        (29, send(&send_header("orders", 4, ""), b"m")),
        (29, send(&send_header("orders", i32::MAX, ""), b"m")),
        (13, send(&header("orders"), b"")),
        (13, send(&header("orders"), &[0; 1_001])),
        (13, with_property("DELAY", "soon")),
        (13, with_property("TRAN_MSG", "true")),
        (13, with_property("TIMER_DELIVER_MS", "1")),
        (
            13,
            send(
                &SendRequest {
                    sys_flag: 4,
                    ..header("orders")
                },
                b"m",
            ),
        ),
        (
            13,
            send(
                &SendRequest {
                    batch: Some(true),
                    ..header("orders")
                },
                b"no batch",
            ),
        ),
        (29, request(codes::SEND_MESSAGE_V2, &[("b", "orders")])),
        (29, request(codes::SEND_MESSAGE, &[("topic", "orders")])),
    ];
    for (code, command) in refused {
        let topic = command.fields.get("b").map(str::to_owned);
        let answer = broker.client.call(command);
        assert_eq!(answer.code, code, "{topic:?}: {:?}", answer.remark);
        assert!(answer.remark.is_some_and(|remark| !remark.is_empty()));
    }
    let services = broker.node().services().unwrap();
    let state = services.views.state();
    assert_eq!(state.next_offset("orders", 0), 1);
    assert!(state.topic("unknown").is_none() && state.topic("%RETRY%CG").is_none());
}

#[test]
fn topics_of_the_cluster_and_of_traces_stay_writable() {
    let broker = SoloBroker::start();
    for topic in [
        "demo",
        "group-a",
        "RMQ_SYS_TRACE_TOPIC",
        "TBW102",
        "BenchmarkTest",
    ] {
        assert_eq!(
            broker.client.call(message(topic, -1, "", "m")).code,
            0,
            "{topic}"
        );
    }
}

#[test]
fn without_auto_creation_an_unknown_topic_is_refused() {
    let broker = SoloBroker::start_with(|options| options.auto_create_topic = false);
    let answer = broker.client.call(message("orders", 0, "", "m"));
    assert_eq!(answer.code, 17);
    assert_eq!(answer.fields.get("MSG_REGION"), Some("DefaultRegion"));
}

#[test]
fn pulls_are_refused_by_rocketmqs_codes() {
    let broker = SoloBroker::start();
    broker.client.call(message("orders", 0, "", "m"));
    let header = pull_header("CG", "orders", 0, 0);
    let refused = [
        (
            17,
            pull(&PullRequest {
                topic: "unknown",
                ..header
            }),
        ),
        (
            16,
            pull(&PullRequest {
                topic: "rmq_sys_SYNC_BROKER_MEMBER_group-a",
                ..header
            }),
        ),
        (
            29,
            pull(&PullRequest {
                queue_id: 4,
                ..header
            }),
        ),
        (
            29,
            pull(&PullRequest {
                queue_id: -1,
                ..header
            }),
        ),
        (
            29,
            pull(&PullRequest {
                topic: "../x",
                ..header
            }),
        ),
        (
            29,
            pull(&PullRequest {
                consumer_group: "../x",
                ..header
            }),
        ),
        (29, request(codes::PULL_MESSAGE, &[("topic", "orders")])),
        (
            29,
            request(
                codes::GET_MAX_OFFSET,
                &[("topic", "orders"), ("queueId", "x")],
            ),
        ),
        (29, request(codes::GET_CONSUMER_LIST_BY_GROUP, &[])),
    ];
    for (code, command) in refused {
        let answer = broker.client.call(command);
        assert_eq!(answer.code, code, "{:?}", answer.remark);
    }
}

#[test]
fn one_way_requests_are_never_answered_not_even_with_errors() {
    let broker = SoloBroker::start();
    let mut frames = BytesMut::new();
    for command in [
        request(codes::SEND_MESSAGE_V2, &[("b", "orders")]),
        request(codes::PULL_MESSAGE, &[]),
        request(codes::QUERY_CONSUMER_OFFSET, &[]),
        request(codes::UPDATE_CONSUMER_OFFSET, &[]),
        request(codes::HEART_BEAT, &[]).with_body(&b"x"[..]),
        request(codes::UNREGISTER_CLIENT, &[]),
        request(codes::GET_CONSUMER_LIST_BY_GROUP, &[]),
        request(9_999, &[]),
        message("../x", 0, "", "m"),
        message("orders", 0, "", "m"),
        pull(&pull_header("CG", "unknown", 0, 0)),
    ] {
        encode_frame(&command.one_way(), &mut frames).expect("a small frame");
    }
    // Each of these two is answered after whatever is answered before it: by the log, and at once.
    for (opaque, command) in [
        (70, message("orders", 0, "", "m")),
        (71, request(9_999, &[])),
    ] {
        encode_frame(&Command { opaque, ..command }, &mut frames).expect("a small frame");
    }
    let mut socket = TcpStream::connect(broker.address()).expect("it listens");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    socket.write_all(&frames).expect("it reads");
    let mut answered = [next_answer(&mut socket), next_answer(&mut socket)];
    answered.sort_unstable();
    assert_eq!(answered, [70, 71]);
}

/// The opaque of the next frame.
fn next_answer(socket: &mut TcpStream) -> i32 {
    let mut length = [0; 4];
    socket.read_exact(&mut length).expect("an answer");
    let mut frame = vec![0; u32::from_be_bytes(length) as usize];
    socket.read_exact(&mut frame).expect("a whole answer");
    decode_frame(frame.into(), &FrameLimits::default())
        .expect("a frame")
        .opaque
}
