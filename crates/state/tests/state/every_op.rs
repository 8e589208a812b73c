//! A state that has seen every op and has rows in every table, made by a fixed list of frames.
//!
//! Its hash is compared with the one that the code had when the list was written: replicas of
//! different builds compare hashes, so the number may never change. A new op gets a frame at the
//! end of the list and a number of its own behind it; those of the frames before it stay.

use std::collections::BTreeSet;

use tern_state::delay::SCHEDULE_TOPIC;
use tern_state::{
    BrokerPermission, CommitOffsets, DelayProgress, DeleteGroup, DeleteTopic, FoundGroup,
    GroupConfig, LeaseTime, LockQueues, Op, PutGroup, PutPermission, PutTopic, RetryPolicy, State,
    TableSums, TopicConfig, UnlockQueues, perm, sys_flag,
};

use crate::support::{block, commit, explicit, fill, founding, put_group, put_topic};

/// Records of one frame: topic, queue, count.
type FrameRecords = &'static [(&'static str, u32, u64)];

fn configs() -> Vec<Op> {
    vec![
        Op::PutTopic(PutTopic {
            changed_at_ms: 1_700_000_001_000,
            config: TopicConfig {
                read_queues: 6,
                sys_flag: sys_flag::UNIT,
                order: true,
                multi_tag: true,
                attributes: vec![("message.type".into(), "FIFO".into())],
                ..TopicConfig::new("orders", 4, perm::READ | perm::WRITE)
            },
        }),
        Op::PutGroup(PutGroup {
            changed_at_ms: 1_700_000_002_000,
            config: GroupConfig {
                retry_max_times: -1,
                retry_policy: RetryPolicy::Exponential {
                    initial_ms: 5_000,
                    max_ms: 7_200_000,
                    multiplier: 2,
                },
                attributes: vec![("key".into(), "value".into())],
                ..GroupConfig::new("shop")
            },
        }),
        Op::PutGroup(PutGroup {
            changed_at_ms: 1_700_000_001_500,
            config: GroupConfig {
                retry_policy: RetryPolicy::Customized(vec![1_000, 2_000]),
                ..GroupConfig::new("desk")
            },
        }),
        put_topic("bills", 2),
        put_topic("späne", 1),
        put_group("gone"),
    ]
}

fn lock(client: &str, term: u64, now_ms: u64, queues: &[(&str, u32)]) -> Op {
    Op::LockQueues(LockQueues {
        group: "shop".into(),
        client: client.into(),
        at: LeaseTime {
            term,
            since_ms: 500,
            now_ms,
        },
        ttl_ms: 60_000,
        queues: queues
            .iter()
            .map(|(topic, queue)| ((*topic).into(), *queue))
            .collect(),
    })
}

/// The frames: term, records, ops.
fn frames() -> Vec<(u64, FrameRecords, Vec<Op>)> {
    let offsets = vec![
        commit("orders", 0, 5),
        commit("orders", 5, 1),
        explicit("bills", 1, 2),
        explicit("orders", 0, 3),
        commit("nowhere", 0, 1),
    ];
    let progress = |level, from, to| Op::DelayProgress(DelayProgress { level, from, to });
    vec![
        (1, &[], vec![Op::FoundGroup(FoundGroup(founding()))]),
        (1, &[], configs()),
        (
            1,
            &[
                ("orders", 0, 7),
                ("orders", 5, 2),
                ("bills", 1, 3),
                ("späne", 0, 1),
                (SCHEDULE_TOPIC, 0, 4),
                (SCHEDULE_TOPIC, 17, 1),
            ],
            vec![
                Op::CommitOffsets(CommitOffsets(offsets)),
                progress(1, 0, 2),
                progress(18, 0, 1),
            ],
        ),
        (
            2,
            &[],
            vec![
                lock(
                    "one@1",
                    2,
                    900,
                    &[("orders", 0), ("orders", 1), ("bills", 0)],
                ),
                lock("two@2", 2, 1_000, &[("orders", 1), ("orders", 2)]),
                Op::UnlockQueues(UnlockQueues {
                    group: "shop".into(),
                    client: "one@1".into(),
                    queues: vec![("orders".into(), 0), ("orders".into(), 2)],
                }),
            ],
        ),
        (
            4,
            &[("bills", 0, 1)],
            vec![
                Op::DeleteTopic(DeleteTopic {
                    changed_at_ms: 1_700_000_003_000,
                    name: "späne".into(),
                }),
                Op::DeleteGroup(DeleteGroup {
                    changed_at_ms: 1_700_000_004_000,
                    name: "gone".into(),
                    clean_offsets: true,
                }),
                progress(1, 2, 3),
                put_topic("again", 1),
            ],
        ),
        (
            4,
            &[],
            vec![Op::PutPermission(PutPermission {
                changed_at_ms: 1_700_000_005_000,
                permission: BrokerPermission {
                    read_only: true,
                    rejects_sends: false,
                },
            })],
        ),
    ]
}

/// The state after each frame, the founding's first.
fn states() -> Vec<State> {
    let mut state = State::new();
    let mut states = Vec::new();
    for (index, (term, records, ops)) in (1..).zip(frames()) {
        for (topic, queue_id, count) in records {
            fill(&mut state, topic, *queue_id, *count);
        }
        state
            .apply_metadata(index, term, &block(&ops))
            .expect("good ops");
        states.push(state.clone());
    }
    states
}

/// The state behind so many frames.
pub fn state_behind(frames: usize) -> State {
    states()[frames - 1].clone()
}

/// The ops of all frames.
pub fn ops() -> Vec<Op> {
    frames().into_iter().flat_map(|(_, _, ops)| ops).collect()
}

#[test]
fn every_op_is_in_the_list() {
    let kinds: BTreeSet<_> = ops().iter().map(kind).collect();
    let known: BTreeSet<_> = Op::KINDS.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, known);
    assert_eq!(known.len(), Op::KINDS.len(), "no number stands twice");
}

fn kind(op: &Op) -> u16 {
    let bytes = block(std::slice::from_ref(op));
    u16::from_be_bytes([bytes[0], bytes[1]])
}

#[test]
fn every_table_has_rows() {
    let TableSums {
        settings,
        topics,
        groups,
        consumer_offsets,
        next_offsets,
        delays,
        locks,
        permission,
    } = state_behind(frames().len()).table_sums();
    let sums = [
        settings,
        topics,
        groups,
        consumer_offsets,
        next_offsets,
        delays,
        locks,
        permission,
    ];
    assert!(!sums.contains(&0), "{sums:x?}");
}

#[test]
fn the_hash_of_a_state_never_changes_between_builds() {
    let hashes: Vec<_> = states().iter().map(State::hash).collect();
    assert_eq!(State::new().hash(), 0x09bb_71fb_5459_6258);
    assert_eq!(
        hashes,
        [
            0x0650_3e08_2a9b_8aba,
            0xb32c_9a05_ceeb_30b6,
            0xe7fe_a02d_6efd_0481,
            0x31a9_f2df_7652_d524,
            0x5e5b_bd0c_c435_c5c6,
            0x1f47_d57f_4b19_c523
        ],
        "{hashes:x?}"
    );
}
