//! The first op of a group: what it is called, who belongs to it, what is fixed for good.

use std::sync::Arc;

use crate::codec::{FieldError, FieldReader, FieldWriter};
use crate::error::ApplyError;
use crate::topic::MAX_QUEUES;

/// The newest feature level that this code understands. A group founded with a higher one is not
/// followed.
pub const FEATURE_LEVEL: u32 = 1;

/// Both names are topics' names, and parts of longer ones.
const MAX_NAME_BYTES: u32 = 127;

/// When a write counts as persisted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlushDiskType {
    /// After `fdatasync`.
    Sync,
    /// After `pwrite`.
    Async,
}

/// A member at the founding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundingMember {
    /// Member id, `n0`.
    pub name: Arc<str>,
    /// `replica_no << 32 | incarnation`, with incarnation 1.
    pub replica_id: u64,
}

/// The content of frame 1. From it the system topics and the built-in groups follow.
///
/// Body in an op: the fields in this order; flush as `u8`, 0 sync, 1 async; members as a list of
/// (name string, replica id `u64`); directories as 16 bytes each to the end of the body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupFounding {
    /// Name of the cluster.
    pub cluster: Arc<str>,
    /// Name of the group, which is the broker name that clients see.
    pub group: Arc<str>,
    /// Members, ordered by replica number.
    pub members: Vec<FoundingMember>,
    /// Size of a log segment in bytes, for good.
    pub segment_size: u64,
    /// When a write counts as persisted.
    pub flush: FlushDiskType,
    /// Which behaviour the group may use.
    pub feature_level: u32,
    /// A send to an unknown topic may create it.
    pub auto_create_topic: bool,
    /// Queues of `TBW102`, 1 to [`MAX_QUEUES`].
    pub default_topic_queue_nums: u32,
    /// When the founder built the op, ms since 1970. The first topic version carries it.
    pub founded_at_ms: u64,
    /// Ids of the members' data directories, in the order of the members: a member whose directory
    /// has another id was emptied since, and frame 1 is not for it. Nothing in groups that were
    /// founded before this was kept.
    pub directories: Vec<[u8; 16]>,
}

impl GroupFounding {
    pub(crate) fn check(&self) -> Result<(), ApplyError> {
        if self.feature_level > FEATURE_LEVEL {
            return Err(ApplyError::FeatureLevel {
                level: self.feature_level,
                known: FEATURE_LEVEL,
            });
        }
        for name in [&self.cluster, &self.group] {
            ApplyError::unless_within(1..=MAX_NAME_BYTES, "name length", name, name.len() as u64)?;
        }
        let queues = u64::from(self.default_topic_queue_nums);
        ApplyError::unless_within(1..=MAX_QUEUES, "default topic queues", &self.group, queues)
    }

    pub(crate) fn write(&self, out: &mut FieldWriter<'_>) {
        out.string(&self.cluster);
        out.string(&self.group);
        out.list(&self.members, |out, member| {
            out.string(&member.name);
            out.u64(member.replica_id);
        });
        out.u64(self.segment_size);
        out.u8(match self.flush {
            FlushDiskType::Sync => 0,
            FlushDiskType::Async => 1,
        });
        out.u32(self.feature_level);
        out.flag(self.auto_create_topic);
        out.u32(self.default_topic_queue_nums);
        out.u64(self.founded_at_ms);
        for directory in &self.directories {
            out.bytes(directory);
        }
    }

    pub(crate) fn read(from: &mut FieldReader<'_>) -> Result<Self, FieldError> {
        Ok(Self {
            cluster: from.string()?.into(),
            group: from.string()?.into(),
            members: from.list(12, |from| {
                Ok(FoundingMember {
                    name: from.string()?.into(),
                    replica_id: from.u64()?,
                })
            })?,
            segment_size: from.u64()?,
            flush: match from.u8()? {
                0 => FlushDiskType::Sync,
                1 => FlushDiskType::Async,
                value => {
                    return Err(FieldError::BadValue {
                        field: "flush",
                        value: u64::from(value),
                    });
                }
            },
            feature_level: from.u32()?,
            auto_create_topic: from.flag("auto create topic")?,
            default_topic_queue_nums: from.u32()?,
            founded_at_ms: from.u64()?,
            directories: read_directories(from)?,
        })
    }
}

fn read_directories(from: &mut FieldReader<'_>) -> Result<Vec<[u8; 16]>, FieldError> {
    let mut directories = Vec::new();
    while from.left() > 0 {
        let id = from.bytes(16)?;
        directories.push(id.try_into().expect("sixteen bytes"));
    }
    Ok(directories)
}
