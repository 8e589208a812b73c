//! Reading a state or a snapshot of it.

use super::entries::{
    delay_hash, deleted_hash, founding_hash, group_hash, next_hash, topic_hash, version_hash,
};
use super::{DataVersion, State};
use crate::delay::LEVELS;
use crate::founding::GroupFounding;
use crate::group::GroupConfig;
use crate::hash::{EntryKind, TableSums};
use crate::locks::LeaseTime;
use crate::system::is_system_topic;
use crate::topic::Topic;

impl State {
    /// Index and term of the last frame that was closed; (0, 0) before the first one.
    pub fn applied(&self) -> (u64, u64) {
        self.applied
    }

    /// What the group was founded with; none before frame 1.
    pub fn settings(&self) -> Option<&GroupFounding> {
        self.settings.as_deref()
    }

    /// A topic by name.
    pub fn topic(&self, name: &str) -> Option<&Topic> {
        self.topics.get(name).map(|topic| &**topic)
    }

    /// A topic by id.
    pub fn topic_by_id(&self, id: u32) -> Option<&Topic> {
        self.topics_by_id.get(&id).map(|topic| &**topic)
    }

    /// All topics, ordered by id.
    pub fn topics(&self) -> impl ExactSizeIterator<Item = &Topic> {
        self.topics_by_id.values().map(|topic| &**topic)
    }

    /// Version of the topic table.
    pub fn topic_version(&self) -> DataVersion {
        self.topic_version
    }

    /// True for a topic of the system: an administrator may not create or change it.
    pub fn is_system_topic(&self, name: &str) -> bool {
        is_system_topic(self.settings(), name)
    }

    /// A subscription group by name.
    pub fn group(&self, name: &str) -> Option<&GroupConfig> {
        self.groups.get(name).map(|group| &**group)
    }

    /// All subscription groups, ordered by name.
    pub fn groups(&self) -> impl ExactSizeIterator<Item = &GroupConfig> {
        self.groups.values().map(|group| &**group)
    }

    /// Version of the group table.
    pub fn group_version(&self) -> DataVersion {
        self.group_version
    }

    /// The committed offset of a group in a queue; none if it never committed there.
    pub fn offset(&self, group: &str, topic: &str, queue_id: u32) -> Option<u64> {
        self.offsets.get(group, self.topic(topic)?.id, queue_id)
    }

    /// All committed offsets of a group: topic, queue id, offset; ordered by topic id and queue id.
    pub fn offsets_of_group(&self, group: &str) -> impl Iterator<Item = (&Topic, u32, u64)> {
        self.offsets
            .of_group(group)
            .map(|(topic_id, queue_id, offset)| (&*self.topics_by_id[&topic_id], queue_id, offset))
    }

    /// Queue offset that the next record of a queue must have, which is the number of its committed
    /// records; 0 for queues without records.
    pub fn next_offset(&self, topic: &str, queue_id: u32) -> u64 {
        self.topic(topic)
            .map_or(0, |topic| self.next_offset_by_id(topic.id, queue_id))
    }

    /// As [`next_offset`](Self::next_offset), by topic id.
    pub fn next_offset_by_id(&self, topic_id: u32, queue_id: u32) -> u64 {
        let row = topic_id
            .checked_sub(1)
            .and_then(|place| self.next_offsets.get(place as usize));
        row.and_then(|row| row.get(queue_id as usize))
            .copied()
            .unwrap_or(0)
    }

    /// Queue offset of the first message of a delay level that was not put into its topic yet; 0 for
    /// what is not a level.
    pub fn delay_progress(&self, level: u16) -> u64 {
        let place = usize::from(level).checked_sub(1);
        place
            .and_then(|place| self.delays.get(place))
            .copied()
            .unwrap_or(0)
    }

    /// The client that holds a queue for a group at a time; none if the queue is free.
    pub fn lock_holder(
        &self,
        group: &str,
        topic: &str,
        queue_id: u32,
        at: LeaseTime,
    ) -> Option<&str> {
        let topic_id = self.topic(topic)?.id;
        self.locks.holder(group, (topic_id, queue_id), at)
    }

    /// Whether any client holds a queue for a group at a time.
    pub fn has_locks(&self, group: &str, at: LeaseTime) -> bool {
        self.locks.any(group, at)
    }

    /// The queues of a topic that have records, with the offset of the next one. Those beyond its
    /// configured number are among them: a topic may have had more.
    pub fn next_offsets_of(&self, topic_id: u32) -> impl Iterator<Item = (u32, u64)> {
        let row = topic_id
            .checked_sub(1)
            .and_then(|place| self.next_offsets.get(place as usize));
        let queues = row
            .into_iter()
            .flat_map(|row| (0..).zip(row.iter().copied()));
        queues.filter(|(_, next)| *next > 0)
    }

    /// The state in one number: equal on all replicas that applied the same frames.
    pub fn hash(&self) -> u64 {
        self.sums.combined()
    }

    /// The sums behind [`hash`](Self::hash), to see which table differs.
    pub fn table_sums(&self) -> TableSums {
        self.sums
    }

    /// The sums counted anew from the entries; for audits and tests.
    pub fn recomputed_sums(&self) -> TableSums {
        let sum = |hashes: &mut dyn Iterator<Item = u64>| hashes.fold(0, u64::wrapping_add);
        let rows = (1..).zip(self.next_offsets.iter());
        let topics = sum(&mut self.topics().map(topic_hash));
        let groups = sum(&mut self.groups().map(group_hash));
        TableSums {
            settings: self.settings().map_or(0, founding_hash),
            topics: topics
                .wrapping_add(version_hash(self.topic_version, EntryKind::TopicVersion))
                .wrapping_add(deleted_hash(self.deleted_topics())),
            groups: groups.wrapping_add(version_hash(self.group_version, EntryKind::GroupVersion)),
            consumer_offsets: self.offsets.recomputed_sum(),
            next_offsets: sum(&mut rows.flat_map(|(id, row)| {
                row.iter()
                    .enumerate()
                    .map(move |(queue, &next)| next_hash(id, queue, next))
            })),
            delays: sum(
                &mut (1..=LEVELS).map(|level| delay_hash(level, self.delay_progress(level)))
            ),
            locks: self.locks.recomputed_sum(),
        }
    }
}
