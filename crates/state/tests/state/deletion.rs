//! Deleting topics and groups.

use std::sync::Arc;

use tern_state::{
    ApplyError, CommitOffsets, DataVersion, DeleteGroup, DeleteTopic, LeaseTime, LockQueues, Op,
    State,
};

use crate::support::{apply, commit, fill, put_group, put_topic, shop};

fn delete_topic(name: &str) -> Op {
    Op::DeleteTopic(DeleteTopic {
        changed_at_ms: 1_800_000_000_000,
        name: name.into(),
    })
}

fn delete_group(name: &str, clean_offsets: bool) -> Op {
    Op::DeleteGroup(DeleteGroup {
        changed_at_ms: 1_800_000_000_000,
        name: name.into(),
        clean_offsets,
    })
}

fn at(now_ms: u64) -> LeaseTime {
    LeaseTime {
        term: 1,
        since_ms: 0,
        now_ms,
    }
}

fn lock(topic: &str) -> Op {
    Op::LockQueues(LockQueues {
        group: "shop".into(),
        client: "a".into(),
        at: at(1),
        ttl_ms: 60_000,
        queues: vec![(topic.into(), 0)],
    })
}

/// Records, offsets and locks in both topics.
fn used() -> State {
    let mut state = shop();
    for topic in ["orders", "bills"] {
        fill(&mut state, topic, 0, 3);
        let commits = Op::CommitOffsets(CommitOffsets(vec![commit(topic, 0, 2)]));
        apply(&mut state, &[commits, lock(topic)]).expect("good ops");
    }
    state
}

#[test]
fn a_deleted_topic_leaves_nothing_but_its_id() {
    let mut state = used();
    let id = state.topic("orders").expect("it exists").id;
    let (count, version) = (state.topics().len(), state.topic_version());
    let changes = apply(&mut state, &[delete_topic("orders")]).expect("it exists");
    assert_eq!(changes.topics_deleted, [(Arc::from("orders"), id)]);
    assert_eq!((state.topic("orders"), state.topic_by_id(id)), (None, None));
    assert_eq!(state.topics().len(), count - 1);
    assert_eq!(state.next_offset_by_id(id, 0), 0);
    assert_eq!(state.offset("shop", "orders", 0), None);
    assert_eq!(state.lock_holder("shop", "orders", 0, at(2)), None);
    assert_eq!(
        (
            state.next_offset("bills", 0),
            state.offset("shop", "bills", 0),
            state.lock_holder("shop", "bills", 0, at(2))
        ),
        (3, Some(2), Some("a"))
    );
    let after = DataVersion {
        counter: version.counter + 1,
        changed_at_ms: 1_800_000_000_000,
    };
    assert_eq!(state.topic_version(), after);
    assert_eq!(state.table_sums(), state.recomputed_sums());
    let offsets: Vec<u32> = state
        .offsets_of_group("shop")
        .map(|(topic, ..)| topic.id)
        .collect();
    assert_eq!(offsets, [state.topic("bills").expect("it stays").id]);
    assert!(matches!(
        state.apply_record("orders", 0, 3),
        Err(ApplyError::UnknownTopic { .. })
    ));
}

#[test]
fn a_topic_made_again_has_a_new_id_and_starts_empty() {
    let mut state = used();
    let newest = state.topics().map(|topic| topic.id).max();
    apply(&mut state, &[delete_topic("orders"), delete_topic("bills")]).expect("they exist");
    apply(&mut state, &[put_topic("orders", 4)]).expect("good");
    let id = state.topic("orders").expect("it exists").id;
    assert_eq!(Some(id - 1), newest, "no id is given twice");
    assert_eq!(state.next_offset("orders", 0), 0);
    assert_eq!(state.offset("shop", "orders", 0), None);
    assert_eq!(state.apply_record("orders", 0, 0), Ok(id));
    assert_eq!(state.table_sums(), state.recomputed_sums());
}

#[test]
fn the_hash_tells_which_id_comes_next() {
    let (mut one, other) = (shop(), shop());
    apply(&mut one, &[put_topic("new", 1), delete_topic("new")]).expect("good");
    assert_eq!(
        one.topics().collect::<Vec<_>>(),
        other.topics().collect::<Vec<_>>()
    );
    let mut changed_twice = other.clone();
    apply(
        &mut changed_twice,
        &[put_topic("orders", 5), put_topic("orders", 4)],
    )
    .expect("good");
    assert_eq!(
        changed_twice.topic_version().counter,
        one.topic_version().counter
    );
    assert_ne!(one.table_sums().topics, other.table_sums().topics);
}

#[test]
fn topics_of_the_system_stay() {
    let state = shop();
    for name in ["SCHEDULE_TOPIC_XXXX", "TBW102", "DefaultCluster", "group-a"] {
        assert_eq!(
            state.check(&delete_topic(name)),
            Err(ApplyError::SystemTopic { topic: name.into() })
        );
    }
}

#[test]
fn deleting_what_is_not_there_changes_nothing() {
    let mut state = used();
    let before = (state.hash(), state.topic_version(), state.group_version());
    let changes = apply(
        &mut state,
        &[delete_topic("nothing"), delete_group("nobody", true)],
    )
    .expect("no contradiction");
    assert!(changes.topics_deleted.is_empty() && changes.groups_deleted.is_empty());
    assert_eq!(
        (state.hash(), state.topic_version(), state.group_version()),
        before
    );
}

#[test]
fn a_deleted_group_loses_its_locks_and_keeps_its_offsets_unless_they_are_to_go() {
    for clean in [false, true] {
        let mut state = used();
        let changes = apply(&mut state, &[delete_group("shop", clean)]).expect("good");
        assert_eq!(changes.groups_deleted, [Arc::from("shop")]);
        assert_eq!(state.group("shop"), None);
        assert!(!state.has_locks("shop", at(2)));
        apply(&mut state, &[put_group("shop")]).expect("good");
        let kept = state.offset("shop", "orders", 0);
        assert_eq!(kept, if clean { None } else { Some(2) });
        assert_eq!(state.table_sums(), state.recomputed_sums());
    }
}
