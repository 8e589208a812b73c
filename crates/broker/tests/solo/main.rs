//! One real node in mode multi-master, on loopback and a real disk: what its clients see.

mod consumers;
mod delays;
mod deletion;
mod keys;
mod locks;
mod lookups;
mod offsets;
mod properties;
mod refusals;
mod retries;
mod stalls;
mod support;

use std::time::Duration;

use support::{
    PATIENCE, SoloBroker, bodies, long_poll, message, number, pull, pull_header, records, request,
    send, send_header, wait_for,
};
use tern_wire::codes::request as codes;
use tern_wire::headers::{PullRequest, SendRequest};
use tern_wire::{batch, message_id, properties as property_text, sys_flag};

#[test]
fn a_message_to_an_unknown_topic_creates_it_and_is_pulled_as_it_was_sent() {
    let broker = SoloBroker::start();
    let text = property_text::to_text([
        ("TAGS", "a"),
        ("KEYS", "k1"),
        ("UNIQ_KEY", "U1"),
        ("WAIT", "true"),
    ])
    .unwrap();
    let sent = broker
        .client
        .call(send(&send_header("orders", 2, &text), b"hello"));
    assert_eq!(sent.code, 0, "{sent:?}");
    assert_eq!(
        (number(&sent, "queueId"), number(&sent, "queueOffset")),
        (2, 0)
    );
    assert_eq!(sent.fields.get("transactionId"), Some("U1"));
    assert_eq!(sent.fields.get("MSG_REGION"), Some("DefaultRegion"));

    let answer = broker.client.call(pull(&pull_header("CG", "orders", 2, 0)));
    assert_eq!((answer.code, answer.remark.as_deref()), (0, Some("FOUND")));
    assert_eq!(
        (
            number(&answer, "nextBeginOffset"),
            number(&answer, "maxOffset")
        ),
        (1, 1)
    );
    assert_eq!(number(&answer, "suggestWhichBrokerId"), 0);
    let stored = records(&answer);
    assert_eq!(
        (stored.len(), stored[0].body(), stored[0].topic()),
        (1, &b"hello"[..], "orders")
    );
    let id = message_id::offset_id(stored[0].store_host(), stored[0].physical_offset());
    assert_eq!(sent.fields.get("msgId"), Some(&*id));
    stored[0].check_crc().unwrap();
    for (name, value) in [
        ("TAGS", "a"),
        ("KEYS", "k1"),
        ("UNIQ_KEY", "U1"),
        ("CLUSTER", "demo"),
    ] {
        assert_eq!(
            property_text::get(stored[0].properties(), name),
            Some(value)
        );
    }
    assert_eq!(property_text::get(stored[0].properties(), "WAIT"), None);
    let services = broker.node().services().unwrap();
    let state = services.views.state();
    assert_eq!(state.topic("orders").unwrap().config.write_queues, 4);
    assert!(state.group("CG").is_some() && state.topic("%RETRY%CG").is_some());
}

#[test]
fn sends_that_meet_at_an_unknown_topic_are_all_stored() {
    let broker = SoloBroker::start();
    let answers: Vec<_> = (0..50)
        .map(|number| {
            broker
                .client
                .begin(message("fresh", -1, "", &format!("m{number}")))
        })
        .collect();
    for answer in answers {
        assert_eq!(answer.recv_timeout(PATIENCE).unwrap().code, 0);
    }
    let mut all = Vec::new();
    for queue_id in 0..4 {
        all.extend(bodies(
            &broker
                .client
                .call(pull(&pull_header("CG", "fresh", queue_id, 0))),
        ));
    }
    all.sort_by_key(|body| body[1..].parse::<u32>().unwrap());
    assert_eq!(
        all,
        (0..50)
            .map(|number| format!("m{number}"))
            .collect::<Vec<_>>()
    );
}

#[test]
fn a_request_with_long_names_is_a_send_as_well() {
    let broker = SoloBroker::start();
    let mut command = request(codes::SEND_MESSAGE, &[]).with_body(&b"m"[..]);
    send_header("orders", 0, "").encode_v1(&mut command.fields);
    let sent = broker.client.call(command);
    assert_eq!(sent.code, 0);
    let made = sent
        .fields
        .get("transactionId")
        .expect("a key is made for a message without one");
    assert_eq!(made.len(), 32);
}

