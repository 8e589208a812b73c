//! Consumer offsets (14, 15) and queue offsets (29 to 32).

use super::declare::header;

header! {
    /// 14: what has this group committed in this queue?
    QueryConsumerOffsetRequest<'a> {
        /// Consumer group.
        consumer_group: &'a str = b"consumerGroup",
        /// Topic.
        topic: &'a str = b"topic",
        /// Queue.
        queue_id: i32 = b"queueId",
        /// `false`: answer 22 rather than 0 where there is none (5.x).
        set_zero_if_not_found: Option<bool> = b"setZeroIfNotFound",
    }
}

header! {
    /// 15: commit an offset; usually one-way.
    UpdateConsumerOffset<'a> {
        /// Consumer group.
        consumer_group: &'a str = b"consumerGroup",
        /// Topic.
        topic: &'a str = b"topic",
        /// Queue.
        queue_id: i32 = b"queueId",
        /// Queue offset of the next message to consume.
        commit_offset: i64 = b"commitOffset",
    }
}

header! {
    /// 29: where was this queue at a store time?
    SearchOffset<'a> {
        /// Topic.
        topic: &'a str = b"topic",
        /// Queue.
        queue_id: i32 = b"queueId",
        /// Store time, ms.
        timestamp_ms: i64 = b"timestamp",
        /// `LOWER`, meant by none, or `UPPER`, in any letter case (5.x).
        boundary_type: Option<&'a str> = b"boundaryType",
    }
}

header! {
    /// 30, 31, 32: one queue.
    QueueRequest<'a> {
        /// Topic.
        topic: &'a str = b"topic",
        /// Queue.
        queue_id: i32 = b"queueId",
        /// 30 only: count committed messages only.
        committed: Option<bool> = b"committed",
    }
}

header! {
    /// 33: one message by its position in the log.
    ViewMessage<'a> {
        /// Physical offset, from an offset id.
        offset: i64 = b"offset",
        /// Topic (5.x).
        topic: Option<&'a str> = b"topic",
    }
}

header! {
    /// Answer to 14, 29, 30, 31.
    OffsetResponse {
        /// Queue offset.
        offset: i64 = b"offset",
    }
}

/// Answer to 14.
pub type QueryConsumerOffsetResponse = OffsetResponse;

header! {
    /// Answer to 32.
    TimestampResponse {
        /// Store time of the oldest message, ms; -1 if there is none.
        timestamp_ms: i64 = b"timestamp",
    }
}
