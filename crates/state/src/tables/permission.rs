//! What clients may do at the group as a whole: one row, none while nothing is restricted.
//!
//! | size | field |
//! |--:|---|
//! | all | the permission, see [`BrokerPermission`] |

use super::table::Table;
use crate::codec::{FieldReader, FieldWriter};
use crate::error::RowError;
use crate::hash::EntryHash;
use crate::permission::BrokerPermission;

const PERMISSION: u64 = 11;

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct PermissionTable {
    permission: BrokerPermission,
    sum: u64,
}

impl PermissionTable {
    pub(crate) fn get(&self) -> BrokerPermission {
        self.permission
    }

    /// Whether it was another one.
    pub(crate) fn set(&mut self, permission: BrokerPermission) -> bool {
        let before = std::mem::replace(&mut self.permission, permission);
        self.sum = hash(permission);
        before != permission
    }
}

impl Table for PermissionTable {
    const ID: u16 = 8;

    const ENTRY_KINDS: &'static [u64] = &[PERMISSION];

    fn sum(&self) -> u64 {
        self.sum
    }

    fn recomputed_sum(&self) -> u64 {
        hash(self.permission)
    }

    fn write(&self, out: &mut FieldWriter<'_>) {
        self.permission.write(out);
    }

    fn read(from: &mut FieldReader<'_>) -> Result<Self, RowError> {
        let mut table = Self::default();
        table.set(BrokerPermission::read(from)?);
        Ok(table)
    }
}

/// A group without restrictions has no entry.
fn hash(permission: BrokerPermission) -> u64 {
    if permission == BrokerPermission::default() {
        return 0;
    }
    EntryHash::new(PERMISSION)
        .written(|out| permission.write(out))
        .finish()
}
