//! Key index: where the messages with a key stand in the log.
//!
//! A view: built by the apply thread from committed frames, read by any thread, deleted and rebuilt at start. It answers
//! with candidates: the caller reads the records and compares their keys.
//!
//! Entries go from the *open chunk* to a few *full chunks*, all in memory and unsorted; a number of full chunks become a
//! sorted run on disk, and as soon as there are eight runs of a level, they become one of the next. So memory is bounded,
//! an entry is written once for each level, and the number of runs grows with the logarithm of the number of entries.
//!
//! Sorting, writing and merging is done by whoever calls [`KeyIndex::merge_step`], in steps that have a bound: a lower
//! level interrupts the merge of a higher one, which would take minutes. If the keeper does not keep up, a thread that
//! appends writes a run itself, and from [`KeyLimits::max_runs`] on it pays for merging what it brings: so many entries a
//! chunk that no level falls further behind. Nothing that fails here stops a replica: an index that lost something says
//! so ([`KeyIndex::needs_rebuild`]), and its keeper fills it again from the log.

mod entry;
mod hash;
mod merge;
mod run;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::disk::Disk;
use crate::error::LogError;
use crate::files::clear_view;
use entry::{KeyEntry, MAX_TIME_MS, Wanted};
pub use hash::KeyHasher;
use merge::Merge;
use run::{RunWriter, SortedRun};

/// Bounds of memory and files.
#[derive(Clone, Copy, Debug)]
pub struct KeyLimits {
    /// Entries of a chunk: searched under the lock that appending takes.
    pub chunk_entries: usize,
    /// Full chunks that make a run.
    pub run_chunks: usize,
    /// Full chunks held in memory.
    pub full_chunks: usize,
    /// Runs of a level that are merged into one.
    pub fan_in: usize,
    /// Runs from which on whoever appends helps to merge: what a search has to look at.
    pub max_runs: usize,
}

impl Default for KeyLimits {
    /// 6 MiB of entries at most, runs of 65,536 entries, merged by eight. A keeper that keeps up leaves at most seven
    /// runs of a level and those that are being merged: about 40 for 10⁹ entries.
    fn default() -> Self {
        Self {
            chunk_entries: 4096,
            run_chunks: 16,
            full_chunks: 64,
            fan_in: 8,
            max_runs: 64,
        }
    }
}

type Chunk = Arc<Vec<KeyEntry>>;

/// The key index of one replica: one thread appends, one keeps, any thread searches.
pub struct KeyIndex {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
    limits: KeyLimits,
    // Locks are taken in this order: merging, flushing, open, parts.
    /// One merge of a level at most.
    merging: Mutex<Vec<Merge>>,
    flushing: Mutex<()>,
    open: Mutex<OpenEntries>,
    parts: Mutex<Parts>,
    /// There is something to do for the keeper.
    work: Condvar,
    lost: AtomicBool,
    rebuilding: AtomicBool,
    closed: AtomicBool,
}

#[derive(Default)]
struct OpenEntries {
    entries: Vec<KeyEntry>,
    newest: Option<NewestKey>,
}

#[derive(Default)]
struct Parts {
    full: Vec<Chunk>,
    runs: Vec<Arc<SortedRun>>,
    next_run: u64,
}

/// The newest message that has an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NewestKey {
    /// Position of its record.
    pub physical_offset: u64,
    /// When it was stored, ms.
    pub store_timestamp_ms: u64,
}

impl KeyIndex {
    /// Starts empty: whatever is in the directory is deleted.
    ///
    /// # Errors
    /// [`LogError::View`] if the directory cannot be emptied.
    pub fn open(
        disk: Arc<dyn Disk>,
        directory: impl Into<PathBuf>,
        limits: KeyLimits,
    ) -> Result<Self, LogError> {
        let index = Self::new(disk, directory, limits);
        clear_view(&*index.disk, &index.directory)?;
        Ok(index)
    }

