//! Builders.

use std::sync::Arc;

use tern_state::{
    ApplyError, Changes, FlushDiskType, FoundGroup, FoundingMember, GroupConfig, GroupFounding,
    OffsetCommit, Op, PutGroup, PutTopic, State, TopicConfig,
};

pub fn founding() -> GroupFounding {
    let member = |name: &str, number: u64| FoundingMember {
        name: name.into(),
        replica_id: number << 32 | 1,
    };
    GroupFounding {
        cluster: "DefaultCluster".into(),
        group: "group-a".into(),
        members: vec![member("n0", 1), member("n1", 2), member("n2", 3)],
        segment_size: 64 << 20,
        flush: FlushDiskType::Sync,
        feature_level: 1,
        auto_create_topic: true,
        default_topic_queue_nums: 8,
        founded_at_ms: 1_700_000_000_000,
        directories: Vec::new(),
    }
}

pub fn block(ops: &[Op]) -> Vec<u8> {
    let mut out = Vec::new();
    for op in ops {
        op.encode(&mut out);
    }
    out
}

pub fn apply(state: &mut State, ops: &[Op]) -> Result<Changes, ApplyError> {
    let (index, term) = state.applied();
    state.apply_metadata(index + 1, term.max(1), &block(ops))
}

pub fn founded_with(founding: GroupFounding) -> State {
    let mut state = State::new();
    apply(&mut state, &[Op::FoundGroup(FoundGroup(founding))]).expect("a good founding");
    state
}

/// A founded group with the topics `orders` (4 queues) and `bills` (2), and the group `shop`.
pub fn shop() -> State {
    let mut state = founded_with(founding());
    let ops = [
        put_topic("orders", 4),
        put_topic("bills", 2),
        put_group("shop"),
    ];
    apply(&mut state, &ops).expect("good ops");
    state
}

pub fn put_topic(name: &str, queues: u32) -> Op {
    Op::PutTopic(PutTopic {
        changed_at_ms: 1_700_000_000_500,
        config: TopicConfig::new(name, queues, 6),
    })
}

pub fn put_group(name: &str) -> Op {
    Op::PutGroup(PutGroup {
        changed_at_ms: 1_700_000_000_500,
        config: GroupConfig::new(name),
    })
}

pub fn commit(topic: &str, queue_id: u32, offset: u64) -> OffsetCommit {
    OffsetCommit {
        group: "shop".into(),
        topic: topic.into(),
        queue_id,
        offset,
        explicit: false,
    }
}

pub fn explicit(topic: &str, queue_id: u32, offset: u64) -> OffsetCommit {
    OffsetCommit {
        explicit: true,
        ..commit(topic, queue_id, offset)
    }
}

/// Applies `count` records to one queue.
pub fn fill(state: &mut State, topic: &str, queue_id: u32, count: u64) {
    for _ in 0..count {
        let next = state.next_offset(topic, queue_id);
        state
            .apply_record(topic, queue_id, next)
            .expect("the next record");
    }
}

pub fn names(names: &[Arc<str>]) -> Vec<&str> {
    names.iter().map(|name| &**name).collect()
}
