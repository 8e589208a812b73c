//! The files of consume queues, a bounded number of them open.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use std::io;

use parking_lot::Mutex;

use super::entry::{ENTRY_SIZE, QueueIds};
use super::limits::QueueLimits;
use crate::disk::{Disk, DiskFile};
use crate::error::LogError;
use crate::files::{clear_view, remove_view};

/// Files of all queues below one directory.
pub struct QueueFiles {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
    limits: QueueLimits,
    open: Mutex<OpenFiles>,
}

/// Queue and number of the file within it.
type FileKey = (QueueIds, u64);

#[derive(Default)]
struct OpenFiles {
    /// Each with the turn in which it was used last.
    files: HashMap<FileKey, (Arc<dyn DiskFile>, u64)>,
    turn: u64,
}

impl OpenFiles {
    fn get(&mut self, key: FileKey) -> Option<Arc<dyn DiskFile>> {
        self.turn += 1;
        let (file, used) = self.files.get_mut(&key)?;
        *used = self.turn;
        Some(Arc::clone(file))
    }

    fn insert(&mut self, key: FileKey, file: Arc<dyn DiskFile>, most: usize) {
        self.turn += 1;
        self.files.insert(key, (file, self.turn));
        while self.files.len() > most.max(1) {
            let oldest = self.files.iter().min_by_key(|(_, (_, used))| *used);
            let Some(oldest) = oldest.map(|(key, _)| *key) else {
                return;
            };
            self.files.remove(&oldest);
        }
    }
}

impl QueueFiles {
    /// Directories are made with the first file below them: a full disk has no room for an empty one either.
    pub fn new(disk: Arc<dyn Disk>, directory: PathBuf, limits: QueueLimits) -> Self {
        Self {
            disk,
            directory,
            limits,
            open: Mutex::default(),
        }
    }

    /// Deletes what is there.
    pub fn clear(&self) -> Result<(), LogError> {
        clear_view(&*self.disk, &self.directory)
    }

    /// Writes encoded entries, of which the first has this offset.
    pub fn write(&self, key: QueueIds, from: u64, entries: &[u8]) -> Result<(), LogError> {
        let mut from = from;
        let mut rest = entries;
        while !rest.is_empty() {
            let (number, at, room) = self.locate(from);
            let (part, behind) = rest.split_at(rest.len().min(room as usize * ENTRY_SIZE));
            let file = self.file((key, number), true)?;
            file.write_at(part, at)
                .map_err(|error| LogError::view("write", &self.path((key, number)), error))?;
            from += (part.len() / ENTRY_SIZE) as u64;
            rest = behind;
        }
        Ok(())
    }

    /// Reads entries, all of which are in files.
    pub fn read(&self, key: QueueIds, from: u64, count: u64) -> Result<Vec<u8>, LogError> {
        let mut bytes = vec![0; count as usize * ENTRY_SIZE];
        let mut from = from;
        let mut rest = &mut bytes[..];
        while !rest.is_empty() {
            let (number, at, room) = self.locate(from);
            let (part, behind) = rest.split_at_mut(rest.len().min(room as usize * ENTRY_SIZE));
            self.read_part((key, number), part, at)?;
            from += (part.len() / ENTRY_SIZE) as u64;
            rest = behind;
        }
        Ok(bytes)
    }

    /// The error that says that the file with an entry is damaged.
    pub fn damaged(&self, key: QueueIds, from: u64) -> LogError {
        let (number, ..) = self.locate(from);
        let path = self.path((key, number));
        LogError::DamagedView { path }
    }

    /// Deletes the files of a topic's queues.
    pub fn drop_topic(&self, topic_id: u32) -> Result<(), LogError> {
        self.open
            .lock()
            .files
            .retain(|(queue, _), _| queue.0 != topic_id);
        let directory = self.directory.join(topic_id.to_string());
        remove_view(&*self.disk, &directory)
    }

    fn read_part(&self, key: FileKey, part: &mut [u8], at: u64) -> Result<(), LogError> {
        let read = self.file(key, false)?.read_at(part, at);
        let read = read.map_err(|error| LogError::view("read", &self.path(key), error))?;
        if read < part.len() {
            let error = io::ErrorKind::UnexpectedEof.into();
            return Err(LogError::view("read", &self.path(key), error));
        }
        Ok(())
    }

    /// Number of the file, offset of the entry within it, and entries from there to its end.
    const fn locate(&self, offset: u64) -> (u64, u64, u64) {
        let within = offset % self.limits.entries_per_file;
        let number = offset / self.limits.entries_per_file;
        (
            number,
            within * ENTRY_SIZE as u64,
            self.limits.entries_per_file - within,
        )
    }

    fn path(&self, ((topic_id, queue_id), number): FileKey) -> PathBuf {
        let first = number * self.limits.entries_per_file;
        self.directory
            .join(topic_id.to_string())
            .join(queue_id.to_string())
            .join(format!("{first:020}"))
    }

    fn file(&self, key: FileKey, make: bool) -> Result<Arc<dyn DiskFile>, LogError> {
        if let Some(file) = self.open.lock().get(key) {
            return Ok(file);
        }
        let path = self.path(key);
        let file = match self.disk.open(&path) {
            Err(error) if make && error.kind() == io::ErrorKind::NotFound => self.create(&path)?,
            other => other.map_err(|error| LogError::view("open", &path, error))?,
        };
        self.open
            .lock()
            .insert(key, Arc::clone(&file), self.limits.open_files);
        Ok(file)
    }

    fn create(&self, path: &Path) -> Result<Arc<dyn DiskFile>, LogError> {
        let refused = |error| LogError::view("make", path, error);
        if let Some(directory) = path.parent() {
            self.disk.create_dir(directory).map_err(refused)?;
        }
        self.disk.create(path).map_err(refused)
    }
}
