//! Subscription groups by name, and the version of the table.
//!
//! | size | field |
//! |--:|---|
//! | 16 | version: counter, changed at |
//! | 4 | number of groups |
//! | its length | configuration of a group, names rising, see [`GroupConfig`] |
//!
//! The last once a group.

use std::sync::Arc;

use imbl::OrdMap;

use super::table::{Table, push};
use crate::codec::{FieldReader, FieldWriter};
use crate::data_version::DataVersion;
use crate::error::RowError;
use crate::group::GroupConfig;
use crate::hash::{EntryHash, replace};

const GROUP: u64 = 4;
const VERSION: u64 = 5;

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct GroupTable {
    by_name: OrdMap<Arc<str>, Arc<GroupConfig>>,
    version: DataVersion,
    sum: u64,
}

impl GroupTable {
    pub(crate) fn by_name(&self, name: &str) -> Option<&GroupConfig> {
        self.by_name.get(name).map(|group| &**group)
    }

    /// All groups, ordered by name.
    pub(crate) fn all(&self) -> impl ExactSizeIterator<Item = &GroupConfig> {
        self.by_name.values().map(|group| &**group)
    }

    pub(crate) fn version(&self) -> DataVersion {
        self.version
    }

    /// False if the group had this configuration already: then nothing changed.
    pub(crate) fn put(&mut self, config: GroupConfig) -> bool {
        let before = self.by_name(&config.name);
        if before.is_some_and(|before| *before == config) {
            return false;
        }
        let old = before.map_or(0, hash);
        replace(&mut self.sum, old, hash(&config));
        self.by_name.insert(config.name.clone(), Arc::new(config));
        true
    }

    /// False if there is no such group.
    pub(crate) fn remove(&mut self, name: &str) -> bool {
        let Some(group) = self.by_name.remove(name) else {
            return false;
        };
        replace(&mut self.sum, hash(&group), 0);
        true
    }

    /// Counts a change of the table.
    pub(crate) fn advance(&mut self, changed_at_ms: u64) {
        let version = self.version.next(changed_at_ms);
        let hash = |version: DataVersion| version.hash(VERSION);
        replace(&mut self.sum, hash(self.version), hash(version));
        self.version = version;
    }
}

impl Table for GroupTable {
    const ID: u16 = 3;

    const ENTRY_KINDS: &'static [u64] = &[GROUP, VERSION];

    fn sum(&self) -> u64 {
        self.sum
    }

    fn recomputed_sum(&self) -> u64 {
        self.all()
            .map(hash)
            .fold(0, u64::wrapping_add)
            .wrapping_add(self.version.hash(VERSION))
    }

    fn write(&self, out: &mut FieldWriter<'_>) {
        self.version.write(out);
        out.rows(self.all(), |out, group| group.write(out));
    }

    fn read(from: &mut FieldReader<'_>) -> Result<Self, RowError> {
        /// An empty name, five flags, two large and four small numbers, a policy without pauses and
        /// no attributes.
        const LEAST_BYTES: usize = 4 + 5 + 2 * 8 + 4 * 4 + 5 + 4;
        let mut table = Self {
            version: DataVersion::read(from)?,
            ..Self::default()
        };
        for _ in 0..from.count(LEAST_BYTES)? {
            let config = GroupConfig::read(from)?;
            config.check().map_err(RowError::Refused)?;
            push(&mut table.by_name, config.name.clone(), Arc::new(config))?;
        }
        table.sum = table.recomputed_sum();
        Ok(table)
    }
}

fn hash(group: &GroupConfig) -> u64 {
    EntryHash::new(GROUP)
        .written(|out| group.write(out))
        .finish()
}
