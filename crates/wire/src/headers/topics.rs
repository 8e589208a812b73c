//! Topics: created at a broker (17), looked up and changed at a name server (105, 216, 217, 224).

use super::declare::header;

header! {
    /// 17: create or change a topic.
    CreateTopic<'a> {
        /// Topic.
        topic: &'a str = b"topic",
        /// Not used by brokers, but always there.
        default_topic: Option<&'a str> = b"defaultTopic",
        /// Queues for consumers.
        read_queue_nums: i32 = b"readQueueNums",
        /// Queues for producers.
        write_queue_nums: i32 = b"writeQueueNums",
        /// Bits of [`crate::permission`].
        permission: i32 = b"perm",
        /// `SINGLE_TAG` or `MULTI_TAG`.
        topic_filter_type: Option<&'a str> = b"topicFilterType",
        /// Topic flag.
        topic_sys_flag: Option<i32> = b"topicSysFlag",
        /// Is it an ordered topic?
        order: Option<bool> = b"order",
        /// `+key=value,-key` (5.x).
        attributes: Option<&'a str> = b"attributes",
        /// 5.x.
        force: Option<bool> = b"force",
    }
}

header! {
    /// 105: the route of a topic.
    GetRoute<'a> {
        /// Topic.
        topic: &'a str = b"topic",
        /// Quote integer keys, whatever the request's version says (4.9.4 on).
        accept_standard_json_only: Option<bool> = b"acceptStandardJsonOnly",
    }
}

header! {
    /// 216: forget a topic.
    DeleteTopicInNameServer<'a> {
        /// Topic.
        topic: &'a str = b"topic",
        /// Only the brokers of this cluster.
        cluster_name: Option<&'a str> = b"clusterName",
    }
}

header! {
    /// 217: add queue data of one topic; the body says which.
    RegisterTopicInNameServer<'a> {
        /// Topic.
        topic: &'a str = b"topic",
    }
}

header! {
    /// 224: topics of a cluster.
    TopicsByCluster<'a> {
        /// Cluster.
        cluster: &'a str = b"cluster",
    }
}
