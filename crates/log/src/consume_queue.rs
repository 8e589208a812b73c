//! Consume queues: for each queue, where its messages stand in the log.
//!
//! A view: built by the apply thread from committed frames, read by network threads, deleted and rebuilt at start. An
//! entry is 20 bytes, big-endian, in files of a fixed number of entries, `<topic id>/<queue id>/<first offset>`:
//!
//! ```text
//!  0  8  physical offset of the record
//!  8  4  size of the record
//! 12  8  tags code
//! ```
//!
//! Memory is bounded: a queue holds its latest entries in a buffer that goes to the file when it is full, the
//! buffers of all queues together have a limit, and so has the number of open files.
//!
//! A file that cannot be written stops nobody: the disk is full, or fails. Entries stay in the buffers then, up to a
//! second limit ([`QueueLimits::held_bytes`]), and whoever appends asks [`ConsumeQueues::make_room`] before each frame,
//! which tries the files again, and says so when the caller has to wait.

mod bounds;
mod damage;
mod entry;
mod files;
mod limits;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::{Mutex, RwLock};
use std::collections::{BTreeSet, HashMap};

use crate::disk::Disk;
use crate::error::LogError;
pub use bounds::QueueBounds;
use damage::Damaged;
pub use entry::QueueEntry;
use entry::{ENTRY_SIZE, QueueIds};
use files::QueueFiles;
pub use limits::QueueLimits;

/// Locks over the table of queues.
const SHARDS: usize = 16;
/// Entries read from a file in one call.
const READ_ENTRIES: u64 = 1024;

/// The consume queues of one replica: one thread appends, any thread reads.
pub struct ConsumeQueues {
    shards: [RwLock<HashMap<QueueIds, Arc<ConsumeQueue>>>; SHARDS],
    files: QueueFiles,
    limits: QueueLimits,
    /// Capacity of all tails.
    buffered: AtomicUsize,
    /// A file could not be written; tails grow until [`ConsumeQueues::make_room`] has written them.
    holds: AtomicBool,
    damaged: Damaged,
}

struct ConsumeQueue {
    key: QueueIds,
    state: Mutex<QueueState>,
}

struct QueueState {
    /// First entry that the queue has.
    min: u64,
    /// Where its message stands.
    first_position: u64,
    /// Entries below are in files.
    stored: u64,
    /// Where the message of the last of them stands.
    stored_position: u64,
    /// The entries behind, encoded.
    tail: Vec<u8>,
}

impl QueueState {
    fn max(&self) -> u64 {
        self.stored + (self.tail.len() / ENTRY_SIZE) as u64
    }

    fn bounds(&self) -> QueueBounds {
        QueueBounds {
            min: self.min,
            max: self.max(),
            first_position: self.first_position,
            stored: self.stored,
            stored_position: self.stored_position,
        }
    }
}

impl ConsumeQueues {
    /// Starts with no queue: whatever is in the directory is deleted.
    ///
    /// # Errors
    /// [`LogError::View`] if the directory cannot be emptied.
    pub fn open(
        disk: Arc<dyn Disk>,
        directory: impl Into<PathBuf>,
        limits: QueueLimits,
    ) -> Result<Self, LogError> {
        let queues = Self::new(disk, directory, limits);
        queues.files.clear()?;
        Ok(queues)
    }

    /// As [`open`](Self::open), for a replica that lives on whatever views do. Nothing of what is in the directory is
    /// read, so what cannot be deleted only takes room.
    pub fn new(disk: Arc<dyn Disk>, directory: impl Into<PathBuf>, limits: QueueLimits) -> Self {
        Self {
            shards: Default::default(),
            files: QueueFiles::new(disk, directory.into(), limits),
            limits,
            buffered: AtomicUsize::new(0),
            holds: AtomicBool::new(false),
            damaged: Damaged::default(),
        }
    }

    /// Deletes what an earlier life has left. To be called before the first entry.
    ///
    /// # Errors
    /// [`LogError::View`]: some of it is still there, and takes room.
    pub fn clear(&self) -> Result<(), LogError> {
        self.files.clear()
    }

