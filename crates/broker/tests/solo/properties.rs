//! What producers put into properties: Apache's broker takes nearly everything, and so does this one.

use tern_wire::codes::request as codes;
use tern_wire::headers::{PullRequest, SendRequest};
use tern_wire::record::MAX_PROPERTIES;
use tern_wire::{Command, batch, properties};

use crate::support::{
    PATIENCE, SoloBroker, long_poll, message, pull, records, send, send_header, wait_for,
};

/// What the broker itself adds.
const ADDED: [&str; 4] = ["UNIQ_KEY", "CLUSTER", "MSG_REGION", "TRACE_ON"];

/// The producer's own pairs of a message.
fn own(text: &str) -> Vec<(String, String)> {
    properties::iter(text)
        .filter(|(name, _)| !ADDED.contains(name))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    expected.iter().map(owned).collect()
}

/// The answer to a pull of queue 0, once there is a message at this offset.
fn stored_at(broker: &SoloBroker, topic: &str, queue_offset: i64) -> Command {
    let header = PullRequest {
        queue_offset,
        ..long_poll("CG", topic, "*", PATIENCE)
    };
    broker.client.call(pull(&header))
}

/// Odd texts, and the pairs that Apache's broker keeps of them.
const ODD: [(&str, &[(&str, &str)]); 13] = [
    ("", &[]),
    ("a\u{1}b", &[("a", "b")]),
    ("a\u{1}\u{2}b\u{1}c\u{2}", &[("b", "c")]),
    ("b\u{1}c\u{2}sw8\u{1}", &[("b", "c")]),
    ("\u{1}v\u{2}b\u{1}c\u{2}", &[("b", "c")]),
    ("no pair", &[]),
    ("no pair\u{2}b\u{1}c\u{2}", &[("b", "c")]),
    ("\u{2}b\u{1}c\u{2}\u{2}\u{2}", &[("b", "c")]),
    ("\u{1}", &[]),
    ("\u{2}", &[]),
    ("a\u{1}b\u{1}c\u{2}d\u{1}e", &[("a", "b\u{1}c"), ("d", "e")]),
    (
        "ключ\u{1}😀\n\t\u{0}\u{2} \u{1} ",
        &[("ключ", "😀\n\t\u{0}"), (" ", " ")],
    ),
    ("a\u{1}1\u{2}a\u{1}2\u{2}", &[("a", "1"), ("a", "2")]),
];

#[test]
fn odd_properties_are_stored_as_apaches_broker_reads_them() {
    let broker = SoloBroker::start();
    for (at, (text, expected)) in ODD.into_iter().enumerate() {
        let sent = broker.client.call(send(&send_header("odd", 0, text), b"m"));
        assert_eq!(sent.code, 0, "{text:?}: {:?}", sent.remark);
        let answer = stored_at(&broker, "odd", at as i64);
        assert_eq!(
            own(records(&answer)[0].properties()),
            pairs(expected),
            "{text:?}"
        );
    }
}

#[test]
fn odd_properties_in_a_batch_are_stored_as_apaches_broker_reads_them() {
    let broker = SoloBroker::start();
    let mut body = Vec::new();
    for (text, _) in ODD {
        let item = batch::Item {
            flag: 0,
            body: b"m",
            properties: text.into(),
        };
        batch::encode(&item, &mut body).unwrap();
    }
    let gbk = b"KEYS\x01\xb6\xa9\xb5\xa5\x02";
    body.extend_from_slice(&(22 + 1 + gbk.len() as u32).to_be_bytes());
    body.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, b'm', 0]);
    body.push(gbk.len() as u8);
    body.extend_from_slice(gbk);
    let header = SendRequest {
        batch: Some(true),
        ..send_header("odd", 0, "no pair\u{2}")
    };
    let mut command = send(&header, &body);
    command.code = codes::SEND_BATCH_MESSAGE;
    let sent = broker.client.call(command);
    assert_eq!(sent.code, 0, "{:?}", sent.remark);
    let answer = stored_at(&broker, "odd", 0);
    let stored: Vec<_> = records(&answer)
        .iter()
        .map(|record| own(record.properties()))
        .collect();
    let mut expected: Vec<_> = ODD.iter().map(|(_, expected)| pairs(expected)).collect();
    expected.push(pairs(&[("KEYS", "\u{fffd}\u{fffd}\u{fffd}\u{fffd}")]));
    assert_eq!(stored, expected);
}

