//! The disk: what a test does to it, and what a process asks of it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use tern_log::{Disk, DiskFile, Space};

use crate::contents::{
    ChangeKind, DirectoryEntry, DiskContents, NameChange, PlannedFailure, parent,
};
use crate::file::MemoryFile;
use crate::inode::Inode;
use crate::operation::Operation;
use crate::power_cut::{PowerCut, Survival};

const EIO: i32 = 5;
/// Room on a disk without a limit.
const UNLIMITED: u64 = 1 << 50;

/// A disk in memory. Clones are the same disk.
#[derive(Clone, Default)]
pub struct MemoryDisk {
    inner: Arc<Mutex<DiskContents>>,
}

impl MemoryDisk {
    /// An empty disk without a limit.
    pub fn new() -> Self {
        Self::default()
    }

    /// A copy that goes its own way, unsynced writes included: to try several ends from one moment.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self {
            inner: Arc::new(Mutex::new(self.inner.lock().clone())),
        }
    }

    /// The power goes. Each unsynced sector and name survives or not, by the seed; sectors are whole.
    pub fn crash(&self, seed: u64) {
        self.power_cut(PowerCut {
            seed,
            tears_sectors: false,
        });
    }

    /// The power goes, in a way that is given.
    pub fn power_cut(&self, cut: PowerCut) {
        let mut inner = self.inner.lock();
        let last = inner.sequence;
        let mut survival = Survival::new(cut, last.saturating_sub(64), last);
        for change in std::mem::take(&mut inner.changes) {
            if survival.keeps_change(change.sequence) {
                inner.make_durable(&change.kind);
            }
        }
        for inode in inner.inodes.values_mut() {
            inode.power_cut(&mut survival);
        }
        inner.drop_orphans();
        inner.names = inner.durable_names.clone();
        inner.forget_unlinked();
        inner.new_life();
    }

    /// The process dies and the system lives: everything that was written stays, synced or not.
    pub fn kill(&self) {
        let mut inner = self.inner.lock();
        inner.forget_unlinked();
        inner.new_life();
    }

    /// The next call of a kind on a path that contains `path_part` fails; [`Operation::Allocate`] with *no space*,
    /// [`Operation::Open`] for want of a descriptor, the others with an input/output error.
    pub fn fail_next(&self, operation: Operation, path_part: &str) {
        self.fail_after(operation, path_part, 0, None);
    }

    /// As [`fail_next`](Self::fail_next), after so many calls of that kind on such a path that do not fail; with an error
    /// number of the system in place of the usual one.
    pub fn fail_after(&self, operation: Operation, path_part: &str, skip: u64, errno: Option<i32>) {
        self.inner.lock().failures.push(PlannedFailure {
            operation,
            path_part: path_part.to_owned(),
            skip,
            errno,
        });
    }

    /// How often the process called again, in its last life, what had failed for it: the first write or sync that did, of the
    /// same file; none if none had failed.
    pub fn repeated_failure(&self) -> Option<u64> {
        self.inner.lock().repeated
    }

    /// Takes back errors that have not happened.
    pub fn clear_failures(&self) {
        self.inner.lock().failures.clear();
    }

    /// How many more bytes can be reserved; none for no limit.
    pub fn set_free_bytes(&self, free: Option<u64>) {
        self.inner.lock().free_bytes = free;
    }

    /// A sync begins now. Until [`end_sync`](Self::end_sync) is called, what is written stays apart from what was.
    pub fn begin_sync(&self) {
        let mut inner = self.inner.lock();
        inner.sync_horizon = Some(inner.sequence);
    }

    /// Runs the end of a sync that [`begin_sync`](Self::begin_sync) marked: it reaches what was written before it began,
    /// and nothing that was written since, as far as a file system promises.
    pub fn end_sync<T>(&self, work: impl FnOnce() -> T) -> T {
        self.inner.lock().ending_sync = true;
        let done = work();
        let mut inner = self.inner.lock();
        inner.ending_sync = false;
        inner.sync_horizon = None;
        done
    }

    /// Everything is gone: another disk was put in.
    pub fn wipe(&self) {
        let mut inner = self.inner.lock();
        let (life, sequence) = (inner.life, inner.sequence);
        *inner = DiskContents {
            life,
            sequence,
            next_inode: inner.next_inode,
            ..DiskContents::default()
        };
        inner.new_life();
    }

    /// The state of another disk, an older copy of this one, is put back.
    pub fn restore(&self, copy: &Self) {
        let mut old = copy.inner.lock().clone();
        let mut inner = self.inner.lock();
        old.life = inner.life;
        old.sequence = old.sequence.max(inner.sequence);
        *inner = old;
        inner.new_life();
    }

    /// Whether the process has come to the call that [`stop_after`](Self::stop_after) chose.
    pub fn has_stopped(&self) -> bool {
        self.inner.lock().check_alive().is_err()
    }

    /// What is certain to survive a power cut, of a file whose name is: fills the buffer and answers how much was there.
    pub fn read_platter(&self, path: &Path, buffer: &mut [u8], offset: u64) -> usize {
        let inner = self.inner.lock();
        match inner.durable_names.get(path) {
            Some(DirectoryEntry::File(number)) => inner
                .inodes
                .get(number)
                .map_or(0, |inode| inode.read_platter(buffer, offset)),
            _ => 0,
        }
    }

    /// Replaces bytes of a file, on the platter and in the cache: a write that went elsewhere, or was lost.
    ///
    /// # Errors
    /// `NotFound` if there is no such file.
    pub fn overwrite(&self, path: &Path, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.with_inode(path, |inode| inode.overwrite(offset, bytes))
    }

    /// Names of files that start with a path.
    pub fn files(&self, below: &Path) -> Vec<PathBuf> {
        let inner = self.inner.lock();
        let files = inner.names.iter().filter(|(path, node)| {
            path.starts_with(below) && matches!(node, DirectoryEntry::File(_))
        });
        files.map(|(path, _)| path.clone()).collect()
    }

    /// Number of calls so far that change something or make it durable.
    pub fn operations(&self) -> u64 {
        self.inner.lock().sequence
    }

    /// Lets the process live for so many more changing calls. The last of them is still under way when the process
    /// ends: a write has happened and may survive, a sync has not; it answers an error, as do all calls after it, until
    /// [`kill`](Self::kill) or [`power_cut`](Self::power_cut).
    pub fn stop_after(&self, operations: u64) {
        let mut inner = self.inner.lock();
        inner.stop_at = Some(inner.sequence + operations);
    }

    /// Changes bits of one byte, on the platter and in the cache.
    ///
    /// # Errors
    /// `NotFound` if there is no such file.
    pub fn damage(&self, path: &Path, offset: u64, mask: u8) -> io::Result<()> {
        self.with_inode(path, |inode| inode.damage(offset, mask))
    }

    /// Makes a file shorter, on the platter too.
    ///
    /// # Errors
    /// `NotFound` if there is no such file.
    pub fn cut_file(&self, path: &Path, length: u64) -> io::Result<()> {
        self.with_inode(path, |inode| inode.cut(length))
    }

    /// The whole content of a file as a process sees it.
    ///
    /// # Errors
    /// `NotFound` if there is no such file.
    pub fn content(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.with_inode(path, |inode| {
            let mut bytes = vec![0; inode.length() as usize];
            inode.read(&mut bytes, 0);
            bytes
        })
    }

    fn with_inode<T>(&self, path: &Path, work: impl FnOnce(&mut Inode) -> T) -> io::Result<T> {
        let mut inner = self.inner.lock();
        let inode = inner.file(path)?;
        Ok(work(inner.inode(inode)))
    }

    fn handle(&self, inner: &DiskContents, inode: u64, path: &Path) -> Arc<dyn DiskFile> {
        Arc::new(MemoryFile {
            inner: Arc::clone(&self.inner),
            inode,
            life: inner.life,
            path: path.to_path_buf(),
        })
    }
}

