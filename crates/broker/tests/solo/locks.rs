//! Queue locks of orderly consumers.

use serde_json::{Value, json};
use tern_wire::Command;
use tern_wire::codes::request as codes;

use crate::support::{SoloBroker, TestCaller, message, pull, pull_header, request, wait_for};

fn body(client: &str, queues: &[i32]) -> Vec<u8> {
    let queues: Vec<Value> = queues
        .iter()
        .map(|queue| json!({"brokerName": "group-a", "queueId": queue, "topic": "orders"}))
        .collect();
    json!({"clientId": client, "consumerGroup": "CG", "mqSet": queues, "onlyThisBroker": false})
        .to_string()
        .into_bytes()
}

fn lock(caller: &TestCaller, client: &str, queues: &[i32]) -> Vec<i64> {
    let answer = caller.call(request(codes::LOCK_BATCH_MQ, &[]).with_body(body(client, queues)));
    assert_eq!(answer.code, 0, "{answer:?}");
    let body: Value = serde_json::from_slice(&answer.body).expect("JSON");
    let queues = body["lockOKMQSet"].as_array().expect("a list");
    queues
        .iter()
        .map(|queue| queue["queueId"].as_i64().expect("a number"))
        .collect()
}

fn unlock(client: &str, queues: &[i32]) -> Command {
    request(codes::UNLOCK_BATCH_MQ, &[]).with_body(body(client, queues))
}

/// With the topic and the group.
fn broker() -> SoloBroker {
    let broker = SoloBroker::start();
    broker.client.call(message("orders", 0, "", "m"));
    broker.client.call(pull(&pull_header("CG", "orders", 0, 0)));
    broker
}

#[test]
fn a_queue_belongs_to_one_client_also_after_a_restart() {
    let mut broker = broker();
    assert_eq!(lock(&broker.client, "a", &[0, 1]), [0, 1]);
    assert_eq!(lock(&broker.client, "b", &[0, 1, 2]), [2]);
    broker.restart();
    assert_eq!(lock(&broker.client, "b", &[0, 1, 2]), [2]);
    assert_eq!(lock(&broker.client, "a", &[0, 1, 2]), [0, 1]);
}

#[test]
fn a_client_gives_up_its_own_locks_only() {
    let broker = broker();
    lock(&broker.client, "a", &[0, 1]);
    assert_eq!(broker.client.call(unlock("b", &[0, 1])).code, 0);
    assert_eq!(lock(&broker.client, "b", &[0, 1]), [0_i64; 0]);
    broker.client.one_way(unlock("a", &[0]));
    wait_for("the queue is free", || {
        lock(&broker.client, "b", &[0, 1]) == [0]
    });
}

#[test]
fn a_group_that_nobody_announced_gets_its_locks_all_the_same() {
    let broker = SoloBroker::start();
    broker.client.call(message("orders", 0, "", "m"));
    assert_eq!(lock(&broker.client, "a", &[3]), [3]);
    let services = broker.node().services().expect("it serves");
    assert!(services.views.state().group("CG").is_some());
}