#[test]
fn properties_are_stored_up_to_what_a_record_holds_and_a_refusal_names_both_sizes() {
    let broker = SoloBroker::start();
    let first = broker.client.call(message("long", 0, "", "m"));
    assert_eq!(first.code, 0, "{:?}", first.remark);
    let answer = stored_at(&broker, "long", 0);
    let room = MAX_PROPERTIES - records(&answer)[0].properties().len();
    let long = |bytes: usize| format!("k\u{1}{}\u{2}", "v".repeat(bytes - 3));
    let sent = broker
        .client
        .call(send(&send_header("long", 0, &long(room)), b"m"));
    assert_eq!(sent.code, 0, "{:?}", sent.remark);
    let answer = stored_at(&broker, "long", 1);
    assert_eq!(records(&answer)[0].properties().len(), MAX_PROPERTIES);
    // What nobody stores does not count.
    let padded = format!("{}{}", "\u{2}".repeat(40_000), long(room));
    assert_eq!(
        broker
            .client
            .call(send(&send_header("long", 0, &padded), b"m"))
            .code,
        0
    );
    let refused = broker
        .client
        .call(send(&send_header("long", 0, &long(room + 1)), b"m"));
    let remark = refused.remark.unwrap_or_default();
    assert_eq!(
        (refused.code, &*remark),
        (
            13,
            "the message is illegal: properties of 32768 bytes with what the broker adds, the limit is 32767"
        )
    );
}

#[test]
fn a_delay_level_wins_over_the_times_that_stand_beside_it() {
    let broker = SoloBroker::start();
    let text = "DELAY\u{1}18\u{2}TIMER_DELAY_SEC\u{1}9\u{2}TIMER_DELIVER_MS\u{1}1\u{2}TIMER_DELAY_MS\u{1}1\u{2}";
    let sent = broker
        .client
        .call(send(&send_header("orders", 0, text), b"m"));
    assert_eq!(sent.code, 0, "{:?}", sent.remark);
    let services = broker.node().services().unwrap();
    wait_for("it waits in its level", || {
        services
            .views
            .state()
            .next_offset("SCHEDULE_TOPIC_XXXX", 17)
            == 1
    });
    // Neither of these alone keeps a message back anywhere.
    for alone in [
        "TIMER_DELAY_LEVEL\u{1}3\u{2}",
        "TIMER_DEL_UNIQKEY\u{1}K\u{2}",
    ] {
        let sent = broker
            .client
            .call(send(&send_header("orders", 0, alone), b"m"));
        assert_eq!(sent.code, 0, "{alone:?}: {:?}", sent.remark);
    }
}

#[test]
fn a_refused_message_of_a_batch_is_named() {
    let broker = SoloBroker::start();
    let mut body = Vec::new();
    for text in ["a\u{1}b", "DELAY\u{1}1", "a\u{1}b"] {
        let item = batch::Item {
            flag: 0,
            body: b"m",
            properties: text.into(),
        };
        batch::encode(&item, &mut body).unwrap();
    }
    let header = SendRequest {
        batch: Some(true),
        ..send_header("orders", 0, "")
    };
    let refused = broker.client.call(send(&header, &body));
    assert_eq!(
        (refused.code, refused.remark.as_deref()),
        (
            13,
            Some("message 2 of the batch: a message of a batch cannot have a delay")
        )
    );
}

#[test]
fn a_body_that_is_refused_is_named() {
    let broker = SoloBroker::start_with(|options| options.settings.max_message_bytes = 1_000);
    for (body, remark) in [
        (&[][..], "the message is illegal: it has no body"),
        (
            &[1; 1_001][..],
            "the message is illegal: body of 1001 bytes, the limit is 1000",
        ),
    ] {
        let refused = broker
            .client
            .call(send(&send_header("orders", 0, ""), body));
        assert_eq!(
            (refused.code, refused.remark.as_deref()),
            (13, Some(remark))
        );
    }
}
