//! The kernel's files through libc, so that fault tools which replace libc calls see every one.

use std::fs;
use std::io;
use std::num::NonZeroU64;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use rustix::fs::{Advice, FallocateFlags, Mode, OFlags, SeekFrom};
use rustix::io::{Errno, retry_on_intr};

use crate::disk::{Disk, DiskFile, Space};

/// Bytes written or compared at a time where the file system cannot do it by itself.
const CHUNK: usize = 256 * 1024;

/// Directories and files of the running system.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

/// One open file: positioned reads and writes only, so the handle may be shared.
struct RealFile {
    fd: OwnedFd,
}

impl RealDisk {
    fn open_with(path: &Path, flags: OFlags) -> io::Result<Arc<dyn DiskFile>> {
        let mode = Mode::RUSR | Mode::WUSR | Mode::RGRP;
        let fd =
            retry_on_intr(|| rustix::fs::open(path, OFlags::RDWR | OFlags::CLOEXEC | flags, mode))?;
        Ok(Arc::new(RealFile { fd }))
    }
}

impl Disk for RealDisk {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Self::open_with(path, OFlags::empty())
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Self::open_with(path, OFlags::CREATE)
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(directory)? {
            // A name that is not text is none of ours.
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = retry_on_intr(|| rustix::fs::open(path, flags, Mode::empty()))?;
        Ok(retry_on_intr(|| rustix::fs::fsync(&fd))?)
    }

    fn space(&self, directory: &Path) -> io::Result<Option<Space>> {
        let status = retry_on_intr(|| rustix::fs::statvfs(directory))?;
        let space = Space {
            free: status.f_bavail.saturating_mul(status.f_frsize),
            total: status.f_blocks.saturating_mul(status.f_frsize),
        };
        // A tmpfs without a limit says that it has no blocks.
        Ok((space.total > 0).then_some(space))
    }
}

impl RealFile {
    /// Writes zeros where something else stands; used where the file system cannot zero a range.
    fn overwrite_with_zeros(&self, from: u64, length: u64) -> io::Result<()> {
        let zeros = vec![0_u8; CHUNK];
        let mut found = vec![0_u8; CHUNK];
        let mut at = from;
        while at < from + length {
            let part = CHUNK.min((from + length - at) as usize);
            let read = self.read_at(&mut found[..part], at)?;
            if read < part || found[..part] != zeros[..part] {
                self.write_at(&zeros[..part], at)?;
            }
            at += part as u64;
        }
        Ok(())
    }
}

impl RealFile {
    fn advise(&self, from: u64, length: u64, advice: Advice) {
        if let Some(length) = NonZeroU64::new(length) {
            // A file system that takes no advice does without.
            let _ = rustix::fs::fadvise(&self.fd, from, Some(length), advice);
        }
    }

    fn reserve(&self, have: u64, length: u64) -> io::Result<()> {
        let done =
            retry_on_intr(|| rustix::fs::fallocate(&self.fd, FallocateFlags::empty(), 0, length));
        match done {
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => {
                self.overwrite_with_zeros(have, length.saturating_sub(have))
            }
            other => Ok(other?),
        }
    }
}

impl DiskFile for RealFile {
    fn write_at(&self, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
        while !bytes.is_empty() {
            let written = retry_on_intr(|| rustix::io::pwrite(&self.fd, bytes, offset))?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            bytes = &bytes[written..];
            offset += written as u64;
        }
        Ok(())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            let at = offset + filled as u64;
            let read = retry_on_intr(|| rustix::io::pread(&self.fd, &mut buffer[filled..], at))?;
            if read == 0 {
                break;
            }
            filled += read;
        }
        Ok(filled)
    }

    fn will_read(&self, from: u64, length: u64) {
        self.advise(from, length, Advice::WillNeed);
    }

    fn forget(&self, from: u64, length: u64) {
        self.advise(from, length, Advice::DontNeed);
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(retry_on_intr(|| rustix::fs::fdatasync(&self.fd))?)
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        // One at a time: two threads may prepare the same segment, and what one takes back must not be what the other got
        // and has written into since.
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let _turn = ONE_AT_A_TIME.lock();
        let have = self.len()?;
        self.reserve(have, length).inspect_err(|_| {
            // ext4 keeps what it could take of a reservation that failed: 5.3 MB that were free became none, and what
            // else writes to this disk found no block. The error that counts is the first one.
            let _ = rustix::fs::ftruncate(&self.fd, have);
        })
    }

    fn allocated(&self) -> io::Result<u64> {
        // The unit of this field is 512 bytes everywhere, whatever the block size.
        Ok((rustix::fs::fstat(&self.fd)?.st_blocks as u64).saturating_mul(512))
    }

    fn zero_range(&self, from: u64, length: u64) -> io::Result<()> {
        if length == 0 {
            return Ok(());
        }
        let done = retry_on_intr(|| {
            rustix::fs::fallocate(&self.fd, FallocateFlags::ZERO_RANGE, from, length)
        });
        match done {
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {
                self.overwrite_with_zeros(from, length)
            }
            other => Ok(other?),
        }
    }

    fn len(&self) -> io::Result<u64> {
        Ok(rustix::fs::fstat(&self.fd)?.st_size as u64)
    }

    fn next_data(&self, from: u64) -> io::Result<Option<u64>> {
        if from >= self.len()? {
            return Ok(None);
        }
        match rustix::fs::seek(&self.fd, SeekFrom::Data(from)) {
            Ok(offset) => Ok(Some(offset)),
            Err(Errno::NXIO) => Ok(None),
            Err(Errno::INVAL | Errno::OPNOTSUPP) => Ok(Some(from)),
            Err(other) => Err(other.into()),
        }
    }

    fn is_linked(&self) -> io::Result<bool> {
        Ok(rustix::fs::fstat(&self.fd)?.st_nlink > 0)
    }
}
