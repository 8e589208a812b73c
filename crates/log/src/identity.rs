//! Whose directory it is: a lock against a second process, and a file that names the node.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};

use crate::disk::Disk;
use crate::error::LogError;
use crate::files::{make_directory, read_small, replace_small, sync_directory, sync_names_above};

const LOCK: &str = "lock";
const IDENTITY: &str = "identity";
/// First line of the identity file; then the node's name, the directory's id, and the CRC32C of both, the two in
/// hexadecimal.
const TITLE: &str = "ternmq node 2";
/// Of a directory that was made before it had an id.
const OLD_TITLE: &str = "ternmq node 1";
const LONGEST: usize = 1024;

/// Holds a directory against other processes, until it is dropped or the process ends, however that happens.
#[derive(Debug)]
pub struct DirectoryLock {
    _file: OwnedFd,
}

impl DirectoryLock {
    /// Takes the lock of a directory, which is made if there is none.
    ///
    /// # Errors
    /// [`LogError::Locked`] if another holder is there; [`LogError::Io`], and what making the directory may meet.
    pub fn acquire(disk: &dyn Disk, directory: &Path) -> Result<Self, LogError> {
        make_directory(disk, directory)?;
        let path = directory.join(LOCK);
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC;
        let file = retry_on_intr(|| rustix::fs::open(&path, flags, Mode::RUSR | Mode::WUSR))
            .map_err(|error| LogError::io("open", &path, error.into()))?;
        match retry_on_intr(|| rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)) {
            Ok(()) => Ok(Self { _file: file }),
            Err(Errno::WOULDBLOCK) => Err(LogError::Locked {
                directory: directory.to_path_buf(),
            }),
            Err(error) => Err(LogError::io("lock", &path, error.into())),
        }
    }
}

/// Tells a directory from every other one that the same node had: drawn when it is made, gone when it is emptied.
pub type DirectoryId = [u8; 16];

/// Checks that a directory belongs to a node, and gives it to the node if it belongs to nobody. Makes the directory.
/// `node` is one line of text that names cluster, group and member. Answers the directory's id; `fresh` is that of one
/// which is made now.
///
/// # Errors
/// [`LogError::OtherNode`], [`LogError::IdentityUnreadable`], [`LogError::BadSetting`] for a name that does not fit,
/// and the disk's errors.
pub fn claim_directory(
    disk: &dyn Disk,
    directory: &Path,
    node: &str,
    fresh: DirectoryId,
) -> Result<DirectoryId, LogError> {
    if node.is_empty() || node.len() > LONGEST / 2 || node.contains(['\n', '\r']) {
        return Err(LogError::BadSetting {
            reason: "a node's name is one line of 1 to 512 bytes",
        });
    }
    make_directory(disk, directory)?;
    let path = directory.join(IDENTITY);
    let Some(content) = read_small(disk, &path, LONGEST)? else {
        let content = content_for(node, fresh);
        replace_small(disk, directory, IDENTITY, content.as_bytes())?;
        sync_names_above(disk, directory)?;
        return Ok(fresh);
    };
    let unreadable = || LogError::IdentityUnreadable { path: path.clone() };
    let text = std::str::from_utf8(&content).map_err(|_| unreadable())?;
    let (found, id) = read(text).ok_or_else(unreadable)?;
    // The process that made it may have died before the names that lead here were durable. The id goes into frame 1: a
    // directory that could still vanish must not give it away.
    sync_directory(disk, directory)?;
    sync_names_above(disk, directory)?;
    if found != node {
        return Err(LogError::OtherNode {
            directory: directory.to_path_buf(),
            found: found.to_owned(),
            expected: node.to_owned(),
        });
    }
    Ok(id)
}

/// The node's name and the directory's id; zeros for an id that was not kept when the directory was made.
fn read(text: &str) -> Option<(&str, DirectoryId)> {
    let mut lines = text.lines().skip(1);
    let (found, id) = (lines.next()?, lines.next()?);
    if text
        == format!(
            "{OLD_TITLE}\n{found}\n{:08x}\n",
            crc32c::crc32c(found.as_bytes())
        )
    {
        return Some((found, [0; 16]));
    }
    let id = u128::from_str_radix(id, 16).ok()?.to_be_bytes();
    (text == content_for(found, id)).then_some((found, id))
}

fn content_for(node: &str, id: DirectoryId) -> String {
    let named = format!("{node}\n{:032x}\n", u128::from_be_bytes(id));
    format!("{TITLE}\n{named}{:08x}\n", crc32c::crc32c(named.as_bytes()))
}
