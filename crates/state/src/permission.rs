//! What clients may do at the group as a whole.

use crate::codec::{FieldError, FieldReader, FieldWriter};
use crate::topic::perm;

/// The permission of a broker group, beside those of its topics: how a group is emptied before it is
/// taken away. A group is always readable, or its consumers could never finish.
///
/// Body in an op, and row in a state: the fields in this order, a flag each.
///
/// Source: `RocketMQ` 5.x, `BrokerConfig.brokerPermission`, whose write bit the first one is; the
/// second is ours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BrokerPermission {
    /// No topic is shown as writable: producers leave when they next ask for routes. Until then the
    /// group takes what they send, but for ordered topics.
    pub read_only: bool,
    /// No send of a client is taken any more.
    pub rejects_sends: bool,
}

impl BrokerPermission {
    /// The bits of [`perm`] that a topic of the group is shown with, at most.
    pub fn bits(self) -> u32 {
        if self.read_only {
            perm::READ
        } else {
            perm::READ | perm::WRITE
        }
    }

    /// Whether a send to a topic is refused for the group's sake; `order` is the topic's order flag.
    ///
    /// Source: `RocketMQ` 5.x, `AbstractSendMessageProcessor#msgCheck`.
    pub fn refuses_send(self, order: bool) -> bool {
        self.rejects_sends || (order && self.read_only)
    }

    pub(crate) fn write(self, out: &mut FieldWriter<'_>) {
        out.flag(self.read_only);
        out.flag(self.rejects_sends);
    }

    pub(crate) fn read(from: &mut FieldReader<'_>) -> Result<Self, FieldError> {
        Ok(Self {
            read_only: from.flag("read only")?,
            rejects_sends: from.flag("rejects sends")?,
        })
    }
}
