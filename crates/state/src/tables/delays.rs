//! How far each delay level has come.
//!
//! | size | field |
//! |--:|---|
//! | 4 | number of levels of which something was put again |
//! | 2 | level, rising |
//! | 8 | its progress, queue offset |
//!
//! The last two once a level.

use super::table::Table;
use crate::codec::{FieldReader, FieldWriter};
use crate::delay::LEVELS;
use crate::error::{ApplyError, RowError};
use crate::hash::{EntryHash, replace};

const PROGRESS: u64 = 9;

/// Queue offset of the first message of each level that was not put into its topic yet, level 1
/// first.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct DelayTable {
    progress: [u64; LEVELS as usize],
    sum: u64,
}

impl DelayTable {
    /// 0 for what is not a level.
    pub(crate) fn get(&self, level: u16) -> u64 {
        let index = usize::from(level).checked_sub(1);
        let progress = index.and_then(|index| self.progress.get(index));
        progress.copied().unwrap_or(0)
    }

    /// Moves a level, which must be one.
    pub(crate) fn set(&mut self, level: u16, progress: u64) {
        let old = std::mem::replace(&mut self.progress[usize::from(level) - 1], progress);
        replace(&mut self.sum, hash(level, old), hash(level, progress));
    }
}

impl Table for DelayTable {
    const ID: u16 = 6;

    const ENTRY_KINDS: &'static [u64] = &[PROGRESS];

    fn sum(&self) -> u64 {
        self.sum
    }

    fn recomputed_sum(&self) -> u64 {
        (1..=LEVELS)
            .map(|level| hash(level, self.get(level)))
            .fold(0, u64::wrapping_add)
    }

    fn write(&self, out: &mut FieldWriter<'_>) {
        let moved = (1..=LEVELS).filter(|level| self.get(*level) > 0);
        let moved: Vec<_> = moved.collect();
        out.list(&moved, |out, level| {
            out.u16(*level);
            out.u64(self.get(*level));
        });
    }

    fn read(from: &mut FieldReader<'_>) -> Result<Self, RowError> {
        let mut table = Self::default();
        let mut last = 0;
        for _ in 0..from.count(2 + 8)? {
            let (level, progress) = (from.u16()?, from.u64()?);
            if level <= last {
                return Err(RowError::Order);
            }
            if level > LEVELS {
                return Err(RowError::Refused(ApplyError::DelayLevel { level }));
            }
            if progress == 0 {
                return Err(RowError::Empty);
            }
            table.set(level, progress);
            last = level;
        }
        Ok(table)
    }
}

/// A level of which nothing was put again has no entry.
fn hash(level: u16, progress: u64) -> u64 {
    if progress == 0 {
        return 0;
    }
    EntryHash::new(PROGRESS)
        .word(u64::from(level))
        .word(progress)
        .finish()
}
