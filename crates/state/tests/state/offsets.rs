//! Consumer offsets.

use tern_state::{CommitOffsets, OffsetCommit, Op, State};

use crate::support::{apply, commit, explicit, fill, shop};

/// Ten records in queue 0 of `orders`.
fn ten() -> State {
    let mut state = shop();
    fill(&mut state, "orders", 0, 10);
    state
}

fn committed(state: &mut State, commit: OffsetCommit) -> Option<u64> {
    let (group, topic, queue_id) = (commit.group.clone(), commit.topic.clone(), commit.queue_id);
    apply(state, &[Op::CommitOffsets(CommitOffsets(vec![commit]))])
        .expect("commits are never a violation");
    state.offset(&group, &topic, queue_id)
}

#[test]
fn a_group_has_no_offset_before_its_first_commit() {
    let mut state = ten();
    assert_eq!(state.offset("shop", "orders", 0), None);
    assert_eq!(committed(&mut state, commit("orders", 0, 0)), Some(0));
    assert_eq!(state.offset("shop", "orders", 1), None);
}

#[test]
fn a_coalesced_commit_raises_and_never_lowers() {
    let mut state = ten();
    assert_eq!(committed(&mut state, commit("orders", 0, 4)), Some(4));
    assert_eq!(committed(&mut state, commit("orders", 0, 7)), Some(7));
    assert_eq!(committed(&mut state, commit("orders", 0, 6)), Some(7));
    assert_eq!(committed(&mut state, commit("orders", 0, 0)), Some(7));
}

#[test]
fn an_explicit_commit_lowers() {
    let mut state = ten();
    committed(&mut state, commit("orders", 0, 7));
    assert_eq!(committed(&mut state, explicit("orders", 0, 2)), Some(2));
    assert_eq!(committed(&mut state, commit("orders", 0, 3)), Some(3));
}

#[test]
fn no_commit_goes_past_the_end_of_its_queue() {
    let mut state = ten();
    assert_eq!(committed(&mut state, commit("orders", 0, 11)), Some(10));
    assert_eq!(
        committed(&mut state, explicit("orders", 0, u64::MAX)),
        Some(10)
    );
    assert_eq!(
        committed(&mut state, commit("orders", 3, 5)),
        Some(0),
        "a queue without records ends at 0"
    );
}

#[test]
fn commits_to_what_does_not_exist_are_ignored_and_counted() {
    let mut state = ten();
    let hash = state.hash();
    let ignored = vec![
        commit("nobody", 0, 1),
        explicit("orders", 4, 1),
        OffsetCommit {
            group: "strangers".into(),
            ..commit("orders", 0, 1)
        },
    ];
    let changes = apply(&mut state, &[Op::CommitOffsets(CommitOffsets(ignored))])
        .expect("commits are never a violation");
    assert_eq!((changes.offsets_taken, changes.offsets_ignored), (0, 3));
    assert_eq!(state.hash(), hash);
    assert_eq!(state.offset("strangers", "orders", 0), None);
}

#[test]
fn one_delta_carries_many_and_says_what_was_taken() {
    let mut state = ten();
    fill(&mut state, "bills", 1, 5);
    let delta = vec![
        commit("orders", 0, 9),
        commit("bills", 1, 5),
        commit("orders", 0, 8),
        explicit("bills", 1, 5),
    ];
    let changes = apply(&mut state, &[Op::CommitOffsets(CommitOffsets(delta))])
        .expect("commits are never a violation");
    assert_eq!((changes.offsets_taken, changes.offsets_ignored), (3, 1));
    let found: Vec<_> = state
        .offsets_of_group("shop")
        .map(|(topic, queue, at)| (&*topic.config.name, queue, at))
        .collect();
    assert_eq!(found, [("orders", 0, 9), ("bills", 1, 5)]);
    assert_eq!(state.offsets_of_group("strangers").count(), 0);
}

#[test]
fn commits_see_the_records_of_their_own_frame() {
    let mut state = ten();
    state
        .apply_record("orders", 0, 10)
        .expect("the next record");
    assert_eq!(committed(&mut state, commit("orders", 0, 11)), Some(11));
}
