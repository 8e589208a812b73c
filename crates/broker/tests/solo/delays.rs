//! Delayed messages: they come once, not early, also after a restart.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tern_wire::codes::request::VIEW_MESSAGE_BY_ID;
use tern_wire::headers::PullRequest;
use tern_wire::{Command, properties};

use crate::support::{
    SoloBroker, bodies, long_poll, number, pull, pull_header, records, request, send, send_header,
    wait_for,
};

fn delayed(topic: &str, level: &str, body: &str) -> Command {
    let text = properties::to_text([("TAGS", "a"), ("UNIQ_KEY", "U1"), ("DELAY", level)]).unwrap();
    send(&send_header(topic, 0, &text), body.as_bytes())
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    since.as_millis() as i64
}

#[test]
fn a_delayed_message_comes_once_and_not_early() {
    let broker = SoloBroker::start();
    let before = now_ms();
    let sent = broker.client.call(delayed("orders", "1", "later"));
    assert_eq!(sent.code, 0, "{sent:?}");
    assert_eq!(
        (number(&sent, "queueId"), number(&sent, "queueOffset")),
        (0, 0),
        "the place in the queue of the level"
    );
    let wait = Duration::from_secs(10);
    let answer = broker
        .client
        .call(pull(&long_poll("CG", "orders", "a", wait)));
    assert_eq!(bodies(&answer), ["later"]);
    let stored = records(&answer);
    let waited = stored[0].store_timestamp_ms() - before;
    assert!((1_000..2_000).contains(&waited), "{waited} ms");
    let text = stored[0].properties();
    assert_eq!(properties::get(text, "UNIQ_KEY"), Some("U1"));
    for (name, value) in [("DELAY", "1"), ("REAL_TOPIC", "orders"), ("REAL_QID", "0")] {
        assert_eq!(properties::get(text, name), Some(value));
    }
    assert_eq!(stored[0].born_timestamp_ms(), 1_700_000_000_000);
    let services = broker.node().services().unwrap();
    let state = services.views.state();
    assert_eq!(
        (state.next_offset("orders", 0), state.delay_progress(1)),
        (1, 1)
    );
}

#[test]
fn the_answer_names_the_queue_that_was_asked_for_and_its_id_finds_the_message_before_and_after() {
    let broker = SoloBroker::start();
    let header = send_header("orders", 2, "UNIQ_KEY\u{1}U1\u{2}DELAY\u{1}1\u{2}");
    let sent = broker.client.call(send(&header, b"later"));
    assert_eq!((sent.code, number(&sent, "queueId")), (0, 2), "{sent:?}");
    let id = sent.fields.get("msgId").unwrap();
    let offset = u64::from_str_radix(&id[16..], 16).unwrap().to_string();
    let found = || {
        let view = request(VIEW_MESSAGE_BY_ID, &[("offset", &offset)]);
        bodies(&broker.client.call(view))
    };
    assert_eq!(found(), ["later"], "while it waits");
    let header = PullRequest {
        queue_id: 2,
        ..long_poll("CG", "orders", "*", Duration::from_secs(10))
    };
    assert_eq!(bodies(&broker.client.call(pull(&header))), ["later"]);
    assert_eq!(found(), ["later"], "and when it has come");
}

#[test]
fn levels_above_the_highest_mean_that_one() {
    let broker = SoloBroker::start();
    assert_eq!(broker.client.call(delayed("orders", "99", "m")).code, 0);
    let services = broker.node().services().unwrap();
    wait_for("it waits in the highest level", || {
        services
            .views
            .state()
            .next_offset("SCHEDULE_TOPIC_XXXX", 17)
            == 1
    });
}

#[test]
fn what_waited_when_the_broker_stopped_comes_once_after_its_restart() {
    let mut broker = SoloBroker::start();
    for number in 0..100 {
        let sent = broker
            .client
            .call(delayed("orders", "1", &format!("m{number}")));
        assert_eq!(sent.code, 0);
    }
    broker.restart();
    let services = broker.node().services().unwrap();
    wait_for("all are put", || {
        services.views.state().delay_progress(1) == 100
    });
    let mut all = Vec::new();
    while all.len() < 100 {
        let header = pull_header("CG", "orders", 0, all.len() as i64);
        all.extend(bodies(&broker.client.call(pull(&header))));
    }
    let expected: Vec<_> = (0..100).map(|number| format!("m{number}")).collect();
    assert_eq!(all, expected);
    assert_eq!(services.views.state().next_offset("orders", 0), 100);
}
