//! Messages that come back from consumers, up to the dead letters.

use std::time::Duration;

use tern_state::GroupConfig;
use tern_wire::codes::request as codes;
use tern_wire::headers::{PullRequest, SendBack, SendRequest};
use tern_wire::{Command, properties, version};

use crate::support::{
    SoloBroker, bodies, long_poll, message, pull, pull_header, records, request, send, send_header,
    wait_for,
};

const WAIT: Duration = Duration::from_secs(10);

fn back(offset: u64) -> SendBack<'static> {
    SendBack {
        offset: offset.cast_signed(),
        group: "CG",
        delay_level: 1,
        origin_message_id: None,
        origin_topic: Some("orders"),
        unit_mode: Some(false),
        max_reconsume_times: Some(2),
        broker_name: None,
        attempts: None,
        reason: None,
    }
}

fn send_back(header: &SendBack<'_>) -> Command {
    let mut command = request(codes::CONSUMER_SEND_MSG_BACK, &[]);
    command.version = version::OWN;
    header.encode(&mut command.fields);
    command
}

/// A broker with one message; its group exists after the pull. The message's physical offset and id.
fn with_message() -> (SoloBroker, u64, String) {
    let broker = SoloBroker::start();
    let sent = broker.client.call(message("orders", 0, "a", "bad"));
    assert_eq!(sent.code, 0, "{sent:?}");
    let id = sent.fields.get("msgId").unwrap().to_owned();
    let answer = broker.client.call(pull(&pull_header("CG", "orders", 0, 0)));
    let offset = records(&answer)[0].physical_offset();
    (broker, offset, id)
}

#[test]
fn a_message_that_is_sent_back_comes_again_until_it_is_dead() {
    let (broker, mut offset, id) = with_message();
    for attempt in 0..2 {
        let answer = broker.client.call(send_back(&back(offset)));
        assert_eq!(answer.code, 0, "{answer:?}");
        let header = PullRequest {
            queue_offset: attempt,
            ..long_poll("CG", "%RETRY%CG", "*", WAIT)
        };
        let answer = broker.client.call(pull(&header));
        let again = records(&answer);
        assert_eq!((again.len(), again[0].body()), (1, &b"bad"[..]));
        assert_eq!(i64::from(again[0].reconsume_times()), attempt + 1);
        let text = again[0].properties();
        for (name, value) in [
            ("RETRY_TOPIC", "orders"),
            ("ORIGIN_MESSAGE_ID", &*id),
            ("TAGS", "a"),
            ("DELAY", "1"),
            ("REAL_TOPIC", "%RETRY%CG"),
            ("TERNMQ_ORIGIN_QUEUE", "group-a:0:0"),
        ] {
            let values: Vec<_> = properties::iter(text)
                .filter(|pair| pair.0 == name)
                .collect();
            assert_eq!(values, [(name, value)], "once, however often it is tried");
        }
        offset = again[0].physical_offset();
    }
    assert_eq!(broker.client.call(send_back(&back(offset))).code, 0);
    let answer = broker
        .client
        .call(pull(&long_poll("CG", "%DLQ%CG", "*", WAIT)));
    let dead = records(&answer);
    assert_eq!((dead.len(), dead[0].reconsume_times()), (1, 3));
    let text = dead[0].properties();
    assert_eq!(properties::get(text, "RETRY_TOPIC"), Some("orders"));
    assert_eq!(properties::get(text, "ORIGIN_MESSAGE_ID"), Some(&*id));
}

#[test]
fn the_broker_decides_about_the_level_if_the_consumer_does_not_and_a_negative_one_is_death() {
    let (broker, offset, _) = with_message();
    let undecided = SendBack {
        delay_level: 0,
        ..back(offset)
    };
    assert_eq!(broker.client.call(send_back(&undecided)).code, 0);
    let services = broker.node().services().unwrap();
    wait_for("it waits in level 3", || {
        services.views.state().next_offset("SCHEDULE_TOPIC_XXXX", 2) == 1
    });
    let rejected = SendBack {
        delay_level: -1,
        ..back(offset)
    };
    assert_eq!(broker.client.call(send_back(&rejected)).code, 0);
    let answer = broker
        .client
        .call(pull(&long_poll("CG", "%DLQ%CG", "*", WAIT)));
    assert_eq!(bodies(&answer), ["bad"]);
}

#[test]
fn a_dead_letter_says_where_it_stood_how_often_it_was_tried_and_why_it_was_given_up() {
    let (broker, offset, id) = with_message();
    let long = format!("too bad\u{1}\u{2}, says the user: {}", "é".repeat(20_000));
    for (attempts, reason) in [(Some(7), &*long), (None, "short"), (None, "")] {
        let rejected = SendBack {
            delay_level: -1,
            attempts,
            reason: Some(reason),
            ..back(offset)
        };
        assert_eq!(broker.client.call(send_back(&rejected)).code, 0);
    }
    let wait = |offset| PullRequest {
        queue_offset: offset,
        ..long_poll("CG", "%DLQ%CG", "*", WAIT)
    };
    let mut found = Vec::new();
    for at in 0..3 {
        let answer = broker.client.call(pull(&wait(at)));
        let dead = &records(&answer)[0];
        let value = |name| properties::get(dead.properties(), name).map(str::to_owned);
        assert_eq!(value("RETRY_TOPIC").as_deref(), Some("orders"));
        assert_eq!(value("ORIGIN_MESSAGE_ID").as_deref(), Some(&*id));
        assert_eq!(value("TERNMQ_ORIGIN_QUEUE").as_deref(), Some("group-a:0:0"));
        found.push((dead.reconsume_times(), value("TERNMQ_DEAD_LETTER_REASON")));
    }
    let shortened = format!("too bad  , says the user: {}", "é".repeat(499));
    assert_eq!(
        found,
        [
            (7, Some(shortened)),
            (1, Some("short".to_owned())),
            (1, None)
        ]
    );
}

