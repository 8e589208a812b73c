//! A disk in memory that tells the page cache from the platter, for tests and simulation.
//!
//! A write is seen by everybody at once and is certain only after a sync of its file; a new or changed name, only after
//! a sync of its directory. [`MemoryDisk::power_cut`] decides by a seed which of the uncertain sectors and names
//! survive. [`MemoryDisk::kill`] ends the process alone: everything written stays. After both, old handles answer
//! errors, as a dead process writes no more.
//!
//! Errors are put in by [`MemoryDisk::fail_next`] and [`MemoryDisk::set_free_bytes`], damage by [`MemoryDisk::damage`].
//! [`MemoryDisk::stop_after`] ends the process at a chosen call, so that a test can crash a run at each of its writes.
//! Everything is deterministic: the same calls and seeds give the same bytes.

mod inode;
mod pages;
mod power_cut;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use rustix::io::Errno;

use crate::disk::{Disk, DiskFile, Space};
use inode::Inode;
pub use power_cut::PowerCut;
use power_cut::Survival;

const EIO: i32 = 5;
const ENOSPC: i32 = 28;
/// Room on a disk without a limit.
const UNLIMITED: u64 = 1 << 50;

/// A kind of call, for errors that are put in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// [`DiskFile::read_at`].
    Read,
    /// [`DiskFile::write_at`] and [`DiskFile::zero_range`].
    Write,
    /// [`DiskFile::sync_data`]; the unsynced content is lost to the platter.
    Sync,
    /// [`DiskFile::allocate`]: the disk is full.
    Allocate,
    /// [`Disk::sync_dir`].
    SyncDirectory,
    /// [`Disk::open`] and [`Disk::create`]: the process has no descriptor left.
    Open,
}

/// A disk in memory. Clones are the same disk.
#[derive(Clone, Default)]
pub struct MemoryDisk {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Node {
    Directory,
    File(u64),
}

/// A change of names that is not durable yet.
#[derive(Clone)]
struct Change {
    sequence: u64,
    directory: PathBuf,
    kind: ChangeKind,
}

#[derive(Clone)]
enum ChangeKind {
    Add(PathBuf, Node),
    Remove(PathBuf),
    Rename(PathBuf, PathBuf),
}

#[derive(Clone, Default)]
struct Inner {
    inodes: BTreeMap<u64, Inode>,
    names: BTreeMap<PathBuf, Node>,
    durable_names: BTreeMap<PathBuf, Node>,
    changes: Vec<Change>,
    next_inode: u64,
    /// Numbers calls that change something.
    sequence: u64,
    /// The process's life; handles of an earlier one are dead.
    life: u64,
    /// The call with this number is the last.
    stop_at: Option<u64>,
    free_bytes: Option<u64>,
    /// Syncs reach what was written up to this moment: they began then.
    sync_horizon: Option<u64>,
    /// The running sync is the one that began at the horizon.
    ending_sync: bool,
    failures: Vec<(Operation, String)>,
}

struct MemoryFile {
    inner: Arc<Mutex<Inner>>,
    inode: u64,
    life: u64,
    path: PathBuf,
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
        self.inner
            .lock()
            .failures
            .push((operation, path_part.to_owned()));
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
        *inner = Inner {
            life,
            sequence,
            next_inode: inner.next_inode,
            ..Inner::default()
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
            Some(Node::File(number)) => inner
                .inodes
                .get(number)
                .map_or(0, |inode| inode.read_platter(buffer, offset)),
            _ => 0,
        }
    }

    /// Replaces bytes of a file, on the platter and in the cache: a write that went to the wrong place, or was lost.
    ///
    /// # Errors
    /// `NotFound` if there is no such file.
    pub fn overwrite(&self, path: &Path, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.with_inode(path, |inode| inode.overwrite(offset, bytes))
    }

    /// Names of files that start with a path.
    pub fn files(&self, below: &Path) -> Vec<PathBuf> {
        let inner = self.inner.lock();
        let files = inner
            .names
            .iter()
            .filter(|(path, node)| path.starts_with(below) && matches!(node, Node::File(_)));
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

    fn handle(&self, inner: &Inner, inode: u64, path: &Path) -> Arc<dyn DiskFile> {
        Arc::new(MemoryFile {
            inner: Arc::clone(&self.inner),
            inode,
            life: inner.life,
            path: path.to_path_buf(),
        })
    }
}

impl Inner {
    /// Counts a call that changes something. It is to be carried out even if this is the process's last.
    fn begin(&mut self) -> io::Result<Last> {
        if self.stop_at.is_some_and(|stop| self.sequence >= stop) {
            return Err(stopped());
        }
        self.sequence += 1;
        Ok(Last(self.stop_at == Some(self.sequence)))
    }

    fn check_alive(&self) -> io::Result<()> {
        if self.stop_at.is_some_and(|stop| self.sequence >= stop) {
            return Err(stopped());
        }
        Ok(())
    }

    fn take_failure(&mut self, operation: Operation, path: &Path) -> bool {
        if self.failures.is_empty() {
            return false;
        }
        let text = path.to_string_lossy();
        let hit = self
            .failures
            .iter()
            .position(|(kind, part)| *kind == operation && text.contains(part));
        hit.map(|at| self.failures.remove(at)).is_some()
    }

    fn take_descriptor(&mut self, path: &Path) -> io::Result<()> {
        if self.take_failure(Operation::Open, path) {
            return Err(Errno::MFILE.into());
        }
        Ok(())
    }

