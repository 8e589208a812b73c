//! Consumer offsets: how far each group has come in each queue.
//!
//! | size | field |
//! |--:|---|
//! | 4 | number of groups |
//! | 4 + length | group, string, rising |
//! | 4 | number of its queues |
//! | 4 | topic id |
//! | 4 | queue id, rising with the topic id |
//! | 8 | offset |
//!
//! The second and third once a group, the last three once a queue.

use std::sync::Arc;

use imbl::OrdMap;

use super::table::{Table, push};
use crate::codec::{FieldReader, FieldWriter};
use crate::error::RowError;
use crate::hash::{EntryHash, replace};

const CONSUMER_OFFSET: u64 = 6;

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
    const ID: u16 = 4;

    const ENTRY_KINDS: &'static [u64] = &[CONSUMER_OFFSET];

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

    fn write(&self, out: &mut FieldWriter<'_>) {
        out.rows(self.groups.iter(), |out, (group, offsets)| {
            out.string(group);
            out.rows(offsets.iter(), |out, ((topic_id, queue_id), offset)| {
                out.u32(*topic_id);
                out.u32(*queue_id);
                out.u64(*offset);
            });
        });
    }

    fn read(from: &mut FieldReader<'_>) -> Result<Self, RowError> {
        const ROW_BYTES: usize = 4 + 4 + 8;
        let mut table = Self::default();
        for _ in 0..from.count(4 + 4 + ROW_BYTES)? {
            let group = Arc::from(from.string()?);
            let mut offsets = GroupOffsets::new();
            for _ in 0..from.count(ROW_BYTES)? {
                let queue = (from.u32()?, from.u32()?);
                push(&mut offsets, queue, from.u64()?)?;
            }
            if offsets.is_empty() {
                return Err(RowError::Empty);
            }
            push(&mut table.groups, group, offsets)?;
        }
        table.sum = table.recomputed_sum();
        Ok(table)
    }

    fn topic_ids(&self) -> impl Iterator<Item = u32> {
        let queues = self.groups.values().flat_map(GroupOffsets::keys);
        queues.map(|(topic_id, _)| *topic_id)
    }
}

fn hash(group: &str, topic_id: u32, queue_id: u32, offset: u64) -> u64 {
    let entry = EntryHash::new(CONSUMER_OFFSET).bytes(group.as_bytes());
    entry
        .word(u64::from(topic_id) << 32 | u64::from(queue_id))
        .word(offset)
        .finish()
}