    /// Adds the entry at the end of a queue; readers see it at once. A queue starts with the first offset it is given.
    /// Files that cannot be written are no error: see [`make_room`](Self::make_room).
    ///
    /// # Errors
    /// [`LogError::QueueOrder`] if the offset is not the queue's end. Then nothing was added.
    pub fn append(
        &self,
        topic_id: u32,
        queue_id: u32,
        queue_offset: u64,
        entry: QueueEntry,
    ) -> Result<(), LogError> {
        let position = entry.physical_offset;
        let queue = self.queue_or_new((topic_id, queue_id), queue_offset, position);
        let mut state = queue.state.lock();
        if state.max() != queue_offset {
            return Err(LogError::QueueOrder {
                topic_id,
                queue_id,
                expected: state.max(),
                given: queue_offset,
            });
        }
        if state.tail.len() >= self.limits.tail_entries * ENTRY_SIZE && !self.holds() {
            self.flush_or_hold(queue.key, &mut state);
        }
        let before = state.tail.capacity();
        entry.encode(&mut state.tail);
        let grown = state.tail.capacity() - before;
        drop(state);
        let buffered = self.buffered.fetch_add(grown, Ordering::Relaxed) + grown;
        if buffered > self.limits.buffered_bytes && !self.holds() {
            self.release_tails(queue.key);
        }
        Ok(())
    }

    /// Whether entries are held in memory because a file could not be written.
    pub fn holds(&self) -> bool {
        self.holds.load(Ordering::Relaxed)
    }

