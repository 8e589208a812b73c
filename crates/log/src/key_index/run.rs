//! A sorted run: a file of entries that never changes.
//!
//! Blocks of 4,096 bytes, big-endian:
//!
//! ```text
//!    0  194 × 21  entries: key hash 8, store time 6, physical offset 7; fewer in the last block, then zeros
//! 4092         4  CRC-32C of what stands before, continued from the block's number
//! ```
//!
//! What is known of a run beyond its entries stands in memory, as no run outlives the process: among it the key that
//! every so many blocks begin with, by which a search in a run of a lower level reads one block.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::entry::{ENTRY_SIZE, KeyEntry, Wanted};
use crate::disk::{Disk, DiskFile};
use crate::error::LogError;
use crate::files::be32;

pub const BLOCK_SIZE: usize = 4096;
const CHECKED: usize = BLOCK_SIZE - 4;
pub const BLOCK_ENTRIES: usize = CHECKED / ENTRY_SIZE;
/// Blocks read or written in one call where many follow each other.
const STRETCH: usize = 16;
/// Keys of a run in memory at most, 8 bytes each.
const MAX_FENCES: usize = 4096;

/// A complete run.
pub struct SortedRun {
    pub path: PathBuf,
    /// How often its entries were merged.
    pub level: u32,
    file: Arc<dyn DiskFile>,
    fences: Fences,
    entries: u64,
    oldest_ms: u64,
    newest_ms: u64,
}

impl SortedRun {
    fn blocks(&self) -> u64 {
        self.entries.div_ceil(BLOCK_ENTRIES as u64)
    }

    /// Bytes of its file.
    pub fn bytes(&self) -> u64 {
        self.blocks() * BLOCK_SIZE as u64
    }

    /// Whether a search could find something in it that is newer than what it has.
    pub fn is_worth_a_look(&self, wanted: &Wanted, found: &[KeyEntry]) -> bool {
        let enough = found.len() >= wanted.max;
        let newer = !enough
            || found
                .last()
                .is_some_and(|last| self.newest_ms >= last.time_ms);
        newer && self.oldest_ms <= wanted.to_ms && self.newest_ms >= wanted.from_ms
    }

