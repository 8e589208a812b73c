//! What the fuzz targets share: damage to valid bytes, and a measure of what a decoder allocates.

mod allocation;
mod damage;

pub use allocation::allocated;
pub use damage::Damage;

/// What a decoder may allocate for an input of this size.
pub fn allowance(input: usize) -> usize {
    4 * input + 64 * 1024
}
