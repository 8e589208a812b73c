//! Type 10: change what clients may do at the group as a whole.
//!
//! | size | field |
//! |--:|---|
//! | 8 | changed at, ms since 1970 |
//! | rest | permission, see [`BrokerPermission`] |

use crate::changes::Changes;
use crate::codec::{FieldError, FieldReader, FieldWriter};
use crate::permission::BrokerPermission;
use crate::tables::StateTables;

use super::body::OpBody;

/// Change what clients may do at the group as a whole; nothing happens if that is so already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutPermission {
    /// When, ms since 1970.
    pub changed_at_ms: u64,
    /// The new permission.
    pub permission: BrokerPermission,
}

impl OpBody for PutPermission {
    const KIND: u16 = 10;

    fn write(&self, out: &mut FieldWriter<'_>) {
        out.u64(self.changed_at_ms);
        self.permission.write(out);
    }

    fn read(from: &mut FieldReader<'_>) -> Result<Self, FieldError> {
        Ok(Self {
            changed_at_ms: from.u64()?,
            permission: BrokerPermission::read(from)?,
        })
    }

    fn apply(self, tables: &mut StateTables, _term: u64, changes: &mut Changes) {
        if tables.permission.set(self.permission) {
            // Every topic is shown with it: to NameServers it is another version of the topic table.
            tables.topics.advance(self.changed_at_ms);
            changes.permission = true;
        }
    }
}
