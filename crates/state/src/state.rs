//! What a replica knows after walking the committed frames.

use crate::changes::Changes;
use crate::codec::{FieldReader, FieldWriter};
use crate::error::{ApplyError, StateError};
use crate::ops::Op;
use crate::tables::StateTables;

/// The version of a state's bytes that is written, and the only one that is read.
const FORMAT_VERSION: u16 = 1;

/// The state machine, and at the same time the immutable view of it: a clone is a snapshot.
///
/// # Applying
/// Committed frames, in order: [`apply_record`](Self::apply_record) for each record of a frame,
/// then [`apply_metadata`](Self::apply_metadata) once, **also where the frame has no ops**, which
/// closes the frame. After an [`ApplyError`] the state is of no use any more.
///
/// # Snapshots
/// A clone shares everything with its origin and costs some ten reference counts. All tables are in
/// it, also the next queue offsets: these are persistent vectors, so the first record of a topic
/// after a clone copies a path of at most a few chunks of 64 counters, every other one writes in
/// place. Measured with 200 topics of 8 queues, one core: 40 ns a record in place, 0.8 µs for the
/// first one of a topic after a clone, 76 ns a clone, 0.3 µs an offset commit.
///
/// # Hash
/// [`hash`](Self::hash) covers the founding, all tables and the counters. It is kept at every
/// change and comparable between replicas at the same [`applied`](Self::applied) index, not in the
/// middle of a frame.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct State {
    /// Index and term of the last frame that was closed.
    pub(crate) applied: (u64, u64),
    pub(crate) tables: StateTables,
}

impl State {
    /// The state before the first frame.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes one record of a committed frame and returns its topic's id.
    ///
    /// # Errors
    /// The record's topic is unknown, or its queue offset is not the next one of its queue.
    pub fn apply_record(
        &mut self,
        topic: &str,
        queue_id: u32,
        queue_offset: u64,
    ) -> Result<u32, ApplyError> {
        let Some(id) = self.tables.topics.by_name(topic).map(|topic| topic.id) else {
            return Err(self.unknown_topic(topic));
        };
        let next_offsets = &mut self.tables.next_offsets;
        next_offsets.count_record((id, topic), queue_id, queue_offset)?;
        Ok(id)
    }

    /// Applies the ops of one committed frame and closes the frame.
    ///
    /// `metadata` is the frame's metadata block, empty for frames without ops and for frames whose
    /// block is not made of ops (membership). Offset commits of the frame see the records of the
    /// frame.
    ///
    /// # Errors
    /// The frame does not follow the one before, its block is unreadable, or an op contradicts the
    /// state.
    pub fn apply_metadata(
        &mut self,
        index: u64,
        term: u64,
        metadata: &[u8],
    ) -> Result<Changes, ApplyError> {
        let (applied_index, applied_term) = self.applied;
        if index != applied_index + 1 || term < applied_term {
            return Err(ApplyError::Order {
                index,
                term,
                applied_index,
                applied_term,
            });
        }
        let mut changes = Changes::default();
        if !metadata.is_empty() {
            let ops =
                Op::decode_all(metadata).map_err(|source| ApplyError::Op { index, source })?;
            for op in ops {
                self.check(&op)?;
                op.apply(&mut self.tables, term, &mut changes);
            }
        }
        self.applied = (index, term);
        Ok(changes)
    }

    /// Whether `op` could be applied to this state. A leader asks before it proposes: once the op
    /// is committed, a contradiction stops every replica.
    ///
    /// # Errors
    /// What applying the op would return.
    pub fn check(&self, op: &Op) -> Result<(), ApplyError> {
        op.check(&self.tables)
    }

    /// The state in bytes: all that a replica needs to go on behind the frame that was closed last.
    /// Not in the middle of a frame.
    ///
    /// | size | field |
    /// |--:|---|
    /// | 2 | version of the format, 1 |
    /// | 8 | index of the frame that was closed last |
    /// | 8 | its term |
    /// | 2 | number of a table, rising |
    /// | 8 | length of its rows |
    /// | length | its rows, see the file of each table |
    ///
    /// The last three once a table that has rows. All integers are big-endian. Equal states have equal
    /// bytes. There is no checksum: a file that holds them has one.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut out = FieldWriter::new(&mut bytes);
        out.u16(FORMAT_VERSION);
        out.u64(self.applied.0);
        out.u64(self.applied.1);
        self.tables.write(&mut out);
        bytes
    }

    /// The state that [`encode`](Self::encode) wrote, with the same [`hash`](Self::hash).
    ///
    /// # Errors
    /// The bytes are not a state of this version, or rows contradict each other. Lengths are checked
    /// before anything is allocated.
    pub fn decode(bytes: &[u8]) -> Result<Self, StateError> {
        let mut from = FieldReader::new(bytes);
        let version = from.u16()?;
        if version != FORMAT_VERSION {
            return Err(StateError::UnknownVersion { version });
        }
        Ok(Self {
            applied: (from.u64()?, from.u64()?),
            tables: StateTables::read(&mut from)?,
        })
    }

    #[cold]
    fn unknown_topic(&self, topic: &str) -> ApplyError {
        if self.settings().is_none() {
            return ApplyError::NotFounded;
        }
        ApplyError::UnknownTopic {
            topic: topic.into(),
        }
    }
}
