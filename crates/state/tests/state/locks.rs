//! Queue locks: one client a queue, until it gives it up or its time is over.

use tern_state::{MAX_QUEUES, Op, State};

use crate::support::{apply, shop};

const TTL_MS: u64 = 60_000;

fn queues(queues: &[u32]) -> Vec<(std::sync::Arc<str>, u32)> {
    queues
        .iter()
        .map(|queue| ("orders".into(), *queue))
        .collect()
}

fn lock(state: &mut State, client: &str, now_ms: u64, ids: &[u32]) {
    let op = Op::LockQueues {
        group: "shop".into(),
        client: client.into(),
        now_ms,
        ttl_ms: TTL_MS,
        queues: queues(ids),
    };
    apply(state, &[op]).expect("locking is never a contradiction");
    assert_eq!(state.table_sums(), state.recomputed_sums());
}

fn unlock(state: &mut State, group: &str, client: &str, ids: &[u32]) {
    let op = Op::UnlockQueues {
        group: group.into(),
        client: client.into(),
        queues: queues(ids),
    };
    apply(state, &[op]).expect("unlocking is never a contradiction");
    assert_eq!(state.table_sums(), state.recomputed_sums());
}

fn holder(state: &State, queue_id: u32, now_ms: u64) -> Option<&str> {
    state.lock_holder("shop", "orders", queue_id, now_ms)
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
    assert!(state.has_locks("shop", 61_999) && !state.has_locks("shop", 62_000));
    lock(&mut state, "b", 61_000, &[1]);
    assert_eq!(holder(&state, 1, 61_000), Some("b"));
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
    apply(&mut state, &[crate::support::put_group("other")]).expect("good");
    lock(&mut state, "a", 1_000, &[0]);
    assert_eq!(state.lock_holder("other", "orders", 0, 1_000), None);
    assert!(!state.has_locks("other", 1_000));
}

#[test]
fn a_lock_from_a_clock_far_ahead_is_cut_at_the_next_look() {
    let mut state = shop();
    lock(&mut state, "a", 9_000_000, &[0]);
    lock(&mut state, "b", 1_000, &[0, 1]);
    assert_eq!(holder(&state, 0, 60_999), Some("a"));
    lock(&mut state, "b", 61_000, &[0]);
    assert_eq!(holder(&state, 0, 61_000), Some("b"));
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
        let op = Op::LockQueues {
            group: group.into(),
            client: "a".into(),
            now_ms: 1,
            ttl_ms: TTL_MS,
            queues: vec![(topic.into(), queue_id)],
        };
        apply(&mut state, &[op]).expect("no contradiction");
    }
    assert_eq!(state.table_sums().locks, empty);
}
