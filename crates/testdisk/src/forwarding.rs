//! A disk that passes every call on to one in memory, but those that a test wants to see, hold up or change.

use std::io;
use std::path::Path;
use std::sync::Arc;

use tern_log::{Disk, DiskFile, Space};

use crate::disk::MemoryDisk;

/// What happens at calls to a disk. Those that are not named here are passed on.
pub trait DiskHook: Send + Sync {
    /// A file was opened or made; answers the handle that the process gets, a [`ForwardingFile`] if its calls matter.
    fn opened(&self, _path: &Path, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        file
    }

    /// How much room the disk says there is.
    ///
    /// # Errors
    /// As of [`Disk::space`].
    fn space(&self, inner: &MemoryDisk, directory: &Path) -> io::Result<Option<Space>> {
        inner.space(directory)
    }
}

/// What happens at calls to one open file. Those that are not named here are passed on, and so are the others unless the
/// hook does something else; errors are those of [`DiskFile`].
pub trait FileHook: Send + Sync {
    /// As [`DiskFile::write_at`].
    ///
    /// # Errors
    /// As there.
    fn write_at(&self, file: &Arc<dyn DiskFile>, bytes: &[u8], offset: u64) -> io::Result<()> {
        file.write_at(bytes, offset)
    }

    /// As [`DiskFile::read_at`].
    ///
    /// # Errors
    /// As there.
    fn read_at(
        &self,
        file: &Arc<dyn DiskFile>,
        buffer: &mut [u8],
        offset: u64,
    ) -> io::Result<usize> {
        file.read_at(buffer, offset)
    }

    /// As [`DiskFile::will_read`].
    fn will_read(&self, file: &Arc<dyn DiskFile>, from: u64, length: u64) {
        file.will_read(from, length);
    }

    /// As [`DiskFile::forget`].
    fn forget(&self, file: &Arc<dyn DiskFile>, from: u64, length: u64) {
        file.forget(from, length);
    }

    /// As [`DiskFile::sync_data`].
    ///
    /// # Errors
    /// As there.
    fn sync_data(&self, file: &Arc<dyn DiskFile>) -> io::Result<()> {
        file.sync_data()
    }

    /// As [`DiskFile::zero_range`].
    ///
    /// # Errors
    /// As there.
    fn zero_range(&self, file: &Arc<dyn DiskFile>, from: u64, length: u64) -> io::Result<()> {
        file.zero_range(from, length)
    }
}

/// A disk in memory behind a hook.
#[derive(Clone, Default)]
pub struct ForwardingDisk<H> {
    /// What calls are passed on to.
    pub inner: MemoryDisk,
    /// What happens at them.
    pub hook: H,
}

/// An open file behind a hook.
pub struct ForwardingFile<H> {
    file: Arc<dyn DiskFile>,
    hook: H,
}

impl<H: FileHook + 'static> ForwardingFile<H> {
    /// The handle that a process gets in the place of another one.
    pub fn over(file: Arc<dyn DiskFile>, hook: H) -> Arc<dyn DiskFile> {
        Arc::new(Self { file, hook })
    }
}

impl<H: DiskHook> Disk for ForwardingDisk<H> {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.hook.opened(path, self.inner.open(path)?))
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.hook.opened(path, self.inner.create(path)?))
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        self.inner.list(directory)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.inner.rename(from, to)
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        self.inner.unlink(path)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.inner.create_dir(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.inner.remove_dir(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.inner.sync_dir(path)
    }

    fn space(&self, directory: &Path) -> io::Result<Option<Space>> {
        self.hook.space(&self.inner, directory)
    }
}

impl<H: FileHook> DiskFile for ForwardingFile<H> {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.hook.write_at(&self.file, bytes, offset)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.hook.read_at(&self.file, buffer, offset)
    }

    fn will_read(&self, from: u64, length: u64) {
        self.hook.will_read(&self.file, from, length);
    }

    fn forget(&self, from: u64, length: u64) {
        self.hook.forget(&self.file, from, length);
    }

    fn sync_data(&self) -> io::Result<()> {
        self.hook.sync_data(&self.file)
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        self.file.allocate(length)
    }

    fn allocated(&self) -> io::Result<u64> {
        self.file.allocated()
    }

    fn zero_range(&self, from: u64, length: u64) -> io::Result<()> {
        self.hook.zero_range(&self.file, from, length)
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
