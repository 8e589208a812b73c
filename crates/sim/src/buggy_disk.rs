//! The disk of a process, with a bug between the two: what a mistake of the log or of `raft.state` does to the disk.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tern_log::{Disk, DiskFile, Space};
use tern_testdisk::MemoryDisk;

use crate::bugs::{OuterBug, outer};

/// Bytes of `flushed.pos` before its checksum: magic, position, commit index.
const MARK_CONTENT: usize = 24;
/// Where the second copy in `raft.state` begins.
const SECOND_COPY: u64 = 64 << 10;

/// The disk that a process gets: the machine's own, or one with the bug that is planted. To be asked for once a life.
pub fn process_disk(disk: &MemoryDisk) -> Arc<dyn Disk> {
    match outer() {
        None => Arc::new(disk.clone()),
        Some(bug) => Arc::new(BuggyDisk {
            disk: disk.clone(),
            shared: Arc::new(ProcessLife {
                bug,
                newest_written: AtomicU64::new(0),
                owed: Mutex::default(),
                state_written: Mutex::default(),
            }),
        }),
    }
}

struct BuggyDisk {
    disk: MemoryDisk,
    shared: Arc<ProcessLife>,
}

/// What the files of one process's life have in common.
struct ProcessLife {
    bug: OuterBug,
    /// Base of the newest segment that was written to.
    newest_written: AtomicU64,
    /// Segments whose sync was answered and not made.
    owed: Mutex<Vec<Arc<dyn DiskFile>>>,
    /// What was last written to a copy of `raft.state`.
    state_written: Mutex<Option<Vec<u8>>>,
}

/// Which of a replica's files a handle leads to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum FileRole {
    /// A segment of the log, by its base.
    Segment(u64),
    FlushedPosition,
    RaftState,
    Other,
}

impl FileRole {
    fn of(path: &Path) -> Self {
        let name = path.file_name().and_then(|name| name.to_str());
        let above = path.parent().and_then(Path::file_name);
        match name {
            Some("flushed.pos") => Self::FlushedPosition,
            Some(name) if name.starts_with("raft.state") => Self::RaftState,
            Some(name) if above.is_some_and(|above| above == "log") => {
                name.parse().map_or(Self::Other, Self::Segment)
            }
            _ => Self::Other,
        }
    }
}

struct BuggyFile {
    file: Arc<dyn DiskFile>,
    role: FileRole,
    shared: Arc<ProcessLife>,
    /// The last write was left out, so a sync has nothing to do.
    skipped: Mutex<bool>,
}

impl BuggyDisk {
    fn wrapped(&self, path: &Path, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        Arc::new(BuggyFile {
            file,
            role: FileRole::of(path),
            shared: Arc::clone(&self.shared),
            skipped: Mutex::new(false),
        })
    }
}

impl Disk for BuggyDisk {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.wrapped(path, self.disk.open(path)?))
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.wrapped(path, self.disk.create(path)?))
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        self.disk.list(directory)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        self.disk.unlink(path)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.disk.create_dir(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.disk.remove_dir(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.disk.sync_dir(path)
    }

    fn space(&self, directory: &Path) -> io::Result<Option<Space>> {
        self.disk.space(directory)
    }
}

impl BuggyFile {
    /// Whether a write is one that the bug leaves out.
    fn is_left_out(&self, bytes: &[u8], offset: u64) -> io::Result<bool> {
        match (self.shared.bug, self.role) {
            (OuterBug::TailNotRewritten, FileRole::Segment(_)) => {
                // Zeros ahead of the end are no rewriting, and the frames before them want their sync.
                Ok(bytes.iter().any(|byte| *byte != 0) && self.holds(bytes, offset)?)
            }
            (OuterBug::OneCopy, FileRole::RaftState) => {
                let mut written = self.shared.state_written.lock();
                let is_second = written.as_deref() == Some(bytes);
                *written = Some(bytes.to_vec());
                // The first time both are written, before the file has its name.
                Ok(is_second && !self.holds(&vec![0; bytes.len()], offset)?)
            }
            (OuterBug::CopiesLeftUnequal, FileRole::RaftState) => {
                let mut written = self.shared.state_written.lock();
                // Before the first new content of this life, what is written is what one of the copies holds.
                if written.is_none() && (self.holds(bytes, 0)? || self.holds(bytes, SECOND_COPY)?) {
                    return Ok(true);
                }
                *written = Some(bytes.to_vec());
                Ok(false)
            }
            _ => Ok(false),
        }
    }

