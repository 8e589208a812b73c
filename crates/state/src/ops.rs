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

use crate::codec::{Reader, Writer};
use crate::error::OpError;
use crate::founding::GroupFounding;
use crate::group::GroupConfig;
use crate::offsets::OffsetCommit;
use crate::topic::TopicConfig;

/// One change of the state. Times in it were stamped by the leader that proposed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// Type 1: found the group; the first op of every log.
    Found(GroupFounding),
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
}

const FOUND: u16 = 1;
const PUT_TOPIC: u16 = 2;
const PUT_GROUP: u16 = 3;
const COMMIT_OFFSETS: u16 = 4;

/// The one version that each op has so far.
const VERSION: u16 = 1;

impl Op {
    /// Appends the op to a metadata block.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut out = Writer::new(out);
        out.u16(self.kind());
        out.u16(VERSION);
        out.sized(|out| match self {
            Self::Found(founding) => founding.write(out),
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
        });
    }

    /// Reads a whole metadata block.
    ///
    /// # Errors
    /// The bytes are not a block of ops that this version knows. Lengths are checked before
    /// anything is allocated.
    pub fn decode_all(block: &[u8]) -> Result<Vec<Self>, OpError> {
        let mut from = Reader::new(block);
        let mut ops = Vec::new();
        while from.left() > 0 {
            let (kind, version, length) = (from.u16()?, from.u16()?, from.u32()?);
            let mut body = Reader::new(from.bytes(length as usize)?);
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
            Self::Found(_) => FOUND,
            Self::PutTopic { .. } => PUT_TOPIC,
            Self::PutGroup { .. } => PUT_GROUP,
            Self::CommitOffsets(_) => COMMIT_OFFSETS,
        }
    }

    fn read(kind: u16, version: u16, body: &mut Reader<'_>) -> Result<Self, OpError> {
        if !(FOUND..=COMMIT_OFFSETS).contains(&kind) {
            return Err(OpError::UnknownType { kind });
        }
        if version != VERSION {
            return Err(OpError::UnknownVersion { kind, version });
        }
        Ok(match kind {
            FOUND => Self::Found(GroupFounding::read(body)?),
            PUT_TOPIC => Self::PutTopic {
                changed_at_ms: body.u64()?,
                config: TopicConfig::read(body)?,
            },
            PUT_GROUP => Self::PutGroup {
                changed_at_ms: body.u64()?,
                config: GroupConfig::read(body)?,
            },
            _ => Self::CommitOffsets(body.list(OffsetCommit::LEAST_BYTES, OffsetCommit::read)?),
        })
    }
}
