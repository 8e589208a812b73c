//! Messages by key (12).

use std::time::Duration;

use tern_wire::codes::request as codes;
use tern_wire::{Command, properties};

use crate::support::{
    SoloBroker, TestCaller, bodies, number, records, request, send, send_header, wait_for,
};

fn keyed(topic: &str, keys: &str, unique: &str, body: &str) -> Command {
    let pairs = [("KEYS", keys), ("UNIQ_KEY", unique)];
    let text = properties::to_text(pairs.into_iter().filter(|(_, value)| !value.is_empty()));
    let text = text.expect("short texts");
    send(&send_header(topic, 1, &text), body.as_bytes())
}

fn query(client: &TestCaller, topic: &str, key: &str, extra: &[(&str, &str)]) -> Command {
    let fields = [
        ("topic", topic),
        ("key", key),
        ("maxNum", "32"),
        ("beginTimestamp", "0"),
        ("endTimestamp", "9223372036854775807"),
    ];
    // A later field of the same name replaces the earlier one.
    let mut command = request(codes::QUERY_MESSAGE, &fields);
    for (name, value) in extra {
        command.fields.set(name, value);
    }
    client.call(command)
}

const UNIQUE: [(&str, &str); 1] = [("_UNIQUE_KEY_QUERY", "true")];

#[test]
fn a_message_is_found_by_its_keys_and_its_id_as_soon_as_its_send_is_answered() {
    let broker = SoloBroker::start();
    for number in 0..200 {
        let (keys, id) = (format!("order-{number} all"), format!("ID{number}"));
        let sent = broker
            .client
            .call(keyed("orders", &keys, &id, &number.to_string()));
        assert_eq!(sent.code, 0, "{sent:?}");
        let found = query(&broker.client, "orders", &format!("order-{number}"), &[]);
        assert_eq!((found.code, bodies(&found)), (0, vec![number.to_string()]));
        let found = query(&broker.client, "orders", &id, &UNIQUE);
        assert_eq!((found.code, bodies(&found)), (0, vec![number.to_string()]));
        assert_eq!(records(&found)[0].queue_offset(), number);
    }
    let found = query(&broker.client, "orders", "all", &[]);
    let newest: Vec<String> = (168..200).rev().map(|number| number.to_string()).collect();
    assert_eq!(bodies(&found), newest);
    let records = records(&found);
    let last = records[0].physical_offset();
    assert_eq!(
        number(&found, "indexLastUpdatePhyoffset"),
        last.cast_signed()
    );
    assert_eq!(
        number(&found, "indexLastUpdateTimestamp"),
        records[0].store_timestamp_ms()
    );
}

#[test]
fn what_is_not_there_is_denied_as_rocketmq_does() {
    let broker = SoloBroker::start();
    broker.client.call(keyed("orders", "k", "U", "m"));
    broker.client.call(keyed("others", "other", "", "m"));
    for (topic, key, extra) in [
        ("orders", "other", &[][..]),
        ("others", "k", &[]),
        ("unknown", "k", &[]),
        ("orders", "k", &UNIQUE),
        ("orders", "k", &[("endTimestamp", "1000")]),
        ("orders", "k", &[("beginTimestamp", "99999999999999")]),
    ] {
        let answer = query(&broker.client, topic, key, extra);
        let remark = answer.remark.as_deref();
        assert_eq!(answer.code, 22, "{topic} {key} {extra:?}");
        assert_eq!(
            remark,
            Some("can not find message, maybe time range not correct")
        );
    }
    for extra in [
        ("topic", "no topic"),
        ("maxNum", "many"),
        ("endTimestamp", ""),
    ] {
        assert_eq!(query(&broker.client, "orders", "k", &[extra]).code, 29);
    }
}

#[test]
fn keys_are_found_within_a_time() {
    let broker = SoloBroker::start();
    let mut stored = Vec::new();
    for number in 0..3 {
        broker
            .client
            .call(keyed("orders", "k", "", &number.to_string()));
        // An acknowledged message is in the index a moment later.
        let newest = || {
            let found = query(&broker.client, "orders", "k", &[("maxNum", "1")]);
            (found.code == 0 && bodies(&found) == [number.to_string()])
                .then(|| records(&found)[0].store_timestamp_ms())
        };
        wait_for("the index has it", || newest().is_some());
        stored.push(newest().expect("it was there"));
        let newest = stored[number];
        wait_for("the clock moves", || now_ms() > newest);
    }
    let within = |from: i64, to: i64| {
        let (from, to) = (from.to_string(), to.to_string());
        let found = query(
            &broker.client,
            "orders",
            "k",
            &[("beginTimestamp", &from), ("endTimestamp", &to)],
        );
        bodies(&found).concat()
    };
    assert_eq!(within(stored[0], stored[2]), "210");
    assert_eq!(within(stored[0] + 1, stored[2]), "21");
    assert_eq!(within(stored[1], stored[1]), "1");
    assert_eq!(within(0, stored[2] - 1), "10");
    assert_eq!(within(stored[2] + 1, i64::MAX), "");
}

#[test]
fn keys_are_found_after_a_restart_in_every_part_of_the_index() {
    let mut broker = SoloBroker::start();
    // More entries than stay in memory: the keys of a message are words of one property.
    let many = |number: usize| {
        let words: Vec<String> = (0..2000).map(|word| format!("w{number}-{word}")).collect();
        words.join(" ")
    };
    for number in 0..70 {
        let sent = broker
            .client
            .call(keyed("orders", &many(number), "", &number.to_string()));
        assert_eq!(sent.code, 0, "{sent:?}");
    }
    for _ in 0..2 {
        let services = broker.node().services().expect("it serves");
        wait_for("a run is written", || services.views.keys.stored().0 > 0);
        for number in [0, 1, 33, 69] {
            for word in [0, 1999] {
                let found = query(&broker.client, "orders", &format!("w{number}-{word}"), &[]);
                assert_eq!(bodies(&found), [number.to_string()]);
            }
        }
        assert_eq!(query(&broker.client, "orders", "w70-0", &[]).code, 22);
        broker.restart();
    }
}

fn now_ms() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.unwrap_or(Duration::ZERO).as_millis() as i64
}
