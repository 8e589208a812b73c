//! Topics by name and by id, and the version of the table.

use std::sync::Arc;

use foldhash::fast::FixedState;
use imbl::shared_ptr::DefaultSharedPtr;
use imbl::{GenericHashMap, OrdMap};

use super::table::Table;
use crate::data_version::DataVersion;
use crate::hash::{EntryHash, EntryKind, replace};
use crate::topic::{Topic, TopicConfig};

/// A fixed seed: the map's layout is the same in every run. Its order is used nowhere.
type ByName<V> = GenericHashMap<Arc<str>, V, FixedState, DefaultSharedPtr>;

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct TopicTable {
    by_name: ByName<Arc<Topic>>,
    /// The same topics, ordered by id.
    by_id: OrdMap<u32, Arc<Topic>>,
    /// Number of topics that were deleted since the founding. Their ids are not given again.
    deleted: u32,
    version: DataVersion,
    sum: u64,
}

impl TopicTable {
    pub(crate) fn by_name(&self, name: &str) -> Option<&Topic> {
        self.by_name.get(name).map(|topic| &**topic)
    }

    pub(crate) fn by_id(&self, id: u32) -> Option<&Topic> {
        self.by_id.get(&id).map(|topic| &**topic)
    }

    /// All topics, ordered by id.
    pub(crate) fn all(&self) -> impl ExactSizeIterator<Item = &Topic> {
        self.by_id.values().map(|topic| &**topic)
    }

    pub(crate) fn version(&self) -> DataVersion {
        self.version
    }

    /// False if the topic had this configuration already: then nothing changed.
    pub(crate) fn put(&mut self, config: TopicConfig) -> bool {
        let before = self.by_name.get(&config.name);
        if before.is_some_and(|before| before.config == config) {
            return false;
        }
        let old = before.map_or(0, |before| hash(before));
        let topic = Arc::new(Topic {
            id: before.map_or_else(|| self.next_id(), |before| before.id),
            config,
        });
        replace(&mut self.sum, old, hash(&topic));
        self.by_name
            .insert(topic.config.name.clone(), topic.clone());
        self.by_id.insert(topic.id, topic);
        true
    }

    /// The id that the topic had; none if there is no such topic.
    pub(crate) fn remove(&mut self, name: &str) -> Option<u32> {
        let topic = self.by_name.remove(name)?;
        self.by_id.remove(&topic.id);
        replace(&mut self.sum, hash(&topic), 0);
        let deleted = self.deleted + 1;
        replace(
            &mut self.sum,
            deleted_hash(self.deleted),
            deleted_hash(deleted),
        );
        self.deleted = deleted;
        Some(topic.id)
    }

    /// Counts a change of the table.
    pub(crate) fn advance(&mut self, changed_at_ms: u64) {
        let kind = EntryKind::TopicVersion;
        let version = self.version.next(changed_at_ms);
        replace(&mut self.sum, self.version.hash(kind), version.hash(kind));
        self.version = version;
    }

    fn next_id(&self) -> u32 {
        self.by_id.len() as u32 + self.deleted + 1
    }
}

impl Table for TopicTable {
    fn sum(&self) -> u64 {
        self.sum
    }

    fn recomputed_sum(&self) -> u64 {
        self.all()
            .map(hash)
            .fold(0, u64::wrapping_add)
            .wrapping_add(self.version.hash(EntryKind::TopicVersion))
            .wrapping_add(deleted_hash(self.deleted))
    }
}

fn hash(topic: &Topic) -> u64 {
    EntryHash::new(EntryKind::Topic)
        .word(u64::from(topic.id))
        .written(|out| topic.config.write(out))
        .finish()
}

/// Ids of deleted topics are not given again, so their number is part of the table.
fn deleted_hash(deleted: u32) -> u64 {
    if deleted == 0 {
        return 0;
    }
    EntryHash::new(EntryKind::DeletedTopics)
        .word(u64::from(deleted))
        .finish()
}