    /// As [`open`](Self::open), in a directory that is empty or of which nothing matters: it is not read.
    pub fn new(disk: Arc<dyn Disk>, directory: impl Into<PathBuf>, limits: KeyLimits) -> Self {
        Self {
            disk,
            directory: directory.into(),
            limits,
            merging: Mutex::default(),
            flushing: Mutex::default(),
            open: Mutex::default(),
            parts: Mutex::default(),
            work: Condvar::new(),
            lost: AtomicBool::new(false),
            rebuilding: AtomicBool::new(false),
            closed: AtomicBool::new(false),
        }
    }

    /// Adds an entry; searches find it at once. Entries may come in any order and more than once.
    pub fn append(&self, key_hash: u64, physical_offset: u64, store_timestamp_ms: u64) {
        let newest = Some(NewestKey {
            physical_offset,
            store_timestamp_ms,
        });
        let mut open = self.open.lock();
        open.newest = open.newest.max(newest);
        let entry = KeyEntry::new(key_hash, physical_offset, store_timestamp_ms);
        open.entries.push(entry);
        if open.entries.len() >= self.limits.chunk_entries {
            let is_too_much = self.end_chunk(&mut open);
            drop(open);
            if is_too_much && self.flush().is_err() {
                self.lose();
            }
            self.help();
        }
    }

    /// Where the newest messages with a key stand that were stored in a span of time, both ends included: at most
    /// `max`, newest first. Keys with the same hash are not told apart.
    ///
    /// # Errors
    /// [`LogError::View`] if a run cannot be read; [`LogError::DamagedView`], and then the index needs a rebuild.
    pub fn find(
        &self,
        key_hash: u64,
        from_ms: u64,
        to_ms: u64,
        max: usize,
    ) -> Result<Vec<u64>, LogError> {
        let wanted = Wanted {
            key_hash,
            from_ms: from_ms.min(MAX_TIME_MS),
            to_ms: to_ms.min(MAX_TIME_MS),
            max,
        };
        // Entries only move from the open chunk on: looked at in this order, none is missed, and one may be seen twice.
        let mut found = Vec::new();
        let matching = |entry: &&KeyEntry| wanted.matches(entry);
        found.extend(self.open.lock().entries.iter().filter(matching));
        let (full, runs) = {
            let parts = self.parts.lock();
            (parts.full.clone(), parts.runs.clone())
        };
        for chunk in full.iter().rev() {
            found.extend(chunk.iter().filter(matching));
            wanted.keep_newest(&mut found);
        }
        wanted.keep_newest(&mut found);
        for run in runs.iter().rev() {
            if run.is_worth_a_look(&wanted, &found) {
                run.find(&wanted, &mut found)
                    .inspect_err(|error| self.note(error))?;
                wanted.keep_newest(&mut found);
            }
        }
        Ok(found.iter().map(|entry| entry.physical_offset).collect())
    }

    /// The newest message that has an entry.
    pub fn newest(&self) -> Option<NewestKey> {
        self.open.lock().newest
    }

    /// Writes one run or merges as many entries as one has, if that is due; answers whether it was.
    ///
    /// # Errors
    /// [`LogError::View`]: nothing was lost, try again later;
    /// [`LogError::DamagedView`]: a run is damaged, and the index needs a rebuild.
    pub fn merge_step(&self) -> Result<bool, LogError> {
        if self.flush()? {
            return Ok(true);
        }
        self.merge(self.limits.chunk_entries * self.limits.run_chunks)
    }

    /// Sleeps until there is something to do for the keeper; false if the index is closed.
    pub fn wait_for_work(&self) -> bool {
        let mut parts = self.parts.lock();
        while !self.is_closed() && !self.needs_rebuild() && !self.has_work(&parts) {
            self.work.wait(&mut parts);
        }
        !self.is_closed()
    }

