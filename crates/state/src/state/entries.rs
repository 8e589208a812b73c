//! The hash of one entry of each table. An entry is hashed in the form that it has in its op.

use super::DataVersion;
use crate::codec::FieldWriter;
use crate::founding::GroupFounding;
use crate::group::GroupConfig;
use crate::hash::{EntryHash, EntryKind};
use crate::topic::Topic;

fn encoded(entry: EntryHash, write: impl FnOnce(&mut FieldWriter<'_>)) -> u64 {
    let mut bytes = Vec::new();
    write(&mut FieldWriter::new(&mut bytes));
    entry.bytes(&bytes).finish()
}

pub(super) fn founding_hash(founding: &GroupFounding) -> u64 {
    encoded(EntryHash::new(EntryKind::Founding), |out| {
        founding.write(out)
    })
}

pub(super) fn topic_hash(topic: &Topic) -> u64 {
    encoded(
        EntryHash::new(EntryKind::Topic).word(u64::from(topic.id)),
        |out| topic.config.write(out),
    )
}

pub(super) fn group_hash(group: &GroupConfig) -> u64 {
    encoded(EntryHash::new(EntryKind::Group), |out| group.write(out))
}

/// A queue without records has no entry, however long its row is.
#[inline]
pub(super) fn next_hash(topic_id: u32, queue: usize, next: u64) -> u64 {
    if next == 0 {
        return 0;
    }
    EntryHash::new(EntryKind::NextOffset)
        .word(u64::from(topic_id) << 32 | queue as u64)
        .word(next)
        .finish()
}

/// Ids of deleted topics are not given again, so their number is part of the table.
pub(super) fn deleted_hash(deleted: usize) -> u64 {
    if deleted == 0 {
        return 0;
    }
    EntryHash::new(EntryKind::DeletedTopics)
        .word(deleted as u64)
        .finish()
}

/// A level of which nothing was put again has no entry.
pub(super) fn delay_hash(level: u16, progress: u64) -> u64 {
    if progress == 0 {
        return 0;
    }
    EntryHash::new(EntryKind::DelayProgress)
        .word(u64::from(level))
        .word(progress)
        .finish()
}

/// A table that was never changed has no version entry.
pub(super) fn version_hash(version: DataVersion, entry: EntryKind) -> u64 {
    if version.counter == 0 {
        return 0;
    }
    EntryHash::new(entry)
        .word(version.counter)
        .word(version.changed_at_ms)
        .finish()
}
