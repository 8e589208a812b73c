//! The files of a replica: their names, big-endian fields in them, small ones that are replaced as a whole.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::{Disk, DiskFile};
use crate::error::LogError;

/// The big-endian number at an offset; the caller has checked the length.
pub fn be32(bytes: &[u8], offset: usize) -> u32 {
    let field = bytes[offset..offset + 4].try_into().expect("four bytes");
    u32::from_be_bytes(field)
}

/// The big-endian number at an offset; the caller has checked the length.
pub fn be64(bytes: &[u8], offset: usize) -> u64 {
    let field = bytes[offset..offset + 8].try_into().expect("eight bytes");
    u64::from_be_bytes(field)
}

/// Where the segments of a replica lie.
pub fn log_directory(directory: &Path) -> PathBuf {
    directory.join("log")
}

/// The file of a segment.
pub fn segment_path(directory: &Path, base: u64) -> PathBuf {
    log_directory(directory).join(format!("{base:020}"))
}

/// The base position in a segment's name; none for other files.
pub fn segment_base(name: &str) -> Option<u64> {
    if name.len() == 20 && name.bytes().all(|byte| byte.is_ascii_digit()) {
        name.parse().ok()
    } else {
        None
    }
}

/// Opens a file; none if there is none.
pub fn open_if_there(disk: &dyn Disk, path: &Path) -> Result<Option<Arc<dyn DiskFile>>, LogError> {
    match disk.open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(LogError::io("open", path, error)),
    }
}

/// The whole content of a small file, at most `limit` bytes; none if there is no file.
pub fn read_small(disk: &dyn Disk, path: &Path, limit: usize) -> Result<Option<Vec<u8>>, LogError> {
    let Some(file) = open_if_there(disk, path)? else {
        return Ok(None);
    };
    let mut bytes = vec![0; limit];
    let read = file
        .read_at(&mut bytes, 0)
        .map_err(|error| LogError::io("read", path, error))?;
    bytes.truncate(read);
    Ok(Some(bytes))
}

/// Writes a small file so that either the old or the new content is found after a crash: a new file, synced,
/// renamed, directory synced.
pub fn replace_small(
    disk: &dyn Disk,
    directory: &Path,
    name: &str,
    content: &[u8],
) -> Result<(), LogError> {
    let path = directory.join(name);
    let fresh = directory.join(format!("{name}.new"));
    // A leftover of a crash may be longer than the new content.
    remove_if_there(disk, &fresh)?;
    let file = disk
        .create(&fresh)
        .map_err(|error| LogError::allocation(&fresh, error))?;
    file.write_at(content, 0)
        .map_err(|error| LogError::allocation(&fresh, error))?;
    file.sync_data()
        .map_err(|error| LogError::sync(&fresh, error))?;
    disk.rename(&fresh, &path)
        .map_err(|error| LogError::write(&path, error))?;
    sync_directory(disk, directory)
}

/// Unlinks a file if it is there; answers whether it was. The directory is not synced.
pub fn remove_if_there(disk: &dyn Disk, path: &Path) -> Result<bool, LogError> {
    match disk.unlink(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(LogError::write(path, error)),
    }
}

/// Makes the names in a directory durable.
pub fn sync_directory(disk: &dyn Disk, directory: &Path) -> Result<(), LogError> {
    disk.sync_dir(directory)
        .map_err(|error| LogError::sync(directory, error))
}

/// Makes a directory and those above it.
pub fn make_directory(disk: &dyn Disk, directory: &Path) -> Result<(), LogError> {
    disk.create_dir(directory)
        .map_err(|error| LogError::allocation(directory, error))
}

/// Makes the names that lead to a file or directory durable. One that was found may have been made by a process that
/// died before it could do this.
pub fn sync_names_above(disk: &dyn Disk, path: &Path) -> Result<(), LogError> {
    let above = path.ancestors().skip(1);
    for directory in above.take_while(|above| !above.as_os_str().is_empty()) {
        match disk.sync_dir(directory) {
            // Not ours, so not made by us.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(()),
            other => other.map_err(|error| LogError::sync(directory, error))?,
        }
    }
    Ok(())
}

/// Empties a directory of derived files; that there is none is as good.
pub fn clear_view(disk: &dyn Disk, directory: &Path) -> Result<(), LogError> {
    match empty_directory(disk, directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.map_err(|error| LogError::view("empty", directory, error)),
    }
}

/// Deletes a directory of derived files; that there is none is as good.
pub fn remove_view(disk: &dyn Disk, directory: &Path) -> Result<(), LogError> {
    match empty_directory(disk, directory).and_then(|()| disk.remove_dir(directory)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.map_err(|error| LogError::view("delete", directory, error)),
    }
}

/// Deletes what is in a directory.
pub fn empty_directory(disk: &dyn Disk, directory: &Path) -> io::Result<()> {
    for name in disk.list(directory)? {
        let path = directory.join(name);
        match disk.unlink(&path) {
            Err(error) if error.kind() == io::ErrorKind::IsADirectory => {
                empty_directory(disk, &path)?;
                disk.remove_dir(&path)?;
            }
            other => other?,
        }
    }
    Ok(())
}