impl Disk for MemoryDisk {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut inner = self.inner.lock();
        inner.check_alive()?;
        inner.take_descriptor(path)?;
        let inode = inner.file(path)?;
        Ok(self.handle(&inner, inode, path))
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut inner = self.inner.lock();
        inner.check_alive()?;
        inner.take_descriptor(path)?;
        match inner.file(path) {
            Ok(inode) => return Ok(self.handle(&inner, inode, path)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        if !inner.is_directory(&parent(path)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let last = inner.begin()?;
        let inode = inner.new_file(path);
        last.end(self.handle(&inner, inode, path))
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        let inner = self.inner.lock();
        inner.check_alive()?;
        if !inner.is_directory(directory) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let inside = inner.names.keys().filter(|path| parent(path) == directory);
        let names = inside.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()));
        Ok(names.collect())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut inner = self.inner.lock();
        inner.check_alive()?;
        inner.file(from)?;
        let replaced = inner.file(to).ok();
        let last = inner.begin()?;
        inner.change(ChangeKind::Rename(from.to_path_buf(), to.to_path_buf()));
        if let Some(replaced) = replaced {
            inner.unlinked(replaced);
        }
        last.end(())
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        let mut inner = self.inner.lock();
        inner.check_alive()?;
        let inode = inner.file(path)?;
        let last = inner.begin()?;
        inner.change(ChangeKind::Remove(path.to_path_buf()));
        inner.unlinked(inode);
        last.end(())
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let mut inner = self.inner.lock();
        inner.check_alive()?;
        let ancestors: Vec<&Path> = path.ancestors().collect();
        for directory in ancestors.into_iter().rev() {
            if inner.is_directory(directory) {
                continue;
            }
            let last = inner.begin()?;
            inner.change(ChangeKind::Add(
                directory.to_path_buf(),
                DirectoryEntry::Directory,
            ));
            last.end(())?;
        }
        Ok(())
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        if !self.list(path)?.is_empty() {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        let mut inner = self.inner.lock();
        let last = inner.begin()?;
        inner.change(ChangeKind::Remove(path.to_path_buf()));
        last.end(())
    }

    fn space(&self, _: &Path) -> io::Result<Option<Space>> {
        let free = self.inner.lock().free_bytes;
        Ok(Some(Space {
            free: free.unwrap_or(UNLIMITED),
            total: UNLIMITED,
        }))
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut inner = self.inner.lock();
        let last = inner.begin()?;
        last.end(())?;
        if let Some(errno) = inner.take_failure(Operation::SyncDirectory, path) {
            let errno = if errno == 0 { EIO } else { errno };
            return Err(io::Error::from_raw_os_error(errno));
        }
        if !inner.is_directory(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let (here, elsewhere) = std::mem::take(&mut inner.changes)
            .into_iter()
            .partition(|change| change.directory == path);
        inner.changes = elsewhere;
        let here: Vec<NameChange> = here;
        for change in here {
            inner.make_durable(&change.kind);
        }
        Ok(())
    }
}
