//! Queue locks: one client a queue, until it gives it up or its lease is over by the clock of whoever leads.

use tern_state::{LeaseTime, LockQueues, MAX_QUEUES, Op, State, UnlockQueues};

use crate::support::{block, shop};

const TTL_MS: u64 = 60_000;

/// A moment of the first leadership, which began when the clock stood at 0.
fn first(now_ms: u64) -> LeaseTime {
    LeaseTime {
        term: 1,
        since_ms: 0,
        now_ms,
    }
}

fn queues(queues: &[u32]) -> Vec<(std::sync::Arc<str>, u32)> {
    queues
        .iter()
        .map(|queue| ("orders".into(), *queue))
        .collect()
}

/// Applies an op in a frame of this term.
fn apply_in(state: &mut State, term: u64, op: Op) {
    let index = state.applied().0 + 1;
    state
        .apply_metadata(index, term, &block(&[op]))
        .expect("never a contradiction");
    assert_eq!(state.table_sums(), state.recomputed_sums());
}

fn lock_at(state: &mut State, client: &str, at: LeaseTime, ids: &[u32]) {
    let op = Op::LockQueues(LockQueues {
        group: "shop".into(),
        client: client.into(),
        at,
        ttl_ms: TTL_MS,
        queues: queues(ids),
    });
    apply_in(state, at.term, op);
}

fn lock(state: &mut State, client: &str, now_ms: u64, ids: &[u32]) {
    lock_at(state, client, first(now_ms), ids);
}

fn unlock(state: &mut State, group: &str, client: &str, ids: &[u32]) {
    let op = Op::UnlockQueues(UnlockQueues {
        group: group.into(),
        client: client.into(),
        queues: queues(ids),
    });
    apply_in(state, state.applied().1, op);
}

fn holder(state: &State, queue_id: u32, now_ms: u64) -> Option<&str> {
    state.lock_holder("shop", "orders", queue_id, first(now_ms))
}

#[test]
fn a_queue_belongs_to_the_first_client_until_its_time_is_over() {
    let mut state = shop();
    lock(&mut state, "a", 1_000, &[0, 1]);
    lock(&mut state, "b", 2_000, &[1, 2]);
    assert_eq!(holder(&state, 0, 60_999), Some("a"));
    assert_eq!(holder(&state, 1, 60_999), Some("a"));
    assert_eq!(holder(&state, 1, 61_000), None);
    assert_eq!(holder(&state, 2, 61_000), Some("b"));
    assert!(state.has_locks("shop", first(61_999)) && !state.has_locks("shop", first(62_000)));
    lock(&mut state, "b", 61_000, &[1]);
    assert_eq!(holder(&state, 1, 61_000), Some("b"));
}

#[test]
fn a_request_that_was_stamped_earlier_and_stands_later_shortens_nobodys_lease() {
    let mut state = shop();
    lock(&mut state, "a", 1_000, &[0]);
    lock(&mut state, "b", 900, &[1]);
    lock(&mut state, "a", 950, &[0]);
    assert_eq!(holder(&state, 0, 60_999), Some("a"));
    assert_eq!(holder(&state, 0, 61_000), None);
}

#[test]
fn the_holder_renews_its_lock() {
    let mut state = shop();
    lock(&mut state, "a", 1_000, &[0]);
    lock(&mut state, "a", 50_000, &[0]);
    lock(&mut state, "b", 70_000, &[0]);
    assert_eq!(holder(&state, 0, 109_999), Some("a"));
}

#[test]
fn only_the_holder_gives_a_queue_up() {
    let mut state = shop();
    lock(&mut state, "a", 1_000, &[0, 1]);
    unlock(&mut state, "shop", "b", &[0, 1]);
    unlock(&mut state, "other", "a", &[0, 1]);
    assert_eq!(holder(&state, 0, 1_000), Some("a"));
    unlock(&mut state, "shop", "a", &[0, 7]);
    assert_eq!(holder(&state, 0, 1_000), None);
    assert_eq!(holder(&state, 1, 1_000), Some("a"));
}

#[test]
fn groups_do_not_see_each_others_locks() {
    let mut state = shop();
    apply_in(&mut state, 1, crate::support::put_group("other"));
    lock(&mut state, "a", 1_000, &[0]);
    assert_eq!(state.lock_holder("other", "orders", 0, first(1_000)), None);
    assert!(!state.has_locks("other", first(1_000)));
}

