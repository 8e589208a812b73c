//! Sending: 10 with long names, 310 and 320 with one-letter names, and their common answer.

use super::declare::{header, read_fields, write_fields};
use crate::{Fields, HeaderError, codes};

/// Request of a send. Whether the body is a batch is said by `batch`, not by the code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SendRequest<'a> {
    /// Producer group.
    pub producer_group: &'a str,
    /// Target topic.
    pub topic: &'a str,
    /// Topic in whose likeness an unknown one is made.
    pub default_topic: &'a str,
    /// Queues of a topic made so.
    pub default_topic_queue_nums: i32,
    /// Target queue; negative: the broker picks one.
    pub queue_id: i32,
    /// Bits of [`crate::sys_flag`].
    pub sys_flag: i32,
    /// The client's clock, ms.
    pub born_timestamp_ms: i64,
    /// User flag, stored as it is.
    pub flag: i32,
    /// Property text, [`crate::properties`].
    pub properties: Option<&'a str>,
    /// How often the message was consumed in vain, on sends to a retry topic.
    pub reconsume_times: Option<i32>,
    /// Unit mode.
    pub unit_mode: Option<bool>,
    /// After how many times it is given up, on sends to a retry topic.
    pub max_reconsume_times: Option<i32>,
    /// Is the body a batch ([`crate::batch`])?
    pub batch: Option<bool>,
    /// Name of the broker group that is meant (5.x).
    pub broker_name: Option<&'a str>,
}

impl<'a> SendRequest<'a> {
    /// Reads the header with the names that go with the request code: long for 10 and 324, else short.
    ///
    /// # Errors
    /// As [`SendRequest::decode_v2`].
    pub fn decode(code: i32, fields: &'a Fields) -> Result<Self, HeaderError> {
        match code {
            codes::request::SEND_MESSAGE | codes::request::SEND_REPLY_MESSAGE => {
                Self::decode_v1(fields)
            }
            _ => Self::decode_v2(fields),
        }
    }

    /// Reads the header with long names.
    ///
    /// # Errors
    /// As [`SendRequest::decode_v2`].
    pub fn decode_v1(fields: &'a Fields) -> Result<Self, HeaderError> {
        read_fields!(fields, SendRequest {
            producer_group = b"producerGroup",
            topic = b"topic",
            default_topic = b"defaultTopic",
            default_topic_queue_nums = b"defaultTopicQueueNums",
            queue_id = b"queueId",
            sys_flag = b"sysFlag",
            born_timestamp_ms = b"bornTimestamp",
            flag = b"flag",
            properties = b"properties",
            reconsume_times = b"reconsumeTimes",
            unit_mode = b"unitMode",
            max_reconsume_times = b"maxReconsumeTimes",
            batch = b"batch",
            broker_name = b"bname",
        })
    }

    /// Reads the header with one-letter names; some Java builds write the broker name as `bname` even here.
    ///
    /// # Errors
    /// [`HeaderError`], naming the first field that is missing or does not parse.
    pub fn decode_v2(fields: &'a Fields) -> Result<Self, HeaderError> {
        read_fields!(fields, SendRequest {
            producer_group = b"a",
            topic = b"b",
            default_topic = b"c",
            default_topic_queue_nums = b"d",
            queue_id = b"e",
            sys_flag = b"f",
            born_timestamp_ms = b"g",
            flag = b"h",
            properties = b"i",
            reconsume_times = b"j",
            unit_mode = b"k",
            max_reconsume_times = b"l",
            batch = b"m",
            broker_name = b"n" | b"bname",
        })
    }

    /// Writes the header with long names.
    pub fn encode_v1(&self, fields: &mut Fields) {
        write_fields!(self, fields, {
            producer_group = b"producerGroup",
            topic = b"topic",
            default_topic = b"defaultTopic",
            default_topic_queue_nums = b"defaultTopicQueueNums",
            queue_id = b"queueId",
            sys_flag = b"sysFlag",
            born_timestamp_ms = b"bornTimestamp",
            flag = b"flag",
            properties = b"properties",
            reconsume_times = b"reconsumeTimes",
            unit_mode = b"unitMode",
            max_reconsume_times = b"maxReconsumeTimes",
            batch = b"batch",
            broker_name = b"bname",
        });
    }

    /// Writes the header with one-letter names.
    pub fn encode_v2(&self, fields: &mut Fields) {
        write_fields!(self, fields, {
            producer_group = b"a",
            topic = b"b",
            default_topic = b"c",
            default_topic_queue_nums = b"d",
            queue_id = b"e",
            sys_flag = b"f",
            born_timestamp_ms = b"g",
            flag = b"h",
            properties = b"i",
            reconsume_times = b"j",
            unit_mode = b"k",
            max_reconsume_times = b"l",
            batch = b"m",
            broker_name = b"n",
        });
    }

    /// Is the body a batch?
    pub fn is_batch(&self) -> bool {
        self.batch == Some(true)
    }
}

header! {
    /// Answer to a send that stored the message (codes 0, 10, 11, 12).
    SendResponse<'a> {
        /// Offset message id; of a batch one for each message, joined by commas.
        message_id: &'a str = b"msgId",
        /// Queue that was used.
        queue_id: i32 = b"queueId",
        /// Queue offset; of a batch the first.
        queue_offset: i64 = b"queueOffset",
        /// The message's unique key, if it has one.
        transaction_id: Option<&'a str> = b"transactionId",
        /// Of topics whose batches are stored as one.
        batch_unique_id: Option<&'a str> = b"batchUniqId",
        /// Of timer messages.
        recall_handle: Option<&'a str> = b"recallHandle",
        /// Region of the broker.
        region: Option<&'a str> = b"MSG_REGION",
        /// Is tracing on?
        trace_on: Option<bool> = b"TRACE_ON",
    }
}
