//! A consumer gives a message back: 36.

use super::declare::header;

header! {
    /// 36: this group could not consume a message.
    SendBack<'a> {
        /// Physical offset of the message.
        offset: i64 = b"offset",
        /// Consumer group.
        group: &'a str = b"group",
        /// Delay level; 0: the broker decides, negative: to the dead letters.
        delay_level: i32 = b"delayLevel",
        /// Offset message id of the message.
        origin_message_id: Option<&'a str> = b"originMsgId",
        /// Its topic.
        origin_topic: Option<&'a str> = b"originTopic",
        /// Unit mode.
        unit_mode: Option<bool> = b"unitMode",
        /// After how many times it is given up.
        max_reconsume_times: Option<i32> = b"maxReconsumeTimes",
        /// Name of the broker group that is meant (5.x).
        broker_name: Option<&'a str> = b"bname",
        /// How often the consumer has had it, with deliveries that no broker saw. Ours alone; Apache's passes over it.
        attempts: Option<i32> = b"attempts",
        /// Why it goes to the dead letters. Ours alone, as well.
        reason: Option<&'a str> = b"reason",
    }
}
