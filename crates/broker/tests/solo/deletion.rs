//! Topics and groups that an operator deletes.

use std::sync::mpsc::channel;

use tern_broker::ChangeCallback;
use tern_state::{GroupConfig, TopicConfig};

use crate::support::{
    CONTROL_CODE, PATIENCE, SoloBroker, bodies, long_poll, message, number, pull, pull_header,
    records, request,
};

/// Hand a change in and wait for its outcome: 0, or the code of the refusal.
fn change(start: impl FnOnce(ChangeCallback)) -> i32 {
    let (sender, receiver) = channel();
    start(Box::new(move |outcome, _| {
        let code = outcome.map_or_else(|refused| refused.code, |()| 0);
        sender.send(code).expect("the test waits");
    }));
    receiver.recv_timeout(PATIENCE).expect("an outcome")
}

fn delete(broker: &SoloBroker, topic: &str) -> i32 {
    let services = broker.node().services().expect("it serves");
    change(|then| {
        services.metadata_changes.delete_topic(topic.into(), then);
    })
}

#[test]
fn a_parked_pull_of_a_deleted_topic_is_answered_17() {
    let broker = SoloBroker::start();
    broker.client.call(message("orders", 0, "", "m"));
    let mut waiting = long_poll("CG", "orders", "*", PATIENCE);
    waiting.queue_offset = 1;
    let answer = broker.client.begin(pull(&waiting));
    broker.wait_for_parked(1);
    assert_eq!(delete(&broker, "orders"), 0);
    let answer = answer.recv_timeout(PATIENCE).expect("an answer");
    assert_eq!(answer.code, 17, "{answer:?}");
    assert_eq!(delete(&broker, "orders"), 0, "none is as good as deleted");
}

#[test]
fn a_topic_made_again_starts_empty_and_stays_so_after_a_restart() {
    let mut broker = SoloBroker::start();
    for _ in 0..3 {
        broker.client.call(message("orders", 0, "", "old"));
    }
    assert_eq!(delete(&broker, "orders"), 0);
    let gone = broker.client.call(pull(&pull_header("CG", "orders", 0, 0)));
    assert_eq!(gone.code, 17);
    let sent = broker.client.call(message("orders", 0, "", "new"));
    assert_eq!((sent.code, number(&sent, "queueOffset")), (0, 0));
    for restart in [false, true] {
        if restart {
            broker.restart();
        }
        // A send is answered at its commit, and the view shows it a moment later.
        let answer =
            std::iter::repeat_with(|| broker.client.call(pull(&pull_header("CG", "orders", 0, 0))))
                .find(|answer| answer.code != 19)
                .expect("endless");
        assert_eq!(bodies(&answer), ["new"], "{answer:?}");
        assert_eq!(records(&answer)[0].queue_offset(), 0);
    }
    let sent = broker.client.call(message("orders", 0, "", "newer"));
    assert_eq!(number(&sent, "queueOffset"), 1);
}

#[test]
fn a_broker_that_starts_again_shows_nobody_the_past_that_it_reads() {
    let mut broker = SoloBroker::start();
    let first = pull_header("CG", "orders", 0, 0);
    // Many messages of another topic in between, so that reading takes a while.
    let fill = || {
        let body = "x".repeat(16 << 10);
        for _ in 0..20 {
            let sent: Vec<_> = (0..100)
                .map(|_| broker.client.begin(message("others", 0, "", &body)))
                .collect();
            for answer in sent {
                assert_eq!(answer.recv_timeout(PATIENCE).expect("an answer").code, 0);
            }
        }
    };
    broker.client.call(message("orders", 0, "", "old"));
    assert_eq!(bodies(&broker.client.call(pull(&first))), ["old"]);
    fill();
    assert_eq!(delete(&broker, "orders"), 0);
    broker.client.call(message("orders", 0, "", "new"));
    fill();
    broker.restart_at_once();
    // Each stands for a client that comes a moment later: the first ones wait for ReadIndex.
    let mut asked = Vec::new();
    loop {
        asked.push(broker.client.begin(pull(&first)));
        let there = broker.client.call(request(CONTROL_CODE, &[]));
        assert_eq!(there.code, 0);
        if broker.node().services().is_some() {
            break;
        }
    }
    asked.push(broker.client.begin(pull(&first)));
    for answer in asked {
        let answer = answer.recv_timeout(PATIENCE).expect("an answer");
        match answer.code {
            0 => assert_eq!(bodies(&answer), ["new"]),
            14 => {}
            _ => panic!("an answer out of the past: {answer:?}"),
        }
    }
}

#[test]
fn topics_of_the_system_are_not_deleted() {
    let broker = SoloBroker::start();
    assert_eq!(delete(&broker, "TBW102"), 29);
    assert_eq!(delete(&broker, "SCHEDULE_TOPIC_XXXX"), 29);
}

#[test]
fn a_group_is_put_and_deleted() {
    let broker = SoloBroker::start();
    let services = broker.node().services().expect("it serves");
    let config = GroupConfig {
        retry_max_times: 3,
        ..GroupConfig::new("CG")
    };
    let put = config.clone();
    assert_eq!(
        change(|then| services.metadata_changes.put_group(put, then)),
        0
    );
    assert_eq!(services.views.state().group("CG"), Some(&config));
    let version = services.views.state().group_version();
    for clean in [false, true] {
        let code = change(|then| {
            services
                .metadata_changes
                .delete_group("CG".into(), clean, then);
        });
        assert_eq!(code, 0);
        assert_eq!(services.views.state().group("CG"), None);
    }
    let after = services.views.state().group_version();
    assert_eq!(after.counter, version.counter + 1);
    let refused = change(|then| {
        services
            .metadata_changes
            .put_topic(TopicConfig::new("", 1, 6), then);
    });
    assert_eq!(refused, 29);
}
