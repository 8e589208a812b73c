//! How far the log is durable: shared by the log thread, which writes and cuts, and the flush thread, which syncs.
//!
//! `flushed.pos`, 20 bytes in one sector, big-endian:
//!
//! ```text
//!  0  8  "TERNFLSH", or "TERNFCUT" while frames are being cut off
//!  8  8  position below which everything was synced
//! 16  4  CRC32C of bytes 0..16
//! ```
//!
//! It is written after each sync of the log and before the acknowledgements that this allows. So it is exact after the
//! death of the process, and after a power cut as old as its own last sync.
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
const LENGTH: usize = 20;

/// What `flushed.pos` said at start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// There is no such file.
    Missing,
    /// The file is damaged.
    Unreadable,
    /// Everything below the position was synced.
    At {
        position: u64,
        /// A cut had begun and was perhaps not finished.
        is_cutting: bool,
    },
}

impl Stored {
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
pub fn stored_position(disk: &dyn Disk, directory: &Path) -> Result<Stored, LogError> {
    let Some(bytes) = read_small(disk, &directory.join(NAME), LENGTH)? else {
        return Ok(Stored::Missing);
    };
    let is_cutting = bytes.starts_with(&MAGIC_CUT);
    let right = bytes.len() == LENGTH
        && (is_cutting || bytes.starts_with(&MAGIC))
        && crc32c::crc32c(&bytes[..16]) == be32(&bytes, 16);
    if !right {
        return Ok(Stored::Unreadable);
    }
    Ok(Stored::At {
        position: be64(&bytes, 8),
        is_cutting,
    })
}

/// Writes `flushed.pos` durably; for the start, before threads share it.
pub fn store_position(
    disk: &dyn Disk,
    directory: &Path,
    position: u64,
    is_cutting: bool,
) -> Result<Arc<dyn DiskFile>, LogError> {
    let path = directory.join(NAME);
    let known = stored_position(disk, directory)?;
    let file = disk
        .create(&path)
        .map_err(|error| LogError::allocation(&path, error))?;
    if known
        != (Stored::At {
            position,
            is_cutting,
        })
    {
        file.write_at(&encode(position, is_cutting), 0)
            .map_err(|error| LogError::allocation(&path, error))?;
        file.sync_data()
            .map_err(|error| LogError::sync(&path, error))?;
    }
    if known == Stored::Missing {
        sync_directory(disk, directory)?;
    }
    Ok(file)
}

fn encode(position: u64, is_cutting: bool) -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    bytes[..8].copy_from_slice(if is_cutting { &MAGIC_CUT } else { &MAGIC });
    bytes[8..16].copy_from_slice(&position.to_be_bytes());
    let crc = crc32c::crc32c(&bytes[..16]);
    bytes[16..].copy_from_slice(&crc.to_be_bytes());
    bytes
}

/// The durable position and what has to be synced to move it.
pub struct Durability {
    directory: PathBuf,
    /// `flushed.pos`; the lock is held while it is written, never while the log is synced.
    position_file: Mutex<Arc<dyn DiskFile>>,
    /// Held through a whole sync: one at a time.
    turn: Mutex<()>,
    state: Mutex<State>,
}

struct State {
    /// End of the frames that were written.
    written: u64,
    /// Everything below is durable, and `flushed.pos` says so.
    durable: u64,
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
    pub fn open(disk: &dyn Disk, directory: &Path, durable: u64) -> Result<Self, LogError> {
        let file = store_position(disk, directory, durable, false)?;
        Ok(Self {
            directory: directory.to_path_buf(),
            position_file: Mutex::new(file),
            turn: Mutex::new(()),
            state: Mutex::new(State {
                written: durable,
                durable,
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

    /// Before a truncation: nothing at or behind `end` is durable any more, and `flushed.pos` says so durably.
    pub fn begin_cut(&self, end: u64) -> Result<(), LogError> {
        let file = self.position_file.lock();
        let lowered = {
            let mut state = self.state.lock();
            state.written = end;
            state.cut = state.cut.min(end);
            state.durable = state.durable.min(end);
            state.is_cutting = true;
            state.durable
        };
        self.store(&**file, lowered, true)?;
        self.sync_file(&**file)
    }

    /// After a truncation: it is durable.
    pub fn end_cut(&self) -> Result<(), LogError> {
        let file = self.position_file.lock();
        let durable = {
            let mut state = self.state.lock();
            state.is_cutting = false;
            state.position_unsynced = true;
            state.durable
        };
        self.store(&**file, durable, false)
    }

    /// These segments are gone.
    pub fn forget(&self, bases: &[u64]) {
        let mut state = self.state.lock();
        for base in bases {
            state.touched.remove(base);
        }
    }

    /// Syncs every segment written to so far and records the position. Answers the durable position.
    pub fn sync(&self, upto: u64) -> Result<u64, LogError> {
        let _turn = self.turn.lock();
        let (target, touched) = {
            let mut state = self.state.lock();
            if state.failed {
                return Err(LogError::Failed);
            }
            if state.durable >= upto {
                return Ok(state.durable);
            }
            state.cut = u64::MAX;
            (state.written, std::mem::take(&mut state.touched))
        };
        for (base, file) in &touched {
            if let Err(error) = file.sync_data() {
                self.fail();
                return Err(LogError::sync(&segment_path(&self.directory, *base), error));
            }
        }
        self.record(target)
    }

    /// Writes what a sync has reached to `flushed.pos`, then lets it be seen.
    fn record(&self, target: u64) -> Result<u64, LogError> {
        // A truncation waits for this lock, so it comes wholly before (then `cut` tells) or wholly after.
        let file = self.position_file.lock();
        let (reached, is_cutting) = {
            let state = self.state.lock();
            if state.failed {
                return Err(LogError::Failed);
            }
            (target.min(state.cut).max(state.durable), state.is_cutting)
        };
        self.store(&**file, reached, is_cutting)?;
        let mut state = self.state.lock();
        state.durable = reached;
        state.position_unsynced = true;
        Ok(reached)
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

    fn store(&self, file: &dyn DiskFile, position: u64, is_cutting: bool) -> Result<(), LogError> {
        file.write_at(&encode(position, is_cutting), 0)
            .map_err(|error| {
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
