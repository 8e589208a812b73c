//! The same frames give the same state, and the hash says so.

use tern_state::{CommitOffsets, GroupConfig, Op, PutGroup, PutTopic, State, TopicConfig};

use crate::support::{apply, commit, explicit, fill, put_group, put_topic, shop};

/// A history of some length, the same each time.
fn history() -> State {
    let mut state = shop();
    for round in 0..40_u64 {
        for queue_id in 0..4 {
            fill(&mut state, "orders", queue_id, round % 3);
        }
        fill(&mut state, "bills", (round % 2) as u32, 1);
        let config = TopicConfig {
            order: round % 2 == 0,
            ..TopicConfig::new("orders", 4, 6)
        };
        let name = format!("g{}", round % 5);
        let group = GroupConfig {
            broker_id: round / 10,
            ..GroupConfig::new(&name)
        };
        let delta = vec![
            commit("orders", (round % 4) as u32, round),
            explicit("bills", 0, round / 4),
        ];
        let ops = [
            put_topic(&format!("t{}", round % 7), round as u32),
            Op::PutTopic(PutTopic {
                changed_at_ms: round,
                config,
            }),
            Op::PutGroup(PutGroup {
                changed_at_ms: round,
                config: group,
            }),
            Op::CommitOffsets(CommitOffsets(delta)),
        ];
        apply(&mut state, &ops).expect("good ops");
    }
    state
}

#[test]
fn the_same_frames_give_the_same_hash_and_ids() {
    let (one, other) = (history(), history());
    assert_eq!(
        (one.hash(), one.table_sums()),
        (other.hash(), other.table_sums())
    );
    assert_eq!(
        one.topics().collect::<Vec<_>>(),
        other.topics().collect::<Vec<_>>()
    );
}

#[test]
fn the_kept_sums_are_those_of_the_entries() {
    let state = history();
    assert_eq!(state.table_sums(), state.recomputed_sums());
    assert_eq!(State::new().table_sums(), State::new().recomputed_sums());
}

#[test]
fn the_order_of_independent_changes_does_not_show() {
    let ops = [
        put_group("g1"),
        Op::CommitOffsets(CommitOffsets(vec![
            commit("orders", 0, 1),
            commit("bills", 0, 2),
        ])),
        put_topic("orders", 8),
        put_group("g2"),
        Op::CommitOffsets(CommitOffsets(vec![commit("orders", 1, 2)])),
        Op::PutGroup(PutGroup {
            changed_at_ms: 1,
            config: GroupConfig {
                broker_id: 1,
                ..GroupConfig::new("shop")
            },
        }),
        put_topic("bills", 3),
    ];
    let mut reversed = ops.clone();
    reversed.reverse();
    let filled = |queues: &[(&str, u32)]| {
        let mut state = shop();
        for (topic, queue_id) in queues {
            fill(&mut state, topic, *queue_id, 2);
        }
        state
    };
    let mut one = filled(&[("orders", 0), ("orders", 1), ("bills", 0)]);
    let mut other = filled(&[("bills", 0), ("orders", 1), ("orders", 0)]);
    apply(&mut one, &ops).expect("good ops");
    apply(&mut other, &reversed).expect("good ops");
    assert_eq!(one.table_sums(), other.table_sums());
    assert_eq!(one.hash(), other.hash());
}

#[test]
fn the_order_in_which_topics_were_created_shows() {
    let (mut one, mut other) = (shop(), shop());
    apply(&mut one, &[put_topic("a", 1), put_topic("b", 1)]).expect("good ops");
    apply(&mut other, &[put_topic("b", 1), put_topic("a", 1)]).expect("good ops");
    assert_ne!(one.table_sums().topics, other.table_sums().topics);
    assert_eq!(one.table_sums().groups, other.table_sums().groups);
}

#[test]
fn every_kind_of_change_shows_in_the_sum_of_its_table() {
    let mut state = shop();
    fill(&mut state, "orders", 0, 2);
    let before = state.table_sums();
    let changed = |change: &dyn Fn(&mut State)| {
        let mut state = state.clone();
        change(&mut state);
        let after = state.table_sums();
        assert_ne!(state.hash(), before.combined());
        [
            after.settings != before.settings,
            after.topics != before.topics,
            after.groups != before.groups,
            after.consumer_offsets != before.consumer_offsets,
            after.next_offsets != before.next_offsets,
        ]
    };
    let ops = |op: Op| {
        move |state: &mut State| drop(apply(state, std::slice::from_ref(&op)).expect("good ops"))
    };
    assert_eq!(
        changed(&ops(put_topic("orders", 5))),
        [false, true, false, false, false]
    );
    assert_eq!(
        changed(&ops(put_group("new"))),
        [false, false, true, false, false]
    );
    assert_eq!(
        changed(&ops(Op::CommitOffsets(CommitOffsets(vec![commit(
            "orders", 0, 1
        )])))),
        [false, false, false, true, false]
    );
    assert_eq!(
        changed(&|state| fill(state, "orders", 0, 1)),
        [false, false, false, false, true]
    );
}
