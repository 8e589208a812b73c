//! The disk of a process, with a bug between the two: what a mistake of the log or of `raft.state` does to the disk.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tern_log::{Disk, DiskFile};
use tern_testdisk::{DiskHook, FileHook, ForwardingDisk, ForwardingFile, MemoryDisk};

use crate::bugs::{OuterBug, outer};

/// Bytes of `flushed.pos` before its checksum: magic, position, commit index.
const MARK_CONTENT: usize = 24;
/// Where the second copy in `raft.state` begins.
const SECOND_COPY: u64 = 64 << 10;

/// The disk that a process gets: the machine's own, or one with the bug that is planted. To be asked for once a life.
pub fn process_disk(disk: &MemoryDisk) -> Arc<dyn Disk> {
    match outer() {
        None => Arc::new(disk.clone()),
        Some(bug) => Arc::new(ForwardingDisk {
            inner: disk.clone(),
            hook: BuggyDisk(Arc::new(ProcessLife {
                bug,
                newest_written: AtomicU64::new(0),
                owed: Mutex::default(),
                state_written: Mutex::default(),
            })),
        }),
    }
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
    role: FileRole,
    shared: Arc<ProcessLife>,
    /// The last write was left out, so a sync has nothing to do.
    skipped: Mutex<bool>,
}

/// Opens the files of one process's life.
struct BuggyDisk(Arc<ProcessLife>);

impl DiskHook for BuggyDisk {
    fn opened(&self, path: &Path, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        let hook = BuggyFile {
            role: FileRole::of(path),
            shared: Arc::clone(&self.0),
            skipped: Mutex::new(false),
        };
        ForwardingFile::over(file, hook)
    }
}

impl BuggyFile {
    /// Whether a write is one that the bug leaves out.
    fn is_left_out(&self, file: &dyn DiskFile, bytes: &[u8], offset: u64) -> io::Result<bool> {
        match (self.shared.bug, self.role) {
            (OuterBug::TailNotRewritten, FileRole::Segment(_)) => {
                // Zeros ahead of the end are no rewriting, and the frames before them want their sync.
                Ok(bytes.iter().any(|byte| *byte != 0) && holds(file, bytes, offset)?)
            }
            (OuterBug::OneCopy, FileRole::RaftState) => {
                let mut written = self.shared.state_written.lock();
                let is_second = written.as_deref() == Some(bytes);
                *written = Some(bytes.to_vec());
                // The first time both are written, before the file has its name.
                Ok(is_second && !holds(file, &vec![0; bytes.len()], offset)?)
            }
            (OuterBug::CopiesLeftUnequal, FileRole::RaftState) => {
                let mut written = self.shared.state_written.lock();
                // Before the first new content of this life, what is written is what one of the copies holds.
                if written.is_none() && (holds(file, bytes, 0)? || holds(file, bytes, SECOND_COPY)?)
                {
                    return Ok(true);
                }
                *written = Some(bytes.to_vec());
                Ok(false)
            }
            _ => Ok(false),
        }
    }

    /// The mark that the bug writes to `flushed.pos` in place of another one.
    fn changed_mark(&self, file: &dyn DiskFile, mark: &[u8]) -> io::Result<Vec<u8>> {
        let mut content = mark[..MARK_CONTENT].to_vec();
        match self.shared.bug {
            OuterBug::CommitForgotten => content[16..].fill(0),
            OuterBug::PositionNotLowered => {
                let mut known = [0; MARK_CONTENT];
                file.read_at(&mut known, 0)?;
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

    fn sync_segment(&self, file: &Arc<dyn DiskFile>, base: u64) -> io::Result<()> {
        match self.shared.bug {
            OuterBug::OnlyNewestSynced
                if base < self.shared.newest_written.load(Ordering::Relaxed) =>
            {
                Ok(())
            }
            OuterBug::DurableBeforeSync => {
                self.shared.owed.lock().push(Arc::clone(file));
                Ok(())
            }
            OuterBug::SyncRetried => file.sync_data().or_else(|_| file.sync_data()),
            OuterBug::SyncErrorSwallowed => file.sync_data().or(Ok(())),
            _ => file.sync_data(),
        }
    }
}

impl FileHook for BuggyFile {
    fn write_at(&self, file: &Arc<dyn DiskFile>, bytes: &[u8], offset: u64) -> io::Result<()> {
        let left_out = self.is_left_out(&**file, bytes, offset)?;
        *self.skipped.lock() = left_out;
        if left_out {
            return Ok(());
        }
        match self.role {
            FileRole::Segment(base) => {
                self.shared
                    .newest_written
                    .fetch_max(base, Ordering::Relaxed);
                file.write_at(bytes, offset)
            }
            FileRole::FlushedPosition => file.write_at(&self.changed_mark(&**file, bytes)?, offset),
            FileRole::RaftState | FileRole::Other => file.write_at(bytes, offset),
        }
    }

    fn sync_data(&self, file: &Arc<dyn DiskFile>) -> io::Result<()> {
        if *self.skipped.lock() {
            return Ok(());
        }
        match self.role {
            FileRole::Segment(base) => self.sync_segment(file, base),
            FileRole::FlushedPosition => {
                for owed in self.shared.owed.lock().drain(..) {
                    owed.sync_data()?;
                }
                file.sync_data()
            }
            FileRole::RaftState | FileRole::Other => file.sync_data(),
        }
    }

    fn zero_range(&self, file: &Arc<dyn DiskFile>, from: u64, length: u64) -> io::Result<()> {
        match (self.shared.bug, self.role) {
            (OuterBug::CutNotZeroed, FileRole::Segment(_)) => Ok(()),
            _ => file.zero_range(from, length),
        }
    }
}

/// Whether a file has these bytes at an offset.
fn holds(file: &dyn DiskFile, bytes: &[u8], offset: u64) -> io::Result<bool> {
    let mut there = vec![0; bytes.len()];
    let read = file.read_at(&mut there, offset)?;
    Ok(read == bytes.len() && there == bytes)
}