    fn holds(&self, bytes: &[u8], offset: u64) -> io::Result<bool> {
        let mut there = vec![0; bytes.len()];
        let read = self.file.read_at(&mut there, offset)?;
        Ok(read == bytes.len() && there == bytes)
    }

    /// The mark that the bug writes to `flushed.pos` in place of another one.
    fn changed_mark(&self, mark: &[u8]) -> io::Result<Vec<u8>> {
        let mut content = mark[..MARK_CONTENT].to_vec();
        match self.shared.bug {
            OuterBug::CommitForgotten => content[16..].fill(0),
            OuterBug::PositionNotLowered => {
                let mut known = [0; MARK_CONTENT];
                self.file.read_at(&mut known, 0)?;
                if known[8..16] > content[8..16] {
                    content[8..16].copy_from_slice(&known[8..16]);
                }
            }
            _ => {}
        }
        let checksum = crc32c::crc32c(&content);
        content.extend_from_slice(&checksum.to_be_bytes());
        Ok(content)
    }

    fn sync_segment(&self, base: u64) -> io::Result<()> {
        match self.shared.bug {
            OuterBug::OnlyNewestSynced
                if base < self.shared.newest_written.load(Ordering::Relaxed) =>
            {
                Ok(())
            }
            OuterBug::DurableBeforeSync => {
                self.shared.owed.lock().push(Arc::clone(&self.file));
                Ok(())
            }
            OuterBug::SyncRetried => self.file.sync_data().or_else(|_| self.file.sync_data()),
            OuterBug::SyncErrorSwallowed => self.file.sync_data().or(Ok(())),
            _ => self.file.sync_data(),
        }
    }
}

impl DiskFile for BuggyFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let left_out = self.is_left_out(bytes, offset)?;
        *self.skipped.lock() = left_out;
        if left_out {
            return Ok(());
        }
        match self.role {
            FileRole::Segment(base) => {
                self.shared
                    .newest_written
                    .fetch_max(base, Ordering::Relaxed);
                self.file.write_at(bytes, offset)
            }
            FileRole::FlushedPosition => self.file.write_at(&self.changed_mark(bytes)?, offset),
            FileRole::RaftState | FileRole::Other => self.file.write_at(bytes, offset),
        }
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        if *self.skipped.lock() {
            return Ok(());
        }
        match self.role {
            FileRole::Segment(base) => self.sync_segment(base),
            FileRole::FlushedPosition => {
                for file in self.shared.owed.lock().drain(..) {
                    file.sync_data()?;
                }
                self.file.sync_data()
            }
            FileRole::RaftState | FileRole::Other => self.file.sync_data(),
        }
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        self.file.allocate(length)
    }

    fn allocated(&self) -> io::Result<u64> {
        self.file.allocated()
    }

    fn zero_range(&self, from: u64, length: u64) -> io::Result<()> {
        match (self.shared.bug, self.role) {
            (OuterBug::CutNotZeroed, FileRole::Segment(_)) => Ok(()),
            _ => self.file.zero_range(from, length),
        }
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn next_data(&self, from: u64) -> io::Result<Option<u64>> {
        self.file.next_data(from)
    }

    fn is_linked(&self) -> io::Result<bool> {
        self.file.is_linked()
    }
}
