//! Names of system properties. They share one map with the user's own.

/// Index keys, joined by blanks.
pub const KEYS: &str = "KEYS";
/// The tag that filters look at.
pub const TAGS: &str = "TAGS";
/// Should the answer wait for flush and replication? Read at the broker and not stored.
pub const WAIT: &str = "WAIT";
/// Delay level.
pub const DELAY: &str = "DELAY";
/// Original topic of a retried message.
pub const RETRY_TOPIC: &str = "RETRY_TOPIC";
/// Topic to which a delayed or half message belongs.
pub const REAL_TOPIC: &str = "REAL_TOPIC";
/// Queue to which a delayed or half message belongs.
pub const REAL_QID: &str = "REAL_QID";
/// `true` on a half message.
pub const TRAN_MSG: &str = "TRAN_MSG";
/// Producer group of a half message.
pub const PGROUP: &str = "PGROUP";
/// Smallest queue offset, filled in by clients.
pub const MIN_OFFSET: &str = "MIN_OFFSET";
/// Next queue offset, filled in by clients.
pub const MAX_OFFSET: &str = "MAX_OFFSET";
/// Message id of the first delivery.
pub const ORIGIN_MESSAGE_ID: &str = "ORIGIN_MESSAGE_ID";
/// Retry count, where a retry is sent as a normal send.
pub const RECONSUME_TIME: &str = "RECONSUME_TIME";
/// Retry limit, where a retry is sent as a normal send.
pub const MAX_RECONSUME_TIMES: &str = "MAX_RECONSUME_TIMES";
/// Region of the broker.
pub const MSG_REGION: &str = "MSG_REGION";
/// Is tracing on?
pub const TRACE_ON: &str = "TRACE_ON";
/// Unique id that the client made ([`crate::message_id`]).
pub const UNIQ_KEY: &str = "UNIQ_KEY";
/// Client-side timeout of ordered consumption.
pub const CONSUME_START_TIME: &str = "CONSUME_START_TIME";
/// Messages in an inner batch.
pub const INNER_NUM: &str = "INNER_NUM";
/// First queue offset of an inner batch.
pub const INNER_BASE: &str = "INNER_BASE";
/// Pause before the first check of a half message, s.
pub const CHECK_IMMUNITY_TIME_IN_SECONDS: &str = "CHECK_IMMUNITY_TIME_IN_SECONDS";
/// Half offset before the message was queued again.
pub const TRAN_PREPARED_QUEUE_OFFSET: &str = "TRAN_PREPARED_QUEUE_OFFSET";
/// Transaction id.
pub const TRANSACTION_ID: &str = "__transactionId__";
/// Checks made so far.
pub const TRANSACTION_CHECK_TIMES: &str = "TRANSACTION_CHECK_TIMES";
/// Namespace.
pub const INSTANCE_ID: &str = "INSTANCE_ID";
/// Ties a reply to its request.
pub const CORRELATION_ID: &str = "CORRELATION_ID";
/// Client that waits for the reply.
pub const REPLY_TO_CLIENT: &str = "REPLY_TO_CLIENT";
/// How long it waits, ms.
pub const TTL: &str = "TTL";
/// When a reply was pushed, ms.
pub const PUSH_REPLY_TIME: &str = "PUSH_REPLY_TIME";
/// `reply` on replies.
pub const MSG_TYPE: &str = "MSG_TYPE";
/// Cluster that stored the message.
pub const CLUSTER: &str = "CLUSTER";
/// Check point of a popped message.
pub const POP_CK: &str = "POP_CK";
/// When a message was popped first, ms.
pub const FIRST_POP_TIME: &str = "1ST_POP_TIME";
/// Key that orders messages (5.x).
pub const SHARDING_KEY: &str = "__SHARDINGKEY";
/// Queues that a message is also dispatched to.
pub const INNER_MULTI_DISPATCH: &str = "INNER_MULTI_DISPATCH";
/// Offsets in those queues.
pub const INNER_MULTI_QUEUE_OFFSET: &str = "INNER_MULTI_QUEUE_OFFSET";
/// Delay, s.
pub const TIMER_DELAY_SEC: &str = "TIMER_DELAY_SEC";
/// Delay, ms.
pub const TIMER_DELAY_MS: &str = "TIMER_DELAY_MS";
/// Delivery time, ms.
pub const TIMER_DELIVER_MS: &str = "TIMER_DELIVER_MS";
/// When a message entered the timer, ms.
pub const TIMER_ENQUEUE_MS: &str = "TIMER_ENQUEUE_MS";
/// When it left the timer, ms.
pub const TIMER_DEQUEUE_MS: &str = "TIMER_DEQUEUE_MS";
/// When it was due, ms.
pub const TIMER_OUT_MS: &str = "TIMER_OUT_MS";
/// How often it was rolled on.
pub const TIMER_ROLL_TIMES: &str = "TIMER_ROLL_TIMES";
/// Names a timer message that is deleted.
pub const TIMER_DEL_UNIQKEY: &str = "TIMER_DEL_UNIQKEY";
/// Delay level of a timer message.
pub const TIMER_DELAY_LEVEL: &str = "TIMER_DELAY_LEVEL";
/// Checksum of a whole record.
pub const CRC32: &str = "__CRC32#";
/// Topic of a dead message before it was given up.
pub const DLQ_ORIGIN_TOPIC: &str = "DLQ_ORIGIN_TOPIC";
/// Id of a dead message before it was given up.
pub const DLQ_ORIGIN_MESSAGE_ID: &str = "DLQ_ORIGIN_MESSAGE_ID";

/// Where a message stood that comes again or is dead: `broker name:queue id:queue offset`, in the topic [`RETRY_TOPIC`].
/// Ours alone, as is the next; to other clients they are properties of a user.
pub const ORIGIN_QUEUE: &str = "TERNMQ_ORIGIN_QUEUE";
/// Why a consumer gave a message up.
pub const DEAD_LETTER_REASON: &str = "TERNMQ_DEAD_LETTER_REASON";

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
