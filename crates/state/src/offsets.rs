//! Consumer offsets: how far each group has come in each queue.

use std::sync::Arc;

use imbl::OrdMap;

use crate::codec::{FieldError, FieldReader, FieldWriter};
use crate::hash::{EntryHash, EntryKind, replace};

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

/// The offsets of one group by (topic id, queue id). By id and not by name, so that a topic made
/// again under an old name does not inherit offsets.
type GroupOffsets = OrdMap<(u32, u32), u64>;

/// All consumer offsets and the sum of their hashes.
#[derive(Debug, Clone, Default)]
pub(crate) struct ConsumerOffsets {
    groups: OrdMap<Arc<str>, GroupOffsets>,
    sum: u64,
}

impl ConsumerOffsets {
    pub(crate) fn get(&self, group: &str, topic_id: u32, queue_id: u32) -> Option<u64> {
        self.groups.get(group)?.get(&(topic_id, queue_id)).copied()
    }

    /// All (topic id, queue id, offset) of a group, in that order.
    pub(crate) fn of_group(&self, group: &str) -> impl Iterator<Item = (u32, u32, u64)> + '_ {
        let offsets = self
            .groups
            .get(group)
            .into_iter()
            .flat_map(GroupOffsets::iter);
        offsets.map(|(&(topic_id, queue_id), &offset)| (topic_id, queue_id, offset))
    }

    /// Takes `offset`, already cut to the queue's end. False if it is ignored because it would
    /// lower the value.
    pub(crate) fn commit(&mut self, commit: &OffsetCommit, topic_id: u32, offset: u64) -> bool {
        let before = self.get(&commit.group, topic_id, commit.queue_id);
        if !commit.explicit && before.is_some_and(|before| offset < before) {
            return false;
        }
        if before == Some(offset) {
            return true;
        }
        let hash = |offset| hash(&commit.group, topic_id, commit.queue_id, offset);
        replace(&mut self.sum, before.map_or(0, hash), hash(offset));
        self.groups
            .entry(commit.group.clone())
            .or_default()
            .insert((topic_id, commit.queue_id), offset);
        true
    }

    /// Forgets what a group committed.
    pub(crate) fn remove_group(&mut self, group: &str) {
        if let Some(offsets) = self.groups.remove(group) {
            for (&(topic_id, queue_id), &offset) in &offsets {
                replace(&mut self.sum, hash(group, topic_id, queue_id, offset), 0);
            }
        }
    }

    /// Forgets what all groups committed in a topic.
    pub(crate) fn remove_topic(&mut self, topic_id: u32) {
        let groups: Vec<Arc<str>> = self.groups.keys().cloned().collect();
        for group in groups {
            let offsets = self.groups.get_mut(&group).expect("its key was just read");
            let gone: Vec<_> = offsets
                .range((topic_id, 0)..=(topic_id, u32::MAX))
                .map(|(&queue, &offset)| (queue, offset))
                .collect();
            for (queue, offset) in gone {
                offsets.remove(&queue);
                replace(&mut self.sum, hash(&group, topic_id, queue.1, offset), 0);
            }
            if offsets.is_empty() {
                self.groups.remove(&group);
            }
        }
    }

    pub(crate) fn sum(&self) -> u64 {
        self.sum
    }

    /// The sum, counted anew.
    pub(crate) fn recomputed_sum(&self) -> u64 {
        let entries = self.groups.iter().flat_map(|(group, offsets)| {
            offsets.iter().map(move |(&(topic_id, queue_id), &offset)| {
                hash(group, topic_id, queue_id, offset)
            })
        });
        entries.fold(0, u64::wrapping_add)
    }
}

fn hash(group: &str, topic_id: u32, queue_id: u32, offset: u64) -> u64 {
    let entry = EntryHash::new(EntryKind::ConsumerOffset).bytes(group.as_bytes());
    entry
        .word(u64::from(topic_id) << 32 | u64::from(queue_id))
        .word(offset)
        .finish()
}