    /// Tries to write what is held; to be called before the entries of a frame. An error means that the caller has to
    /// wait: as much is held as may be. None while there is room in memory, even if no file could be written.
    ///
    /// # Errors
    /// [`LogError::View`]: what was tried, and what the system said.
    pub fn make_room(&self) -> Result<(), LogError> {
        if !self.holds() {
            return Ok(());
        }
        match self.write_held() {
            Ok(()) => {
                self.holds.store(false, Ordering::Relaxed);
                Ok(())
            }
            Err(_) if self.buffered_bytes() < self.limits.held_bytes => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Appends to `out` the entries from an offset on, at most `most`; answers how many. None come from outside of
    /// the queue's range.
    ///
    /// # Errors
    /// [`LogError::View`], [`LogError::DamagedView`] if a file cannot be read; whoever keeps the queues is told
    /// ([`on_damage`](Self::on_damage)).
    pub fn read(
        &self,
        topic_id: u32,
        queue_id: u32,
        from: u64,
        most: usize,
        out: &mut Vec<QueueEntry>,
    ) -> Result<usize, LogError> {
        let key = (topic_id, queue_id);
        let Some(queue) = self.queue(key) else {
            return Ok(0);
        };
        let start = out.len();
        let limit = from.saturating_add(most as u64);
        let mut next = from;
        loop {
            let stored_end = {
                let state = queue.state.lock();
                if from < state.min {
                    return Ok(0);
                }
                if next >= state.stored {
                    copy_tail(&state, next, limit, out);
                    return Ok(out.len() - start);
                }
                state.stored.min(limit).min(next + READ_ENTRIES)
            };
            // Entries in files do not change, so they are read without the lock. Meanwhile others may have gone
            // from the buffer to the file: look again.
            if next == stored_end {
                return Ok(out.len() - start);
            }
            match self.read_files(key, next, stored_end, out) {
                Err(_) if queue.state.lock().min > from => {
                    // The queue was dropped meanwhile, and its files with it.
                    out.truncate(start);
                    return Ok(0);
                }
                Err(error) => {
                    out.truncate(start);
                    if error.shows_damaged_view() {
                        self.damaged.note(key);
                    }
                    return Err(error);
                }
                Ok(()) => next = stored_end,
            }
        }
    }

    /// Entries that are in files. They have no checksum; what cannot be an entry of this log is damage.
    fn read_files(
        &self,
        key: QueueIds,
        from: u64,
        end: u64,
        out: &mut Vec<QueueEntry>,
    ) -> Result<(), LogError> {
        let bytes = self.files.read(key, from, end - from)?;
        let start = out.len();
        out.extend(bytes.chunks_exact(ENTRY_SIZE).map(QueueEntry::decode));
        let ends_before = |pair: &[QueueEntry]| {
            pair[0].physical_offset.saturating_add(pair[0].size.into()) <= pair[1].physical_offset
        };
        let read = &out[start..];
        if read.iter().any(|entry| entry.size == 0) || !read.windows(2).all(ends_before) {
            return Err(self.files.damaged(key, from));
        }
        Ok(())
    }

    /// Whether files were found damaged that nobody has taken on yet.
    pub fn has_damage(&self) -> bool {
        self.damaged.any()
    }

    /// Calls back when a file is found damaged, from the thread that found it. To be set once.
    pub fn on_damage(&self, bell: impl Fn() + Send + Sync + 'static) {
        self.damaged.on_note(Box::new(bell));
    }

    /// Queues whose files were found damaged, topic id and queue id. Whoever takes them on writes all of their entries
    /// again ([`write_again`](Self::write_again)), or puts them back.
    pub fn take_damaged(&self) -> BTreeSet<(u32, u32)> {
        self.damaged.take()
    }

    /// These could not be written again yet.
    pub fn put_back_damaged(&self, queues: BTreeSet<(u32, u32)>) {
        self.damaged.put_back(queues);
    }

    /// Writes entries to where they stood: those behind what is in files, or before a queue's first, are left out.
    ///
    /// # Errors
    /// [`LogError::View`] if a file cannot be written.
    pub fn write_again(
        &self,
        topic_id: u32,
        queue_id: u32,
        from: u64,
        entries: &[QueueEntry],
    ) -> Result<(), LogError> {
        let key = (topic_id, queue_id);
        let Some(queue) = self.queue(key) else {
            return Ok(());
        };
        let (min, stored) = {
            let state = queue.state.lock();
            (state.min, state.stored)
        };
        let end = stored.min(from + entries.len() as u64);
        let begin = min.max(from);
        if begin >= end {
            return Ok(());
        }
        let mut bytes = Vec::with_capacity((end - begin) as usize * ENTRY_SIZE);
        for entry in &entries[(begin - from) as usize..(end - from) as usize] {
            entry.encode(&mut bytes);
        }
        self.files.write(key, begin, &bytes)
    }

    /// First offset of a queue and the one behind its last; both 0 for a queue without entries.
    pub fn range(&self, topic_id: u32, queue_id: u32) -> (u64, u64) {
        let bounds = self.bounds(topic_id, queue_id);
        (bounds.min, bounds.max)
    }

    /// What is known of a queue without reading a file; all 0 for a queue without entries.
    pub fn bounds(&self, topic_id: u32, queue_id: u32) -> QueueBounds {
        let queue = self.queue((topic_id, queue_id));
        queue.map_or_else(QueueBounds::default, |queue| queue.state.lock().bounds())
    }

    /// First offset of a queue whose message was stored at or after a time; the queue's end if there is none.
    /// `store_time` tells when an entry was stored, in milliseconds.
    ///
    /// Times fall where a clock had been far ahead. Then the answer is an offset where they rise past the time, and never
    /// behind the first message of right clocks that was asked for: who goes on from there misses none.
    ///
    /// # Errors
    /// [`LogError::View`], and what `store_time` answers.
    pub fn first_stored_at(
        &self,
        topic_id: u32,
        queue_id: u32,
        timestamp_ms: u64,
        mut store_time: impl FnMut(&QueueEntry) -> Result<u64, LogError>,
    ) -> Result<u64, LogError> {
        let (mut low, mut high) = self.range(topic_id, queue_id);
        let mut found = Vec::with_capacity(1);
        while low < high {
            let middle = low + (high - low) / 2;
            found.clear();
            self.read(topic_id, queue_id, middle, 1, &mut found)?;
            let is_before = match found.first() {
                Some(entry) => store_time(entry)? < timestamp_ms,
                None => true,
            };
            if is_before {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    /// Forgets the queues of a topic and deletes their files. Readers find them empty from here on. The topic's id
    /// must not come again.
    ///
    /// # Errors
    /// [`LogError::View`] if files cannot be deleted: they stay until the next start, and are not read.
    pub fn drop_topic(&self, topic_id: u32) -> Result<(), LogError> {
        for shard in &self.shards {
            let gone: Vec<Arc<ConsumeQueue>> = shard
                .write()
                .extract_if(|key, _| key.0 == topic_id)
                .map(|(_, queue)| queue)
                .collect();
            for queue in gone {
                // Somebody may read it at this moment.
                let mut state = queue.state.lock();
                self.buffered
                    .fetch_sub(state.tail.capacity(), Ordering::Relaxed);
                state.tail = Vec::new();
                state.min = u64::MAX;
                state.stored = u64::MAX;
            }
        }
        self.files.drop_topic(topic_id)
    }

    /// Bytes of the buffers of all queues.
    pub fn buffered_bytes(&self) -> usize {
        self.buffered.load(Ordering::Relaxed)
    }

    fn shard(
        &self,
        (topic_id, queue_id): QueueIds,
    ) -> &RwLock<HashMap<QueueIds, Arc<ConsumeQueue>>> {
        let mixed = topic_id.wrapping_mul(31).wrapping_add(queue_id);
        &self.shards[mixed as usize % SHARDS]
    }

    fn queue(&self, key: QueueIds) -> Option<Arc<ConsumeQueue>> {
        self.shard(key).read().get(&key).cloned()
    }

    fn queue_or_new(&self, key: QueueIds, queue_offset: u64, position: u64) -> Arc<ConsumeQueue> {
        if let Some(queue) = self.queue(key) {
            return queue;
        }
        let queue = Arc::new(ConsumeQueue {
            key,
            state: Mutex::new(QueueState {
                min: queue_offset,
                first_position: position,
                stored: queue_offset,
                stored_position: position,
                tail: Vec::new(),
            }),
        });
        self.shard(key).write().insert(key, Arc::clone(&queue));
        queue
    }

    /// Writes a queue's buffer to its file.
    fn flush(&self, key: QueueIds, state: &mut QueueState) -> Result<(), LogError> {
        self.files.write(key, state.stored, &state.tail)?;
        if let Some(last) = state.tail.rchunks_exact(ENTRY_SIZE).next() {
            state.stored_position = QueueEntry::decode(last).physical_offset;
        }
        state.stored = state.max();
        state.tail.clear();
        Ok(())
    }

    fn flush_or_hold(&self, key: QueueIds, state: &mut QueueState) {
        if self.flush(key, state).is_err() {
            self.holds.store(true, Ordering::Relaxed);
        }
    }

    /// Writes buffers and gives them back.
    fn release(&self, queue: &ConsumeQueue) -> Result<(), LogError> {
        let mut state = queue.state.lock();
        self.flush(queue.key, &mut state)?;
        self.buffered
            .fetch_sub(state.tail.capacity(), Ordering::Relaxed);
        state.tail = Vec::new();
        Ok(())
    }

    /// Gives the buffers of a shard's queues back. One that cannot be written stays.
    fn release_tails(&self, key: QueueIds) {
        for queue in self.shard(key).read().values() {
            if self.release(queue).is_err() {
                self.holds.store(true, Ordering::Relaxed);
                return;
            }
        }
    }

    /// Writes every buffer that is full; ends at the first that cannot be written.
    fn write_held(&self) -> Result<(), LogError> {
        let full = self.limits.tail_entries * ENTRY_SIZE;
        for shard in &self.shards {
            for queue in shard.read().values() {
                if queue.state.lock().tail.len() >= full {
                    self.release(queue)?;
                }
            }
        }
        Ok(())
    }
}

fn copy_tail(state: &QueueState, from: u64, limit: u64, out: &mut Vec<QueueEntry>) {
    let end = limit.min(state.max());
    if from >= end {
        return;
    }
    let range =
        (from - state.stored) as usize * ENTRY_SIZE..(end - state.stored) as usize * ENTRY_SIZE;
    out.extend(
        state.tail[range]
            .chunks_exact(ENTRY_SIZE)
            .map(QueueEntry::decode),
    );
}