    /// Sleeps for a while, after an error; ends early when the index is closed.
    pub fn pause(&self, duration: Duration) {
        let mut parts = self.parts.lock();
        self.work
            .wait_while_for(&mut parts, |_| !self.is_closed(), duration);
    }

    /// Ends the keeper's work. Searching and appending go on.
    pub fn close(&self) {
        let _parts = self.parts.lock();
        self.closed.store(true, Ordering::Release);
        self.work.notify_all();
    }

    /// Whether [`close`](Self::close) was called.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Whether entries were lost, through damage or a disk that stayed full.
    pub fn needs_rebuild(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }

    /// Whether every entry that was appended is still there: what is not found does not exist.
    pub fn is_whole(&self) -> bool {
        !self.needs_rebuild() && !self.rebuilding.load(Ordering::Acquire)
    }

    /// Drops everything, to be filled again. Whoever calls this then appends all entries up to the message that it
    /// answers, that one included; those of later messages come as ever. Then [`end_rebuild`](Self::end_rebuild).
    pub fn begin_rebuild(&self) -> Option<NewestKey> {
        let mut merging = self.merging.lock();
        let _flushing = self.flushing.lock();
        let mut open = self.open.lock();
        let mut parts = self.parts.lock();
        self.rebuilding.store(true, Ordering::Release);
        self.lost.store(false, Ordering::Release);
        merging.clear();
        open.entries.clear();
        parts.full.clear();
        for run in parts.runs.drain(..) {
            self.unlink(&run);
        }
        open.newest
    }

    /// Everything is there again, unless it was lost again meanwhile; or filling it was given up.
    pub fn end_rebuild(&self, is_complete: bool) {
        if !is_complete {
            self.lose();
        }
        self.rebuilding.store(false, Ordering::Release);
    }

    /// Bytes of entries in memory.
    pub fn buffered_bytes(&self) -> usize {
        let open = self.open.lock().entries.capacity();
        let full = self.parts.lock().full.len();
        (open + full * self.limits.chunk_entries) * size_of::<KeyEntry>()
    }

    /// Number of runs on disk, and their bytes.
    pub fn stored(&self) -> (usize, u64) {
        let parts = self.parts.lock();
        let bytes = parts.runs.iter().map(|run| run.bytes()).sum();
        (parts.runs.len(), bytes)
    }

    /// Moves the open chunk to the full ones; answers whether they are too many.
    fn end_chunk(&self, open: &mut OpenEntries) -> bool {
        let next = Vec::with_capacity(self.limits.chunk_entries);
        let chunk = Arc::new(std::mem::replace(&mut open.entries, next));
        let mut parts = self.parts.lock();
        parts.full.push(chunk);
        if self.has_work(&parts) {
            self.work.notify_one();
        }
        parts.full.len() > self.limits.full_chunks.max(self.limits.run_chunks)
    }

    fn has_work(&self, parts: &Parts) -> bool {
        parts.full.len() >= self.limits.run_chunks || self.crowded_level(parts).is_some()
    }

    /// The lowest level with enough runs for a merge.
    fn crowded_level(&self, parts: &Parts) -> Option<u32> {
        let levels = parts.runs.iter().map(|run| run.level);
        let top = levels.clone().max()?;
        let crowd = self.limits.fan_in.max(2);
        (0..=top).find(|level| levels.clone().filter(|other| other == level).count() >= crowd)
    }

    /// Makes a run of the oldest full chunks, if there are enough.
    fn flush(&self) -> Result<bool, LogError> {
        let _flushing = self.flushing.lock();
        let count = self.limits.run_chunks.max(1);
        let (chunks, number) = {
            let mut parts = self.parts.lock();
            if parts.full.len() < count {
                return Ok(false);
            }
            parts.next_run += 1;
            (parts.full[..count].to_vec(), parts.next_run)
        };
        let mut entries: Vec<KeyEntry> = chunks
            .iter()
            .flat_map(|chunk| chunk.iter())
            .copied()
            .collect();
        entries.sort_unstable();
        let mut writer = self.writer(number)?;
        for entry in entries {
            writer.push(entry)?;
        }
        let run = Arc::new(writer.finish(0)?);
        let mut parts = self.parts.lock();
        if parts
            .full
            .first()
            .is_some_and(|first| Arc::ptr_eq(first, &chunks[0]))
        {
            parts.full.drain(..count);
            parts.runs.push(run);
        } else {
            // Lost meanwhile; a rebuild follows.
            self.unlink(&run);
        }
        Ok(true)
    }

