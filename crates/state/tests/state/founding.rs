//! What a group has from its first frame on.

use tern_state::{
    ApplyError, CommitOffsets, DataVersion, FoundGroup, GroupConfig, GroupFounding, Op, State,
    Topic, is_system_group,
};

use crate::support::{apply, founded_with, founding, put_group, put_topic, shop};

/// Name, read queues, write queues, perm: the table of system topics of `RocketMQ` 5.x with its
/// default switches.
const SYSTEM_TOPICS: [(&str, u32, u32, u32); 13] = [
    ("TBW102", 8, 8, 7),
    ("SELF_TEST_TOPIC", 1, 1, 6),
    ("BenchmarkTest", 1024, 1024, 6),
    ("DefaultCluster", 16, 16, 7),
    ("group-a", 1, 1, 7),
    ("OFFSET_MOVED_EVENT", 1, 1, 6),
    ("SCHEDULE_TOPIC_XXXX", 18, 18, 6),
    ("DefaultCluster_REPLY_TOPIC", 1, 1, 6),
    ("rmq_sys_REVIVE_LOG_DefaultCluster", 8, 8, 6),
    ("rmq_sys_SYNC_BROKER_MEMBER_group-a", 1, 1, 1),
    ("RMQ_SYS_TRANS_HALF_TOPIC", 1, 1, 6),
    ("RMQ_SYS_TRANS_OP_HALF_TOPIC", 1, 1, 6),
    ("rmq_sys_wheel_timer", 1, 1, 6),
];

fn table<'a>(state: &'a State) -> Vec<(&'a str, u32, u32, u32)> {
    let row = |topic: &'a Topic| {
        let config = &topic.config;
        (
            &*config.name,
            config.read_queues,
            config.write_queues,
            config.perm,
        )
    };
    state.topics().map(row).collect()
}

#[test]
fn founding_creates_exactly_the_system_topics() {
    let state = founded_with(founding());
    assert_eq!(table(&state), SYSTEM_TOPICS);
    assert!(
        state.topics().all(|topic| topic.config.sys_flag == 0
            && !topic.config.order
            && !topic.config.multi_tag)
    );
}

#[test]
fn ids_begin_at_1_in_the_order_of_creation() {
    let state = shop();
    let ids: Vec<u32> = state.topics().map(|topic| topic.id).collect();
    assert_eq!(ids, (1..=15).collect::<Vec<u32>>());
    assert_eq!(state.topic("orders").map(|topic| topic.id), Some(14));
    assert_eq!(
        state.topic_by_id(15).map(|topic| &*topic.config.name),
        Some("bills")
    );
    assert_eq!((state.topic_by_id(0), state.topic_by_id(16)), (None, None));
}

#[test]
fn without_auto_creation_there_is_no_default_topic() {
    let state = founded_with(GroupFounding {
        auto_create_topic: false,
        ..founding()
    });
    assert_eq!(table(&state), SYSTEM_TOPICS[1..]);
}

#[test]
fn the_default_topic_has_the_configured_queues() {
    let state = founded_with(GroupFounding {
        default_topic_queue_nums: 3,
        ..founding()
    });
    assert_eq!(table(&state)[0], ("TBW102", 3, 3, 7));
}

#[test]
fn a_group_named_like_its_cluster_has_one_topic_of_that_name() {
    let state = founded_with(GroupFounding {
        group: "DefaultCluster".into(),
        ..founding()
    });
    let found: Vec<_> = table(&state)
        .into_iter()
        .filter(|row| row.0 == "DefaultCluster")
        .collect();
    assert_eq!(found, [("DefaultCluster", 1, 1, 7)]);
}

#[test]
fn founding_creates_the_built_in_groups_with_defaults() {
    let state = founded_with(founding());
    let expected = [
        "CID_ONS-HTTP-PROXY",
        "CID_ONSAPI_OWNER",
        "CID_ONSAPI_PERMISSION",
        "CID_ONSAPI_PULL",
        "CID_RMQ_SYS_TRANS",
        "FILTERSRV_CONSUMER",
        "SELF_TEST_C_GROUP",
        "TOOLS_CONSUMER",
    ]
    .map(GroupConfig::new);
    assert_eq!(state.groups().cloned().collect::<Vec<_>>(), expected);
}

#[test]
fn founding_is_the_first_version_and_is_reported() {
    let mut state = State::new();
    assert_eq!(state.topic_version(), DataVersion::default());
    let changes =
        apply(&mut state, &[Op::FoundGroup(FoundGroup(founding()))]).expect("a good founding");
    assert!(changes.founded);
    assert_eq!((changes.topics.len(), changes.groups.len()), (13, 8));
    let first = DataVersion {
        counter: 1,
        changed_at_ms: 1_700_000_000_000,
    };
    assert_eq!(
        (state.topic_version(), state.group_version()),
        (first, first)
    );
    assert_eq!(state.settings(), Some(&founding()));
}

#[test]
fn nothing_comes_before_the_founding_and_it_comes_once() {
    for op in [
        put_topic("orders", 4),
        put_group("shop"),
        Op::CommitOffsets(CommitOffsets(Vec::new())),
    ] {
        assert_eq!(apply(&mut State::new(), &[op]), Err(ApplyError::NotFounded));
    }
    assert_eq!(
        State::new().apply_record("orders", 0, 0),
        Err(ApplyError::NotFounded)
    );
    assert_eq!(
        apply(&mut shop(), &[Op::FoundGroup(FoundGroup(founding()))]),
        Err(ApplyError::FoundedTwice)
    );
}

#[test]
fn a_feature_level_of_later_code_stops_the_replica() {
    let op = Op::FoundGroup(FoundGroup(GroupFounding {
        feature_level: 2,
        ..founding()
    }));
    assert_eq!(
        apply(&mut State::new(), &[op]),
        Err(ApplyError::FeatureLevel { level: 2, known: 1 })
    );
}

#[test]
fn a_founding_outside_its_bounds_is_refused() {
    for bad in [
        GroupFounding {
            default_topic_queue_nums: 0,
            ..founding()
        },
        GroupFounding {
            default_topic_queue_nums: 65_537,
            ..founding()
        },
        GroupFounding {
            cluster: "".into(),
            ..founding()
        },
        GroupFounding {
            group: "x".repeat(128).into(),
            ..founding()
        },
    ] {
        let refused = apply(&mut State::new(), &[Op::FoundGroup(FoundGroup(bad))]);
        assert!(
            matches!(refused, Err(ApplyError::Bounds { .. })),
            "{refused:?}"
        );
    }
}

#[test]
fn system_names_are_known_as_such() {
    let state = shop();
    for name in [
        "TBW102",
        "DefaultCluster",
        "group-a",
        "DefaultCluster_REPLY_TOPIC",
        "rmq_sys_anything",
    ] {
        assert!(state.is_system_topic(name), "{name}");
    }
    assert!(SYSTEM_TOPICS.iter().all(|row| state.is_system_topic(row.0)));
    for name in ["orders", "%RETRY%shop", "group-b", "Other_REPLY_TOPIC"] {
        assert!(!state.is_system_topic(name), "{name}");
    }
}

#[test]
fn system_groups_are_known_by_their_beginning() {
    assert!(is_system_group("CID_RMQ_SYS_TRANS") && is_system_group("CID_RMQ_SYS_new"));
    assert!(!is_system_group("CID_ONSAPI_PULL") && !is_system_group("shop"));
}
