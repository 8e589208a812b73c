//! Type 2: create a topic or change its configuration.
//!
//! | size | field |
//! |--:|---|
//! | 8 | changed at, ms since 1970 |
//! | rest | configuration, see [`TopicConfig`] |

use crate::changes::Changes;
use crate::codec::{FieldError, FieldReader, FieldWriter};
use crate::error::ApplyError;
use crate::tables::StateTables;
use crate::topic::TopicConfig;

use super::body::OpBody;
use super::precondition::Precondition;

/// Create a topic or change its configuration; nothing happens if it has this one already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutTopic {
    /// When, ms since 1970.
    pub changed_at_ms: u64,
    /// The whole new configuration.
    pub config: TopicConfig,
}

impl OpBody for PutTopic {
    const KIND: u16 = 2;

    const PRECONDITION: Option<fn(&Self) -> Precondition> =
        Some(|op| Precondition::Topics(vec![op.config.name.clone()]));

    fn write(&self, out: &mut FieldWriter<'_>) {
        out.u64(self.changed_at_ms);
        self.config.write(out);
    }

    fn read(from: &mut FieldReader<'_>) -> Result<Self, FieldError> {
        Ok(Self {
            changed_at_ms: from.u64()?,
            config: TopicConfig::read(from)?,
        })
    }

    fn check(&self, _tables: &StateTables) -> Result<(), ApplyError> {
        self.config.check()
    }

    fn apply(self, tables: &mut StateTables, _term: u64, changes: &mut Changes) {
        let name = self.config.name.clone();
        if tables.topics.put(self.config) {
            tables.topics.advance(self.changed_at_ms);
            changes.topics.push(name);
        }
    }
}
