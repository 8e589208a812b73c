//! Type 5: messages of a delay level were put into their topics.
//!
//! | size | field |
//! |--:|---|
//! | 2 | level, from 1 |
//! | 8 | from, queue offset |
//! | 8 | to, queue offset |

use crate::changes::Changes;
use crate::codec::{FieldError, FieldReader, FieldWriter};
use crate::delay::{LEVELS, SCHEDULE_TOPIC, level_queue};
use crate::error::ApplyError;
use crate::tables::StateTables;

use super::body::OpBody;
use super::precondition::Precondition;

/// Messages of a delay level were put into their topics, by the same frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DelayProgress {
    /// Delay level, from 1.
    pub level: u16,
    /// Queue offset in the level's queue where the level stood. It must: a frame that repeats
    /// what another one did would put messages twice.
    pub from: u64,
    /// Queue offset of the level's next message to come due.
    pub to: u64,
}

impl OpBody for DelayProgress {
    const KIND: u16 = 5;

    const PRECONDITION: Option<fn(&Self) -> Precondition> = Some(|op| Precondition::Delay {
        level: op.level,
        from: op.from,
        to: op.to,
    });

    fn write(&self, out: &mut FieldWriter<'_>) {
        out.u16(self.level);
        out.u64(self.from);
        out.u64(self.to);
    }

    fn read(from: &mut FieldReader<'_>) -> Result<Self, FieldError> {
        Ok(Self {
            level: from.u16()?,
            from: from.u64()?,
            to: from.u64()?,
        })
    }

    fn check(&self, tables: &StateTables) -> Result<(), ApplyError> {
        let Self { level, from, to } = *self;
        if !(1..=LEVELS).contains(&level) {
            return Err(ApplyError::DelayLevel { level });
        }
        let stands = tables.delays.get(level);
        let schedule = tables.topics.by_name(SCHEDULE_TOPIC);
        let end = schedule.map_or(0, |topic| {
            tables.next_offsets.get(topic.id, level_queue(level))
        });
        if from != stands || to < from || to > end {
            return Err(ApplyError::DelayProgress {
                level,
                stands,
                end,
                from,
                to,
            });
        }
        Ok(())
    }

    fn apply(self, tables: &mut StateTables, _term: u64, _changes: &mut Changes) {
        tables.delays.set(self.level, self.to);
    }
}
