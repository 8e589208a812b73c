//! Subscription groups by name, and the version of the table.

use std::sync::Arc;

use imbl::OrdMap;

use super::table::Table;
use crate::data_version::DataVersion;
use crate::group::GroupConfig;
use crate::hash::{EntryHash, EntryKind, replace};

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
        let kind = EntryKind::GroupVersion;
        let version = self.version.next(changed_at_ms);
        replace(&mut self.sum, self.version.hash(kind), version.hash(kind));
        self.version = version;
    }
}

impl Table for GroupTable {
    fn sum(&self) -> u64 {
        self.sum
    }

    fn recomputed_sum(&self) -> u64 {
        self.all()
            .map(hash)
            .fold(0, u64::wrapping_add)
            .wrapping_add(self.version.hash(EntryKind::GroupVersion))
    }
}

fn hash(group: &GroupConfig) -> u64 {
    EntryHash::new(EntryKind::Group)
        .written(|out| group.write(out))
        .finish()
}
