//! Type 8: delete a topic.
//!
//! | size | field |
//! |--:|---|
//! | 8 | changed at, ms since 1970 |
//! | 4 + length | name, string |

use std::sync::Arc;

use crate::changes::Changes;
use crate::codec::{FieldError, FieldReader, FieldWriter};
use crate::error::ApplyError;
use crate::system::is_system_topic;
use crate::tables::StateTables;

use super::body::OpBody;
use super::precondition::Precondition;

/// Delete a topic with its queue counters, offsets and locks; nothing happens if there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeleteTopic {
    /// When, ms since 1970.
    pub changed_at_ms: u64,
    /// The topic.
    pub name: Arc<str>,
}

impl OpBody for DeleteTopic {
    const KIND: u16 = 8;

    const PRECONDITION: Option<fn(&Self) -> Precondition> =
        Some(|op| Precondition::Deleted(op.name.clone()));

    fn write(&self, out: &mut FieldWriter<'_>) {
        out.u64(self.changed_at_ms);
        out.string(&self.name);
    }

    fn read(from: &mut FieldReader<'_>) -> Result<Self, FieldError> {
        Ok(Self {
            changed_at_ms: from.u64()?,
            name: from.string()?.into(),
        })
    }

    fn check(&self, tables: &StateTables) -> Result<(), ApplyError> {
        if is_system_topic(tables.settings.founding(), &self.name) {
            return Err(ApplyError::SystemTopic {
                topic: self.name.clone(),
            });
        }
        Ok(())
    }

    fn apply(self, tables: &mut StateTables, _term: u64, changes: &mut Changes) {
        let Some(id) = tables.topics.remove(&self.name) else {
            return;
        };
        tables.next_offsets.remove_topic(id);
        tables.consumer_offsets.remove_topic(id);
        tables.locks.remove_topic(id);
        tables.topics.advance(self.changed_at_ms);
        changes.topics_deleted.push((self.name, id));
    }
}
