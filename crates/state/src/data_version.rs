//! Versions of tables.

use crate::hash::{EntryHash, EntryKind};

/// Version of a table, as brokers announce it: how many changes it has seen, and when the last one
/// was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DataVersion {
    /// Number of changes; the founding counts as one.
    pub counter: u64,
    /// Time of the last change, ms since 1970, stamped by leaders. Never falls, also where their
    /// clocks differ.
    pub changed_at_ms: u64,
}

impl DataVersion {
    /// The version after one more change.
    pub(crate) fn next(self, changed_at_ms: u64) -> Self {
        Self {
            counter: self.counter + 1,
            changed_at_ms: self.changed_at_ms.max(changed_at_ms),
        }
    }

    /// A table that was never changed has no version entry.
    pub(crate) fn hash(self, kind: EntryKind) -> u64 {
        if self.counter == 0 {
            return 0;
        }
        EntryHash::new(kind)
            .word(self.counter)
            .word(self.changed_at_ms)
            .finish()
    }
}
