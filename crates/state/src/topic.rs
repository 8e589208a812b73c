//! A topic's configuration and its place in the group.

use std::sync::Arc;

use crate::codec::{FieldError, FieldReader, FieldWriter};
use crate::error::ApplyError;

/// Most queues that a topic may have. `RocketMQ` has no such bound; without one, a single admin
/// request could make every replica count billions of queues.
pub const MAX_QUEUES: u32 = 65_536;

/// Permission bits of a topic.
pub mod perm {
    /// New topics may be created after this one's model.
    pub const INHERIT: u32 = 1;
    /// May be sent to.
    pub const WRITE: u32 = 2;
    /// May be read from.
    pub const READ: u32 = 4;
    /// Has message priorities.
    pub const PRIORITY: u32 = 8;
    /// All bits that have a meaning.
    pub const ALL: u32 = INHERIT | WRITE | READ | PRIORITY;
}

/// System flag bits of a topic.
pub mod sys_flag {
    /// Created by a send in unit mode.
    pub const UNIT: u32 = 1;
    /// Retry topic of a group in unit mode.
    pub const UNIT_SUB: u32 = 2;
}

/// What an operator or an auto-creation decides about a topic.
///
/// Body in an op: name string, read queues `u32`, write queues `u32`, perm `u32`, system flag
/// `u32`, order flag, multi tag flag, attributes as a list of (key string, value string).
///
/// Source: `RocketMQ` 5.x, `TopicConfig`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicConfig {
    /// Name, unique in the group.
    pub name: Arc<str>,
    /// Queues that consumers read, at most [`MAX_QUEUES`].
    pub read_queues: u32,
    /// Queues that producers write, at most [`MAX_QUEUES`].
    pub write_queues: u32,
    /// Bits of [`perm`].
    pub perm: u32,
    /// Bits of [`sys_flag`].
    pub sys_flag: u32,
    /// Ordered topic: it is not silently sent to fewer queues.
    pub order: bool,
    /// Filter type `MULTI_TAG` instead of `SINGLE_TAG`.
    pub multi_tag: bool,
    /// Attributes without the sign of the admin request, in the order in which they were set.
    pub attributes: Vec<(String, String)>,
}

impl TopicConfig {
    /// A topic with as many read as write queues and every other field at its default.
    pub fn new(name: &str, queues: u32, perm: u32) -> Self {
        Self {
            name: name.into(),
            read_queues: queues,
            write_queues: queues,
            perm,
            sys_flag: 0,
            order: false,
            multi_tag: false,
            attributes: Vec::new(),
        }
    }

    /// Queues that a send or a pull may name: a send to a queue in between is accepted, as
    /// `RocketMQ` does.
    pub fn queues(&self) -> u32 {
        self.read_queues.max(self.write_queues)
    }

    pub(crate) fn check(&self) -> Result<(), ApplyError> {
        let within = |bounds, field, value: u32| {
            ApplyError::unless_within(bounds, field, &self.name, u64::from(value))
        };
        check_name(&self.name)?;
        within(0..=MAX_QUEUES, "read queues", self.read_queues)?;
        within(0..=MAX_QUEUES, "write queues", self.write_queues)?;
        within(0..=perm::ALL, "permission", self.perm)
    }

    pub(crate) fn write(&self, out: &mut FieldWriter<'_>) {
        out.string(&self.name);
        out.u32(self.read_queues);
        out.u32(self.write_queues);
        out.u32(self.perm);
        out.u32(self.sys_flag);
        out.flag(self.order);
        out.flag(self.multi_tag);
        write_attributes(out, &self.attributes);
    }

    pub(crate) fn read(from: &mut FieldReader<'_>) -> Result<Self, FieldError> {
        Ok(Self {
            name: from.string()?.into(),
            read_queues: from.u32()?,
            write_queues: from.u32()?,
            perm: from.u32()?,
            sys_flag: from.u32()?,
            order: from.flag("order")?,
            multi_tag: from.flag("multi tag")?,
            attributes: read_attributes(from)?,
        })
    }
}

/// A topic of the state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// Number in the group: from 1 in apply order, kept through changes, never used again.
    /// Directories of the views are named by it.
    pub id: u32,
    /// Its configuration.
    pub config: TopicConfig,
}

/// Most bytes that a topic's or a group's name may have: a record's topic field holds that many in
/// every version.
pub(crate) const MAX_NAME_BYTES: u32 = 255;

/// Only the length, as a bound of memory: which characters clients may use is the request handlers'
/// matter, and names that brokers make for themselves use more of them.
pub(crate) fn check_name(name: &Arc<str>) -> Result<(), ApplyError> {
    ApplyError::unless_within(1..=MAX_NAME_BYTES, "name length", name, name.len() as u64)
}

pub(crate) fn write_attributes(out: &mut FieldWriter<'_>, attributes: &[(String, String)]) {
    out.list(attributes, |out, (key, value)| {
        out.string(key);
        out.string(value);
    });
}

pub(crate) fn read_attributes(
    from: &mut FieldReader<'_>,
) -> Result<Vec<(String, String)>, FieldError> {
    from.list(8, |from| {
        Ok((from.string()?.to_owned(), from.string()?.to_owned()))
    })
}
