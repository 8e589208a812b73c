//! Type 1: found the group.
//!
//! | size | field |
//! |--:|---|
//! | all | the founding, see [`GroupFounding`] |

use crate::changes::Changes;
use crate::codec::{FieldError, FieldReader, FieldWriter};
use crate::error::ApplyError;
use crate::founding::GroupFounding;
use crate::group::GroupConfig;
use crate::system::{BUILT_IN_GROUPS, system_topics};
use crate::tables::StateTables;

use super::body::OpBody;
use super::precondition::Precondition;

/// Found the group with its system topics and built-in groups; the first op of every log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundGroup(pub GroupFounding);

impl OpBody for FoundGroup {
    const KIND: u16 = 1;

    const NEEDS_GROUP: bool = false;

    const PRECONDITION: Option<fn(&Self) -> Precondition> = Some(|op| {
        let topics = system_topics(&op.0).into_iter();
        Precondition::Topics(topics.map(|topic| topic.name).collect())
    });

    fn write(&self, out: &mut FieldWriter<'_>) {
        self.0.write(out);
    }

    fn read(from: &mut FieldReader<'_>) -> Result<Self, FieldError> {
        GroupFounding::read(from).map(Self)
    }

    fn check(&self, tables: &StateTables) -> Result<(), ApplyError> {
        if tables.settings.founding().is_some() {
            return Err(ApplyError::FoundedTwice);
        }
        self.0.check()
    }

    fn apply(self, tables: &mut StateTables, _term: u64, changes: &mut Changes) {
        let Self(founding) = self;
        changes.founded = true;
        for topic in system_topics(&founding) {
            let name = topic.name.clone();
            if tables.topics.put(topic) {
                changes.topics.push(name);
            }
        }
        for group in BUILT_IN_GROUPS {
            tables.groups.put(GroupConfig::new(group));
            changes.groups.push(group.into());
        }
        tables.topics.advance(founding.founded_at_ms);
        tables.groups.advance(founding.founded_at_ms);
        tables.settings.set(founding);
    }
}
