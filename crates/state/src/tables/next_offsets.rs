//! The queue offset that comes next in each queue, which is the number of its committed records.

use imbl::Vector;

use super::table::Table;
use crate::error::ApplyError;
use crate::hash::{EntryHash, EntryKind, replace};
use crate::topic::MAX_QUEUES;

/// A row for each topic, id 1 first, as long as the highest queue that has a record. A topic without
/// records and a deleted one have an empty row, or none behind the last that is not empty.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct NextOffsetTable {
    rows: Vector<Vector<u64>>,
    sum: u64,
}

impl NextOffsetTable {
    /// 0 for queues without records.
    pub(crate) fn get(&self, topic_id: u32, queue_id: u32) -> u64 {
        let next = self
            .row(topic_id)
            .and_then(|row| row.get(queue_id as usize));
        next.copied().unwrap_or(0)
    }

    /// The queues of a topic that have records, with the offset of the next one.
    pub(crate) fn of_topic(&self, topic_id: u32) -> impl Iterator<Item = (u32, u64)> {
        let row = self.row(topic_id).into_iter();
        let queues = row.flat_map(|row| (0..).zip(row.iter().copied()));
        queues.filter(|(_, next)| *next > 0)
    }

    /// The number of queues of a topic up to the highest one that has a record.
    pub(crate) fn queues(&self, topic_id: u32) -> u32 {
        self.row(topic_id).map_or(0, |row| row.len() as u32)
    }

    /// Counts a record, whose queue offset must be the next one.
    pub(crate) fn count_record(
        &mut self,
        (topic_id, topic): (u32, &str),
        queue_id: u32,
        queue_offset: u64,
    ) -> Result<(), ApplyError> {
        let index = topic_id as usize - 1;
        if index >= self.rows.len() {
            let missing = index + 1 - self.rows.len();
            self.rows
                .extend(std::iter::repeat_n(Vector::new(), missing));
        }
        let row = self.rows.get_mut(index).expect("made if it was missing");
        let queue = queue_id as usize;
        let next = if let Some(next) = row.get_mut(queue) {
            next
        } else {
            if queue_id >= MAX_QUEUES {
                return Err(ApplyError::UnknownQueue {
                    topic: topic.into(),
                    queue_id,
                });
            }
            row.extend(std::iter::repeat_n(0, queue + 1 - row.len()));
            row.get_mut(queue)
                .expect("the row was just made long enough")
        };
        let need = *next;
        if queue_offset != need {
            return Err(ApplyError::QueueOffset {
                topic: topic.into(),
                queue_id,
                need,
                have: queue_offset,
            });
        }
        *next = need + 1;
        replace(
            &mut self.sum,
            hash(topic_id, queue_id, need),
            hash(topic_id, queue_id, need + 1),
        );
        Ok(())
    }

    /// Forgets the records of a topic.
    pub(crate) fn remove_topic(&mut self, topic_id: u32) {
        let Some(row) = self.rows.get_mut(topic_id as usize - 1) else {
            return;
        };
        for (queue_id, next) in (0..).zip(std::mem::take(row)) {
            replace(&mut self.sum, hash(topic_id, queue_id, next), 0);
        }
        // Else two tables with equal offsets would differ by the empty rows at the end.
        while self.rows.last().is_some_and(Vector::is_empty) {
            self.rows.pop_back();
        }
    }

    fn row(&self, topic_id: u32) -> Option<&Vector<u64>> {
        self.rows.get(topic_id.checked_sub(1)? as usize)
    }
}

impl Table for NextOffsetTable {
    fn sum(&self) -> u64 {
        self.sum
    }

    fn recomputed_sum(&self) -> u64 {
        let rows = (1..).zip(self.rows.iter());
        rows.flat_map(|(topic_id, row)| {
            (0..)
                .zip(row.iter())
                .map(move |(queue_id, &next)| hash(topic_id, queue_id, next))
        })
        .fold(0, u64::wrapping_add)
    }
}

/// A queue without records has no entry, however long its row is.
#[inline]
fn hash(topic_id: u32, queue_id: u32, next: u64) -> u64 {
    if next == 0 {
        return 0;
    }
    EntryHash::new(EntryKind::NextOffset)
        .word(u64::from(topic_id) << 32 | u64::from(queue_id))
        .word(next)
        .finish()
}
