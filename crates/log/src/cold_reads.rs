//! Reads of what is old, far behind the end of the log.
//!
//! What is near the end was just written, so the kernel has it in its page cache; what is old comes from the disk. Who
//! reads it reads on and on, most of it once: left to the kernel, its pages would push the newest ones out, which the
//! others read. So old frames are read by chunks. Readers of the same part share them here, in bounded memory; the kernel
//! is asked to read ahead of who goes on, and to forget what was copied.

use std::ops::Range;

use bytes::Bytes;
use parking_lot::Mutex;

use crate::index::Segment;

/// Bytes that are read at once. As many are checked at once, and a frame of the log has about as many.
const CHUNK: u64 = 256 << 10;
/// The kernel reads so far ahead of who reads one chunk after the other.
const AHEAD: u64 = 4 * CHUNK;
/// Chunks that are read before the kernel is told to forget them, together: to forget one by one takes a core from others,
/// as the kernel looks for pages that were just read on all cores.
const FORGOTTEN_TOGETHER: usize = 16;
/// Chunks that are held, 16 MiB: as many readers may be at as many places.
const HELD: usize = 64;

/// Chunks of old parts of the log. For use by any thread.
pub struct ColdReads {
    near_bytes: u64,
    segment_size: u64,
    held: Mutex<HeldChunks>,
}

#[derive(Default)]
struct HeldChunks {
    chunks: Vec<HeldChunk>,
    turn: u64,
    /// Those whose pages the kernel still has.
    read: Vec<ReadChunk>,
}

struct ReadChunk {
    segment: Segment,
    range: Range<u64>,
}

struct HeldChunk {
    start: u64,
    /// How often frames had been cut off the log before it was read: other frames may stand in their place since.
    cuts: u64,
    bytes: Bytes,
    /// The turn in which it was used last.
    used: u64,
}

impl ColdReads {
    /// `near_bytes`: how far behind the end of the log its frames are not old.
    pub fn new(near_bytes: u64, segment_size: u64) -> Self {
        Self {
            near_bytes,
            segment_size,
            held: Mutex::default(),
        }
    }

    /// Whether a position is old in a log that ends there: its whole chunk is then, which nobody changes any more.
    pub fn is_cold(&self, position: u64, end: u64) -> bool {
        self.chunk_around(position)
            .end
            .saturating_add(self.near_bytes)
            <= end
    }

    /// Fills a buffer from chunks that are held; answers whether all of it was there.
    pub fn copy_held(&self, position: u64, cuts: u64, buffer: &mut [u8]) -> bool {
        self.fill(position, buffer, |range| self.get(range.start, cuts))
    }

    /// Fills a buffer from one segment, by whole chunks; answers whether it could. Whoever is refused reads what it wants
    /// by itself: that something beside it cannot be read is none of its business.
    pub fn read(&self, segment: &Segment, position: u64, cuts: u64, buffer: &mut [u8]) -> bool {
        self.fill(position, buffer, |range| {
            self.get(range.start, cuts)
                .or_else(|| self.load(segment, range, cuts))
        })
    }

    fn fill(
        &self,
        position: u64,
        buffer: &mut [u8],
        chunk: impl Fn(&Range<u64>) -> Option<Bytes>,
    ) -> bool {
        let mut filled = 0;
        while filled < buffer.len() {
            let at = position + filled as u64;
            let range = self.chunk_around(at);
            let rest = &mut buffer[filled..];
            let inside = (at - range.start) as usize;
            let Some(bytes) = chunk(&range).filter(|bytes| bytes.len() > inside) else {
                return false;
            };
            let length = rest.len().min(bytes.len() - inside);
            rest[..length].copy_from_slice(&bytes[inside..inside + length]);
            filled += length;
        }
        true
    }

    fn chunk_around(&self, position: u64) -> Range<u64> {
        let inside = position % self.segment_size;
        let start = position - inside % CHUNK;
        let segment_end = position - inside + self.segment_size;
        start..(start + CHUNK).min(segment_end)
    }

    fn get(&self, start: u64, cuts: u64) -> Option<Bytes> {
        let mut held = self.held.lock();
        held.turn += 1;
        let turn = held.turn;
        let mut chunks = held.chunks.iter_mut();
        let chunk = chunks.find(|chunk| chunk.start == start && chunk.cuts == cuts)?;
        chunk.used = turn;
        Some(chunk.bytes.clone())
    }

    /// Reads a chunk without the lock: two that miss it at once read it twice.
    fn load(&self, segment: &Segment, range: &Range<u64>, cuts: u64) -> Option<Bytes> {
        let offset = range.start - segment.base;
        let length = range.end - range.start;
        if self.holds_end(range.start) {
            let ahead = AHEAD.min((segment.base + self.segment_size).saturating_sub(range.end));
            if ahead > 0 {
                segment.file.will_read(offset + length, ahead);
            }
        }
        let mut bytes = vec![0; length as usize];
        let read = segment.file.read_at(&mut bytes, offset).ok()?;
        bytes.truncate(read);
        let bytes = Bytes::from(bytes);
        forget(self.put(segment, range, cuts, bytes.clone()));
        Some(bytes)
    }

    /// Whether the chunk before a position is held: somebody reads on.
    fn holds_end(&self, position: u64) -> bool {
        let held = self.held.lock();
        held.chunks
            .iter()
            .any(|chunk| chunk.start + chunk.bytes.len() as u64 == position)
    }

    /// Holds a chunk; answers those that the kernel need not keep any more.
    fn put(
        &self,
        segment: &Segment,
        range: &Range<u64>,
        cuts: u64,
        bytes: Bytes,
    ) -> Vec<ReadChunk> {
        let start = range.start;
        let mut held = self.held.lock();
        let used = held.turn;
        held.chunks.retain(|chunk| chunk.start != start);
        if held.chunks.len() >= HELD {
            let oldest = held.chunks.iter().enumerate();
            if let Some((at, _)) = oldest.min_by_key(|(_, chunk)| chunk.used) {
                held.chunks.swap_remove(at);
            }
        }
        held.chunks.push(HeldChunk {
            start,
            cuts,
            bytes,
            used,
        });
        held.read.push(ReadChunk {
            segment: segment.clone(),
            range: range.clone(),
        });
        if held.read.len() < FORGOTTEN_TOGETHER {
            return Vec::new();
        }
        std::mem::take(&mut held.read)
    }
}

/// Has the kernel forget chunks, those that lie next to each other at once.
fn forget(mut chunks: Vec<ReadChunk>) {
    chunks.sort_unstable_by_key(|chunk| chunk.range.start);
    let adjacent = |one: &ReadChunk, next: &ReadChunk| {
        one.segment.base == next.segment.base && one.range.end == next.range.start
    };
    for run in chunks.chunk_by(adjacent) {
        let (segment, start) = (&run[0].segment, run[0].range.start);
        let length = run
            .iter()
            .map(|chunk| chunk.range.end - chunk.range.start)
            .sum();
        segment.file.forget(start - segment.base, length);
    }
}
