//! One entry of the key index.

use crate::files::be64;

/// Bytes of an encoded entry. Encoded entries sort as the entries do.
pub const ENTRY_SIZE: usize = 21;
/// Times have 48 bits: later ones are kept as the year 10889.
pub const MAX_TIME_MS: u64 = (1 << 48) - 1;
/// Positions have 56 bits: a log that is written at 1 GB/s reaches them in two years.
const MAX_OFFSET: u64 = (1 << 56) - 1;

/// A message with this key is there. Sorted by key, then from old to new.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyEntry {
    pub key_hash: u64,
    pub time_ms: u64,
    pub physical_offset: u64,
}

impl KeyEntry {
    pub fn new(key_hash: u64, physical_offset: u64, time_ms: u64) -> Self {
        Self {
            key_hash,
            time_ms: time_ms.min(MAX_TIME_MS),
            physical_offset: physical_offset.min(MAX_OFFSET),
        }
    }

    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.key_hash.to_be_bytes());
        out.extend_from_slice(&self.time_ms.to_be_bytes()[2..]);
        out.extend_from_slice(&self.physical_offset.to_be_bytes()[1..]);
    }

    /// From exactly [`ENTRY_SIZE`] bytes.
    pub fn decode(bytes: &[u8]) -> Self {
        Self {
            key_hash: be64(bytes, 0),
            time_ms: be64(bytes, 6) & MAX_TIME_MS,
            physical_offset: be64(bytes, 13) & MAX_OFFSET,
        }
    }
}

/// What is looked for: the newest entries of a key within a time, both ends included.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    pub key_hash: u64,
    pub from_ms: u64,
    pub to_ms: u64,
    pub max: usize,
}

impl Wanted {
    pub fn matches(&self, entry: &KeyEntry) -> bool {
        entry.key_hash == self.key_hash && (self.from_ms..=self.to_ms).contains(&entry.time_ms)
    }

    /// Leaves of `found` only the newest, each once, newest first.
    pub fn keep_newest(&self, found: &mut Vec<KeyEntry>) {
        found.sort_unstable_by(|one, other| other.cmp(one));
        found.dedup();
        found.truncate(self.max);
    }
}
