//! Commits of consumer offsets.

use std::sync::Arc;

use crate::codec::{FieldError, FieldReader, FieldWriter};

/// The last committed offset of one (group, topic, queue) since the op before.
///
/// # Going backwards
/// `RocketMQ` takes every value as it comes. Here an offset falls only by an *explicit* commit: one
/// that somebody asked for by itself and was answered (a two-way commit, a reset, an admin change).
/// What is coalesced, that is one-way commits and the values that ride on pulls, only raises it:
/// these may be late or come from a consumer that has lost the queue, and a fall would show
/// finished messages again. A lower value without the flag is ignored by apply, on every replica
/// alike.
///
/// # Going past the end
/// An offset above the queue's next offset is cut to it, explicit or not. The messages of an honest
/// commit lie before the op in the log, so only a wrong commit is cut. `RocketMQ` stores such a
/// value and corrects the consumer to the end at its next pull, which comes to the same.
///
/// Body in an op: group string, topic string, queue id `u32`, offset `u64`, explicit flag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetCommit {
    /// Subscription group.
    pub group: Arc<str>,
    /// Topic.
    pub topic: Arc<str>,
    /// Queue of the topic.
    pub queue_id: u32,
    /// Queue offset of the next message that the group wants.
    pub offset: u64,
    /// May lower the value.
    pub explicit: bool,
}

impl OffsetCommit {
    /// Two empty strings and the fixed fields.
    pub(crate) const LEAST_BYTES: usize = 4 + 4 + 4 + 8 + 1;

    pub(crate) fn write(&self, out: &mut FieldWriter<'_>) {
        out.string(&self.group);
        out.string(&self.topic);
        out.u32(self.queue_id);
        out.u64(self.offset);
        out.flag(self.explicit);
    }

    pub(crate) fn read(from: &mut FieldReader<'_>) -> Result<Self, FieldError> {
        Ok(Self {
            group: from.string()?.into(),
            topic: from.string()?.into(),
            queue_id: from.u32()?,
            offset: from.u64()?,
            explicit: from.flag("explicit")?,
        })
    }
}
