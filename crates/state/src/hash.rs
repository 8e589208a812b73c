//! The state hash: per table a sum of entry hashes, so that the order of the entries does not
//! matter and a change costs one subtraction and one addition.
//!
//! The function is written down here and pinned by a test because replicas of different builds
//! compare its values: a library's hash may change with its version.

use crate::codec::FieldWriter;

/// The tables that there were when states were first compared.
const FIRST_TABLES: usize = 7;

/// The sums of all tables in one number. A later table counts only once it has rows: until a group
/// uses it, builds that know it agree with those that do not.
pub(crate) fn combined(sums: &[u64]) -> u64 {
    let counted = sums.iter().enumerate();
    counted
        .filter(|(table, sum)| *table < FIRST_TABLES || **sum != 0)
        .fold(0, |hash, (_, sum)| mix(hash ^ sum))
}

/// Replaces one entry of a sum: `old` leaves, `new` comes. 0 stands for no entry.
pub(crate) fn replace(sum: &mut u64, old: u64, new: u64) {
    *sum = sum.wrapping_sub(old).wrapping_add(new);
}

/// Whether no number of an entry kind comes twice, in one table or in two.
pub(crate) const fn are_distinct(tables: &[&[u64]]) -> bool {
    // No iterators: this is asked by the compiler.
    let mut seen = 0_u64;
    let mut table = 0;
    while table < tables.len() {
        let mut kind = 0;
        while kind < tables[table].len() {
            let bit = 1 << tables[table][kind];
            if seen & bit != 0 {
                return false;
            }
            seen |= bit;
            kind += 1;
        }
        table += 1;
    }
    true
}

/// The hash of one entry, fed word by word.
#[derive(Clone, Copy)]
pub(crate) struct EntryHash(u64);

impl EntryHash {
    /// Of an entry of this kind: equal bytes in different tables must not cancel out, so each kind
    /// has a number that no other has.
    #[inline]
    pub(crate) fn new(kind: u64) -> Self {
        Self(mix(kind))
    }

    #[inline]
    pub(crate) fn word(self, word: u64) -> Self {
        Self(mix(self.0 ^ word))
    }

    /// Bytes as their count, then big-endian words, the last one filled with zeros.
    pub(crate) fn bytes(self, bytes: &[u8]) -> Self {
        bytes
            .chunks(8)
            .fold(self.word(bytes.len() as u64), |hash, chunk| {
                let mut word = [0; 8];
                word[..chunk.len()].copy_from_slice(chunk);
                hash.word(u64::from_be_bytes(word))
            })
    }

    /// The bytes that `write` writes: an entry is hashed in the form that it has in its op.
    pub(crate) fn written(self, write: impl FnOnce(&mut FieldWriter<'_>)) -> Self {
        let mut bytes = Vec::new();
        write(&mut FieldWriter::new(&mut bytes));
        self.bytes(&bytes)
    }

    #[inline]
    pub(crate) fn finish(self) -> u64 {
        self.0
    }
}

/// The finisher of `SplitMix64`, behind its increment so that 0 does not stay 0.
#[inline]
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values were computed by a separate program from the description above.
    #[test]
    fn the_hash_function_never_changes_between_builds() {
        let hash = EntryHash::new(2).word(7).bytes(b"a topic name").finish();
        assert_eq!(hash, 0xa5dc_f025_7d03_6d16);
        assert_eq!(combined(&[1, 2, 3, 4, 5, 6, 7]), 0x6780_6edf_2913_7838);
    }

    #[test]
    fn a_later_table_without_rows_leaves_the_hash_as_it_was_before_there_was_one() {
        let (seven, empty) = ([1, 2, 3, 4, 5, 6, 7], [0; 7]);
        assert_eq!(combined(&[1, 2, 3, 4, 5, 6, 7, 0]), combined(&seven));
        assert_ne!(combined(&[1, 2, 3, 4, 5, 6, 7, 8]), combined(&seven));
        assert_ne!(combined(&empty[1..]), combined(&empty));
    }

    #[test]
    fn bytes_of_different_lengths_hash_differently_though_zeros_fill_the_last_word() {
        let hash = |bytes: &[u8]| EntryHash::new(4).bytes(bytes).finish();
        assert_ne!(hash(b"a"), hash(b"a\0"));
        assert_ne!(hash(b""), hash(b"\0\0\0\0\0\0\0\0"));
    }
}
