//! What the log asks of a disk. Two traits, so that a simulated disk can stand in for the real one.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustix::io::Errno;

/// Directories and names. Paths are absolute or relative to the process, as the caller likes.
///
/// A change of names ([`create`](Self::create), [`rename`](Self::rename), [`unlink`](Self::unlink), …) is certain to survive
/// a power cut only after [`sync_dir`](Self::sync_dir) of the directory that holds the name.
pub trait Disk: Send + Sync {
    /// Opens a file for reading and writing.
    ///
    /// # Errors
    /// `NotFound` if there is none, and whatever the system says.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;

    /// Opens a file for reading and writing and makes it if there is none. Content is never cut.
    ///
    /// # Errors
    /// Whatever the system says.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;

    /// Names in a directory, sorted.
    ///
    /// # Errors
    /// `NotFound` if there is no such directory.
    fn list(&self, directory: &Path) -> io::Result<Vec<String>>;

    /// Renames a file within one directory, over whatever has the new name.
    ///
    /// # Errors
    /// `NotFound` if there is nothing to rename.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Takes a file's name away; open handles stay usable.
    ///
    /// # Errors
    /// `NotFound` if there is none.
    fn unlink(&self, path: &Path) -> io::Result<()>;

    /// Makes a directory and those above it; an existing one is fine.
    ///
    /// # Errors
    /// Whatever the system says.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// Removes an empty directory.
    ///
    /// # Errors
    /// `NotFound` if there is none, and whatever the system says.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a directory durable.
    ///
    /// # Errors
    /// Whatever the system says.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// Room on the file system that holds a directory; none if the disk does not tell.
    ///
    /// # Errors
    /// Whatever the system says.
    fn space(&self, _directory: &Path) -> io::Result<Option<Space>> {
        Ok(None)
    }
}

/// Room on a file system, bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// What this process can still write.
    pub free: u64,
    /// All there is, taken or not.
    pub total: u64,
}

/// One open file. Calls may come from several threads at once.
pub trait DiskFile: Send + Sync {
    /// Writes all bytes at an offset.
    ///
    /// # Errors
    /// Whatever the system says; a part may have been written.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Reads until the buffer is full or the file ends; answers the number of bytes read.
    ///
    /// # Errors
    /// Whatever the system says.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Says that a range will be read soon, from its start on. A hint that may be passed over, and costs no waiting.
    fn will_read(&self, _from: u64, _length: u64) {}

    /// Says that a range was read and need not be kept in memory. A hint; what is not on the disk yet stays.
    fn forget(&self, _from: u64, _length: u64) {}

    /// Makes content and length durable. After an error the file's unsynced content is lost or unknown:
    /// never try again (the kernel calls the pages clean).
    ///
    /// # Errors
    /// Whatever the system says.
    fn sync_data(&self) -> io::Result<()>;

    /// Reserves space up to `length` and makes the file at least that long; new bytes read as zeros.
    ///
    /// # Errors
    /// For a full disk an error that [`is_no_space`] recognises; the file is as it was.
    fn allocate(&self, length: u64) -> io::Result<()>;

    /// Bytes that the file takes on the disk.
    ///
    /// # Errors
    /// Whatever the system says.
    fn allocated(&self) -> io::Result<u64> {
        self.len()
    }

    /// Sets bytes to zero, and keeps their space.
    ///
    /// # Errors
    /// Whatever the system says.
    fn zero_range(&self, from: u64, length: u64) -> io::Result<()>;

    /// Length in bytes.
    ///
    /// # Errors
    /// Whatever the system says.
    fn len(&self) -> io::Result<u64>;

    /// Whether the length is zero.
    ///
    /// # Errors
    /// Whatever the system says.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// First offset at or after `from` that is not known to read as zero; none if only zeros follow. A disk that
    /// knows nothing of holes answers `from` while that lies inside the file.
    ///
    /// # Errors
    /// Whatever the system says.
    fn next_data(&self, from: u64) -> io::Result<Option<u64>>;

    /// Whether the file still has a name, that is, was not unlinked since it was opened.
    ///
    /// # Errors
    /// Whatever the system says.
    fn is_linked(&self) -> io::Result<bool>;
}

/// Whether an error means that the system lacks something for now, such as descriptors or memory: it says nothing of the
/// disk.
pub fn is_scarce(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    matches!(errno, Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM))
}

/// Whether an error means that the disk or the quota is full.
pub fn is_no_space(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}
