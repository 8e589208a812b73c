//! What the group was founded with: one row at most.
//!
//! | size | field |
//! |--:|---|
//! | all | the founding, see [`GroupFounding`] |

use std::sync::Arc;

use super::table::Table;
use crate::codec::{FieldReader, FieldWriter};
use crate::error::RowError;
use crate::founding::GroupFounding;
use crate::hash::EntryHash;

const FOUNDING: u64 = 1;

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
    const ID: u16 = 1;

    const ENTRY_KINDS: &'static [u64] = &[FOUNDING];

    fn sum(&self) -> u64 {
        self.sum
    }

    fn recomputed_sum(&self) -> u64 {
        self.founding().map_or(0, hash)
    }

    fn write(&self, out: &mut FieldWriter<'_>) {
        if let Some(founding) = &self.founding {
            founding.write(out);
        }
    }

    fn read(from: &mut FieldReader<'_>) -> Result<Self, RowError> {
        let founding = GroupFounding::read(from)?;
        founding.check().map_err(RowError::Refused)?;
        let mut table = Self::default();
        table.set(founding);
        Ok(table)
    }
}

fn hash(founding: &GroupFounding) -> u64 {
    EntryHash::new(FOUNDING)
        .written(|out| founding.write(out))
        .finish()
}