    /// Adds the newest entries that match, newest first, at most as many as are wanted.
    ///
    /// # Errors
    /// [`LogError::View`], [`LogError::DamagedView`].
    pub fn find(&self, wanted: &Wanted, found: &mut Vec<KeyEntry>) -> Result<(), LogError> {
        let last = KeyEntry::new(wanted.key_hash, u64::MAX, wanted.to_ms);
        let Range {
            start: mut low,
            end: mut high,
        } = self.fences.around(wanted.key_hash, self.blocks());
        let mut bytes = [0; BLOCK_SIZE];
        // The block before `low` begins with an entry that is not behind the last one that could match.
        while low < high {
            let middle = low + (high - low) / 2;
            self.read_bytes(middle, &mut bytes)?;
            if KeyEntry::decode(&bytes) <= last {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let mut block = Vec::new();
        if low > 0 {
            block = self.read(low - 1, 1)?;
        }
        let enough = found.len() + wanted.max;
        while low > 0 {
            let end = block.partition_point(|entry| *entry <= last);
            for entry in block[..end].iter().rev() {
                if !wanted.matches(entry) || found.len() == enough {
                    return Ok(());
                }
                if found.last() != Some(entry) {
                    found.push(*entry);
                }
            }
            low -= 1;
            if low > 0 {
                block = self.read(low - 1, 1)?;
            }
        }
        Ok(())
    }

    /// The entries of some blocks.
    fn read(&self, first: u64, count: u64) -> Result<Vec<KeyEntry>, LogError> {
        let mut bytes = vec![0; count as usize * BLOCK_SIZE];
        self.read_bytes(first, &mut bytes)?;
        let left = self.entries - first * BLOCK_ENTRIES as u64;
        Ok(bytes
            .chunks(BLOCK_SIZE)
            .flat_map(|block| block[..BLOCK_ENTRIES * ENTRY_SIZE].chunks(ENTRY_SIZE))
            .take(left as usize)
            .map(KeyEntry::decode)
            .collect())
    }

    /// Whole blocks, checked.
    fn read_bytes(&self, first: u64, bytes: &mut [u8]) -> Result<(), LogError> {
        let read = self.file.read_at(bytes, first * BLOCK_SIZE as u64);
        let read = read.map_err(|error| LogError::view("read", &self.path, error))?;
        let is_whole = |(at, block): (usize, &[u8])| {
            checksum(first + at as u64, &block[..CHECKED]) == be32(block, CHECKED)
        };
        if read < bytes.len() || !bytes.chunks(BLOCK_SIZE).enumerate().all(is_whole) {
            let path = self.path.clone();
            return Err(LogError::DamagedView { path });
        }
        Ok(())
    }
}

/// The key hashes with which blocks begin, of every `spacing`-th block.
struct Fences {
    hashes: Vec<u64>,
    spacing: u64,
}

impl Fences {
    fn new() -> Self {
        Self {
            hashes: Vec::new(),
            spacing: 1,
        }
    }

    /// Block `number`, the one after the last that was added, begins with this hash.
    fn add(&mut self, number: u64, key_hash: u64) {
        if !number.is_multiple_of(self.spacing) {
            return;
        }
        if self.hashes.len() == MAX_FENCES {
            let mut number = 0;
            self.hashes.retain(|_| {
                number += 1;
                number % 2 == 1
            });
            self.spacing *= 2;
            // The bound is even: the block that comes now is kept with the doubled spacing, too.
        }
        self.hashes.push(key_hash);
    }

    /// Of `blocks`, between which lies the first one that begins behind all entries of this key: it is in the range or
    /// its end.
    fn around(&self, key_hash: u64, blocks: u64) -> Range<u64> {
        let before = self.hashes.partition_point(|hash| *hash < key_hash) as u64;
        let not_behind = self.hashes.partition_point(|hash| *hash <= key_hash) as u64;
        let start = before
            .checked_sub(1)
            .map_or(0, |last| last * self.spacing + 1);
        start..(not_behind * self.spacing).min(blocks)
    }
}

fn checksum(number: u64, block: &[u8]) -> u32 {
    crc32c::crc32c_append(number as u32, block)
}

/// Reads a run from its beginning to its end.
pub struct RunReader {
    run: Arc<SortedRun>,
    next_block: u64,
    entries: std::vec::IntoIter<KeyEntry>,
}

impl RunReader {
    pub fn new(run: Arc<SortedRun>) -> Self {
        Self {
            run,
            next_block: 0,
            entries: Vec::new().into_iter(),
        }
    }

    /// The next entry, none at the end.
    pub fn next(&mut self) -> Result<Option<KeyEntry>, LogError> {
        if let Some(entry) = self.entries.next() {
            return Ok(Some(entry));
        }
        let count = (self.run.blocks() - self.next_block).min(STRETCH as u64);
        if count == 0 {
            return Ok(None);
        }
        self.entries = self.run.read(self.next_block, count)?.into_iter();
        self.next_block += count;
        Ok(self.entries.next())
    }
}

/// Writes a run. One that is dropped unfinished leaves no file.
pub struct RunWriter {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    file: Arc<dyn DiskFile>,
    bytes: Vec<u8>,
    /// Bytes of the current block.
    filled: usize,
    blocks: u64,
    written: u64,
    fences: Fences,
    entries: u64,
    last: Option<KeyEntry>,
    oldest_ms: u64,
    newest_ms: u64,
    finished: bool,
}

impl RunWriter {
    pub fn create(disk: &Arc<dyn Disk>, path: &Path) -> Result<Self, LogError> {
        let file = path
            .parent()
            .map_or(Ok(()), |directory| disk.create_dir(directory))
            .and_then(|()| disk.create(path))
            .map_err(|error| LogError::view("make", path, error))?;
        Ok(Self {
            disk: Arc::clone(disk),
            path: path.to_path_buf(),
            file,
            bytes: Vec::with_capacity(STRETCH * BLOCK_SIZE),
            filled: 0,
            blocks: 0,
            written: 0,
            fences: Fences::new(),
            entries: 0,
            last: None,
            oldest_ms: u64::MAX,
            newest_ms: 0,
            finished: false,
        })
    }

    /// Adds an entry that is not before the last one; one that is there already is left out.
    pub fn push(&mut self, entry: KeyEntry) -> Result<(), LogError> {
        if self.last == Some(entry) {
            return Ok(());
        }
        self.last = Some(entry);
        if self.filled == 0 {
            self.fences.add(self.blocks, entry.key_hash);
        }
        entry.encode(&mut self.bytes);
        self.filled += ENTRY_SIZE;
        self.entries += 1;
        self.oldest_ms = self.oldest_ms.min(entry.time_ms);
        self.newest_ms = self.newest_ms.max(entry.time_ms);
        if self.filled + ENTRY_SIZE > CHECKED {
            self.end_block();
            if self.bytes.len() >= STRETCH * BLOCK_SIZE {
                self.write()?;
            }
        }
        Ok(())
    }

    pub fn finish(mut self, level: u32) -> Result<SortedRun, LogError> {
        if self.filled > 0 {
            self.end_block();
        }
        self.write()?;
        self.finished = true;
        self.fences.hashes.shrink_to_fit();
        Ok(SortedRun {
            fences: std::mem::replace(&mut self.fences, Fences::new()),
            path: std::mem::take(&mut self.path),
            level,
            file: Arc::clone(&self.file),
            entries: self.entries,
            oldest_ms: self.oldest_ms,
            newest_ms: self.newest_ms,
        })
    }

    fn end_block(&mut self) {
        let start = self.bytes.len() - self.filled;
        self.bytes.resize(start + CHECKED, 0);
        let checksum = checksum(self.blocks, &self.bytes[start..]);
        self.bytes.extend_from_slice(&checksum.to_be_bytes());
        self.blocks += 1;
        self.filled = 0;
    }

    fn write(&mut self) -> Result<(), LogError> {
        self.file
            .write_at(&self.bytes, self.written)
            .map_err(|error| LogError::view("write", &self.path, error))?;
        self.written += self.bytes.len() as u64;
        self.bytes.clear();
        Ok(())
    }
}

impl Drop for RunWriter {
    fn drop(&mut self) {
        if !self.finished {
            // What stays behind is deleted at the next start.
            let _: io::Result<()> = self.disk.unlink(&self.path);
        }
    }
}
