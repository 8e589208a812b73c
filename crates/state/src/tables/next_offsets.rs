//! The queue offset that comes next in each queue, which is the number of its committed records.
//!
//! | size | field |
//! |--:|---|
//! | 4 | number of topics: the highest id of one that has records |
//! | 4 | number of queues of a topic: one more than the highest queue that has records |
//! | 8 | next offset of a queue, 0 in one without records |
//!
//! The second once a topic, id 1 first; the third once a queue.

use imbl::Vector;

use super::table::Table;
use crate::codec::{FieldError, FieldReader, FieldWriter};
use crate::error::{ApplyError, RowError};
use crate::hash::{EntryHash, replace};
use crate::topic::MAX_QUEUES;

const NEXT_OFFSET: u64 = 7;

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
    const ID: u16 = 5;

    const ENTRY_KINDS: &'static [u64] = &[NEXT_OFFSET];

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

    fn write(&self, out: &mut FieldWriter<'_>) {
        out.rows(self.rows.iter(), |out, row| {
            out.rows(row.iter(), |out, next| out.u64(*next));
        });
    }

    fn read(from: &mut FieldReader<'_>) -> Result<Self, RowError> {
        let mut table = Self::default();
        for _ in 0..from.count(4)? {
            table.rows.push_back(read_row(from)?);
        }
        if table.rows.last().is_none_or(Vector::is_empty) {
            return Err(RowError::Empty);
        }
        table.sum = table.recomputed_sum();
        Ok(table)
    }

    fn topic_ids(&self) -> impl Iterator<Item = u32> {
        let rows = (1..).zip(self.rows.iter());
        rows.filter(|(_, row)| !row.is_empty()).map(|(id, _)| id)
    }
}

fn read_row(from: &mut FieldReader<'_>) -> Result<Vector<u64>, RowError> {
    let queues = from.count(8)?;
    if queues > MAX_QUEUES as usize {
        return Err(RowError::Field(FieldError::BadValue {
            field: "number of queues",
            value: queues as u64,
        }));
    }
    let mut row = Vector::new();
    for _ in 0..queues {
        row.push_back(from.u64()?);
    }
    if row.last() == Some(&0) {
        return Err(RowError::Empty);
    }
    Ok(row)
}

/// A queue without records has no entry, however long its row is.
#[inline]
fn hash(topic_id: u32, queue_id: u32, next: u64) -> u64 {
    if next == 0 {
        return 0;
    }
    EntryHash::new(NEXT_OFFSET)
        .word(u64::from(topic_id) << 32 | u64::from(queue_id))
        .word(next)
        .finish()
}
