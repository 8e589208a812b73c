//! Type 4: a delta of consumer offsets.
//!
//! | size | field |
//! |--:|---|
//! | 4 | number of commits |
//! | 4 + length | group, string |
//! | 4 + length | topic, string |
//! | 4 | queue id |
//! | 8 | offset |
//! | 1 | explicit, flag |
//!
//! The last five once a commit.

use std::sync::Arc;

use crate::changes::Changes;
use crate::codec::{FieldError, FieldReader, FieldWriter};
use crate::tables::StateTables;

use super::body::OpBody;

/// A delta of consumer offsets. Commits of the frame see the records of the frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitOffsets(pub Vec<OffsetCommit>);

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

/// Two empty strings and the fixed fields.
const LEAST_BYTES: usize = 4 + 4 + 4 + 8 + 1;

impl OpBody for CommitOffsets {
    const KIND: u16 = 4;

    fn write(&self, out: &mut FieldWriter<'_>) {
        out.list(&self.0, |out, commit| {
            out.string(&commit.group);
            out.string(&commit.topic);
            out.u32(commit.queue_id);
            out.u64(commit.offset);
            out.flag(commit.explicit);
        });
    }

    fn read(from: &mut FieldReader<'_>) -> Result<Self, FieldError> {
        let commits = from.list(LEAST_BYTES, |from| {
            Ok(OffsetCommit {
                group: from.string()?.into(),
                topic: from.string()?.into(),
                queue_id: from.u32()?,
                offset: from.u64()?,
                explicit: from.flag("explicit")?,
            })
        })?;
        Ok(Self(commits))
    }

    fn apply(self, tables: &mut StateTables, _term: u64, changes: &mut Changes) {
        for commit in &self.0 {
            if commit.apply(tables) {
                changes.offsets_taken += 1;
            } else {
                changes.offsets_ignored += 1;
            }
        }
    }
}

impl OffsetCommit {
    /// False if the commit is ignored. A topic, queue or group that does not exist is not an error:
    /// the leader checked when the client asked, and it may be deleted while the leader collects
    /// commits for one op.
    fn apply(&self, tables: &mut StateTables) -> bool {
        let Some(topic) = tables.topics.by_name(&self.topic) else {
            return false;
        };
        let queues = tables.next_offsets.queues(topic.id);
        if self.queue_id >= queues.max(topic.config.queues())
            || tables.groups.by_name(&self.group).is_none()
        {
            return false;
        }
        let (topic_id, queue_id) = (topic.id, self.queue_id);
        let offset = self.offset.min(tables.next_offsets.get(topic_id, queue_id));
        let offsets = &mut tables.consumer_offsets;
        let before = offsets.get(&self.group, topic_id, queue_id);
        if !self.explicit && before.is_some_and(|before| offset < before) {
            return false;
        }
        if before != Some(offset) {
            offsets.put(&self.group, (topic_id, queue_id), offset);
        }
        true
    }
}
