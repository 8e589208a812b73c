//! What is on the disk, in the cache and on the platter, and when the process ends.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use crate::inode::Inode;
use crate::operation::Operation;

const ENOSPC: i32 = 28;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DirectoryEntry {
    Directory,
    File(u64),
}

/// A change of names that is not durable yet.
#[derive(Clone)]
pub struct NameChange {
    pub sequence: u64,
    pub directory: PathBuf,
    pub kind: ChangeKind,
}

#[derive(Clone)]
pub enum ChangeKind {
    Add(PathBuf, DirectoryEntry),
    Remove(PathBuf),
    Rename(PathBuf, PathBuf),
}

#[derive(Clone, Default)]
pub struct DiskContents {
    pub inodes: BTreeMap<u64, Inode>,
    pub names: BTreeMap<PathBuf, DirectoryEntry>,
    pub durable_names: BTreeMap<PathBuf, DirectoryEntry>,
    pub changes: Vec<NameChange>,
    pub next_inode: u64,
    /// Numbers calls that change something.
    pub sequence: u64,
    /// The process's life; handles of an earlier one are dead.
    pub life: u64,
    /// The call with this number is the last.
    pub stop_at: Option<u64>,
    pub free_bytes: Option<u64>,
    /// Syncs reach what was written up to this moment: they began then.
    pub sync_horizon: Option<u64>,
    /// The running sync is the one that began at the horizon.
    pub ending_sync: bool,
    pub failures: Vec<PlannedFailure>,
    /// The first call of this life that failed by a planned error of writing or syncing, and how often it came again.
    pub failed: Option<FailedCall>,
    /// How often it came again in the life before; none if none had failed.
    pub repeated: Option<u64>,
}

/// A call that failed.
#[derive(Clone)]
pub struct FailedCall {
    operation: Operation,
    path: PathBuf,
    repeated: u64,
}

/// An error that is to come.
#[derive(Clone)]
pub struct PlannedFailure {
    pub operation: Operation,
    /// What the path of the call contains.
    pub path_part: String,
    /// Calls that do not fail before it.
    pub skip: u64,
    /// What the call says; none for the error of its kind.
    pub errno: Option<i32>,
}

impl DiskContents {
    /// Counts a call that changes something. It is to be carried out even if this is the process's last.
    pub fn begin(&mut self) -> io::Result<Last> {
        if self.stop_at.is_some_and(|stop| self.sequence >= stop) {
            return Err(stopped());
        }
        self.sequence += 1;
        Ok(Last(self.stop_at == Some(self.sequence)))
    }

    pub fn check_alive(&self) -> io::Result<()> {
        if self.stop_at.is_some_and(|stop| self.sequence >= stop) {
            return Err(stopped());
        }
        Ok(())
    }

    /// The error that this call is to meet: its number, or 0 for the usual one of its kind.
    pub fn take_failure(&mut self, operation: Operation, path: &Path) -> Option<i32> {
        if let Some(failed) = &mut self.failed
            && failed.operation == operation
            && failed.path == path
        {
            failed.repeated += 1;
        }
        if self.failures.is_empty() {
            return None;
        }
        let text = path.to_string_lossy();
        let at = self.failures.iter().position(|planned| {
            planned.operation == operation && text.contains(&planned.path_part)
        })?;
        let planned = &mut self.failures[at];
        if planned.skip > 0 {
            planned.skip -= 1;
            return None;
        }
        let errno = self.failures.remove(at).errno;
        let changes = matches!(
            operation,
            Operation::Write | Operation::Sync | Operation::SyncDirectory
        );
        if changes || errno.is_some() {
            self.failed.get_or_insert_with(|| FailedCall {
                operation,
                path: path.to_path_buf(),
                repeated: 0,
            });
        }
        Some(errno.unwrap_or(0))
    }

    pub fn take_descriptor(&mut self, path: &Path) -> io::Result<()> {
        if self.take_failure(Operation::Open, path).is_some() {
            return Err(Errno::MFILE.into());
        }
        Ok(())
    }

    pub fn file(&self, path: &Path) -> io::Result<u64> {
        match self.names.get(path) {
            Some(DirectoryEntry::File(inode)) => Ok(*inode),
            Some(DirectoryEntry::Directory) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    pub fn inode(&mut self, number: u64) -> &mut Inode {
        self.inodes
            .get_mut(&number)
            .expect("an inode lives while a handle can reach it")
    }

    pub fn is_directory(&self, path: &Path) -> bool {
        path.parent()
            .is_none_or(|_| path.as_os_str().is_empty() || path == Path::new("."))
            || self.names.get(path) == Some(&DirectoryEntry::Directory)
    }

    pub fn change(&mut self, kind: ChangeKind) {
        let (ChangeKind::Add(path, _) | ChangeKind::Remove(path) | ChangeKind::Rename(path, _)) =
            &kind;
        let directory = parent(path);
        apply(&mut self.names, &kind);
        self.changes.push(NameChange {
            sequence: self.sequence,
            directory,
            kind,
        });
    }

    pub fn make_durable(&mut self, kind: &ChangeKind) {
        apply(&mut self.durable_names, kind);
    }

    pub fn new_file(&mut self, path: &Path) -> u64 {
        let number = self.next_inode;
        self.next_inode += 1;
        self.inodes.insert(number, Inode::linked());
        self.change(ChangeKind::Add(
            path.to_path_buf(),
            DirectoryEntry::File(number),
        ));
        number
    }

    pub fn unlinked(&mut self, number: u64) {
        let inode = self.inode(number);
        inode.is_linked = false;
        let freed = std::mem::take(&mut inode.allocated);
        if let Some(free) = &mut self.free_bytes {
            *free += freed;
        }
    }

    pub fn reserve(&mut self, number: u64, length: u64) -> io::Result<()> {
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
    pub fn drop_orphans(&mut self) {
        let names = std::mem::take(&mut self.durable_names);
        for (path, node) in names {
            let above = parent(&path);
            let is_reachable = path.parent().is_none_or(|above| above.parent().is_none())
                || self.durable_names.get(&above) == Some(&DirectoryEntry::Directory);
            if is_reachable {
                self.durable_names.insert(path, node);
            }
        }
    }

    /// Files that no name leads to, now or after a power cut, are gone.
    pub fn forget_unlinked(&mut self) {
        let leads_to = |names: &BTreeMap<PathBuf, DirectoryEntry>, number: u64| {
            names
                .values()
                .any(|node| *node == DirectoryEntry::File(number))
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

    pub fn new_life(&mut self) {
        self.life += 1;
        self.repeated = self.failed.take().map(|failed| failed.repeated);
        self.stop_at = None;
        self.sync_horizon = None;
        self.ending_sync = false;
    }
}

/// The file that a change gives a name to.
fn added(change: &NameChange) -> Option<u64> {
    match change.kind {
        ChangeKind::Add(_, DirectoryEntry::File(number)) => Some(number),
        _ => None,
    }
}

/// Whether a call is the process's last: it happens, and the process does not learn of it.
pub struct Last(bool);

impl Last {
    pub fn end<T>(&self, value: T) -> io::Result<T> {
        if self.0 { Err(stopped()) } else { Ok(value) }
    }
}

pub fn stopped() -> io::Error {
    io::Error::other("the process has ended")
}

pub fn parent(path: &Path) -> PathBuf {
    path.parent().unwrap_or(Path::new("")).to_path_buf()
}

fn apply(names: &mut BTreeMap<PathBuf, DirectoryEntry>, kind: &ChangeKind) {
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
