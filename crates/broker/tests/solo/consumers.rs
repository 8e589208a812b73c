//! Clients that register: heartbeats, members, pushes, subscriptions.

use serde_json::json;
use tern_wire::codes::request as codes;
use tern_wire::headers::PullRequest;
use tern_wire::{Command, sys_flag};

use crate::support::{
    PATIENCE, SoloBroker, TestCaller, bodies, message, pull, pull_header, request, wait_for,
};

fn heartbeat(
    client: &TestCaller,
    id: &str,
    group: &str,
    topic: &str,
    filter: &str,
    version: i64,
) -> Command {
    let body = json!({
        "clientID": id,
        "consumerDataSet": [{
            "groupName": group,
            "consumeType": "CONSUME_PASSIVELY",
            "messageModel": "CLUSTERING",
            "consumeFromWhere": "CONSUME_FROM_FIRST_OFFSET",
            "subscriptionDataSet": [{"topic": topic, "subString": filter, "subVersion": version, "expressionType": "TAG"}],
            "unitMode": false,
        }],
        "producerDataSet": [],
        "heartbeatFingerprint": 0,
        "withoutSub": false,
    });
    client.call(request(codes::HEART_BEAT, &[]).with_body(body.to_string().into_bytes()))
}

fn members(client: &TestCaller, group: &str) -> (i32, String) {
    let answer = client.call(request(
        codes::GET_CONSUMER_LIST_BY_GROUP,
        &[("consumerGroup", group)],
    ));
    (
        answer.code,
        String::from_utf8_lossy(&answer.body).into_owned(),
    )
}

/// A pull by the subscription of the last heartbeat.
fn registered<'a>(group: &'a str, topic: &'a str, version: i64) -> PullRequest<'a> {
    PullRequest {
        sys_flag: 0,
        subscription: None,
        subscription_version: version,
        ..pull_header(group, topic, 0, 0)
    }
}

#[test]
fn members_are_listed_and_told_of_each_other() {
    let broker = SoloBroker::start();
    let first = broker.another_client();
    let second = broker.another_client();
    let beat = heartbeat(&first, "10.0.0.1@1", "CG", "orders", "*", 1);
    assert_eq!(
        (beat.code, beat.fields.get("IS_SUPPORT_HEART_BEAT_V2")),
        (0, Some("true"))
    );
    assert_eq!(
        first.pushes.recv_timeout(PATIENCE).unwrap().code,
        codes::NOTIFY_CONSUMER_IDS_CHANGED
    );
    heartbeat(&second, "10.0.0.2@1", "CG", "orders", "*", 1);
    let push = first.pushes.recv_timeout(PATIENCE).unwrap();
    assert!(push.is_oneway());
    assert_eq!(push.fields.get("consumerGroup"), Some("CG"));
    let both = r#"{"consumerIdList":["10.0.0.1@1","10.0.0.2@1"]}"#;
    assert_eq!(members(&first, "CG"), (0, both.to_owned()));

    second.hang_up();
    assert_eq!(
        first
            .pushes
            .recv_timeout(PATIENCE)
            .unwrap()
            .fields
            .get("consumerGroup"),
        Some("CG")
    );
    assert_eq!(
        members(&first, "CG").1,
        r#"{"consumerIdList":["10.0.0.1@1"]}"#
    );

    let fields = [("clientID", "10.0.0.1@1"), ("consumerGroup", "CG")];
    assert_eq!(
        first.call(request(codes::UNREGISTER_CLIENT, &fields)).code,
        0
    );
    assert_eq!(members(&first, "CG").0, 1);
}

#[test]
fn a_heartbeat_creates_the_group_and_its_retry_topic() {
    let broker = SoloBroker::start();
    heartbeat(&broker.client, "c", "CG", "orders", "*", 1);
    let services = broker.node().services().unwrap();
    wait_for("they exist", || {
        let state = services.views.state();
        state.group("CG").is_some() && state.topic("%RETRY%CG").is_some()
    });
}

#[test]
fn without_auto_creation_a_heartbeat_creates_nothing_and_is_answered_all_the_same() {
    let broker = SoloBroker::start_with(|options| options.settings.auto_create_group = false);
    broker.client.call(message("orders", 0, "", "m"));
    assert_eq!(
        heartbeat(&broker.client, "c", "CG", "orders", "*", 1).code,
        0
    );
    assert_eq!(
        broker
            .client
            .call(pull(&pull_header("CG", "orders", 0, 0)))
            .code,
        26
    );
    assert!(
        broker
            .node()
            .services()
            .unwrap()
            .views
            .state()
            .group("CG")
            .is_none()
    );
    assert_eq!(
        broker
            .client
            .call(pull(&pull_header("TOOLS_CONSUMER", "orders", 0, 0)))
            .code,
        0
    );
}

#[test]
fn a_pull_without_a_subscription_takes_that_of_the_heartbeat() {
    let broker = SoloBroker::start();
    broker.client.call(message("orders", 0, "a", "not wanted"));
    broker.client.call(message("orders", 0, "b", "wanted"));
    assert_eq!(
        broker
            .client
            .call(pull(&registered("CG", "orders", 5)))
            .code,
        24
    );
    heartbeat(&broker.client, "c", "CG", "others", "*", 5);
    assert_eq!(
        broker
            .client
            .call(pull(&registered("CG", "orders", 5)))
            .code,
        24
    );
    heartbeat(&broker.client, "c", "CG", "orders", "b", 5);
    assert_eq!(
        bodies(&broker.client.call(pull(&registered("CG", "orders", 5)))),
        ["wanted"]
    );
    assert_eq!(
        broker
            .client
            .call(pull(&registered("CG", "orders", 6)))
            .code,
        25
    );
}

#[test]
fn an_older_subscription_does_not_blind_a_consumer_that_wants_everything() {
    let broker = SoloBroker::start();
    broker.client.call(message("orders", 0, "a", "m"));
    heartbeat(&broker.client, "c", "CG", "orders", "*", 5);
    assert_eq!(
        bodies(&broker.client.call(pull(&registered("CG", "orders", 6)))),
        ["m"]
    );
}

#[test]
fn a_broken_heartbeat_is_answered_and_the_connection_stays() {
    let broker = SoloBroker::start();
    let half = request(codes::HEART_BEAT, &[]).with_body(&b"{\"clientID\":"[..]);
    assert_eq!(broker.client.call(half).code, 1);
    assert_eq!(
        heartbeat(&broker.client, "c", "CG", "orders", "*", 1).code,
        0
    );
}

#[test]
fn a_class_filter_or_sql_is_refused_by_name() {
    let broker = SoloBroker::start();
    broker.client.call(message("orders", 0, "a", "m"));
    let sql = PullRequest {
        expression_type: Some("SQL92"),
        ..pull_header("CG", "orders", 0, 0)
    };
    assert_eq!(broker.client.call(pull(&sql)).code, 1);
    let bars = PullRequest {
        subscription: Some("||"),
        ..pull_header("CG", "orders", 0, 0)
    };
    assert_eq!(broker.client.call(pull(&bars)).code, 23);
    let flags = sys_flag::pull::SUBSCRIPTION | sys_flag::pull::CLASS_FILTER;
    let class = PullRequest {
        sys_flag: flags,
        ..pull_header("CG", "orders", 0, 0)
    };
    assert_eq!(broker.client.call(pull(&class)).code, 1);
}
