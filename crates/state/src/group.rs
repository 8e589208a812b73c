//! A subscription group's configuration.

use std::sync::Arc;

use crate::codec::{FieldError, FieldReader, FieldWriter};
use crate::error::ApplyError;
use crate::topic::{check_name, read_attributes, write_attributes};

/// How long a consumer of the gRPC protocol waits before it tries a message again.
///
/// Body in an op: kind `u8`, then for 0 (customized) a list of `u64`, for 1 (exponential) three
/// `u64`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RetryPolicy {
    /// Fixed pauses in ms, one a try; empty means the built-in ones.
    Customized(Vec<u64>),
    /// A pause that grows by a factor.
    Exponential {
        /// First pause in ms.
        initial_ms: u64,
        /// Longest pause in ms.
        max_ms: u64,
        /// Factor from one pause to the next.
        multiplier: u64,
    },
}

/// What an operator or an auto-creation decides about a subscription group.
///
/// Body in an op: the fields in this order; the policy and the attributes in their own forms.
///
/// Source: `RocketMQ` 5.x, `SubscriptionGroupConfig`, without `subscriptionDataSet`, which brokers
/// leave null.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // the fields are RocketMQ's
pub struct GroupConfig {
    /// Name, unique in the broker group.
    pub name: Arc<str>,
    /// Consumers of the group are served.
    pub consume_enable: bool,
    /// May start at the first message of a queue.
    pub consume_from_min_enable: bool,
    /// May consume in broadcast mode.
    pub consume_broadcast_enable: bool,
    /// Consumes in order (pop).
    pub consume_message_orderly: bool,
    /// Queues of the retry topic; 0 or less: messages sent back are dropped.
    pub retry_queue_nums: i32,
    /// Retries before a message goes to the dead letters.
    pub retry_max_times: i32,
    /// Broker id to pull from.
    pub broker_id: u64,
    /// Broker id to pull from when the group lags far behind.
    pub which_broker_when_consume_slowly: u64,
    /// Tell consumers at once when the members of the group change.
    pub notify_consumer_ids_changed_enable: bool,
    /// System flag bits.
    pub group_sys_flag: i32,
    /// Minutes after which a message that is being consumed counts as failed.
    pub consume_timeout_minute: i32,
    /// Pauses between retries.
    pub retry_policy: RetryPolicy,
    /// Attributes without the sign of the admin request, in the order in which they were set.
    pub attributes: Vec<(String, String)>,
}

impl GroupConfig {
    /// A group with `RocketMQ`'s defaults.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            consume_enable: true,
            consume_from_min_enable: true,
            consume_broadcast_enable: true,
            consume_message_orderly: false,
            retry_queue_nums: 1,
            retry_max_times: 16,
            broker_id: 0,
            which_broker_when_consume_slowly: 1,
            notify_consumer_ids_changed_enable: true,
            group_sys_flag: 0,
            consume_timeout_minute: 15,
            retry_policy: RetryPolicy::Customized(Vec::new()),
            attributes: Vec::new(),
        }
    }

    pub(crate) fn check(&self) -> Result<(), ApplyError> {
        check_name(&self.name)
    }

    pub(crate) fn write(&self, out: &mut FieldWriter<'_>) {
        out.string(&self.name);
        out.flag(self.consume_enable);
        out.flag(self.consume_from_min_enable);
        out.flag(self.consume_broadcast_enable);
        out.flag(self.consume_message_orderly);
        out.i32(self.retry_queue_nums);
        out.i32(self.retry_max_times);
        out.u64(self.broker_id);
        out.u64(self.which_broker_when_consume_slowly);
        out.flag(self.notify_consumer_ids_changed_enable);
        out.i32(self.group_sys_flag);
        out.i32(self.consume_timeout_minute);
        self.retry_policy.write(out);
        write_attributes(out, &self.attributes);
    }

    pub(crate) fn read(from: &mut FieldReader<'_>) -> Result<Self, FieldError> {
        Ok(Self {
            name: from.string()?.into(),
            consume_enable: from.flag("consume enable")?,
            consume_from_min_enable: from.flag("consume from min enable")?,
            consume_broadcast_enable: from.flag("consume broadcast enable")?,
            consume_message_orderly: from.flag("consume message orderly")?,
            retry_queue_nums: from.i32()?,
            retry_max_times: from.i32()?,
            broker_id: from.u64()?,
            which_broker_when_consume_slowly: from.u64()?,
            notify_consumer_ids_changed_enable: from.flag("notify consumer ids changed enable")?,
            group_sys_flag: from.i32()?,
            consume_timeout_minute: from.i32()?,
            retry_policy: RetryPolicy::read(from)?,
            attributes: read_attributes(from)?,
        })
    }
}

impl RetryPolicy {
    fn write(&self, out: &mut FieldWriter<'_>) {
        match self {
            Self::Customized(pauses_ms) => {
                out.u8(0);
                out.list(pauses_ms, |out, pause| out.u64(*pause));
            }
            Self::Exponential {
                initial_ms,
                max_ms,
                multiplier,
            } => {
                out.u8(1);
                out.u64(*initial_ms);
                out.u64(*max_ms);
                out.u64(*multiplier);
            }
        }
    }

    fn read(from: &mut FieldReader<'_>) -> Result<Self, FieldError> {
        match from.u8()? {
            0 => Ok(Self::Customized(from.list(8, FieldReader::u64)?)),
            1 => Ok(Self::Exponential {
                initial_ms: from.u64()?,
                max_ms: from.u64()?,
                multiplier: from.u64()?,
            }),
            value => Err(FieldError::BadValue {
                field: "retry policy",
                value: u64::from(value),
            }),
        }
    }
}
