//! What every table can do.

/// A table of the state. Equal tables have equal rows.
pub(crate) trait Table: Default + PartialEq {
    /// The sum of the hashes of the rows, kept at every change.
    fn sum(&self) -> u64;

    /// The sum, counted anew from the rows.
    fn recomputed_sum(&self) -> u64;
}
