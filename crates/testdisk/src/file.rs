//! An open file of the disk.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use tern_log::DiskFile;

use crate::contents::{DiskContents, stopped};
use crate::operation::Operation;

const EIO: i32 = 5;
const ENOSPC: i32 = 28;

/// One open file.
pub struct MemoryFile {
    pub inner: Arc<Mutex<DiskContents>>,
    pub inode: u64,
    pub life: u64,
    pub path: PathBuf,
}

impl MemoryFile {
    /// Carries out a call unless the process that opened the file is dead.
    fn with<T>(&self, work: impl FnOnce(&mut DiskContents) -> io::Result<T>) -> io::Result<T> {
        let mut inner = self.inner.lock();
        if inner.life != self.life {
            return Err(stopped());
        }
        inner.check_alive()?;
        work(&mut inner)
    }

    fn fails(&self, inner: &mut DiskContents, operation: Operation) -> io::Result<()> {
        let usual = if operation == Operation::Allocate {
            ENOSPC
        } else {
            EIO
        };
        match inner.take_failure(operation, &self.path) {
            None => Ok(()),
            Some(0) => Err(io::Error::from_raw_os_error(usual)),
            Some(errno) => Err(io::Error::from_raw_os_error(errno)),
        }
    }
}

impl DiskFile for MemoryFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.with(|inner| {
            let last = inner.begin()?;
            self.fails(inner, Operation::Write)?;
            inner.reserve(self.inode, offset + bytes.len() as u64)?;
            let sequence = inner.sequence;
            let pinned = inner.sync_horizon;
            inner
                .inode(self.inode)
                .write(bytes, offset, sequence, pinned);
            last.end(())
        })
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.with(|inner| {
            self.fails(inner, Operation::Read)?;
            Ok(inner.inode(self.inode).read(buffer, offset))
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.with(|inner| {
            let last = inner.begin()?;
            last.end(())?;
            let failed = self.fails(inner, Operation::Sync);
            let horizon = inner.ending_sync.then_some(inner.sync_horizon).flatten();
            let inode = inner.inode(self.inode);
            match failed {
                Ok(()) if horizon.is_some() => inode.sync_upto(horizon.unwrap_or(0)),
                Ok(()) => inode.sync(),
                Err(_) => inode.lose_unsynced(),
            }
            failed
        })
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        self.with(|inner| {
            let last = inner.begin()?;
            self.fails(inner, Operation::Allocate)?;
            inner.reserve(self.inode, length)?;
            inner.inode(self.inode).grow(length);
            last.end(())
        })
    }

    fn zero_range(&self, from: u64, length: u64) -> io::Result<()> {
        self.with(|inner| {
            let last = inner.begin()?;
            self.fails(inner, Operation::Write)?;
            let sequence = inner.sequence;
            let pinned = inner.sync_horizon;
            inner.inode(self.inode).zero(from, length, sequence, pinned);
            last.end(())
        })
    }

    fn len(&self) -> io::Result<u64> {
        self.with(|inner| Ok(inner.inode(self.inode).length()))
    }

    fn allocated(&self) -> io::Result<u64> {
        self.with(|inner| Ok(inner.inode(self.inode).allocated))
    }

    fn next_data(&self, from: u64) -> io::Result<Option<u64>> {
        self.with(|inner| Ok(inner.inode(self.inode).next_data(from)))
    }

    fn is_linked(&self) -> io::Result<bool> {
        self.with(|inner| Ok(inner.inode(self.inode).is_linked))
    }
}
