//! Topics and groups that a broker group has from its founding, and what is special about them.
//!
//! Source: `RocketMQ` 5.x, `TopicConfigManager`, `SubscriptionGroupManager`, `TopicValidator`.

use crate::delay::SCHEDULE_TOPIC;
use crate::founding::GroupFounding;
use crate::topic::{TopicConfig, perm};

/// The topic after whose model unknown topics are created.
pub const DEFAULT_TOPIC: &str = "TBW102";

/// What the names of most system topics begin with.
pub const SYSTEM_PREFIX: &str = "rmq_sys_";

/// What a retry topic's name begins with.
pub const RETRY_PREFIX: &str = "%RETRY%";

/// Subscription groups that always exist, with default configuration.
pub const BUILT_IN_GROUPS: [&str; 8] = [
    "TOOLS_CONSUMER",
    "FILTERSRV_CONSUMER",
    "SELF_TEST_C_GROUP",
    "CID_ONS-HTTP-PROXY",
    "CID_ONSAPI_PULL",
    "CID_ONSAPI_PERMISSION",
    "CID_ONSAPI_OWNER",
    "CID_RMQ_SYS_TRANS",
];

const READ_WRITE: u32 = perm::READ | perm::WRITE;
const REVIVE_QUEUES: u32 = 8;

/// The topics that applying a founding creates, in the order of their ids.
///
/// Two have names that depend on the group; should one coincide with another system topic, the
/// later configuration stands, as in `RocketMQ`. Topics that are off by default (trace) or made on
/// first use (given-up half messages) are not among them.
pub fn system_topics(founding: &GroupFounding) -> Vec<TopicConfig> {
    let (cluster, broker) = (&*founding.cluster, &*founding.group);
    let mut topics = Vec::with_capacity(14);
    if founding.auto_create_topic {
        topics.push(TopicConfig::new(
            DEFAULT_TOPIC,
            founding.default_topic_queue_nums,
            READ_WRITE | perm::INHERIT,
        ));
    }
    topics.extend([
        TopicConfig::new("SELF_TEST_TOPIC", 1, READ_WRITE),
        TopicConfig::new("BenchmarkTest", 1024, READ_WRITE),
        TopicConfig::new(cluster, 16, READ_WRITE | perm::INHERIT),
        TopicConfig::new(broker, 1, READ_WRITE | perm::INHERIT),
        TopicConfig::new("OFFSET_MOVED_EVENT", 1, READ_WRITE),
        TopicConfig::new(SCHEDULE_TOPIC, 18, READ_WRITE),
        TopicConfig::new(&format!("{cluster}_REPLY_TOPIC"), 1, READ_WRITE),
        TopicConfig::new(
            &format!("rmq_sys_REVIVE_LOG_{cluster}"),
            REVIVE_QUEUES,
            READ_WRITE,
        ),
        TopicConfig::new(
            &format!("rmq_sys_SYNC_BROKER_MEMBER_{broker}"),
            1,
            perm::INHERIT,
        ),
        TopicConfig::new("RMQ_SYS_TRANS_HALF_TOPIC", 1, READ_WRITE),
        TopicConfig::new("RMQ_SYS_TRANS_OP_HALF_TOPIC", 1, READ_WRITE),
        TopicConfig::new("rmq_sys_wheel_timer", 1, READ_WRITE),
    ]);
    topics
}

/// Names that are reserved for the system in every group, whether the topic exists or not.
pub const RESERVED_TOPICS: [&str; 11] = [
    DEFAULT_TOPIC,
    SCHEDULE_TOPIC,
    "BenchmarkTest",
    "RMQ_SYS_TRANS_HALF_TOPIC",
    "RMQ_SYS_TRACE_TOPIC",
    "RMQ_SYS_TRANS_OP_HALF_TOPIC",
    "TRANS_CHECK_MAX_TIME_TOPIC",
    "SELF_TEST_TOPIC",
    "OFFSET_MOVED_EVENT",
    "CHECKPOINT_TOPIC",
    "rmq_sys_wheel_timer",
];

/// True for a topic of the system: an administrator may not create or change it.
pub(crate) fn is_system_topic(founding: Option<&GroupFounding>, name: &str) -> bool {
    name.starts_with(SYSTEM_PREFIX)
        || RESERVED_TOPICS.contains(&name)
        || founding.is_some_and(|founding| {
            *founding.cluster == *name
                || *founding.group == *name
                || name.strip_suffix("_REPLY_TOPIC") == Some(&*founding.cluster)
        })
}

/// True for a topic to which clients may not send (answer 16).
pub fn refuses_client_sends(topic: &str) -> bool {
    matches!(
        topic,
        SCHEDULE_TOPIC
            | "RMQ_SYS_TRANS_HALF_TOPIC"
            | "RMQ_SYS_TRANS_OP_HALF_TOPIC"
            | "TRANS_CHECK_MAX_TIME_TOPIC"
            | "SELF_TEST_TOPIC"
            | "OFFSET_MOVED_EVENT"
    )
}

/// True for a group of the system: it is created on first use even where groups are not created by
/// themselves.
pub fn is_system_group(group: &str) -> bool {
    group.starts_with("CID_RMQ_SYS_")
}
