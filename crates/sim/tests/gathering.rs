//! While a frame is on its way to the disk, what comes gathers into the next one.

mod solitary;

use solitary::Solitary;
use tern_replica::{Bound, Outcome, RejectReason, TurnOptions};
use tern_state::{Op, PutTopic, TopicConfig, UnlockQueues};

/// With a topic, and a first message that is written and not synced.
fn one_under_way() -> Solitary {
    one_under_way_after_commits_of(100_000)
}

/// The same; each commit before has taken twice this time, nanoseconds.
fn one_under_way_after_commits_of(half_ns: u64) -> Solitary {
    let mut solitary = Solitary::new();
    solitary.settle_by(half_ns);
    let put = Op::PutTopic(PutTopic {
        changed_at_ms: 1,
        config: TopicConfig::new("orders", 4, 6),
    });
    solitary.hand_in_ops(0, &[put]);
    solitary.settle_by(half_ns);
    for ticket in 100..160 {
        solitary.hand_in(ticket, "orders", b"before");
        solitary.settle_by(half_ns);
    }
    solitary.hand_in(1, "orders", b"first");
    solitary.turn(1000);
    solitary
}

fn index(outcome: Outcome) -> u64 {
    match outcome {
        Outcome::Stored(stored) => stored.index,
        other => panic!("not stored: {other:?}"),
    }
}

#[test]
fn a_message_that_comes_alone_is_written_at_once() {
    let solitary = one_under_way();
    assert!(solitary.last_index() > solitary.committed);
}

#[test]
fn messages_that_come_while_a_frame_is_under_way_share_the_next_one() {
    let mut solitary = one_under_way();
    let first = solitary.last_index();
    for ticket in 2..5 {
        solitary.hand_in(ticket, "orders", b"later");
        solitary.turn(1000);
        assert_eq!(solitary.last_index(), first, "nothing more is written yet");
    }
    solitary.sync();
    solitary.settle();
    for ticket in 2..5 {
        assert_eq!(index(solitary.outcome(ticket)), first + 1);
    }
}

/// With one frame under way, the next message waits so long for others and no longer.
fn waits(mut solitary: Solitary, limit: u64) {
    let first = solitary.last_index();
    solitary.hand_in(2, "orders", b"later");
    solitary.turn(limit - 1);
    assert_eq!(solitary.last_index(), first);
    assert_eq!(
        solitary.idle_for(),
        Some(1),
        "the log thread knows when to look again"
    );
    solitary.turn(1);
    assert_eq!(solitary.last_index(), first + 1);
}

#[test]
fn a_message_does_not_wait_for_others_longer_than_twice_a_commit_within_bounds() {
    let options = TurnOptions::default();
    waits(
        one_under_way_after_commits_of(50_000),
        options.linger_least_ns,
    );
    let (half, mean) = (700_000, 700_000);
    waits(one_under_way_after_commits_of(half), 2 * mean);
    waits(
        one_under_way_after_commits_of(9_000_000),
        options.linger_most_ns,
    );
}

#[test]
fn nothing_is_to_be_done_before_the_commit_while_nothing_waits() {
    let solitary = one_under_way();
    assert_eq!(solitary.idle_for(), None);
}

#[test]
fn what_fills_a_frame_does_not_wait_for_the_one_before() {
    let mut solitary = one_under_way();
    let first = solitary.last_index();
    for ticket in 2..514 {
        solitary.hand_in(ticket, "orders", b"later");
    }
    solitary.turn(1000);
    assert_eq!(solitary.last_index(), first + 1);
}

#[test]
fn a_replica_takes_ticks_together_only_while_nobody_waits() {
    let mut solitary = one_under_way();
    assert_eq!(solitary.rest_ticks(), 1, "a send is undecided");
    solitary.sync();
    solitary.settle();
    assert_eq!(solitary.rest_ticks(), 5, "half a heartbeat");
}

#[test]
fn what_no_frame_can_hold_is_refused_and_what_stands_behind_it_is_stored() {
    let (mut solitary, op) = (Solitary::new(), |bytes: usize| {
        Op::UnlockQueues(UnlockQueues {
            group: "g".into(),
            client: "c".into(),
            queues: vec![("x".repeat(bytes).into(), 0)],
        })
    });
    solitary.settle();
    for (number, bytes) in [9 << 20, 8 << 20, 100].into_iter().enumerate() {
        solitary.hand_in_ops(number as u64, &[op(bytes)]);
    }
    solitary.hand_in(3, "TBW102", b"m");
    solitary.settle();
    let too_large = Outcome::Rejected(RejectReason::TooLarge);
    assert_eq!(solitary.outcome(0), too_large);
    assert_eq!(solitary.outcome(1), too_large);
    index(solitary.outcome(2));
    index(solitary.outcome(3));
}

#[test]
fn a_message_that_waits_because_the_views_are_behind_is_refused_with_that_bound() {
    let mut solitary = Solitary::with(TurnOptions {
        behind_bytes: 1,
        ..TurnOptions::default()
    });
    solitary.settle();
    solitary.hand_in(1, "TBW102", b"written, and not applied");
    solitary.turn(1000);
    solitary.hand_in(2, "TBW102", b"m");
    solitary.turn(1000);
    solitary.turn(TurnOptions::default().wait_limit_ns + 1);
    let behind = Outcome::Rejected(RejectReason::Busy(Bound::Behind));
    assert_eq!(solitary.outcome(2), behind);
}