#[test]
fn a_batch_is_stored_as_messages_in_a_row() {
    let broker = SoloBroker::start();
    let mut body = Vec::new();
    for number in 0..3 {
        let text = property_text::to_text([("UNIQ_KEY", &*format!("A{number}"))]).unwrap();
        let item = format!("m{number}");
        batch::encode(
            &batch::Item {
                flag: 0,
                body: item.as_bytes(),
                properties: (&*text).into(),
            },
            &mut body,
        )
        .unwrap();
    }
    broker.client.call(message("orders", 1, "", "before"));
    let header = SendRequest {
        batch: Some(true),
        ..send_header("orders", 1, "UNIQ_KEY\u{1}ALL\u{2}")
    };
    let mut command = send(&header, &body);
    command.code = codes::SEND_BATCH_MESSAGE;
    let sent = broker.client.call(command);
    assert_eq!(
        (sent.code, number(&sent, "queueOffset")),
        (0, 1),
        "{sent:?}"
    );
    let answer = broker.client.call(pull(&pull_header("CG", "orders", 1, 1)));
    assert_eq!(bodies(&answer), ["m0", "m1", "m2"]);
    let ids: Vec<_> = records(&answer)
        .iter()
        .map(|record| message_id::offset_id(record.store_host(), record.physical_offset()))
        .collect();
    assert_eq!(sent.fields.get("msgId"), Some(&*ids.join(",")));
    assert_eq!(sent.fields.get("transactionId"), Some("ALL"));
    let keys: Vec<_> = records(&answer)
        .iter()
        .map(|r| property_text::get(r.properties(), "UNIQ_KEY"))
        .collect();
    assert_eq!(keys, [Some("A0"), Some("A1"), Some("A2")]);
}

#[test]
fn a_one_way_send_is_stored_and_not_answered() {
    let broker = SoloBroker::start();
    broker.client.one_way(message("orders", 0, "", "m"));
    let services = broker.node().services().unwrap();
    wait_for("it is stored", || {
        services.views.state().next_offset("orders", 0) == 1
    });
}

#[test]
fn a_pull_that_finds_nothing_waits_until_a_message_for_its_filter_arrives() {
    let broker = SoloBroker::start();
    broker
        .client
        .call(message("orders", 1, "", "creates the topic"));
    let waiting = broker.client.begin(pull(&long_poll(
        "CG",
        "orders",
        "b",
        Duration::from_secs(15),
    )));
    broker.wait_for_parked(1);
    broker.client.call(message("orders", 0, "a", "not wanted"));
    broker
        .client
        .call(message("orders", 1, "b", "of another queue"));
    broker.wait_for_parked(1);
    assert!(waiting.try_recv().is_err());
    broker.client.call(message("orders", 0, "b", "wanted"));
    let answer = waiting.recv_timeout(PATIENCE).unwrap();
    assert_eq!(
        (answer.code, bodies(&answer)),
        (0, vec!["wanted".to_owned()])
    );
    assert_eq!(number(&answer, "nextBeginOffset"), 2);
    broker.wait_for_parked(0);
}

#[test]
fn a_pull_that_waited_in_vain_is_told_where_to_go_on() {
    let broker = SoloBroker::start();
    broker
        .client
        .call(message("orders", 1, "", "creates the topic"));
    let short = Duration::from_millis(100);
    let answer = broker
        .client
        .call(pull(&long_poll("CG", "orders", "*", short)));
    assert_eq!((answer.code, number(&answer, "nextBeginOffset")), (19, 0));

    let waiting = broker.client.begin(pull(&long_poll(
        "CG",
        "orders",
        "b",
        Duration::from_millis(600),
    )));
    broker.wait_for_parked(1);
    broker.client.call(message("orders", 0, "a", "not wanted"));
    let answer = waiting.recv_timeout(PATIENCE).unwrap();
    assert_eq!((answer.code, number(&answer, "nextBeginOffset")), (20, 1));
}

#[test]
fn a_filter_that_matches_nothing_moves_on_at_once() {
    let broker = SoloBroker::start();
    (0..3).for_each(|_| drop(broker.client.call(message("orders", 0, "a", "m"))));
    let answer = broker.client.call(pull(&long_poll(
        "CG",
        "orders",
        "b",
        Duration::from_secs(60),
    )));
    assert_eq!((answer.code, number(&answer, "nextBeginOffset")), (20, 3));
}