    /// Merges if there are too many runs. Each entry is written once for each level, so whoever merges one entry more
    /// than there are levels for each that it appends leaves less to do than it found.
    fn help(&self) {
        let levels = {
            let parts = self.parts.lock();
            if parts.runs.len() < self.limits.max_runs {
                return;
            }
            let levels = parts.runs.iter().map(|run| run.level + 1);
            levels.max().unwrap_or(0)
        };
        for _ in 0..=levels {
            // The runs stay, and the next chunk tries again.
            if !matches!(self.merge(self.limits.chunk_entries), Ok(true)) {
                return;
            }
        }
    }

    /// Takes the merge of the lowest level with enough runs on by some entries; answers whether there was one.
    fn merge(&self, entries: usize) -> Result<bool, LogError> {
        let mut merging = self.merging.lock();
        self.take_on(&mut merging, entries)
            .inspect_err(|error| self.note(error))
    }

    fn take_on(&self, merging: &mut Vec<Merge>, entries: usize) -> Result<bool, LogError> {
        let Some(level) = self.crowded_level(&self.parts.lock()) else {
            return Ok(false);
        };
        // A merge that fails is given up: its half-written run goes with it.
        let mut merge = match merging.iter().position(|merge| merge.level() == level) {
            Some(at) => merging.swap_remove(at),
            None => self.begin_merge(level)?,
        };
        if merge.take_on(entries)? {
            let (inputs, merged) = merge.finish()?;
            self.replace(&inputs, merged);
        } else {
            merging.push(merge);
        }
        Ok(true)
    }

    /// The oldest runs of a level become one. They count until then, so that their level stays crowded.
    fn begin_merge(&self, level: u32) -> Result<Merge, LogError> {
        let (inputs, number) = {
            let mut parts = self.parts.lock();
            parts.next_run += 1;
            let inputs = parts.runs.iter().filter(|run| run.level == level);
            let inputs: Vec<_> = inputs.take(self.limits.fan_in.max(2)).cloned().collect();
            (inputs, parts.next_run)
        };
        Merge::begin(inputs, self.writer(number)?)
    }

    fn replace(&self, inputs: &[Arc<SortedRun>], merged: SortedRun) {
        let mut parts = self.parts.lock();
        let is_input = |run: &Arc<SortedRun>| inputs.iter().any(|input| Arc::ptr_eq(input, run));
        let at = parts.runs.iter().position(is_input).unwrap_or(0);
        parts.runs.retain(|run| !is_input(run));
        // Runs stand from old to new, so that a search may end early.
        parts.runs.insert(at, Arc::new(merged));
        drop(parts);
        for run in inputs {
            self.unlink(run);
        }
    }

    fn writer(&self, number: u64) -> Result<RunWriter, LogError> {
        RunWriter::create(&self.disk, &self.directory.join(format!("{number:020}")))
    }

    /// A run is gone for those who look now; who looks at it already can go on.
    fn unlink(&self, run: &SortedRun) {
        // What stays behind is deleted at the next start.
        let _ = self.disk.unlink(&run.path);
    }

    fn note(&self, error: &LogError) {
        if matches!(error, LogError::DamagedView { .. }) {
            self.lose();
        }
    }

    /// Entries are gone, or have to go as memory is bounded.
    fn lose(&self) {
        let mut parts = self.parts.lock();
        self.lost.store(true, Ordering::Release);
        parts.full.clear();
        self.work.notify_all();
    }
}
