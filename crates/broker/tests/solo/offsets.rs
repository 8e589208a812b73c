//! Consumer offsets and queue offsets.

use tern_wire::Command;
use tern_wire::codes::request as codes;

use crate::support::{SoloBroker, TestCaller, message, number, pull, pull_header, request};

fn commit(offset: &str) -> Command {
    let fields = [
        ("consumerGroup", "CG"),
        ("topic", "orders"),
        ("queueId", "0"),
        ("commitOffset", offset),
    ];
    request(codes::UPDATE_CONSUMER_OFFSET, &fields)
}

fn query(client: &TestCaller, extra: &[(&str, &str)]) -> Result<i64, i32> {
    let fields = [
        &[
            ("consumerGroup", "CG"),
            ("topic", "orders"),
            ("queueId", "0"),
        ],
        extra,
    ]
    .concat();
    let answer = client.call(request(codes::QUERY_CONSUMER_OFFSET, &fields));
    if answer.code == 0 {
        Ok(number(&answer, "offset"))
    } else {
        Err(answer.code)
    }
}

fn broker_with_messages(count: usize) -> SoloBroker {
    let broker = SoloBroker::start();
    for _ in 0..count {
        assert_eq!(broker.client.call(message("orders", 0, "", "m")).code, 0);
    }
    broker
}

#[test]
fn a_query_right_behind_a_one_way_commit_sees_it() {
    let broker = broker_with_messages(60);
    assert_eq!(
        broker
            .client
            .call(pull(&pull_header("CG", "orders", 0, 0)))
            .code,
        0
    );
    for offset in 1..=60 {
        broker.client.one_way(commit(&offset.to_string()));
        assert_eq!(query(&broker.client, &[]), Ok(offset));
    }
}

#[test]
fn a_one_way_commit_never_lowers_an_offset_and_an_answered_one_may() {
    let broker = broker_with_messages(9);
    assert_eq!(broker.client.call(commit("7")).code, 0);
    broker.client.one_way(commit("3"));
    assert_eq!(query(&broker.client, &[]), Ok(7));
    broker.client.one_way(commit("8"));
    assert_eq!(broker.client.call(commit("2")).code, 0);
    assert_eq!(query(&broker.client, &[]), Ok(2));
}

#[test]
fn an_offset_past_the_end_of_its_queue_is_cut_to_it() {
    let broker = broker_with_messages(4);
    assert_eq!(broker.client.call(commit("9223372036854775807")).code, 0);
    assert_eq!(query(&broker.client, &[]), Ok(4));
}

#[test]
fn a_commit_creates_its_group_and_not_its_topic() {
    let broker = broker_with_messages(1);
    assert_eq!(broker.client.call(commit("1")).code, 0);
    assert!(
        broker
            .node()
            .services()
            .unwrap()
            .views
            .state()
            .group("CG")
            .is_some()
    );
    let fields = [
        ("consumerGroup", "CG"),
        ("topic", "unknown"),
        ("queueId", "0"),
        ("commitOffset", "1"),
    ];
    assert_eq!(
        broker
            .client
            .call(request(codes::UPDATE_CONSUMER_OFFSET, &fields))
            .code,
        17
    );
}

#[test]
fn commits_out_of_range_are_refused() {
    let broker = broker_with_messages(1);
    assert_eq!(broker.client.call(commit("-1")).code, 29);
    for queue_id in ["-1", "4", "2147483647"] {
        let fields = [
            ("consumerGroup", "CG"),
            ("topic", "orders"),
            ("queueId", queue_id),
            ("commitOffset", "1"),
        ];
        assert_eq!(
            broker
                .client
                .call(request(codes::UPDATE_CONSUMER_OFFSET, &fields))
                .code,
            29,
            "{queue_id}"
        );
    }
}

#[test]
fn a_group_without_an_offset_begins_at_zero_on_a_young_queue() {
    let broker = broker_with_messages(5);
    assert_eq!(query(&broker.client, &[]), Ok(0));
    assert_eq!(
        query(&broker.client, &[("setZeroIfNotFound", "false")]),
        Err(22)
    );
}

#[test]
fn queue_offsets_are_fresh() {
    let broker = SoloBroker::start();
    let queue = [("topic", "orders"), ("queueId", "0")];
    let ask =
        |code, extra: &[(&str, &str)]| broker.client.call(request(code, &[&queue, extra].concat()));
    assert_eq!(
        number(&ask(codes::GET_EARLIEST_MSG_STORETIME, &[]), "timestamp"),
        -1
    );
    for count in 1..=20 {
        broker.client.call(message("orders", 0, "", "m"));
        assert_eq!(number(&ask(codes::GET_MAX_OFFSET, &[]), "offset"), count);
    }
    assert_eq!(number(&ask(codes::GET_MIN_OFFSET, &[]), "offset"), 0);
    let oldest = number(&ask(codes::GET_EARLIEST_MSG_STORETIME, &[]), "timestamp");
    let search = |time: i64, boundary| {
        let time = time.to_string();
        number(
            &ask(
                codes::SEARCH_OFFSET_BY_TIMESTAMP,
                &[("timestamp", &time), ("boundaryType", boundary)],
            ),
            "offset",
        )
    };
    assert_eq!(
        (
            search(oldest, "LOWER"),
            search(0, "LOWER"),
            search(-5, "lower")
        ),
        (0, 0, 0)
    );
    assert_eq!(
        (search(oldest + 600_000, "LOWER"), search(i64::MAX, "UPPER")),
        (20, 19)
    );
    assert_eq!(search(oldest - 1, "UPPER"), 0);
}
