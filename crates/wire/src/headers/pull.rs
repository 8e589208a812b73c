//! Pulling from one queue: 11 and 361.

use super::declare::header;

header! {
    /// Request of a pull.
    PullRequest<'a> {
        /// Consumer group.
        consumer_group: &'a str = b"consumerGroup",
        /// Topic.
        topic: &'a str = b"topic",
        /// Queue.
        queue_id: i32 = b"queueId",
        /// First queue offset wanted.
        queue_offset: i64 = b"queueOffset",
        /// At most so many messages.
        max_messages: i32 = b"maxMsgNums",
        /// Bits of [`crate::sys_flag::pull`].
        sys_flag: i32 = b"sysFlag",
        /// Offset to commit, if the flag says so.
        commit_offset: i64 = b"commitOffset",
        /// How long the server may hold the request, ms.
        suspend_timeout_ms: i64 = b"suspendTimeoutMillis",
        /// Filter expression, if the flag says so.
        subscription: Option<&'a str> = b"subscription",
        /// Version of the client's subscription. Go and C++ send 0.
        subscription_version: i64 = b"subVersion",
        /// `TAG`, meant by none, or `SQL92`.
        expression_type: Option<&'a str> = b"expressionType",
        /// At most so many bytes (5.x); stock brokers ignore it.
        max_bytes: Option<i32> = b"maxMsgBytes",
        /// Set by proxies.
        request_source: Option<i32> = b"requestSource",
        /// Set by proxies; misspelled in the protocol.
        proxy_forward_client_id: Option<&'a str> = b"proxyFrowardClientId",
    }
}

header! {
    /// Answer to a pull that passed the checks (codes 0, 19, 20, 21).
    PullResponse {
        /// Broker id that should be asked next.
        suggested_broker_id: i64 = b"suggestWhichBrokerId",
        /// Queue offset to go on at.
        next_begin_offset: i64 = b"nextBeginOffset",
        /// Smallest queue offset kept.
        min_offset: i64 = b"minOffset",
        /// Queue offset of the next message to come.
        max_offset: i64 = b"maxOffset",
        /// Static topics (5.x).
        offset_delta: Option<i64> = b"offsetDelta",
        /// Topic flag (5.x).
        topic_sys_flag: Option<i32> = b"topicSysFlag",
        /// Group flag (5.x).
        group_sys_flag: Option<i32> = b"groupSysFlag",
        /// Why reading is forbidden (5.x).
        forbidden_type: Option<i32> = b"forbiddenType",
    }
}
