//! One file: what the process sees, what is on the platter, and the writes between the two.

use std::collections::BTreeMap;

use crate::pages::Pages;
use crate::power_cut::Survival;

/// The unit in which a device writes.
const SECTOR: u64 = 512;
const SECTOR_BYTES: usize = SECTOR as usize;
/// Versions of one unsynced sector that are remembered.
const VERSIONS: usize = 6;

type SectorBytes = [u8; SECTOR_BYTES];

/// The content of a sector after a write.
#[derive(Clone)]
struct SectorVersion {
    sequence: u64,
    bytes: SectorBytes,
}

/// A file's content.
#[derive(Clone, Default)]
pub struct Inode {
    cache: Pages,
    cache_length: u64,
    platter: Pages,
    platter_length: u64,
    /// For each sector written since the last sync its contents after those writes. The system may write a page
    /// back at any time, so any of them, or the platter's, may be there after a power cut.
    unsynced: BTreeMap<u64, Vec<SectorVersion>>,
    /// Bytes reserved.
    pub allocated: u64,
    /// Whether a name leads here.
    pub is_linked: bool,
}

impl Inode {
    /// An empty file that has a name.
    pub fn linked() -> Self {
        Self {
            is_linked: true,
            ..Self::default()
        }
    }

    pub const fn length(&self) -> u64 {
        self.cache_length
    }

    pub fn read(&self, buffer: &mut [u8], offset: u64) -> usize {
        let there = self
            .cache_length
            .saturating_sub(offset)
            .min(buffer.len() as u64) as usize;
        self.cache.read(&mut buffer[..there], offset);
        there
    }

    /// `pinned` is the moment at which a sync began: what a sector held then is remembered.
    pub fn write(&mut self, bytes: &[u8], offset: u64, sequence: u64, pinned: Option<u64>) {
        if bytes.is_empty() {
            return;
        }
        self.cache.write(bytes, offset);
        self.cache_length = self.cache_length.max(offset + bytes.len() as u64);
        let last = (offset + bytes.len() as u64 - 1) / SECTOR;
        for sector in offset / SECTOR..=last {
            let mut content = [0; SECTOR_BYTES];
            self.cache.read(&mut content, sector * SECTOR);
            let versions = self.unsynced.entry(sector).or_default();
            if versions.len() == VERSIONS {
                let pinned = pinned.and_then(|pin| newest_before(versions, pin));
                let middle = VERSIONS / 2;
                versions.remove(if pinned == Some(middle) {
                    middle + 1
                } else {
                    middle
                });
            }
            versions.push(SectorVersion {
                sequence,
                bytes: content,
            });
        }
    }

    pub fn zero(&mut self, from: u64, length: u64, sequence: u64, pinned: Option<u64>) {
        self.cache_length = self.cache_length.max(from + length);
        let end = from + length;
        let mut at = from;
        while let Some(next) = self.cache.next_page(at).filter(|next| *next < end) {
            let part = (end - next).min(4096 - next % 4096);
            self.write(&vec![0; part as usize], next, sequence, pinned);
            at = next + part;
        }
    }

    pub fn grow(&mut self, length: u64) {
        self.cache_length = self.cache_length.max(length);
    }

    pub fn next_data(&self, from: u64) -> Option<u64> {
        self.cache
            .next_page(from)
            .filter(|next| *next < self.cache_length)
    }

    /// Makes durable what was written up to a moment; what came later stays uncertain.
    pub fn sync_upto(&mut self, moment: u64) {
        let platter = &mut self.platter;
        self.unsynced.retain(|sector, versions| {
            if let Some(at) = newest_before(versions, moment) {
                platter.write(&versions[at].bytes, sector * SECTOR);
                versions.drain(..=at);
            }
            !versions.is_empty()
        });
        self.platter_length = self.cache_length;
    }

    /// What is on the platter, as far as the file is long there.
    pub fn read_platter(&self, buffer: &mut [u8], offset: u64) -> usize {
        let there = self
            .platter_length
            .saturating_sub(offset)
            .min(buffer.len() as u64) as usize;
        self.platter.read(&mut buffer[..there], offset);
        there
    }

    pub fn sync(&mut self) {
        for (sector, versions) in std::mem::take(&mut self.unsynced) {
            if let Some(newest) = versions.last() {
                self.platter.write(&newest.bytes, sector * SECTOR);
            }
        }
        self.platter_length = self.cache_length;
    }

    /// A sync that fails: the pages count as clean from now on, and the platter never saw them.
    pub fn lose_unsynced(&mut self) {
        self.unsynced.clear();
    }

    /// Replaces bytes behind everybody's back.
    pub fn overwrite(&mut self, offset: u64, bytes: &[u8]) {
        for pages in [&mut self.cache, &mut self.platter] {
            pages.write(bytes, offset);
        }
        for sector in offset / SECTOR..=(offset + bytes.len().max(1) as u64 - 1) / SECTOR {
            self.unsynced.remove(&sector);
        }
    }

    /// Changes bytes behind everybody's back.
    pub fn damage(&mut self, offset: u64, mask: u8) {
        for pages in [&mut self.cache, &mut self.platter] {
            let mut byte = [0];
            pages.read(&mut byte, offset);
            pages.write(&[byte[0] ^ mask], offset);
        }
    }

    /// Makes the file shorter, everywhere.
    pub fn cut(&mut self, length: u64) {
        self.sync();
        self.cache.cut(length);
        self.platter.cut(length);
        self.cache_length = self.cache_length.min(length);
        self.platter_length = self.platter_length.min(length);
    }

    /// The power goes: what is left is what the platter has.
    pub fn power_cut(&mut self, survival: &mut Survival) {
        for (sector, versions) in std::mem::take(&mut self.unsynced) {
            let sequences = versions.iter().map(|version| version.sequence);
            let Some(kept) = survival.choose(sequences) else {
                continue;
            };
            let mut content = versions[kept].bytes;
            if let Some(torn) = survival.tear() {
                self.platter
                    .read(&mut content[torn..], sector * SECTOR + torn as u64);
            }
            self.platter.write(&content, sector * SECTOR);
        }
        if self.platter_length != self.cache_length && survival.keeps_length() {
            self.platter_length = self.cache_length;
        }
        self.platter.cut(self.platter_length);
        self.cache = self.platter.clone();
        self.cache_length = self.platter_length;
    }
}

/// The newest version of a sector that was written up to a moment.
fn newest_before(versions: &[SectorVersion], moment: u64) -> Option<usize> {
    versions
        .partition_point(|version| version.sequence <= moment)
        .checked_sub(1)
}
