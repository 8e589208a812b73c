//! How far each delay level has come.

use super::table::Table;
use crate::delay::LEVELS;
use crate::hash::{EntryHash, EntryKind, replace};

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
    fn sum(&self) -> u64 {
        self.sum
    }

    fn recomputed_sum(&self) -> u64 {
        (1..=LEVELS)
            .map(|level| hash(level, self.get(level)))
            .fold(0, u64::wrapping_add)
    }
}

/// A level of which nothing was put again has no entry.
fn hash(level: u16, progress: u64) -> u64 {
    if progress == 0 {
        return 0;
    }
    EntryHash::new(EntryKind::DelayProgress)
        .word(u64::from(level))
        .word(progress)
        .finish()
}
