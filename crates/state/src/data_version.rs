//! Versions of tables.

use crate::codec::{FieldError, FieldReader, FieldWriter};
use crate::hash::EntryHash;

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
    /// Bytes in a table: counter `u64`, changed at `u64`.
    pub(crate) fn write(self, out: &mut FieldWriter<'_>) {
        out.u64(self.counter);
        out.u64(self.changed_at_ms);
    }

    pub(crate) fn read(from: &mut FieldReader<'_>) -> Result<Self, FieldError> {
        Ok(Self {
            counter: from.u64()?,
            changed_at_ms: from.u64()?,
        })
    }

    /// The version after one more change.
    pub(crate) fn next(self, changed_at_ms: u64) -> Self {
        Self {
            counter: self.counter + 1,
            changed_at_ms: self.changed_at_ms.max(changed_at_ms),
        }
    }

    /// A table that was never changed has no version entry.
    pub(crate) fn hash(self, kind: u64) -> u64 {
        if self.counter == 0 {
            return 0;
        }
        EntryHash::new(kind)
            .word(self.counter)
            .word(self.changed_at_ms)
            .finish()
    }
}
