//! Decoding: what was encoded comes back, and nothing else gets in.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use tern_state::{
    BrokerPermission, CommitOffsets, DelayProgress, DeleteGroup, DeleteTopic, FieldError,
    FlushDiskType, FoundGroup, FoundingMember, GroupConfig, GroupFounding, LeaseTime, LockQueues,
    OffsetCommit, Op, OpError, PutGroup, PutPermission, PutTopic, RetryPolicy, TopicConfig,
    UnlockQueues,
};

use crate::support::{block, commit, put_group, put_topic};

fn text() -> impl Strategy<Value = String> {
    vec(any::<char>(), 0..8).prop_map(|chars| chars.into_iter().collect())
}

fn attributes() -> impl Strategy<Value = Vec<(String, String)>> {
    vec((text(), text()), 0..3)
}

fn founding() -> impl Strategy<Value = Op> {
    let names = (text(), text(), vec((text(), any::<u64>()), 0..4));
    let numbers = (
        any::<u64>(),
        any::<bool>(),
        any::<u32>(),
        any::<bool>(),
        any::<u32>(),
        any::<u64>(),
    );
    (names, numbers).prop_map(
        |((cluster, group, members), (size, sync, level, auto, queues, at))| {
            Op::FoundGroup(FoundGroup(GroupFounding {
                cluster: cluster.into(),
                group: group.into(),
                members: members
                    .into_iter()
                    .map(|(name, id)| FoundingMember {
                        name: name.into(),
                        replica_id: id,
                    })
                    .collect(),
                segment_size: size,
                flush: if sync {
                    FlushDiskType::Sync
                } else {
                    FlushDiskType::Async
                },
                feature_level: level,
                auto_create_topic: auto,
                default_topic_queue_nums: queues,
                founded_at_ms: at,
                directories: Vec::new(),
            }))
        },
    )
}

fn topic() -> impl Strategy<Value = Op> {
    (
        text(),
        any::<[u32; 4]>(),
        any::<[bool; 2]>(),
        attributes(),
        any::<u64>(),
    )
        .prop_map(|(name, numbers, flags, attributes, changed_at_ms)| {
            Op::PutTopic(PutTopic {
                changed_at_ms,
                config: TopicConfig {
                    name: name.into(),
                    read_queues: numbers[0],
                    write_queues: numbers[1],
                    perm: numbers[2],
                    sys_flag: numbers[3],
                    order: flags[0],
                    multi_tag: flags[1],
                    attributes,
                },
            })
        })
}

fn policy() -> impl Strategy<Value = RetryPolicy> {
    prop_oneof![
        vec(any::<u64>(), 0..4).prop_map(RetryPolicy::Customized),
        any::<[u64; 3]>().prop_map(
            |[initial_ms, max_ms, multiplier]| RetryPolicy::Exponential {
                initial_ms,
                max_ms,
                multiplier
            }
        ),
    ]
}

fn group() -> impl Strategy<Value = Op> {
    let numbers = (any::<[i32; 4]>(), any::<[u64; 3]>(), any::<[bool; 5]>());
    (text(), numbers, policy(), attributes()).prop_map(
        |(name, (small, large, flags), retry_policy, attributes)| {
            Op::PutGroup(PutGroup {
                changed_at_ms: large[2],
                config: GroupConfig {
                    name: name.into(),
                    consume_enable: flags[0],
                    consume_from_min_enable: flags[1],
                    consume_broadcast_enable: flags[2],
                    consume_message_orderly: flags[3],
                    retry_queue_nums: small[0],
                    retry_max_times: small[1],
                    broker_id: large[0],
                    which_broker_when_consume_slowly: large[1],
                    notify_consumer_ids_changed_enable: flags[4],
                    group_sys_flag: small[2],
                    consume_timeout_minute: small[3],
                    retry_policy,
                    attributes,
                },
            })
        },
    )
}

fn offsets() -> impl Strategy<Value = Op> {
    let commit = (text(), text(), any::<u32>(), any::<u64>(), any::<bool>());
    let commit = commit.prop_map(|(group, topic, queue_id, offset, explicit)| OffsetCommit {
        group: group.into(),
        topic: topic.into(),
        queue_id,
        offset,
        explicit,
    });
    vec(commit, 0..6).prop_map(|commits| Op::CommitOffsets(CommitOffsets(commits)))
}

fn queues() -> impl Strategy<Value = Vec<(Arc<str>, u32)>> {
    let queue = (text(), any::<u32>());
    vec(
        queue.prop_map(|(topic, queue_id)| (topic.into(), queue_id)),
        0..4,
    )
}

fn locks() -> impl Strategy<Value = Op> {
    (text(), text(), any::<[u64; 4]>(), queues(), any::<bool>()).prop_map(
        |(group, client, [term, since_ms, now_ms, ttl_ms], queues, lock)| {
            let (group, client) = (group.into(), client.into());
            if lock {
                Op::LockQueues(LockQueues {
                    group,
                    client,
                    at: LeaseTime {
                        term,
                        since_ms,
                        now_ms,
                    },
                    ttl_ms,
                    queues,
                })
            } else {
                Op::UnlockQueues(UnlockQueues {
                    group,
                    client,
                    queues,
                })
            }
        },
    )
}