    fn file(&self, path: &Path) -> io::Result<u64> {
        match self.names.get(path) {
            Some(Node::File(inode)) => Ok(*inode),
            Some(Node::Directory) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn inode(&mut self, number: u64) -> &mut Inode {
        self.inodes
            .get_mut(&number)
            .expect("an inode lives while a handle can reach it")
    }

    fn is_directory(&self, path: &Path) -> bool {
        path.parent()
            .is_none_or(|_| path.as_os_str().is_empty() || path == Path::new("."))
            || self.names.get(path) == Some(&Node::Directory)
    }

    fn change(&mut self, kind: ChangeKind) {
        let (ChangeKind::Add(path, _) | ChangeKind::Remove(path) | ChangeKind::Rename(path, _)) =
            &kind;
        let directory = parent(path);
        apply(&mut self.names, &kind);
        self.changes.push(Change {
            sequence: self.sequence,
            directory,
            kind,
        });
    }

    fn make_durable(&mut self, kind: &ChangeKind) {
        apply(&mut self.durable_names, kind);
    }

    fn new_file(&mut self, path: &Path) -> u64 {
        let number = self.next_inode;
        self.next_inode += 1;
        self.inodes.insert(number, Inode::linked());
        self.change(ChangeKind::Add(path.to_path_buf(), Node::File(number)));
        number
    }

    fn unlinked(&mut self, number: u64) {
        let inode = self.inode(number);
        inode.is_linked = false;
        let freed = std::mem::take(&mut inode.allocated);
        if let Some(free) = &mut self.free_bytes {
            *free += freed;
        }
    }

    fn reserve(&mut self, number: u64, length: u64) -> io::Result<()> {
        let inode = self.inodes.get_mut(&number).expect("the handle's inode");
        let grown = length.saturating_sub(inode.allocated);
        if let Some(free) = &mut self.free_bytes {
            if *free < grown {
                return Err(io::Error::from_raw_os_error(ENOSPC));
            }
            *free -= grown;
        }
        inode.allocated += grown;
        Ok(())
    }

    /// Names whose directory did not survive lead nowhere.
    fn drop_orphans(&mut self) {
        let names = std::mem::take(&mut self.durable_names);
        for (path, node) in names {
            let above = parent(&path);
            let is_reachable = path.parent().is_none_or(|above| above.parent().is_none())
                || self.durable_names.get(&above) == Some(&Node::Directory);
            if is_reachable {
                self.durable_names.insert(path, node);
            }
        }
    }

    /// Files that no name leads to, now or after a power cut, are gone.
    fn forget_unlinked(&mut self) {
        let leads_to = |names: &BTreeMap<PathBuf, Node>, number: u64| {
            names.values().any(|node| *node == Node::File(number))
        };
        for (number, inode) in &mut self.inodes {
            inode.is_linked = leads_to(&self.names, *number);
        }
        let durable = &self.durable_names;
        // A name that was made and removed since the last sync may yet come back: its removal may be lost alone.
        let pending: BTreeSet<u64> = self.changes.iter().filter_map(added).collect();
        self.inodes.retain(|number, inode| {
            inode.is_linked || leads_to(durable, *number) || pending.contains(number)
        });
    }

    const fn new_life(&mut self) {
        self.life += 1;
        self.stop_at = None;
        self.sync_horizon = None;
        self.ending_sync = false;
    }
}

/// The file that a change gives a name to.
fn added(change: &Change) -> Option<u64> {
    match change.kind {
        ChangeKind::Add(_, Node::File(number)) => Some(number),
        _ => None,
    }
}

/// Whether a call is the process's last: it happens, and the process does not learn of it.
struct Last(bool);

impl Last {
    fn end<T>(&self, value: T) -> io::Result<T> {
        if self.0 { Err(stopped()) } else { Ok(value) }
    }
}

fn stopped() -> io::Error {
    io::Error::other("the process has ended")
}

fn parent(path: &Path) -> PathBuf {
    path.parent().unwrap_or(Path::new("")).to_path_buf()
}

fn apply(names: &mut BTreeMap<PathBuf, Node>, kind: &ChangeKind) {
    match kind {
        ChangeKind::Add(path, node) => {
            names.insert(path.clone(), *node);
        }
        ChangeKind::Remove(path) => {
            names.remove(path);
        }
        ChangeKind::Rename(from, to) => {
            if let Some(node) = names.remove(from) {
                names.insert(to.clone(), node);
            }
        }
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
            inner.change(ChangeKind::Add(directory.to_path_buf(), Node::Directory));
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
        if inner.take_failure(Operation::SyncDirectory, path) {
            return Err(io::Error::from_raw_os_error(EIO));
        }
        if !inner.is_directory(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let (here, elsewhere) = std::mem::take(&mut inner.changes)
            .into_iter()
            .partition(|change| change.directory == path);
        inner.changes = elsewhere;
        let here: Vec<Change> = here;
        for change in here {
            inner.make_durable(&change.kind);
        }
        Ok(())
    }
}

impl MemoryFile {
    /// Carries out a call unless the process that opened the file is dead.
    fn with<T>(&self, work: impl FnOnce(&mut Inner) -> io::Result<T>) -> io::Result<T> {
        let mut inner = self.inner.lock();
        if inner.life != self.life {
            return Err(stopped());
        }
        inner.check_alive()?;
        work(&mut inner)
    }

    fn fails(&self, inner: &mut Inner, operation: Operation) -> io::Result<()> {
        if inner.take_failure(operation, &self.path) {
            let code = if operation == Operation::Allocate {
                ENOSPC
            } else {
                EIO
            };
            return Err(io::Error::from_raw_os_error(code));
        }
        Ok(())
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
