//! What the group was founded with: one row at most.

use std::sync::Arc;

use super::table::Table;
use crate::founding::GroupFounding;
use crate::hash::{EntryHash, EntryKind};

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct SettingsTable {
    founding: Option<Arc<GroupFounding>>,
    sum: u64,
}

impl SettingsTable {
    pub(crate) fn founding(&self) -> Option<&GroupFounding> {
        self.founding.as_deref()
    }

    pub(crate) fn set(&mut self, founding: GroupFounding) {
        self.sum = hash(&founding);
        self.founding = Some(Arc::new(founding));
    }
}

impl Table for SettingsTable {
    fn sum(&self) -> u64 {
        self.sum
    }

    fn recomputed_sum(&self) -> u64 {
        self.founding().map_or(0, hash)
    }
}

fn hash(founding: &GroupFounding) -> u64 {
    EntryHash::new(EntryKind::Founding)
        .written(|out| founding.write(out))
        .finish()
}
