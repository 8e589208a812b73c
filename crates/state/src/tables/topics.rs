//! Topics by name and by id, and the version of the table.
//!
//! | size | field |
//! |--:|---|
//! | 16 | version: counter, changed at |
//! | 4 | number of deleted topics |
//! | 4 | number of topics |
//! | 4 | id of a topic, rising |
//! | its length | its configuration, see [`TopicConfig`] |
//!
//! The last two once a topic.

use std::sync::Arc;

use foldhash::fast::FixedState;
use imbl::shared_ptr::DefaultSharedPtr;
use imbl::{GenericHashMap, OrdMap};

use super::table::{Table, push};
use crate::codec::{FieldError, FieldReader, FieldWriter};
use crate::data_version::DataVersion;
use crate::error::RowError;
use crate::hash::{EntryHash, replace};
use crate::topic::{Topic, TopicConfig};

const TOPIC: u64 = 2;
const VERSION: u64 = 3;
const DELETED: u64 = 8;

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
        let version = self.version.next(changed_at_ms);
        let hash = |version: DataVersion| version.hash(VERSION);
        replace(&mut self.sum, hash(self.version), hash(version));
        self.version = version;
    }

    fn next_id(&self) -> u32 {
        self.by_id.len() as u32 + self.deleted + 1
    }

    /// Ids are given from 1 on, one after the other.
    fn check_ids(&self) -> Result<(), RowError> {
        let given = self.by_id.len() as u64 + u64::from(self.deleted);
        let ids = [self.by_id.get_min(), self.by_id.get_max()];
        for (id, _) in ids.into_iter().flatten() {
            if *id == 0 || u64::from(*id) > given {
                return Err(FieldError::BadValue {
                    field: "topic id",
                    value: u64::from(*id),
                }
                .into());
            }
        }
        Ok(())
    }
}

impl Table for TopicTable {
    const ID: u16 = 2;

    const ENTRY_KINDS: &'static [u64] = &[TOPIC, VERSION, DELETED];

    fn sum(&self) -> u64 {
        self.sum
    }

    fn recomputed_sum(&self) -> u64 {
        self.all()
            .map(hash)
            .fold(0, u64::wrapping_add)
            .wrapping_add(self.version.hash(VERSION))
            .wrapping_add(deleted_hash(self.deleted))
    }

    fn write(&self, out: &mut FieldWriter<'_>) {
        self.version.write(out);
        out.u32(self.deleted);
        out.rows(self.all(), |out, topic| {
            out.u32(topic.id);
            topic.config.write(out);
        });
    }

    fn read(from: &mut FieldReader<'_>) -> Result<Self, RowError> {
        /// The id, an empty name, four numbers, two flags and no attributes.
        const LEAST_BYTES: usize = 4 + 4 + 4 * 4 + 2 + 4;
        let mut table = Self {
            version: DataVersion::read(from)?,
            deleted: from.u32()?,
            ..Self::default()
        };
        for _ in 0..from.count(LEAST_BYTES)? {
            let id = from.u32()?;
            let config = TopicConfig::read(from)?;
            config.check().map_err(RowError::Refused)?;
            let topic = Arc::new(Topic { id, config });
            let name = topic.config.name.clone();
            if table.by_name.insert(name, topic.clone()).is_some() {
                return Err(RowError::Order);
            }
            push(&mut table.by_id, id, topic)?;
        }
        table.check_ids()?;
        table.sum = table.recomputed_sum();
        Ok(table)
    }
}

fn hash(topic: &Topic) -> u64 {
    EntryHash::new(TOPIC)
        .word(u64::from(topic.id))
        .written(|out| topic.config.write(out))
        .finish()
}

/// Ids of deleted topics are not given again, so their number is part of the table.
fn deleted_hash(deleted: u32) -> u64 {
    if deleted == 0 {
        return 0;
    }
    EntryHash::new(DELETED).word(u64::from(deleted)).finish()
}
