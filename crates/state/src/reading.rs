//! Reading a state or a snapshot of it.

use crate::data_version::DataVersion;
use crate::founding::GroupFounding;
use crate::group::GroupConfig;
use crate::permission::BrokerPermission;
use crate::state::State;
use crate::system::is_system_topic;
use crate::tables::{LeaseTime, TableSums};
use crate::topic::Topic;

impl State {
    /// Index and term of the last frame that was closed; (0, 0) before the first one.
    pub fn applied(&self) -> (u64, u64) {
        self.applied
    }

    /// What the group was founded with; none before frame 1.
    pub fn settings(&self) -> Option<&GroupFounding> {
        self.tables.settings.founding()
    }

    /// A topic by name.
    pub fn topic(&self, name: &str) -> Option<&Topic> {
        self.tables.topics.by_name(name)
    }

    /// A topic by id.
    pub fn topic_by_id(&self, id: u32) -> Option<&Topic> {
        self.tables.topics.by_id(id)
    }

    /// All topics, ordered by id.
    pub fn topics(&self) -> impl ExactSizeIterator<Item = &Topic> {
        self.tables.topics.all()
    }

    /// Version of the topic table.
    pub fn topic_version(&self) -> DataVersion {
        self.tables.topics.version()
    }

    /// What clients may do at the group as a whole.
    pub fn permission(&self) -> BrokerPermission {
        self.tables.permission.get()
    }

    /// True for a topic of the system: an administrator may not create or change it.
    pub fn is_system_topic(&self, name: &str) -> bool {
        is_system_topic(self.settings(), name)
    }

    /// A subscription group by name.
    pub fn group(&self, name: &str) -> Option<&GroupConfig> {
        self.tables.groups.by_name(name)
    }

    /// All subscription groups, ordered by name.
    pub fn groups(&self) -> impl ExactSizeIterator<Item = &GroupConfig> {
        self.tables.groups.all()
    }

    /// Version of the group table.
    pub fn group_version(&self) -> DataVersion {
        self.tables.groups.version()
    }

    /// The committed offset of a group in a queue; none if it never committed there.
    pub fn offset(&self, group: &str, topic: &str, queue_id: u32) -> Option<u64> {
        let topic_id = self.topic(topic)?.id;
        self.tables.consumer_offsets.get(group, topic_id, queue_id)
    }

    /// All committed offsets of a group: topic, queue id, offset; ordered by topic id and queue id.
    pub fn offsets_of_group(&self, group: &str) -> impl Iterator<Item = (&Topic, u32, u64)> {
        let offsets = self.tables.consumer_offsets.of_group(group);
        offsets.filter_map(|(topic_id, queue_id, offset)| {
            Some((self.topic_by_id(topic_id)?, queue_id, offset))
        })
    }

    /// Queue offset that the next record of a queue must have, which is the number of its committed
    /// records; 0 for queues without records.
    pub fn next_offset(&self, topic: &str, queue_id: u32) -> u64 {
        self.topic(topic)
            .map_or(0, |topic| self.next_offset_by_id(topic.id, queue_id))
    }

    /// As [`next_offset`](Self::next_offset), by topic id.
    pub fn next_offset_by_id(&self, topic_id: u32, queue_id: u32) -> u64 {
        self.tables.next_offsets.get(topic_id, queue_id)
    }

    /// Queue offset of the first message of a delay level that was not put into its topic yet; 0 for
    /// what is not a level.
    pub fn delay_progress(&self, level: u16) -> u64 {
        self.tables.delays.get(level)
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
        self.tables.locks.holder(group, (topic_id, queue_id), at)
    }

    /// Whether any client holds a queue for a group at a time.
    pub fn has_locks(&self, group: &str, at: LeaseTime) -> bool {
        self.tables.locks.any(group, at)
    }

    /// The queues of a topic that have records, with the offset of the next one. Those beyond its
    /// configured number are among them: a topic may have had more.
    pub fn next_offsets_of(&self, topic_id: u32) -> impl Iterator<Item = (u32, u64)> {
        self.tables.next_offsets.of_topic(topic_id)
    }

    /// The state in one number: equal on all replicas that applied the same frames.
    pub fn hash(&self) -> u64 {
        self.table_sums().combined()
    }

    /// The sums behind [`hash`](Self::hash), to see which table differs.
    pub fn table_sums(&self) -> TableSums {
        self.tables.sums()
    }

    /// The sums counted anew from the rows; for audits and tests.
    pub fn recomputed_sums(&self) -> TableSums {
        self.tables.recomputed_sums()
    }
}
