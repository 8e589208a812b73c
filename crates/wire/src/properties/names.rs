//! Names of system properties. They share one map with the user's own.

/// Declares the constants and the list of all of them.
macro_rules! names {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        $($(#[$doc])* pub const $name: &str = $text;)*

        /// Every name.
        pub const ALL: &[&str] = &[$($name),*];
    };
}

names! {
    /// Index keys, joined by blanks.
    KEYS = "KEYS";
    /// The tag that filters look at.
    TAGS = "TAGS";
    /// Should the answer wait for flush and replication? Read at the broker and not stored.
    WAIT = "WAIT";
    /// Delay level.
    DELAY = "DELAY";
    /// Original topic of a retried message.
    RETRY_TOPIC = "RETRY_TOPIC";
    /// Topic to which a delayed or half message belongs.
    REAL_TOPIC = "REAL_TOPIC";
    /// Queue to which a delayed or half message belongs.
    REAL_QID = "REAL_QID";
    /// `true` on a half message.
    TRAN_MSG = "TRAN_MSG";
    /// Producer group of a half message.
    PGROUP = "PGROUP";
    /// Smallest queue offset, filled in by clients.
    MIN_OFFSET = "MIN_OFFSET";
    /// Next queue offset, filled in by clients.
    MAX_OFFSET = "MAX_OFFSET";
    /// Message id of the first delivery.
    ORIGIN_MESSAGE_ID = "ORIGIN_MESSAGE_ID";
    /// Retry count, where a retry is sent as a normal send.
    RECONSUME_TIME = "RECONSUME_TIME";
    /// Retry limit, where a retry is sent as a normal send.
    MAX_RECONSUME_TIMES = "MAX_RECONSUME_TIMES";
    /// Region of the broker.
    MSG_REGION = "MSG_REGION";
    /// Is tracing on?
    TRACE_ON = "TRACE_ON";
    /// Unique id that the client made ([`crate::message_id`]).
    UNIQ_KEY = "UNIQ_KEY";
    /// Client-side timeout of ordered consumption.
    CONSUME_START_TIME = "CONSUME_START_TIME";
    /// Messages in an inner batch.
    INNER_NUM = "INNER_NUM";
    /// First queue offset of an inner batch.
    INNER_BASE = "INNER_BASE";
    /// Pause before the first check of a half message, s.
    CHECK_IMMUNITY_TIME_IN_SECONDS = "CHECK_IMMUNITY_TIME_IN_SECONDS";
    /// Half offset before the message was queued again.
    TRAN_PREPARED_QUEUE_OFFSET = "TRAN_PREPARED_QUEUE_OFFSET";
    /// Transaction id.
    TRANSACTION_ID = "__transactionId__";
    /// Checks made so far.
    TRANSACTION_CHECK_TIMES = "TRANSACTION_CHECK_TIMES";
    /// Namespace.
    INSTANCE_ID = "INSTANCE_ID";
    /// Ties a reply to its request.
    CORRELATION_ID = "CORRELATION_ID";
    /// Client that waits for the reply.
    REPLY_TO_CLIENT = "REPLY_TO_CLIENT";
    /// How long it waits, ms.
    TTL = "TTL";
    /// When a reply was pushed, ms.
    PUSH_REPLY_TIME = "PUSH_REPLY_TIME";
    /// `reply` on replies.
    MSG_TYPE = "MSG_TYPE";
    /// Cluster that stored the message.
    CLUSTER = "CLUSTER";
    /// Check point of a popped message.
    POP_CK = "POP_CK";
    /// When a message was popped first, ms.
    FIRST_POP_TIME = "1ST_POP_TIME";
    /// Key that orders messages (5.x).
    SHARDING_KEY = "__SHARDINGKEY";
    /// Queues that a message is also dispatched to.
    INNER_MULTI_DISPATCH = "INNER_MULTI_DISPATCH";
    /// Offsets in those queues.
    INNER_MULTI_QUEUE_OFFSET = "INNER_MULTI_QUEUE_OFFSET";
    /// Delay, s.
    TIMER_DELAY_SEC = "TIMER_DELAY_SEC";
    /// Delay, ms.
    TIMER_DELAY_MS = "TIMER_DELAY_MS";
    /// Delivery time, ms.
    TIMER_DELIVER_MS = "TIMER_DELIVER_MS";
    /// When a message entered the timer, ms.
    TIMER_ENQUEUE_MS = "TIMER_ENQUEUE_MS";
    /// When it left the timer, ms.
    TIMER_DEQUEUE_MS = "TIMER_DEQUEUE_MS";
    /// When it was due, ms.
    TIMER_OUT_MS = "TIMER_OUT_MS";
    /// How often it was rolled on.
    TIMER_ROLL_TIMES = "TIMER_ROLL_TIMES";
    /// Names a timer message that is deleted.
    TIMER_DEL_UNIQKEY = "TIMER_DEL_UNIQKEY";
    /// Delay level of a timer message.
    TIMER_DELAY_LEVEL = "TIMER_DELAY_LEVEL";
    /// Checksum of a whole record.
    CRC32 = "__CRC32#";
    /// Topic of a dead message before it was given up.
    DLQ_ORIGIN_TOPIC = "DLQ_ORIGIN_TOPIC";
    /// Id of a dead message before it was given up.
    DLQ_ORIGIN_MESSAGE_ID = "DLQ_ORIGIN_MESSAGE_ID";
    /// Where a message stood that comes again or is dead: `broker name:queue id:queue offset`, in the topic [`RETRY_TOPIC`].
    /// Ours alone, as is the next; to other clients they are properties of a user.
    ORIGIN_QUEUE = "TERNMQ_ORIGIN_QUEUE";
    /// Why a consumer gave a message up.
    DEAD_LETTER_REASON = "TERNMQ_DEAD_LETTER_REASON";
}

/// Beginning of names that are never stored.
pub const TRANSIENT_PREFIX: &str = "__RMQ.TRANSIENT.";

/// Names that only a broker may set: what a client sends under them is dropped or overwritten.
pub const BROKER_OWNED: [&str; 19] = [
    REAL_TOPIC,
    REAL_QID,
    CLUSTER,
    MSG_REGION,
    TRACE_ON,
    POP_CK,
    FIRST_POP_TIME,
    INNER_NUM,
    INNER_BASE,
    TRAN_PREPARED_QUEUE_OFFSET,
    TRANSACTION_ID,
    TRANSACTION_CHECK_TIMES,
    TIMER_ENQUEUE_MS,
    TIMER_DEQUEUE_MS,
    TIMER_OUT_MS,
    TIMER_ROLL_TIMES,
    INNER_MULTI_QUEUE_OFFSET,
    PUSH_REPLY_TIME,
    CRC32,
];

/// May only a broker set this?
pub fn is_broker_owned(name: &str) -> bool {
    BROKER_OWNED.contains(&name) || name.starts_with(TRANSIENT_PREFIX)
}
