//! How far the log is durable: shared by the log thread, which writes and cuts, and the flush thread, which syncs.
//!
//! `flushed.pos`, 28 bytes in one sector, big-endian:
//!
//! ```text
//!  0  8  "TERNFLSH", or "TERNFCUT" while frames are being cut off
//!  8  8  position below which everything was synced
//! 16  8  index of a frame below that position that is committed; 0 if none is known
//! 24  4  CRC32C of bytes 0..24
//! ```
//!
//! It is written after each sync of the log and before the acknowledgements that this allows. So it is exact after the
//! death of the process, and after a power cut as old as its own last sync. The commit index in it is the newest one
//! that was known then, and is written again a moment after it changed: nothing at or below it is ever cut.
//!
//! A cut is marked before it begins. If the process dies while the cut range is zero in the page cache and not yet on
//! the platter, the next start sees a shorter log; without the mark it would leave the platter alone, and after a
//! power cut the old frames would stand behind new ones that do not lead to them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::disk::{Disk, DiskFile};
use crate::error::LogError;
use crate::files::{be32, be64, read_small, segment_path, sync_directory};

const NAME: &str = "flushed.pos";
const MAGIC: [u8; 8] = *b"TERNFLSH";
const MAGIC_CUT: [u8; 8] = *b"TERNFCUT";
const LENGTH: usize = 28;
/// Before it had a commit index: position and checksum follow the magic.
const OLD_LENGTH: usize = 20;
const CRC_AT: usize = LENGTH - 4;

/// What `flushed.pos` said at start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoredPosition {
    /// There is no such file.
    Missing,
    /// The file is damaged.
    Unreadable,
    /// Everything below the position was synced.
    At {
        position: u64,
        /// A committed index.
        commit: u64,
        /// A cut had begun and was perhaps not finished.
        is_cutting: bool,
    },
}

impl StoredPosition {
    /// An index that was known to be committed, 0 if none was.
    pub const fn commit(self) -> u64 {
        match self {
            Self::At { commit, .. } => commit,
            Self::Missing | Self::Unreadable => 0,
        }
    }

    /// Whether a cut has to be finished.
    pub const fn is_cutting(self) -> bool {
        matches!(
            self,
            Self::At {
                is_cutting: true,
                ..
            }
        )
    }
}

/// Reads `flushed.pos`.
pub fn stored_position(disk: &dyn Disk, directory: &Path) -> Result<StoredPosition, LogError> {
    let Some(bytes) = read_small(disk, &directory.join(NAME), LENGTH)? else {
        return Ok(StoredPosition::Missing);
    };
    let is_cutting = bytes.starts_with(&MAGIC_CUT);
    if bytes.len() == OLD_LENGTH && crc32c::crc32c(&bytes[..16]) == be32(&bytes, 16) {
        return Ok(StoredPosition::At {
            position: be64(&bytes, 8),
            commit: 0,
            is_cutting,
        });
    }
    let right = bytes.len() == LENGTH
        && (is_cutting || bytes.starts_with(&MAGIC))
        && crc32c::crc32c(&bytes[..CRC_AT]) == be32(&bytes, CRC_AT);
    if !right {
        return Ok(StoredPosition::Unreadable);
    }
    Ok(StoredPosition::At {
        position: be64(&bytes, 8),
        commit: be64(&bytes, 16),
        is_cutting,
    })
}

/// Forgets which index was known to be committed; for the start of a replica that another master has superseded.
///
/// # Errors
/// [`LogError`] if the file cannot be read or written.
pub fn forget_commit(disk: &dyn Disk, directory: &Path) -> Result<(), LogError> {
    let StoredPosition::At {
        position,
        commit,
        is_cutting,
    } = stored_position(disk, directory)?
    else {
        return Ok(());
    };
    if commit > 0 {
        let mark = Mark {
            position,
            commit: 0,
            is_cutting,
        };
        store_position(disk, directory, mark)?;
    }
    Ok(())
}

/// Writes `flushed.pos` durably; for the start, before threads share it.
pub fn store_position(
    disk: &dyn Disk,
    directory: &Path,
    mark: Mark,
) -> Result<Arc<dyn DiskFile>, LogError> {
    let path = directory.join(NAME);
    let known = stored_position(disk, directory)?;
    let file = disk
        .create(&path)
        .map_err(|error| LogError::allocation(&path, error))?;
    let wanted = StoredPosition::At {
        position: mark.position,
        commit: mark.commit,
        is_cutting: mark.is_cutting,
    };
    // A file in which no position was recorded yet may be one that a process made just before it died: then neither its
    // name nor what is in it is durable, and without it all damage would be taken for rot.
    let is_new = !matches!(known, StoredPosition::At { position: 1.., .. });
    if is_new || known != wanted {
        file.write_at(&mark.encode(), 0)
            .map_err(|error| LogError::allocation(&path, error))?;
        file.sync_data()
            .map_err(|error| LogError::sync(&path, error))?;
    }
    if is_new {
        sync_directory(disk, directory)?;
    }
    Ok(file)
}

