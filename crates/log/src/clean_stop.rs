//! How a replica stopped last: `clean.stop`, and the boot mark that tells a dead process from a power cut.
//!
//! `boot.mark` and `clean.stop`, 44 bytes, big-endian:
//!
//! ```text
//!  0  8  magic "TERNBOOT" or "TERNSTOP"
//!  8 16  boot id of the kernel
//! 24  8  device of the directory
//! 32  8  mount id of the directory
//! 40  4  CRC32C of bytes 0..40
//! ```
//!
//! A stop that could not read the mark stores zeros, which equal no mark.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, CWD, StatxFlags};

use crate::disk::Disk;
use crate::error::LogError;
use crate::files::{be32, be64, read_small, remove_if_there, replace_small, sync_directory};

const LENGTH: usize = 44;
const STARTED: (&str, [u8; 8]) = ("boot.mark", *b"TERNBOOT");
const STOPPED: (&str, [u8; 8]) = ("clean.stop", *b"TERNSTOP");

/// One life of the kernel as seen from a directory. While it is the same, the page cache was not lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BootMark {
    /// The kernel's boot id.
    pub boot_id: [u8; 16],
    /// Device of the directory's file system.
    pub device: u64,
    /// Its mount id: another one after it was mounted again.
    pub mount_id: u64,
}

impl BootMark {
    /// The mark of now; none if the system does not tell, which counts as a power cut.
    pub fn current(directory: &Path) -> Option<Self> {
        let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
        let boot_id = u128::from_str_radix(&digits, 16).ok()?.to_be_bytes();
        let status =
            rustix::fs::statx(CWD, directory, AtFlags::empty(), StatxFlags::MNT_ID).ok()?;
        if status.stx_mask & StatxFlags::MNT_ID.bits() == 0 {
            return None;
        }
        Some(Self {
            boot_id,
            device: u64::from(status.stx_dev_major) << 32 | u64::from(status.stx_dev_minor),
            mount_id: status.stx_mnt_id,
        })
    }

    fn encode(&self, magic: [u8; 8]) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        bytes[..8].copy_from_slice(&magic);
        bytes[8..24].copy_from_slice(&self.boot_id);
        bytes[24..32].copy_from_slice(&self.device.to_be_bytes());
        bytes[32..40].copy_from_slice(&self.mount_id.to_be_bytes());
        let crc = crc32c::crc32c(&bytes[..40]);
        bytes[40..].copy_from_slice(&crc.to_be_bytes());
        bytes
    }

    fn decode(bytes: &[u8], magic: [u8; 8]) -> Option<Self> {
        let bytes = bytes.first_chunk::<LENGTH>()?;
        let right = bytes[..8] == magic && crc32c::crc32c(&bytes[..40]) == be32(bytes, 40);
        right.then(|| Self {
            boot_id: bytes[8..24].try_into().expect("sixteen bytes"),
            device: be64(bytes, 24),
            mount_id: be64(bytes, 32),
        })
    }
}

/// How a replica stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopKind {
    /// Everything was flushed; whatever is wrong now was damaged later.
    Clean,
    /// Only the process died: what it wrote is in the page cache.
    ProcessDied,
    /// The kernel's memory may be lost, or nothing is known; so also at first start.
    PowerCutPossible,
}

/// The two files of a replica's directory.
pub struct StopRecord {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
    now: Option<BootMark>,
}

impl StopRecord {
    /// The record of a directory; `now` is [`BootMark::current`].
    pub fn new(disk: Arc<dyn Disk>, directory: impl Into<PathBuf>, now: Option<BootMark>) -> Self {
        Self {
            disk,
            directory: directory.into(),
            now,
        }
    }

    /// How the replica stopped last. To be asked before [`started`](Self::started).
    ///
    /// # Errors
    /// [`LogError::Io`] if a file cannot be read.
    pub fn last_stop(&self) -> Result<StopKind, LogError> {
        if self.read(STOPPED)?.is_some() {
            return Ok(StopKind::Clean);
        }
        match (self.read(STARTED)?, self.now) {
            (Some(then), Some(now)) if then == now => Ok(StopKind::ProcessDied),
            _ => Ok(StopKind::PowerCutPossible),
        }
    }

    /// Notes that the replica runs in this life of the kernel. To be called when recovery is done and before anything
    /// new is written.
    ///
    /// A mark that cannot be written is no error, the disk may be full: the old one names an earlier life, so the next
    /// start takes a dead process for a power cut, which is the careful side.
    ///
    /// # Errors
    /// [`LogError::Write`], [`LogError::Sync`] if the note of a clean stop cannot be taken away: it must not outlive this.
    pub fn started(&self) -> Result<(), LogError> {
        match self.now {
            Some(now) if self.read(STARTED)? != Some(now) => {
                let mark = now.encode(STARTED.1);
                let _ = replace_small(&*self.disk, &self.directory, STARTED.0, &mark);
            }
            Some(_) => {}
            None => {
                remove_if_there(&*self.disk, &self.directory.join(STARTED.0))?;
            }
        }
        remove_if_there(&*self.disk, &self.directory.join(STOPPED.0))?;
        // Also if there was nothing to remove: a process may have died between the removal and this.
        sync_directory(&*self.disk, &self.directory)
    }

    /// Notes a clean stop. To be called when the log is flushed and nothing more is written.
    ///
    /// # Errors
    /// [`LogError::Write`], [`LogError::Sync`], [`LogError::NoSpace`].
    pub fn stopped_cleanly(&self) -> Result<(), LogError> {
        let mark = self.now.unwrap_or_default();
        replace_small(
            &*self.disk,
            &self.directory,
            STOPPED.0,
            &mark.encode(STOPPED.1),
        )
    }

    fn read(&self, (name, magic): (&str, [u8; 8])) -> Result<Option<BootMark>, LogError> {
        let bytes = read_small(&*self.disk, &self.directory.join(name), LENGTH)?;
        Ok(bytes.and_then(|bytes| BootMark::decode(&bytes, magic)))
    }
}
