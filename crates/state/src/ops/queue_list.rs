//! A list of queues by topic name, as ops about locks have it.
//!
//! | size | field |
//! |--:|---|
//! | 4 | number of queues |
//! | 4 + length | topic, string |
//! | 4 | queue id |
//!
//! The last two once a queue.

use std::sync::Arc;

use crate::codec::{FieldError, FieldReader, FieldWriter};
use crate::tables::StateTables;
use crate::topic::MAX_QUEUES;

/// An empty string and the queue id.
const LEAST_BYTES: usize = 4 + 4;

pub(super) fn write(out: &mut FieldWriter<'_>, queues: &[(Arc<str>, u32)]) {
    out.list(queues, |out, (topic, queue_id)| {
        out.string(topic);
        out.u32(*queue_id);
    });
}

pub(super) fn read(from: &mut FieldReader<'_>) -> Result<Vec<(Arc<str>, u32)>, FieldError> {
    from.list(LEAST_BYTES, |from| Ok((from.string()?.into(), from.u32()?)))
}

/// Those queues of a list that a topic may have, with the topics' ids.
pub(super) fn known(tables: &StateTables, queues: &[(Arc<str>, u32)]) -> Vec<(u32, u32)> {
    let known = queues.iter().filter_map(|(topic, queue_id)| {
        let topic = tables.topics.by_name(topic)?;
        (*queue_id < MAX_QUEUES).then_some((topic.id, *queue_id))
    });
    known.collect()
}
