//! Ops and the metadata block that carries them.
//!
//! A metadata block is a run of ops, each:
//!
//! | size | field |
//! |--:|---|
//! | 2 | type |
//! | 2 | version |
//! | 4 | length of the body |
//! | length | body, see the type of each op |
//!
//! All integers are big-endian. The frame's payload CRC covers the block.

use std::sync::Arc;

use crate::codec::{FieldError, FieldReader, FieldWriter};
use crate::error::OpError;
use crate::founding::GroupFounding;
use crate::group::GroupConfig;
use crate::offsets::OffsetCommit;
use crate::system::system_topics;
use crate::tables::LeaseTime;
use crate::topic::TopicConfig;

/// One change of the state. Times in it were stamped by the leader that proposed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// Type 1: found the group; the first op of every log.
    FoundGroup(GroupFounding),
    /// Type 2: create a topic or change its configuration. Body: changed at `u64`, configuration.
    PutTopic {
        /// When, ms since 1970.
        changed_at_ms: u64,
        /// The whole new configuration.
        config: TopicConfig,
    },
    /// Type 3: create a subscription group or change its configuration. Body: changed at `u64`,
    /// configuration.
    PutGroup {
        /// When, ms since 1970.
        changed_at_ms: u64,
        /// The whole new configuration.
        config: GroupConfig,
    },
    /// Type 4: a delta of consumer offsets. Body: a list of [`OffsetCommit`]s.
    CommitOffsets(Vec<OffsetCommit>),
    /// Type 5: messages of a delay level were put into their topics, by the same frame. Body: level
    /// `u16`, from `u64`, to `u64`.
    DelayProgress {
        /// Delay level, from 1.
        level: u16,
        /// Queue offset in the level's queue where the level stood. It must: a frame that repeats
        /// what another one did would put messages twice.
        from: u64,
        /// Queue offset of the level's next message to come due.
        to: u64,
    },
    /// Type 6, version 2: lock queues for a client, or renew its locks. A queue that another client
    /// holds stays with it; a topic or group that does not exist is passed over, and so is the whole op
    /// if its frame has another term than its time. Body: group string, client string, term `u64`,
    /// since `u64`, now `u64`, time to live `u64`, a list of queues: topic string, id `u32`.
    LockQueues {
        /// Subscription group.
        group: Arc<str>,
        /// Client id.
        client: Arc<str>,
        /// Time of the leader.
        at: LeaseTime,
        /// How long the locks live, ms.
        ttl_ms: u64,
        /// Topics and queue ids.
        queues: Vec<(Arc<str>, u32)>,
    },
    /// Type 7: give up the locks that a client holds; those of other clients stay. Body: group
    /// string, client string, a list of queues as in type 6.
    UnlockQueues {
        /// Subscription group.
        group: Arc<str>,
        /// Client id.
        client: Arc<str>,
        /// Topics and queue ids.
        queues: Vec<(Arc<str>, u32)>,
    },
    /// Type 8: delete a topic with its queue counters, offsets and locks; nothing happens if there
    /// is none. Body: changed at `u64`, name string.
    DeleteTopic {
        /// When, ms since 1970.
        changed_at_ms: u64,
        /// The topic.
        name: Arc<str>,
    },
    /// Type 9: delete a subscription group and its locks; nothing happens if there is none. Body:
    /// changed at `u64`, name string, clean offsets flag.
    DeleteGroup {
        /// When, ms since 1970.
        changed_at_ms: u64,
        /// The group.
        name: Arc<str>,
        /// Its committed offsets go, too.
        clean_offsets: bool,
    },
}

const FOUND: u16 = 1;
const PUT_TOPIC: u16 = 2;
const PUT_GROUP: u16 = 3;
const COMMIT_OFFSETS: u16 = 4;
const DELAY_PROGRESS: u16 = 5;
const LOCK_QUEUES: u16 = 6;
const UNLOCK_QUEUES: u16 = 7;
const DELETE_TOPIC: u16 = 8;
const DELETE_GROUP: u16 = 9;

