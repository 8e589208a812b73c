//! Consumer offsets: how far each group has come in each queue.

use std::sync::Arc;

use imbl::OrdMap;

use super::table::Table;
use crate::hash::{EntryHash, EntryKind, replace};

/// The offsets of one group by (topic id, queue id). By id and not by name, so that a topic made
/// again under an old name does not inherit offsets.
type GroupOffsets = OrdMap<(u32, u32), u64>;

/// All consumer offsets and the sum of their hashes.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct ConsumerOffsetTable {
    groups: OrdMap<Arc<str>, GroupOffsets>,
    sum: u64,
}

impl ConsumerOffsetTable {
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

    /// Sets the offset of a group in a queue.
    pub(crate) fn put(&mut self, group: &Arc<str>, (topic_id, queue_id): (u32, u32), offset: u64) {
        let offsets = self.groups.entry(group.clone()).or_default();
        let before = offsets.insert((topic_id, queue_id), offset);
        let hash = |offset| hash(group, topic_id, queue_id, offset);
        replace(&mut self.sum, before.map_or(0, hash), hash(offset));
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
}

impl Table for ConsumerOffsetTable {
    fn sum(&self) -> u64 {
        self.sum
    }

    fn recomputed_sum(&self) -> u64 {
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
