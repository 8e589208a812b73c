//! Type 9: delete a subscription group.
//!
//! | size | field |
//! |--:|---|
//! | 8 | changed at, ms since 1970 |
//! | 4 + length | name, string |
//! | 1 | clean offsets, flag |

use std::sync::Arc;

use crate::changes::Changes;
use crate::codec::{FieldError, FieldReader, FieldWriter};
use crate::tables::StateTables;

use super::body::OpBody;

/// Delete a subscription group and its locks; nothing happens if there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeleteGroup {
    /// When, ms since 1970.
    pub changed_at_ms: u64,
    /// The group.
    pub name: Arc<str>,
    /// Its committed offsets go, too.
    pub clean_offsets: bool,
}

impl OpBody for DeleteGroup {
    const KIND: u16 = 9;

    fn write(&self, out: &mut FieldWriter<'_>) {
        out.u64(self.changed_at_ms);
        out.string(&self.name);
        out.flag(self.clean_offsets);
    }

    fn read(from: &mut FieldReader<'_>) -> Result<Self, FieldError> {
        Ok(Self {
            changed_at_ms: from.u64()?,
            name: from.string()?.into(),
            clean_offsets: from.flag("clean offsets")?,
        })
    }

    fn apply(self, tables: &mut StateTables, _term: u64, changes: &mut Changes) {
        // Offsets outlive a group that was deleted without them: they go, also where it is gone.
        if self.clean_offsets {
            tables.consumer_offsets.remove_group(&self.name);
        }
        if tables.groups.remove(&self.name) {
            tables.locks.remove_group(&self.name);
            tables.groups.advance(self.changed_at_ms);
            changes.groups_deleted.push(self.name);
        }
    }
}
