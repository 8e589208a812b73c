//! A topic is deleted and made again while messages for it are on their way: what the leader counts, what the log
//! holds and what replicas apply agree.

mod solitary;

use solitary::Solitary;
use tern_replica::{Outcome, RebuildNextOffsets, RejectReason};
use tern_state::{DeleteTopic, Op, PutTopic, TopicConfig};

fn put(queues: u32) -> Op {
    Op::PutTopic(PutTopic {
        changed_at_ms: 1,
        config: TopicConfig::new("orders", queues, 6),
    })
}

fn delete() -> Op {
    Op::DeleteTopic(DeleteTopic {
        changed_at_ms: 1,
        name: "orders".into(),
    })
}

fn offset(outcome: &Outcome) -> Option<u64> {
    match outcome {
        Outcome::Stored(stored) => Some(stored.queue_offset),
        _ => None,
    }
}

/// With the topic, and three messages in it.
fn used() -> Solitary {
    let mut solitary = Solitary::new();
    solitary.settle();
    solitary.hand_in_ops(0, &[put(4)]);
    for ticket in 1..4 {
        solitary.hand_in(ticket, "orders", b"m");
    }
    solitary.settle();
    for ticket in 1..4 {
        assert_eq!(offset(&solitary.outcome(ticket)), Some(ticket - 1));
    }
    solitary
}

/// The log of a leader that has applied all of it, and that of one that has applied nothing, give the same numbers.
fn assert_rebuilds_agree(solitary: &Solitary) {
    let rebuild = RebuildNextOffsets {
        term: 1,
        upto: solitary.committed,
        upto_term: 1,
    };
    let mut newcomer = solitary.newcomer();
    assert_eq!(
        newcomer.rebuild(rebuild).unwrap(),
        solitary.applier.rebuild(rebuild).unwrap()
    );
    while newcomer.applied() < solitary.committed {
        newcomer.apply(solitary.committed, 1).unwrap();
    }
    assert_eq!(newcomer.state().hash(), solitary.applier.state().hash());
    assert_eq!(
        newcomer.state().table_sums(),
        newcomer.state().recomputed_sums()
    );
}

#[test]
fn messages_behind_a_deletion_are_refused_and_a_new_topic_of_that_name_starts_at_0() {
    let mut solitary = used();
    let old = solitary.applier.state().topic("orders").unwrap().id;
    solitary.hand_in(10, "orders", b"before");
    solitary.hand_in_ops(11, &[delete()]);
    solitary.hand_in(12, "orders", b"between");
    solitary.hand_in_ops(13, &[put(4)]);
    solitary.hand_in(14, "orders", b"after");
    solitary.settle();
    assert_eq!(offset(&solitary.outcome(10)), Some(3));
    assert!(offset(&solitary.outcome(11)).is_some());
    assert_eq!(
        solitary.outcome(12),
        Outcome::Rejected(RejectReason::NoTopic),
        "nothing of it is in the log"
    );
    assert!(offset(&solitary.outcome(13)).is_some());
    assert_eq!(offset(&solitary.outcome(14)), Some(0));
    let state = solitary.applier.state();
    assert_ne!(state.topic("orders").unwrap().id, old);
    assert_eq!(state.next_offset("orders", 0), 1);
    assert_rebuilds_agree(&solitary);
}

#[test]
fn a_deletion_that_is_applied_is_remembered_by_the_leader() {
    let mut solitary = used();
    solitary.hand_in_ops(10, &[delete()]);
    solitary.settle();
    solitary.hand_in(11, "orders", b"late");
    solitary.settle();
    assert_eq!(
        solitary.outcome(11),
        Outcome::Rejected(RejectReason::NoTopic)
    );
    assert_rebuilds_agree(&solitary);
    solitary.hand_in_ops(12, &[put(4)]);
    solitary.hand_in(13, "orders", b"new");
    solitary.settle();
    assert_eq!(offset(&solitary.outcome(13)), Some(0));
    assert_rebuilds_agree(&solitary);
}

#[test]
fn a_topic_that_has_fewer_queues_than_before_keeps_their_numbers() {
    let mut solitary = used();
    solitary.hand_in_ops(10, &[put(0)]);
    solitary.settle();
    assert_rebuilds_agree(&solitary);
    solitary.hand_in_ops(11, &[put(4)]);
    solitary.hand_in(12, "orders", b"on");
    solitary.settle();
    assert_eq!(offset(&solitary.outcome(12)), Some(3));
}
