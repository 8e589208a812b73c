//! Type 3: create a subscription group or change its configuration.
//!
//! | size | field |
//! |--:|---|
//! | 8 | changed at, ms since 1970 |
//! | rest | configuration, see [`GroupConfig`] |

use crate::changes::Changes;
use crate::codec::{FieldError, FieldReader, FieldWriter};
use crate::error::ApplyError;
use crate::group::GroupConfig;
use crate::tables::StateTables;

use super::body::OpBody;

/// Create a subscription group or change its configuration; nothing happens if it has this one
/// already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutGroup {
    /// When, ms since 1970.
    pub changed_at_ms: u64,
    /// The whole new configuration.
    pub config: GroupConfig,
}

impl OpBody for PutGroup {
    const KIND: u16 = 3;

    fn write(&self, out: &mut FieldWriter<'_>) {
        out.u64(self.changed_at_ms);
        self.config.write(out);
    }

    fn read(from: &mut FieldReader<'_>) -> Result<Self, FieldError> {
        Ok(Self {
            changed_at_ms: from.u64()?,
            config: GroupConfig::read(from)?,
        })
    }

    fn check(&self, _tables: &StateTables) -> Result<(), ApplyError> {
        self.config.check()
    }

    fn apply(self, tables: &mut StateTables, _term: u64, changes: &mut Changes) {
        let name = self.config.name.clone();
        if tables.groups.put(self.config) {
            tables.groups.advance(self.changed_at_ms);
            changes.groups.push(name);
        }
    }
}