/// The version of an op that this code writes, and the only one that it reads. In version 1 of type 6
/// leases were measured by wall clocks.
const fn version_of(kind: u16) -> u16 {
    match kind {
        LOCK_QUEUES => 2,
        _ => 1,
    }
}

impl Op {
    /// Appends the op to a metadata block.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut out = FieldWriter::new(out);
        out.u16(self.kind());
        out.u16(version_of(self.kind()));
        out.sized(|out| match self {
            Self::FoundGroup(founding) => founding.write(out),
            Self::PutTopic {
                changed_at_ms,
                config,
            } => {
                out.u64(*changed_at_ms);
                config.write(out);
            }
            Self::PutGroup {
                changed_at_ms,
                config,
            } => {
                out.u64(*changed_at_ms);
                config.write(out);
            }
            Self::CommitOffsets(commits) => out.list(commits, |out, commit| commit.write(out)),
            Self::DelayProgress { level, from, to } => {
                out.u16(*level);
                out.u64(*from);
                out.u64(*to);
            }
            Self::LockQueues {
                group,
                client,
                at,
                ttl_ms,
                queues,
            } => {
                out.string(group);
                out.string(client);
                out.u64(at.term);
                out.u64(at.since_ms);
                out.u64(at.now_ms);
                out.u64(*ttl_ms);
                write_queues(out, queues);
            }
            Self::UnlockQueues {
                group,
                client,
                queues,
            } => {
                out.string(group);
                out.string(client);
                write_queues(out, queues);
            }
            Self::DeleteTopic {
                changed_at_ms,
                name,
            } => {
                out.u64(*changed_at_ms);
                out.string(name);
            }
            Self::DeleteGroup {
                changed_at_ms,
                name,
                clean_offsets,
            } => {
                out.u64(*changed_at_ms);
                out.string(name);
                out.flag(*clean_offsets);
            }
        });
    }

    /// Reads a whole metadata block.
    ///
    /// # Errors
    /// The bytes are not a block of ops that this version knows. Lengths are checked before
    /// anything is allocated.
    pub fn decode_all(block: &[u8]) -> Result<Vec<Self>, OpError> {
        let mut from = FieldReader::new(block);
        let mut ops = Vec::new();
        while from.left() > 0 {
            let (kind, version, length) = (from.u16()?, from.u16()?, from.u32()?);
            let mut body = FieldReader::new(from.bytes(length as usize)?);
            ops.push(Self::read(kind, version, &mut body)?);
            if body.left() > 0 {
                return Err(OpError::Trailing {
                    kind,
                    left: body.left(),
                });
            }
        }
        Ok(ops)
    }

    fn kind(&self) -> u16 {
        match self {
            Self::FoundGroup(_) => FOUND,
            Self::PutTopic { .. } => PUT_TOPIC,
            Self::PutGroup { .. } => PUT_GROUP,
            Self::CommitOffsets(_) => COMMIT_OFFSETS,
            Self::DelayProgress { .. } => DELAY_PROGRESS,
            Self::LockQueues { .. } => LOCK_QUEUES,
            Self::UnlockQueues { .. } => UNLOCK_QUEUES,
            Self::DeleteTopic { .. } => DELETE_TOPIC,
            Self::DeleteGroup { .. } => DELETE_GROUP,
        }
    }

    fn read(kind: u16, version: u16, body: &mut FieldReader<'_>) -> Result<Self, OpError> {
        if !(FOUND..=DELETE_GROUP).contains(&kind) {
            return Err(OpError::UnknownType { kind });
        }
        if version != version_of(kind) {
            return Err(OpError::UnknownVersion { kind, version });
        }
        Ok(match kind {
            FOUND => Self::FoundGroup(GroupFounding::read(body)?),
            PUT_TOPIC => Self::PutTopic {
                changed_at_ms: body.u64()?,
                config: TopicConfig::read(body)?,
            },
            PUT_GROUP => Self::PutGroup {
                changed_at_ms: body.u64()?,
                config: GroupConfig::read(body)?,
            },
            COMMIT_OFFSETS => {
                Self::CommitOffsets(body.list(OffsetCommit::LEAST_BYTES, OffsetCommit::read)?)
            }
            DELAY_PROGRESS => Self::DelayProgress {
                level: body.u16()?,
                from: body.u64()?,
                to: body.u64()?,
            },
            LOCK_QUEUES => Self::LockQueues {
                group: body.string()?.into(),
                client: body.string()?.into(),
                at: LeaseTime {
                    term: body.u64()?,
                    since_ms: body.u64()?,
                    now_ms: body.u64()?,
                },
                ttl_ms: body.u64()?,
                queues: read_queues(body)?,
            },
            UNLOCK_QUEUES => Self::UnlockQueues {
                group: body.string()?.into(),
                client: body.string()?.into(),
                queues: read_queues(body)?,
            },
            DELETE_TOPIC => Self::DeleteTopic {
                changed_at_ms: body.u64()?,
                name: body.string()?.into(),
            },
            _ => Self::DeleteGroup {
                changed_at_ms: body.u64()?,
                name: body.string()?.into(),
                clean_offsets: body.flag("clean offsets")?,
            },
        })
    }
}