/// The clocks of two replicas have nothing in common: the second leader's stands far before or far behind the first's.
#[test]
fn what_a_leader_finds_counts_as_renewed_when_its_leadership_began() {
    for since_ms in [0, 5, 50_000, 9_000_000_000] {
        let at = |now_ms| LeaseTime {
            term: 2,
            since_ms,
            now_ms: since_ms + now_ms,
        };
        let mut state = shop();
        lock(&mut state, "a", 1_000_000, &[0, 1]);
        assert!(state.has_locks("shop", at(59_999)) && !state.has_locks("shop", at(60_000)));
        lock_at(&mut state, "b", at(30_000), &[0, 1, 2]);
        lock_at(&mut state, "b", at(59_999), &[0]);
        let holder = |state: &State, queue_id, now_ms| {
            let holder = state.lock_holder("shop", "orders", queue_id, at(now_ms));
            holder.map(str::to_owned)
        };
        assert_eq!(holder(&state, 0, 59_999).as_deref(), Some("a"));
        assert_eq!(holder(&state, 2, 89_999).as_deref(), Some("b"));
        lock_at(&mut state, "a", at(59_999), &[1]);
        lock_at(&mut state, "b", at(60_000), &[0, 1]);
        assert_eq!(holder(&state, 0, 60_000).as_deref(), Some("b"));
        assert_eq!(holder(&state, 1, 60_000).as_deref(), Some("a"), "renewed");
    }
}

#[test]
fn a_lease_that_three_leaders_found_begins_with_the_last_of_them() {
    let mut state = shop();
    lock(&mut state, "a", 500_000, &[0]);
    for term in [2, 3] {
        let at = |now_ms| LeaseTime {
            term,
            since_ms: 700_000,
            now_ms,
        };
        lock_at(&mut state, "b", at(759_999), &[0]);
        let holder = state.lock_holder("shop", "orders", 0, at(759_999));
        assert_eq!(holder, Some("a"), "term {term}");
    }
}

#[test]
fn what_was_stamped_under_an_earlier_leadership_is_passed_over() {
    let mut state = shop();
    lock(&mut state, "a", 1_000, &[0]);
    let before = state.table_sums();
    let op = |term| {
        Op::LockQueues(LockQueues {
            group: "shop".into(),
            client: "b".into(),
            at: LeaseTime {
                term,
                since_ms: 0,
                now_ms: 61_000,
            },
            ttl_ms: TTL_MS,
            queues: queues(&[0, 1]),
        })
    };
    apply_in(&mut state, 3, op(1));
    apply_in(&mut state, 3, op(4));
    assert_eq!(state.table_sums(), before);
}

/// The only replica of a group keeps its term over a boot, and its clock begins again.
#[test]
fn a_lease_outlives_a_boot_by_no_more_than_its_time() {
    let at = |now_ms| LeaseTime {
        term: 1,
        since_ms: 3_000,
        now_ms,
    };
    for renewed_ms in [1_000, 9_000_000] {
        let mut state = shop();
        lock(&mut state, "a", renewed_ms, &[0]);
        lock_at(&mut state, "b", at(4_000), &[0]);
        lock_at(&mut state, "b", at(62_999), &[0]);
        let holder = |state: &State, now_ms| {
            let holder = state.lock_holder("shop", "orders", 0, at(now_ms));
            holder.map(str::to_owned)
        };
        assert_eq!(holder(&state, 62_999).as_deref(), Some("a"));
        lock_at(&mut state, "b", at(64_000), &[0]);
        assert_eq!(holder(&state, 64_000).as_deref(), Some("b"));
    }
}

#[test]
fn what_has_run_out_takes_no_room() {
    let mut state = shop();
    let empty = state.table_sums().locks;
    lock(&mut state, "a", 1_000, &[0, 1, 2]);
    assert_ne!(state.table_sums().locks, empty);
    lock(&mut state, "b", 100_000, &[]);
    assert_eq!(state.table_sums().locks, empty);
}

#[test]
fn unknown_topics_queues_and_groups_are_passed_over() {
    let mut state = shop();
    let empty = state.table_sums().locks;
    for (group, topic, queue_id) in [
        ("shop", "nothing", 0),
        ("shop", "orders", MAX_QUEUES),
        ("nobody", "orders", 0),
    ] {
        let op = Op::LockQueues(LockQueues {
            group: group.into(),
            client: "a".into(),
            at: first(1),
            ttl_ms: TTL_MS,
            queues: vec![(topic.into(), queue_id)],
        });
        apply_in(&mut state, 1, op);
    }
    assert_eq!(state.table_sums().locks, empty);
}

/// The next leader knows only that a lock was given once, not how much of its time was over.
#[test]
#[ignore = "known defect: a lock that ran out counts as held for its whole time again after a change of leaders"]
fn a_lock_that_ran_out_under_a_leader_is_free_under_the_next_one() {
    let mut state = shop();
    lock(&mut state, "a", 1_000, &[0]);
    assert_eq!(holder(&state, 0, 3_600_000), None);
    let next = LeaseTime {
        term: 2,
        since_ms: 3_600_000,
        now_ms: 3_600_001,
    };
    assert_eq!(state.lock_holder("shop", "orders", 0, next), None);
}