/// What is written to `flushed.pos`.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    /// Everything below was synced.
    pub position: u64,
    /// A committed index.
    pub commit: u64,
    /// A cut is under way.
    pub is_cutting: bool,
}

impl Mark {
    fn encode(self) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        bytes[..8].copy_from_slice(if self.is_cutting { &MAGIC_CUT } else { &MAGIC });
        bytes[8..16].copy_from_slice(&self.position.to_be_bytes());
        bytes[16..CRC_AT].copy_from_slice(&self.commit.to_be_bytes());
        let crc = crc32c::crc32c(&bytes[..CRC_AT]);
        bytes[CRC_AT..].copy_from_slice(&crc.to_be_bytes());
        bytes
    }
}

/// A frame that is known to be committed.
#[derive(Clone, Copy, Debug, Default)]
struct Commit {
    index: u64,
    /// End of the frame.
    end: u64,
}

/// A sync that has begun: what it covers, and the files that it has to reach.
#[must_use = "a sync that is not finished leaves its files unsynced"]
pub struct Syncing {
    target: u64,
    touched: BTreeMap<u64, Arc<dyn DiskFile>>,
}

/// The durable position and what has to be synced to move it.
pub struct Durability {
    directory: PathBuf,
    /// `flushed.pos`; the lock is held while it is written, never while the log is synced.
    position_file: Mutex<Arc<dyn DiskFile>>,
    state: Mutex<DurabilityState>,
}

#[expect(
    clippy::struct_excessive_bools,
    reason = "four facts that do not exclude each other"
)]
struct DurabilityState {
    /// End of the frames that were written.
    written: u64,
    /// Everything below is durable, and `flushed.pos` says so.
    durable: u64,
    /// Newest frame known to be committed.
    commit: Commit,
    /// The commit index in `flushed.pos`.
    stored_commit: u64,
    /// A sync has begun and is not finished: one at a time.
    is_syncing: bool,
    /// Segments written to since their last sync, by base.
    touched: BTreeMap<u64, Arc<dyn DiskFile>>,
    /// Least end of a truncation since the running sync began.
    cut: u64,
    /// A truncation is under way.
    is_cutting: bool,
    /// `flushed.pos` was written and not yet synced.
    position_unsynced: bool,
    /// A write or a sync failed.
    failed: bool,
}

impl Durability {
    /// Opens or makes `flushed.pos`; `durable` is what recovery has found and made certain.
    pub fn open(
        disk: &dyn Disk,
        directory: &Path,
        durable: u64,
        commit: u64,
    ) -> Result<Self, LogError> {
        let mark = Mark {
            position: durable,
            commit,
            is_cutting: false,
        };
        let file = store_position(disk, directory, mark)?;
        Ok(Self {
            directory: directory.to_path_buf(),
            position_file: Mutex::new(file),
            state: Mutex::new(DurabilityState {
                written: durable,
                durable,
                commit: Commit::default(),
                stored_commit: commit,
                is_syncing: false,
                touched: BTreeMap::new(),
                cut: u64::MAX,
                is_cutting: false,
                position_unsynced: false,
                failed: false,
            }),
        })
    }

    pub fn durable(&self) -> u64 {
        self.state.lock().durable
    }

    pub fn check(&self) -> Result<(), LogError> {
        if self.state.lock().failed {
            return Err(LogError::Failed);
        }
        Ok(())
    }

    /// After an error of a write or a sync: nothing more is taken until the next start.
    pub fn fail(&self) {
        self.state.lock().failed = true;
    }

    /// Bytes were written to segments, up to the end of a frame.
    pub fn wrote(&self, segments: impl Iterator<Item = (u64, Arc<dyn DiskFile>)>, written: u64) {
        let mut state = self.state.lock();
        state.touched.extend(segments);
        state.written = written;
    }

    /// A frame is known to be committed. The mark follows with the next sync or [`keep_marks`](Self::keep_marks).
    pub fn committed(&self, index: u64, end: u64) {
        let mut state = self.state.lock();
        if index > state.commit.index {
            state.commit = Commit { index, end };
        }
    }

    /// Before a truncation: nothing at or behind `end` is durable any more, and `flushed.pos` says so durably.
    pub fn begin_cut(&self, end: u64) -> Result<(), LogError> {
        let file = self.position_file.lock();
        let mark = {
            let mut state = self.state.lock();
            state.written = end;
            state.cut = state.cut.min(end);
            state.durable = state.durable.min(end);
            state.is_cutting = true;
            let durable = state.durable;
            state.mark(durable)
        };
        self.store(&**file, mark)?;
        self.sync_file(&**file)
    }