fn deletions() -> impl Strategy<Value = Op> {
    let numbers = (any::<u16>(), any::<[u64; 2]>());
    prop_oneof![
        numbers.prop_map(|(level, [from, to])| Op::DelayProgress(DelayProgress {
            level,
            from,
            to
        })),
        (any::<u64>(), text()).prop_map(|(changed_at_ms, name)| Op::DeleteTopic(DeleteTopic {
            changed_at_ms,
            name: name.into()
        })),
        (any::<u64>(), text(), any::<bool>()).prop_map(|(changed_at_ms, name, clean_offsets)| {
            Op::DeleteGroup(DeleteGroup {
                changed_at_ms,
                name: name.into(),
                clean_offsets,
            })
        }),
        (any::<u64>(), any::<[bool; 2]>()).prop_map(|(changed_at_ms, flags)| {
            Op::PutPermission(PutPermission {
                changed_at_ms,
                permission: BrokerPermission {
                    read_only: flags[0],
                    rejects_sends: flags[1],
                },
            })
        }),
    ]
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        founding(),
        topic(),
        group(),
        offsets(),
        locks(),
        deletions()
    ];
    vec(op, 0..5)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_block_of_any_ops_comes_back(ops in ops()) {
        prop_assert_eq!(Op::decode_all(&block(&ops)), Ok(ops));
    }

    #[test]
    fn a_cut_block_is_refused_unless_cut_between_ops(
        ops in ops(),
        place in any::<prop::sample::Index>(),
    ) {
        let whole = block(&ops);
        let cut = place.index(whole.len() + 1);
        let kept = (0..=ops.len()).find(|&count| block(&ops[..count]).len() == cut);
        let decoded = Op::decode_all(&whole[..cut]);
        if let Some(count) = kept {
            prop_assert_eq!(decoded.as_deref(), Ok(&ops[..count]));
        } else {
            let is_refused = matches!(decoded, Err(OpError::Field(FieldError::Truncated { .. })));
            prop_assert!(is_refused, "{:?}", decoded);
        }
    }

    #[test]
    fn changed_bytes_never_panic_and_what_is_accepted_has_one_form(
        ops in ops(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = block(&ops);
        prop_assume!(!bytes.is_empty());
        for (place, value) in changes {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        if let Ok(decoded) = Op::decode_all(&bytes) {
            prop_assert_eq!(block(&decoded), bytes);
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..200)) {
        if let Ok(decoded) = Op::decode_all(&bytes) {
            prop_assert_eq!(block(&decoded), bytes);
        }
    }
}

/// A block of one op whose bytes at `place` are replaced.
fn patched(op: &Op, place: usize, with: &[u8]) -> Vec<u8> {
    let mut bytes = block(std::slice::from_ref(op));
    bytes[place..place + with.len()].copy_from_slice(with);
    bytes
}

#[test]
fn a_count_that_the_bytes_cannot_hold_is_refused_before_anything_is_allocated() {
    let bytes = patched(
        &Op::CommitOffsets(CommitOffsets(vec![commit("orders", 0, 1)])),
        8,
        &[0xff; 4],
    );
    let need = 0xffff_ffff * (4 + 4 + 4 + 8 + 1);
    assert_eq!(
        Op::decode_all(&bytes),
        Err(OpError::Field(FieldError::Truncated {
            need,
            have: bytes.len() - 12
        }))
    );
}

#[test]
fn a_string_longer_than_its_body_is_refused() {
    let bytes = patched(&put_group("shop"), 16, &1000_u32.to_be_bytes());
    assert_eq!(
        Op::decode_all(&bytes),
        Err(OpError::Field(FieldError::Truncated {
            need: 1000,
            have: bytes.len() - 20
        }))
    );
}

#[test]
fn a_body_longer_than_its_block_is_refused() {
    let bytes = patched(&put_group("shop"), 4, &1000_u32.to_be_bytes());
    assert_eq!(
        Op::decode_all(&bytes),
        Err(OpError::Field(FieldError::Truncated {
            need: 1000,
            have: bytes.len() - 8
        }))
    );
}

#[test]
fn a_body_longer_than_its_fields_is_refused() {
    let mut bytes = block(&[put_topic("orders", 4)]);
    bytes.push(0);
    let length = bytes.len() as u32 - 8;
    bytes[4..8].copy_from_slice(&length.to_be_bytes());
    assert_eq!(
        Op::decode_all(&bytes),
        Err(OpError::Trailing { kind: 2, left: 1 })
    );
}

#[test]
fn types_and_versions_of_later_code_are_refused_by_name() {
    let op = put_topic("orders", 4);
    let known = Op::KINDS.iter().map(|(kind, _)| *kind);
    let kind = known.max().expect("there are ops") + 1;
    assert_eq!(
        Op::decode_all(&patched(&op, 0, &kind.to_be_bytes())),
        Err(OpError::UnknownType { kind })
    );
    assert_eq!(
        Op::decode_all(&patched(&op, 0, &[0, 0])),
        Err(OpError::UnknownType { kind: 0 })
    );
    assert_eq!(
        Op::decode_all(&patched(&op, 2, &[0, 2])),
        Err(OpError::UnknownVersion {
            kind: 2,
            version: 2
        })
    );
}

#[test]
fn a_flag_is_0_or_1_and_a_name_is_text() {
    let op = put_topic("orders", 4);
    let order = 8 + 8 + 4 + 6 + 16;
    assert_eq!(
        Op::decode_all(&patched(&op, order, &[2])),
        Err(OpError::Field(FieldError::BadValue {
            field: "order",
            value: 2
        }))
    );
    assert_eq!(
        Op::decode_all(&patched(&op, 20, &[0xff])),
        Err(OpError::Field(FieldError::NotUtf8))
    );
}
