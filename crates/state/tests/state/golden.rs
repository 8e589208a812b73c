//! The bytes of each op, written by hand from the layouts in the crate's documentation. They are on
//! disks: if one of these tests fails, the code is wrong, not the test.

use tern_state::{
    BrokerPermission, CommitOffsets, DelayProgress, DeleteGroup, DeleteTopic, FlushDiskType,
    FoundGroup, FoundingMember, GroupConfig, GroupFounding, LeaseTime, LockQueues, OffsetCommit,
    Op, PutGroup, PutPermission, PutTopic, RetryPolicy, TopicConfig, UnlockQueues,
};

use crate::support::block;

/// Bytes from text: hexadecimal digits, or text in single quotes; spaces do not count.
fn bytes(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for (index, part) in text.split('\'').enumerate() {
        if index % 2 == 1 {
            out.extend_from_slice(part.as_bytes());
            continue;
        }
        let digits: String = part.split_whitespace().collect();
        assert_eq!(digits.len() % 2, 0, "whole bytes in {part}");
        out.extend(
            (0..digits.len())
                .step_by(2)
                .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).expect("digits")),
        );
    }
    out
}

fn assert_golden(op: &Op, text: &str) {
    let golden = bytes(text);
    assert_eq!(block(std::slice::from_ref(op)), golden);
    assert_eq!(
        Op::decode_all(&golden).as_deref(),
        Ok(std::slice::from_ref(op))
    );
}

#[test]
fn founding() {
    let op = Op::FoundGroup(FoundGroup(GroupFounding {
        cluster: "C".into(),
        group: "b0".into(),
        members: vec![
            FoundingMember {
                name: "n0".into(),
                replica_id: 1 << 32 | 1,
            },
            FoundingMember {
                name: "n1".into(),
                replica_id: 2 << 32 | 1,
            },
        ],
        segment_size: 0x4000_0000,
        flush: FlushDiskType::Async,
        feature_level: 1,
        auto_create_topic: true,
        default_topic_queue_nums: 8,
        founded_at_ms: 0x0102_0304_0506,
        directories: Vec::new(),
    }));
    assert_golden(
        &op,
        "0001 0001 00000045
         00000001 'C' 00000002 'b0'
         00000002
           00000002 'n0' 0000000100000001
           00000002 'n1' 0000000200000001
         0000000040000000 01 00000001 01 00000008 0000010203040506",
    );
}

#[test]
fn topic() {
    let op = Op::PutTopic(PutTopic {
        changed_at_ms: 7,
        config: TopicConfig {
            name: "orders".into(),
            read_queues: 4,
            write_queues: 3,
            perm: 6,
            sys_flag: 1,
            order: true,
            multi_tag: false,
            attributes: vec![("message.type".into(), "FIFO".into())],
        },
    });
    assert_golden(
        &op,
        "0002 0001 00000040
         0000000000000007
         00000006 'orders' 00000004 00000003 00000006 00000001 01 00
         00000001
           0000000c 'message.type' 00000004 'FIFO'",
    );
}

#[test]
fn group_with_defaults() {
    let op = Op::PutGroup(PutGroup {
        changed_at_ms: 7,
        config: GroupConfig::new("g"),
    });
    assert_golden(
        &op,
        "0003 0001 0000003b
         0000000000000007
         00000001 'g' 01 01 01 00 00000001 00000010
         0000000000000000 0000000000000001 01 00000000 0000000f
         00 00000000
         00000000",
    );
}

#[test]
fn group_with_pauses_that_grow() {
    let config = GroupConfig {
        retry_max_times: -1,
        retry_policy: RetryPolicy::Exponential {
            initial_ms: 5000,
            max_ms: 7_200_000,
            multiplier: 2,
        },
        ..GroupConfig::new("g")
    };
    assert_golden(
        &Op::PutGroup(PutGroup {
            changed_at_ms: 7,
            config,
        }),
        "0003 0001 0000004f
         0000000000000007
         00000001 'g' 01 01 01 00 00000001 ffffffff
         0000000000000000 0000000000000001 01 00000000 0000000f
         01 0000000000001388 00000000006ddd00 0000000000000002
         00000000",
    );
}

#[test]
fn delay_progress() {
    let op = Op::DelayProgress(DelayProgress {
        level: 3,
        from: 0x26,
        to: 0x2a,
    });
    assert_golden(
        &op,
        "0005 0001 00000012 0003 0000000000000026 000000000000002a",
    );
}

#[test]
fn queue_locks() {
    let queues = vec![("t".into(), 2), ("%RETRY%g".into(), 0)];
    assert_golden(
        &Op::LockQueues(LockQueues {
            group: "g".into(),
            client: "me@1".into(),
            at: LeaseTime {
                term: 7,
                since_ms: 0x0a0b_0c0d,
                now_ms: 0x0102_0304_0506,
            },
            ttl_ms: 60_000,
            queues: queues.clone(),
        }),
        "0006 0002 0000004a
         00000001 'g' 00000004 'me@1' 0000000000000007 000000000a0b0c0d 0000010203040506
         000000000000ea60
         00000002
           00000001 't' 00000002
           00000008 '%RETRY%g' 00000000",
    );
    assert_golden(
        &Op::UnlockQueues(UnlockQueues {
            group: "g".into(),
            client: "me@1".into(),
            queues,
        }),
        "0007 0001 0000002a
         00000001 'g' 00000004 'me@1'
         00000002
           00000001 't' 00000002
           00000008 '%RETRY%g' 00000000",
    );
}

#[test]
fn deletions() {
    assert_golden(
        &Op::DeleteTopic(DeleteTopic {
            changed_at_ms: 7,
            name: "orders".into(),
        }),
        "0008 0001 00000012 0000000000000007 00000006 'orders'",
    );
    assert_golden(
        &Op::DeleteGroup(DeleteGroup {
            changed_at_ms: 7,
            name: "g".into(),
            clean_offsets: true,
        }),
        "0009 0001 0000000e 0000000000000007 00000001 'g' 01",
    );
}

#[test]
fn permission() {
    assert_golden(
        &Op::PutPermission(PutPermission {
            changed_at_ms: 7,
            permission: BrokerPermission {
                read_only: true,
                rejects_sends: false,
            },
        }),
        "000a 0001 0000000a 0000000000000007 01 00",
    );
}

#[test]
fn offsets() {
    let commit = |queue_id, offset, explicit| OffsetCommit {
        group: "g".into(),
        topic: "t".into(),
        queue_id,
        offset,
        explicit,
    };
    assert_golden(
        &Op::CommitOffsets(CommitOffsets(vec![
            commit(0, 38, false),
            commit(1, 37, true),
        ])),
        "0004 0001 00000032
         00000002
           00000001 'g' 00000001 't' 00000000 0000000000000026 00
           00000001 'g' 00000001 't' 00000001 0000000000000025 01",
    );
}
