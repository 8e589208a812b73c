//! Records as queues name them.
//!
//! A record's own checksum covers its body only; properties, times and hosts are covered by the checksum of its frame. So a
//! record that comes from a file is held against the queue's entry, and its frame is checked, once for all of its records.
//! Of a damaged frame none is given: what is wrong with it may be in any of them. What comes from memory is as it was
//! written: a pull of new messages pays nothing.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use tern_wire::record::{Outline, Record, outline};

use crate::consume_queue::QueueEntry;
use crate::error::LogError;
use crate::reader::{LogReader, Source};

/// A message of a queue: its offset there, and where its record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueuedRecord {
    /// Offset in the queue.
    pub queue_offset: u64,
    /// The entry of the queue.
    pub entry: QueueEntry,
}

/// Why not all of some records could be read.
#[derive(Debug)]
pub struct Unread {
    /// So many of them, from the first on, can be.
    pub intact: usize,
    /// Where the next one was looked for.
    pub position: u64,
    /// Why it was not found there.
    pub error: LogError,
}

impl LogReader {
    /// The record that an entry names.
    ///
    /// # Errors
    /// [`LogError::Rotted`] if its frame is damaged, [`LogError::WrongEntry`] if the entry is; [`LogError::NotStored`],
    /// [`LogError::Io`].
    pub fn record(&self, entry: &QueueEntry) -> Result<Bytes, LogError> {
        let (bytes, source) = self.bytes(entry.physical_offset, entry.size as usize)?;
        if source == Source::File {
            self.sound_around(entry.physical_offset)?;
            if !is_named(&bytes, entry) {
                return Err(self.damage_at(entry.physical_offset));
            }
        }
        Ok(bytes)
    }

    /// The same for who writes the message again: a frame that was found whole before is read again, as what rotted since
    /// would be kept for ever.
    ///
    /// `sound` holds the positions of the frame that was checked last, so that the records of one frame cost one check.
    ///
    /// # Errors
    /// As of [`record`](Self::record).
    pub fn sound_record(
        &self,
        entry: &QueueEntry,
        sound: &mut Range<u64>,
    ) -> Result<Bytes, LogError> {
        let (bytes, source) = self.bytes(entry.physical_offset, entry.size as usize)?;
        if source == Source::File {
            if !sound.contains(&entry.physical_offset) {
                *sound = self.check_around(entry.physical_offset)?;
            }
            if !is_named(&bytes, entry) {
                return Err(self.damage_at(entry.physical_offset));
            }
        }
        Ok(bytes)
    }

    /// Appends records to a buffer. Those that lie next to each other in the log are copied together.
    ///
    /// # Errors
    /// [`Unread`] with an error as of [`record`](Self::record); then the buffer is as before.
    pub fn copy_records(&self, records: &[QueuedRecord], out: &mut BytesMut) -> Result<(), Unread> {
        let start = out.len();
        let mut copied = 0;
        let adjacent = |one: &QueuedRecord, next: &QueuedRecord| {
            one.entry.physical_offset + u64::from(one.entry.size) == next.entry.physical_offset
        };
        let mut sound = 0..0;
        for run in records.chunk_by(adjacent) {
            if let Err(unread) = self.copy_run(run, &mut sound, out) {
                out.truncate(start);
                return Err(Unread {
                    intact: copied + unread.intact,
                    ..unread
                });
            }
            copied += run.len();
        }
        Ok(())
    }

    /// `sound` holds the positions of the frame that was found whole last.
    fn copy_run(
        &self,
        run: &[QueuedRecord],
        sound: &mut Range<u64>,
        out: &mut BytesMut,
    ) -> Result<(), Unread> {
        let position = run[0].entry.physical_offset;
        let length = run.iter().map(|record| record.entry.size as usize).sum();
        let mut at = out.len();
        match self.copy_bytes(position, length, out) {
            Ok(Source::Memory) => return Ok(()),
            Ok(Source::File) => {}
            // One sector that cannot be read does not hide what stands before it.
            Err(_) if run.len() > 1 => return self.copy_each(run, sound, out),
            Err(error) => {
                return Err(Unread {
                    intact: 0,
                    position,
                    error,
                });
            }
        }
        for (intact, record) in run.iter().enumerate() {
            let position = record.entry.physical_offset;
            let unread = |error| Unread {
                intact,
                position,
                error,
            };
            if !sound.contains(&position) {
                *sound = self.sound_around(position).map_err(unread)?;
            }
            let bytes = &out[at..at + record.entry.size as usize];
            let named = Outline {
                queue_offset: record.queue_offset,
                physical_offset: position,
            };
            if outline(bytes) != Some(named) {
                return Err(unread(self.damage_at(position)));
            }
            at += record.entry.size as usize;
        }
        Ok(())
    }

    fn copy_each(
        &self,
        run: &[QueuedRecord],
        sound: &mut Range<u64>,
        out: &mut BytesMut,
    ) -> Result<(), Unread> {
        for (intact, record) in run.iter().enumerate() {
            self.copy_run(std::slice::from_ref(record), sound, out)
                .map_err(|unread| Unread { intact, ..unread })?;
        }
        Ok(())
    }

    /// What it is that does not fit at a position that a queue names. A frame that was found whole before is read again:
    /// it may have rotted since.
    fn damage_at(&self, position: u64) -> LogError {
        match self.check_around(position) {
            Ok(_) => LogError::WrongEntry { position },
            Err(error) => error,
        }
    }
}

/// Whether bytes are the record that an entry names, with the body that its checksum covers.
fn is_named(bytes: &[u8], entry: &QueueEntry) -> bool {
    Record::parse(bytes).is_ok_and(|record| {
        record.size() == entry.size as usize
            && record.physical_offset() == entry.physical_offset
            && record.check_crc().is_ok()
    })
}
