//! Topics and groups after the founding.

use tern_state::{
    ApplyError, DataVersion, GroupConfig, MAX_QUEUES, Op, PutGroup, PutTopic, TopicConfig,
};

use crate::support::{apply, block, fill, names, put_group, put_topic, shop};

fn config(name: &str) -> TopicConfig {
    TopicConfig::new(name, 4, 6)
}

#[test]
fn putting_an_existing_topic_changes_it_and_keeps_id_and_records() {
    let mut state = shop();
    fill(&mut state, "orders", 3, 5);
    let id = state.topic("orders").expect("it exists").id;
    let smaller = TopicConfig {
        read_queues: 2,
        write_queues: 2,
        ..config("orders")
    };
    let changes = apply(
        &mut state,
        &[Op::PutTopic(PutTopic {
            changed_at_ms: 9,
            config: smaller.clone(),
        })],
    )
    .expect("good");
    assert_eq!(names(&changes.topics), ["orders"]);
    let topic = state.topic("orders").expect("it still exists");
    assert_eq!((topic.id, &topic.config), (id, &smaller));
    assert_eq!(state.topic_by_id(id), Some(topic));
    assert_eq!(state.next_offset("orders", 3), 5);
    let queues: Vec<_> = state.next_offsets_of(id).collect();
    assert_eq!(queues, [(3, 5)], "also beyond the configured queues");
}

#[test]
fn the_version_counts_changes_and_its_time_never_falls() {
    let mut state = shop();
    let before = state.topic_version();
    let later = Op::PutTopic(PutTopic {
        changed_at_ms: 1_800_000_000_000,
        config: config("a"),
    });
    let earlier = Op::PutTopic(PutTopic {
        changed_at_ms: 1_600_000_000_000,
        config: config("b"),
    });
    apply(&mut state, &[later, earlier]).expect("good");
    let after = DataVersion {
        counter: before.counter + 2,
        changed_at_ms: 1_800_000_000_000,
    };
    assert_eq!(state.topic_version(), after);
}

#[test]
fn an_equal_configuration_is_no_change() {
    let mut state = shop();
    let (hash, topics, groups) = (state.hash(), state.topic_version(), state.group_version());
    let changes = apply(&mut state, &[put_topic("orders", 4), put_group("shop")]).expect("good");
    assert_eq!((changes.topics.len(), changes.groups.len()), (0, 0));
    assert_eq!(
        (state.hash(), state.topic_version(), state.group_version()),
        (hash, topics, groups)
    );
}

#[test]
fn putting_a_group_changes_it_and_its_table_version_alone() {
    let mut state = shop();
    let (topics, groups) = (state.topic_version(), state.group_version());
    let changed = GroupConfig {
        retry_max_times: 3,
        ..GroupConfig::new("shop")
    };
    let op = Op::PutGroup(PutGroup {
        changed_at_ms: 1_800_000_000_000,
        config: changed.clone(),
    });
    assert_eq!(
        names(&apply(&mut state, &[op]).expect("good").groups),
        ["shop"]
    );
    assert_eq!(state.group("shop"), Some(&changed));
    assert_eq!(state.topic_version(), topics);
    let after = DataVersion {
        counter: groups.counter + 1,
        changed_at_ms: 1_800_000_000_000,
    };
    assert_eq!(state.group_version(), after);
}

#[test]
fn a_configuration_outside_its_bounds_is_refused_before_it_is_proposed_and_when_it_is_applied() {
    let topic = |config| {
        Op::PutTopic(PutTopic {
            changed_at_ms: 0,
            config,
        })
    };
    let group = |name: &str| {
        Op::PutGroup(PutGroup {
            changed_at_ms: 0,
            config: GroupConfig::new(name),
        })
    };
    let long = "x".repeat(256);
    for op in [
        topic(TopicConfig {
            read_queues: MAX_QUEUES + 1,
            ..config("t")
        }),
        topic(TopicConfig {
            write_queues: u32::MAX,
            ..config("t")
        }),
        topic(TopicConfig {
            perm: 16,
            ..config("t")
        }),
        topic(config("")),
        topic(config(&long)),
        group(""),
        group(&long),
    ] {
        let state = shop();
        let refused = state.check(&op).expect_err("out of bounds");
        assert!(matches!(refused, ApplyError::Bounds { .. }), "{refused:?}");
        assert_eq!(apply(&mut shop(), &[op]), Err(refused));
    }
    for op in [
        topic(TopicConfig {
            perm: 15,
            ..TopicConfig::new(&long[1..], MAX_QUEUES, 0)
        }),
        group(&long[1..]),
    ] {
        assert_eq!(shop().check(&op), Ok(()));
    }
}

#[test]
fn frames_are_closed_one_after_the_other_in_terms_that_never_fall() {
    let mut state = shop();
    let (index, term) = state.applied();
    assert_eq!((index, term), (2, 1));
    for (wrong_index, wrong_term) in [(index, term), (index + 2, term), (index + 1, term - 1)] {
        let refused = state.apply_metadata(wrong_index, wrong_term, &[]);
        let expected = ApplyError::Order {
            index: wrong_index,
            term: wrong_term,
            applied_index: index,
            applied_term: term,
        };
        assert_eq!(refused, Err(expected));
    }
    state
        .apply_metadata(index + 1, term + 4, &[])
        .expect("a frame without ops");
    assert_eq!(state.applied(), (index + 1, term + 4));
}

#[test]
fn an_unreadable_block_stops_the_replica_and_names_the_frame() {
    let mut bytes = block(&[put_topic("t", 1)]);
    bytes.pop();
    let refused = shop().apply_metadata(3, 1, &bytes);
    assert!(
        matches!(refused, Err(ApplyError::Op { index: 3, .. })),
        "{refused:?}"
    );
}

#[test]
fn a_snapshot_stays_as_it_was() {
    let mut state = shop();
    fill(&mut state, "orders", 0, 3);
    let snapshot = state.clone();
    let (hash, sums) = (snapshot.hash(), snapshot.recomputed_sums());
    fill(&mut state, "orders", 0, 1);
    fill(&mut state, "orders", 1, 1);
    apply(
        &mut state,
        &[
            put_topic("new", 1),
            put_topic("orders", 9),
            put_group("new"),
        ],
    )
    .expect("good");
    assert_ne!(state.hash(), hash);
    assert_eq!((snapshot.hash(), snapshot.recomputed_sums()), (hash, sums));
    assert_eq!(
        (
            snapshot.next_offset("orders", 0),
            snapshot.next_offset("orders", 1)
        ),
        (3, 0)
    );
    assert_eq!((snapshot.topic("new"), snapshot.group("new")), (None, None));
    assert_eq!(
        snapshot
            .topic("orders")
            .map(|topic| topic.config.read_queues),
        Some(4)
    );
}
