//! Messages by key: 12.

use super::declare::header;

header! {
    /// 12: the messages of a topic with this key.
    QueryMessage<'a> {
        /// Topic.
        topic: &'a str = b"topic",
        /// One of a message's keys, or its unique id.
        key: &'a str = b"key",
        /// How many messages at most.
        max_messages: i32 = b"maxNum",
        /// Stored at this time or later, ms.
        begin_timestamp_ms: i64 = b"beginTimestamp",
        /// Stored at this time or before, ms.
        end_timestamp_ms: i64 = b"endTimestamp",
        /// Is the key a unique id? Java writes this field beside the header.
        is_unique_key: Option<bool> = b"_UNIQUE_KEY_QUERY",
        /// `K` for keys, `U` for unique ids, `T` for tags (5.x).
        index_type: Option<&'a str> = b"indexType",
    }
}

header! {
    /// Answer to 12. The body is the messages' records, back to back.
    QueryMessageResponse {
        /// When the newest message that has a key was stored, ms.
        index_last_update_timestamp_ms: i64 = b"indexLastUpdateTimestamp",
        /// Where that message stands in the log.
        index_last_update_physical_offset: i64 = b"indexLastUpdatePhyoffset",
    }
}
