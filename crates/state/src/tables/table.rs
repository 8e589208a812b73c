//! What every table can do.

use imbl::OrdMap;

use crate::codec::{FieldReader, FieldWriter};
use crate::error::RowError;

/// A table of the state. Equal tables have equal rows, and equal bytes.
pub(crate) trait Table: Default + PartialEq {
    /// Number of the table in the bytes of a state. Rises from row to row of the list.
    const ID: u16;

    /// Numbers of its kinds of entries in the hash. No other table has them.
    const ENTRY_KINDS: &'static [u64];

    /// The sum of the hashes of the rows, kept at every change.
    fn sum(&self) -> u64;

    /// The sum, counted anew from the rows.
    fn recomputed_sum(&self) -> u64;

    /// Appends all rows, in ascending order.
    fn write(&self, out: &mut FieldWriter<'_>);

    /// Reads all rows, from a reader that ends with the last. Accepts only what [`write`](Self::write)
    /// could have written, and allocates in the order of what the bytes hold.
    fn read(from: &mut FieldReader<'_>) -> Result<Self, RowError>;

    /// The ids of topics that rows name, some perhaps several times.
    fn topic_ids(&self) -> impl Iterator<Item = u32> {
        std::iter::empty()
    }
}

/// Adds a row that must come behind all others.
pub(super) fn push<K: Ord + Clone, V: Clone>(
    rows: &mut OrdMap<K, V>,
    key: K,
    row: V,
) -> Result<(), RowError> {
    if rows.get_max().is_some_and(|(last, _)| *last >= key) {
        return Err(RowError::Order);
    }
    rows.insert(key, row);
    Ok(())
}