    /// After a truncation: it is durable.
    pub fn end_cut(&self) -> Result<(), LogError> {
        let file = self.position_file.lock();
        let mark = {
            let mut state = self.state.lock();
            state.is_cutting = false;
            state.position_unsynced = true;
            let durable = state.durable;
            state.mark(durable)
        };
        self.store(&**file, mark)
    }

    /// These segments are gone.
    pub fn forget(&self, bases: &[u64]) {
        let mut state = self.state.lock();
        for base in bases {
            state.touched.remove(base);
        }
    }

    /// Begins to make everything durable that was written so far; none if that is the case up to `upto`.
    pub fn begin_sync(&self, upto: u64) -> Result<Option<Syncing>, LogError> {
        let mut state = self.state.lock();
        if state.failed {
            return Err(LogError::Failed);
        }
        assert!(!state.is_syncing, "one sync at a time (L17)");
        if state.durable >= upto {
            return Ok(None);
        }
        state.is_syncing = true;
        state.cut = u64::MAX;
        Ok(Some(Syncing {
            target: state.written,
            touched: std::mem::take(&mut state.touched),
        }))
    }

    /// Syncs what was touched before the sync began and records the position. Answers the durable position.
    pub fn finish_sync(&self, syncing: Syncing) -> Result<u64, LogError> {
        let Syncing { target, touched } = syncing;
        for (base, file) in touched {
            file.sync_data().map_err(|error| {
                self.fail();
                LogError::sync(&segment_path(&self.directory, base), error)
            })?;
        }
        self.record(target)
    }

    /// Writes what a sync has reached to `flushed.pos`, then lets it be seen.
    fn record(&self, target: u64) -> Result<u64, LogError> {
        // A truncation waits for this lock, so it comes wholly before (then `cut` tells) or wholly after.
        let file = self.position_file.lock();
        let (reached, mark) = {
            let mut state = self.state.lock();
            state.is_syncing = false;
            if state.failed {
                return Err(LogError::Failed);
            }
            let reached = target.min(state.cut).max(state.durable);
            (reached, state.mark(reached))
        };
        self.store(&**file, mark)?;
        let mut state = self.state.lock();
        state.durable = reached;
        state.position_unsynced = true;
        Ok(reached)
    }

    /// Whether something is durable and not known to be committed, or the newest commit is not in `flushed.pos` yet: then
    /// no flush need come that takes it along.
    pub fn awaits_commit(&self) -> bool {
        let state = self.state.lock();
        state.commit.end < state.durable
            || state.markable_commit(state.durable) > state.stored_commit
    }

    /// Writes the newest commit to `flushed.pos` if it is not there.
    pub fn keep_marks(&self) -> Result<(), LogError> {
        let file = self.position_file.lock();
        let mark = {
            let mut state = self.state.lock();
            if state.failed {
                return Err(LogError::Failed);
            }
            if state.markable_commit(state.durable) <= state.stored_commit {
                return Ok(());
            }
            state.position_unsynced = true;
            let durable = state.durable;
            state.mark(durable)
        };
        self.store(&**file, mark)
    }

    /// Makes `flushed.pos` itself durable if it has changed.
    pub fn sync_position(&self) -> Result<(), LogError> {
        {
            let mut state = self.state.lock();
            if state.failed {
                return Err(LogError::Failed);
            }
            if !state.position_unsynced {
                return Ok(());
            }
            state.position_unsynced = false;
        }
        // Not under the lock: a sync may take long, and writes to the file go on.
        let file = Arc::clone(&self.position_file.lock());
        self.sync_file(&*file)
    }

    fn store(&self, file: &dyn DiskFile, mark: Mark) -> Result<(), LogError> {
        file.write_at(&mark.encode(), 0).map_err(|error| {
            self.fail();
            LogError::write(&self.directory.join(NAME), error)
        })
    }

    fn sync_file(&self, file: &dyn DiskFile) -> Result<(), LogError> {
        file.sync_data().map_err(|error| {
            self.fail();
            LogError::sync(&self.directory.join(NAME), error)
        })
    }
}

impl DurabilityState {
    /// The newest commit that lies below a durable position: what is marked is on the platter here.
    fn markable_commit(&self, durable: u64) -> u64 {
        if self.commit.end <= durable {
            self.commit.index.max(self.stored_commit)
        } else {
            self.stored_commit
        }
    }

    /// What `flushed.pos` has to say with this position; it counts as written.
    fn mark(&mut self, position: u64) -> Mark {
        self.stored_commit = self.markable_commit(position);
        Mark {
            position,
            commit: self.stored_commit,
            is_cutting: self.is_cutting,
        }
    }
}