fn write_queues(out: &mut FieldWriter<'_>, queues: &[(Arc<str>, u32)]) {
    out.list(queues, |out, (topic, queue_id)| {
        out.string(topic);
        out.u32(*queue_id);
    });
}

fn read_queues(from: &mut FieldReader<'_>) -> Result<Vec<(Arc<str>, u32)>, FieldError> {
    /// An empty string and the queue id.
    const LEAST_BYTES: usize = 4 + 4;
    from.list(LEAST_BYTES, |from| Ok((from.string()?.into(), from.u32()?)))
}

/// An op that changes what a leader may append behind it.
///
/// A request is drafted against a published view, and waits for its place in the log while the log
/// goes on. A record of a topic that is gone by then, or progress from where a delay level no
/// longer stands, would stop every replica; so whoever appends keeps these facts itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Precondition {
    /// Topics that exist from here on.
    Topics(Vec<Arc<str>>),
    /// A topic that is gone from here on.
    Deleted(Arc<str>),
    /// A delay level that must stand at `from`, and stands at `to` from here on.
    Delay {
        /// Delay level, from 1.
        level: u16,
        /// Where it must stand.
        from: u64,
        /// Where it stands afterwards.
        to: u64,
    },
}

/// The ops of a metadata block that an appending leader must know. The others, which are most, are
/// passed over unread.
///
/// # Errors
/// The bytes are not a block of ops that this version knows.
pub fn preconditions(block: &[u8]) -> Result<Vec<Precondition>, OpError> {
    let mut from = FieldReader::new(block);
    let mut found = Vec::new();
    while from.left() > 0 {
        let (kind, version, length) = (from.u16()?, from.u16()?, from.u32()?);
        let body = from.bytes(length as usize)?;
        if !matches!(kind, FOUND | PUT_TOPIC | DELETE_TOPIC | DELAY_PROGRESS) {
            continue;
        }
        match Op::read(kind, version, &mut FieldReader::new(body))? {
            Op::FoundGroup(founding) => {
                let topics = system_topics(&founding).into_iter();
                found.push(Precondition::Topics(
                    topics.map(|topic| topic.name).collect(),
                ));
            }
            Op::PutTopic { config, .. } => found.push(Precondition::Topics(vec![config.name])),
            Op::DeleteTopic { name, .. } => found.push(Precondition::Deleted(name)),
            Op::DelayProgress { level, from, to } => {
                found.push(Precondition::Delay { level, from, to });
            }
            _ => {}
        }
    }
    Ok(found)
}
