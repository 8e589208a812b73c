//! What can be wrong with a metadata block, and what stops a replica.

use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::codec::FieldError;

/// Bytes that are not a metadata block of this version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpError {
    /// A field of an op, its body included, cannot be read.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// No op of this version of the code has that type.
    #[error("unknown op type {kind}")]
    UnknownType {
        /// The type that was read.
        kind: u16,
    },
    /// The type is known, its version is not.
    #[error("op type {kind} has unknown version {version}")]
    UnknownVersion {
        /// The type of the op.
        kind: u16,
        /// The version that was read.
        version: u16,
    },
    /// A body is longer than its fields.
    #[error("{left} bytes follow the last field of an op of type {kind}")]
    Trailing {
        /// The type of the op.
        kind: u16,
        /// Bytes left over.
        left: usize,
    },
}

/// Bytes that are not a state of this version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// The head of the state or of a table cannot be read.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// The format is of another version of the code.
    #[error("unknown format version {version} of a state")]
    UnknownVersion {
        /// The version that was read.
        version: u16,
    },
    /// No table of this version of the code has that number.
    #[error("unknown table {id} of a state")]
    UnknownTable {
        /// The number that was read.
        id: u16,
    },
    /// A table comes twice, or behind one with a greater number.
    #[error("table {id} of a state is out of order")]
    TableOrder {
        /// The number of the table.
        id: u16,
    },
    /// A table cannot have these rows.
    #[error("table {table}: {source}")]
    Table {
        /// Name of the table.
        table: &'static str,
        /// What is wrong with its rows.
        source: RowError,
    },
}

/// Rows that a table cannot have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    /// A field of a row cannot be read.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// A row comes twice, or behind one that it must come before.
    #[error("a row is out of order")]
    Order,
    /// What is written only if there is something in it has nothing in it.
    #[error("a row, or the table, is empty")]
    Empty,
    /// The table is longer than its rows.
    #[error("{left} bytes follow the last row")]
    Trailing {
        /// Bytes left over.
        left: usize,
    },
    /// A row that no op could have made.
    #[error("a row cannot be: {0}")]
    Refused(ApplyError),
    /// A row names a topic that there is not.
    #[error("a row names topic {topic_id}, which does not exist")]
    UnknownTopic {
        /// The id of the topic.
        topic_id: u32,
    },
}

/// A committed entry that contradicts the state. This is a bug or a damaged log, never an operating
/// error: the replica stops, and the state that returned it must not be used any more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// The metadata block cannot be read.
    #[error("metadata block of frame {index} is not readable: {source}")]
    Op {
        /// Index of the frame.
        index: u64,
        /// What is wrong with its bytes.
        source: OpError,
    },
    /// Frames were not applied one after the other.
    #[error("frame ({index}, term {term}) cannot follow ({applied_index}, term {applied_term})")]
    Order {
        /// Index of the refused frame.
        index: u64,
        /// Term of the refused frame.
        term: u64,
        /// Index applied last.
        applied_index: u64,
        /// Term applied last.
        applied_term: u64,
    },
    /// An op or a record came before the group was founded.
    #[error("the group is not founded")]
    NotFounded,
    /// The group was founded a second time.
    #[error("the group is founded already")]
    FoundedTwice,
    /// The group uses more than this code understands.
    #[error("the group needs feature level {level}, this replica knows {known}")]
    FeatureLevel {
        /// What the op asks for.
        level: u32,
        /// What this code knows.
        known: u32,
    },
    /// A setting or a configuration holds a number outside its bounds.
    #[error("{field} of {name} is {value}, allowed are {min} to {max}")]
    Bounds {
        /// Which field.
        field: &'static str,
        /// Name of the topic, subscription group, cluster or broker group.
        name: Arc<str>,
        /// The refused value.
        value: u64,
        /// Least allowed value.
        min: u64,
        /// Greatest allowed value.
        max: u64,
    },
    /// A topic of the system cannot be deleted.
    #[error("topic {topic} belongs to the system")]
    SystemTopic {
        /// The topic.
        topic: Arc<str>,
    },
    /// Progress of a delay level that does not exist.
    #[error("there is no delay level {level}")]
    DelayLevel {
        /// The level of the op.
        level: u16,
    },
    /// Progress of a delay level that does not begin where the level stands, falls, or goes past
    /// the messages there are.
    #[error("delay level {level} stands at {stands} of {end}, an op moves it from {from} to {to}")]
    DelayProgress {
        /// The level.
        level: u16,
        /// Queue offset where it stands.
        stands: u64,
        /// End of its queue.
        end: u64,
        /// Where the op begins.
        from: u64,
        /// Where the op ends.
        to: u64,
    },
    /// A record of a topic that no op has created.
    #[error("record of unknown topic {topic}")]
    UnknownTopic {
        /// The topic of the record.
        topic: Arc<str>,
    },
    /// A record of a queue that no topic can have.
    #[error("record of topic {topic} names queue {queue_id}")]
    UnknownQueue {
        /// The topic of the record.
        topic: Arc<str>,
        /// Its queue.
        queue_id: u32,
    },
    /// A record whose queue offset is not the next one of its queue: a gap or a repetition.
    #[error(
        "record of topic {topic} queue {queue_id} has queue offset {have}, the next one is {need}"
    )]
    QueueOffset {
        /// The topic of the record.
        topic: Arc<str>,
        /// Its queue.
        queue_id: u32,
        /// The queue offset that had to come.
        need: u64,
        /// The queue offset that came.
        have: u64,
    },
}

impl ApplyError {
    /// Refuses a value outside its bounds.
    pub(crate) fn unless_within(
        bounds: RangeInclusive<u32>,
        field: &'static str,
        name: &Arc<str>,
        value: u64,
    ) -> Result<(), Self> {
        let (min, max) = (u64::from(*bounds.start()), u64::from(*bounds.end()));
        if (min..=max).contains(&value) {
            return Ok(());
        }
        Err(Self::Bounds {
            field,
            name: name.clone(),
            value,
            min,
            max,
        })
    }
}