#[test]
fn what_cannot_be_sent_back_is_refused_and_nothing_is_stored() {
    let (broker, offset, _) = with_message();
    let refused = [
        (
            26,
            SendBack {
                group: "unknown",
                ..back(offset)
            },
        ),
        (1, back(offset + 1)),
        (1, back(offset + 24)),
        (1, back(1 << 40)),
        (1, back(u64::MAX)),
        (1, back(0)),
        (
            29,
            SendBack {
                group: "../x",
                ..back(offset)
            },
        ),
    ];
    for (code, header) in refused {
        let answer = broker.client.call(send_back(&header));
        assert_eq!(answer.code, code, "{header:?}: {:?}", answer.remark);
    }
    let missing = request(codes::CONSUMER_SEND_MSG_BACK, &[("group", "CG")]);
    assert_eq!(broker.client.call(missing).code, 29);
    let services = broker.node().services().unwrap();
    let state = services.views.state();
    assert_eq!(state.next_offset("SCHEDULE_TOPIC_XXXX", 0), 0);
    assert!(state.topic("%DLQ%CG").is_none() && state.topic("%RETRY%unknown").is_none());
}

#[test]
fn bytes_inside_of_a_message_are_not_taken_for_one() {
    let (broker, offset, _) = with_message();
    let answer = broker.client.call(pull(&pull_header("CG", "orders", 0, 0)));
    let inner = records(&answer)[0].bytes().to_vec();
    let header = send_header("orders", 0, "");
    assert_eq!(broker.client.call(send(&header, &inner)).code, 0);
    let outer = broker.client.call(pull(&PullRequest {
        queue_offset: 1,
        ..long_poll("CG", "orders", "*", WAIT)
    }));
    let outer = records(&outer)[0].physical_offset();
    // The body begins behind the fixed fields.
    assert_eq!(broker.client.call(send_back(&back(outer + 88))).code, 1);
    assert_eq!(broker.client.call(send_back(&back(offset))).code, 0);
}

#[test]
fn a_group_without_retry_queues_drops_what_comes_back() {
    let (broker, offset, _) = with_message();
    let services = broker.node().services().unwrap();
    let (sender, made) = std::sync::mpsc::channel();
    let config = GroupConfig {
        retry_queue_nums: 0,
        ..GroupConfig::new("none")
    };
    services.metadata_changes.put_group(
        config,
        Box::new(move |end, _| sender.send(end.is_ok()).unwrap()),
    );
    assert!(made.recv_timeout(WAIT).unwrap());
    let header = SendBack {
        group: "none",
        ..back(offset)
    };
    assert_eq!(broker.client.call(send_back(&header)).code, 0);
    assert_eq!(
        services.views.state().next_offset("SCHEDULE_TOPIC_XXXX", 0),
        0
    );
}

#[test]
fn a_retry_that_is_sent_as_a_message_waits_or_is_dead_beyond_its_limit() {
    let (broker, ..) = with_message();
    let text = properties::to_text([
        ("RETRY_TOPIC", "orders"),
        ("ORIGIN_MESSAGE_ID", "A"),
        ("DELAY", "1"),
    ])
    .unwrap();
    let fallback = |times| {
        let header = SendRequest {
            reconsume_times: Some(times),
            max_reconsume_times: Some(2),
            ..send_header("%RETRY%CG", 0, &text)
        };
        let mut command = send(&header, b"bad");
        command.version = version::OWN;
        command
    };
    let alive = broker.client.call(fallback(2));
    assert_eq!(alive.code, 0, "{alive:?}");
    let answer = broker
        .client
        .call(pull(&long_poll("CG", "%RETRY%CG", "*", WAIT)));
    assert_eq!(records(&answer)[0].reconsume_times(), 2);
    let dead = broker.client.call(fallback(3));
    assert_eq!(dead.code, 0, "{dead:?}");
    let answer = broker
        .client
        .call(pull(&long_poll("CG", "%DLQ%CG", "*", WAIT)));
    let stored = records(&answer);
    assert_eq!((stored.len(), stored[0].reconsume_times()), (1, 3));
    let text = stored[0].properties();
    assert_eq!(properties::get(text, "DELAY"), Some("-1"));
    assert_eq!(properties::get(text, "RETRY_TOPIC"), Some("orders"));
    let batch = SendRequest {
        batch: Some(true),
        ..send_header("%RETRY%CG", 0, "")
    };
    assert_eq!(broker.client.call(send(&batch, b"m")).code, 13);
}