#[test]
fn an_offset_outside_of_the_queue_is_corrected() {
    let broker = SoloBroker::start();
    (0..3).for_each(|_| drop(broker.client.call(message("orders", 0, "", "m"))));
    for (queue_id, begin, next) in [(0, 4, 3), (0, i64::MAX, 3), (0, -1, 0), (1, 7, 0)] {
        let header = PullRequest {
            queue_id,
            queue_offset: begin,
            ..long_poll("CG", "orders", "*", Duration::from_secs(15))
        };
        let answer = broker.client.call(pull(&header));
        assert_eq!(
            (answer.code, number(&answer, "nextBeginOffset")),
            (21, next),
            "{begin}"
        );
    }
}

#[test]
fn a_pull_answer_has_as_many_messages_as_were_asked_for_and_1024_at_most() {
    let broker = SoloBroker::start();
    let sends: Vec<_> = (0..1_030)
        .map(|_| broker.client.begin(message("orders", 0, "", "m")))
        .collect();
    for sent in sends {
        assert_eq!(sent.recv_timeout(PATIENCE).unwrap().code, 0);
    }
    for (asked, given) in [(i32::MAX, 1_024), (33, 33), (5, 5), (0, 1)] {
        let header = PullRequest {
            max_messages: asked,
            ..pull_header("CG", "orders", 0, 0)
        };
        assert_eq!(bodies(&broker.client.call(pull(&header))).len(), given);
    }
}

#[test]
fn a_restart_keeps_messages_topics_groups_and_offsets() {
    let mut broker = SoloBroker::start();
    for number in 0..100 {
        assert_eq!(
            broker
                .client
                .call(message("orders", 0, "", &format!("m{number}")))
                .code,
            0
        );
    }
    let big = "x".repeat(3 << 20);
    assert_eq!(broker.client.call(message("orders", 1, "", &big)).code, 0);
    broker.client.call(pull(&pull_header("CG", "orders", 0, 0)));
    let commit = [
        ("consumerGroup", "CG"),
        ("topic", "orders"),
        ("queueId", "0"),
        ("commitOffset", "40"),
    ];
    assert_eq!(
        broker
            .client
            .call(request(codes::UPDATE_CONSUMER_OFFSET, &commit))
            .code,
        0
    );
    let before = broker.node().services().unwrap().views.state().hash();

    broker.restart();
    let offset = broker
        .client
        .call(request(codes::QUERY_CONSUMER_OFFSET, &commit[..3]));
    assert_eq!((offset.code, number(&offset, "offset")), (0, 40));
    let answer = broker
        .client
        .call(pull(&pull_header("CG", "orders", 0, 68)));
    assert_eq!(
        bodies(&answer),
        (68..100)
            .map(|number| format!("m{number}"))
            .collect::<Vec<_>>()
    );
    assert_eq!(
        bodies(&broker.client.call(pull(&pull_header("CG", "orders", 1, 0)))),
        [big]
    );
    assert_eq!(
        broker.node().services().unwrap().views.state().hash(),
        before
    );
    let sent = broker.client.call(message("orders", 0, "", "after"));
    assert_eq!((sent.code, number(&sent, "queueOffset")), (0, 100));
}

#[test]
fn a_commit_that_rides_on_a_pull_is_kept() {
    let broker = SoloBroker::start();
    (0..3).for_each(|_| drop(broker.client.call(message("orders", 0, "", "m"))));
    broker.client.call(pull(&pull_header("CG", "orders", 0, 0)));
    let header = PullRequest {
        sys_flag: sys_flag::pull::SUBSCRIPTION | sys_flag::pull::COMMIT_OFFSET,
        commit_offset: 2,
        ..pull_header("CG", "orders", 0, 2)
    };
    assert_eq!(broker.client.call(pull(&header)).code, 0);
    let asked = [
        ("consumerGroup", "CG"),
        ("topic", "orders"),
        ("queueId", "0"),
    ];
    let offset = broker
        .client
        .call(request(codes::QUERY_CONSUMER_OFFSET, &asked));
    assert_eq!((offset.code, number(&offset, "offset")), (0, 2));
}

#[test]
fn the_codes_of_the_control_plane_go_there_and_unknown_ones_nowhere() {
    let broker = SoloBroker::start();
    let answer = broker.client.call(request(support::CONTROL_CODE, &[]));
    assert_eq!(answer.remark.as_deref(), Some("from the control plane"));
    let answer = broker.client.call(request(9_999, &[]));
    assert_eq!(
        (answer.code, answer.remark.as_deref()),
        (3, Some(" request type 9999 not supported"))
    );
}
