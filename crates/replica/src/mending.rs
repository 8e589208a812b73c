//! Consume queues whose files were found damaged, written again from the log.
//!
//! What a queue's files hold follows from the log, byte for byte. So nothing is taken away: the log is walked once more
//! with a state of its own, and the entries of the damaged queues go to where they stood. Readers of what is whole are
//! not disturbed, and those of what is damaged are refused until it is there again.

use std::collections::{BTreeMap, BTreeSet};

use tern_log::{ConsumeQueues, Frame, LogError, LogReader, QueueEntry};
use tern_state::State;

use crate::entries::entry_of;
use crate::fatal::Fatal;

/// A walk through the log for some queues.
pub(crate) struct Mending {
    queues: BTreeSet<(u32, u32)>,
    state: State,
    next: u64,
    /// The frame up to which the queues' files may hold entries.
    upto: u64,
    /// What was walked past and not written yet.
    runs: EntryRuns,
}

type EntryRuns = BTreeMap<(u32, u32), EntryRun>;

/// Entries that follow each other in one queue, and the offset of the first.
type EntryRun = (u64, Vec<QueueEntry>);

impl Mending {
    /// For queues that were found damaged when frame `upto` was the newest applied one.
    pub fn new(queues: BTreeSet<(u32, u32)>, reader: &LogReader, upto: u64) -> Self {
        Self {
            queues,
            state: State::new(),
            next: reader.first_index(),
            upto,
            runs: EntryRuns::new(),
        }
    }

    /// Whether a queue is among those that it is about.
    pub fn is_about(&self, queue: (u32, u32)) -> bool {
        self.queues.contains(&queue)
    }

    /// Whether everything was written again.
    pub fn is_done(&self) -> bool {
        self.next > self.upto && self.runs.is_empty()
    }

    /// Some frames further. The inner error means that a file could not be written, or a frame of the log not be read: the
    /// next call tries it again.
    ///
    /// # Errors
    /// [`Fatal`] if the log contradicts itself.
    pub fn go_on(
        &mut self,
        reader: &LogReader,
        files: &ConsumeQueues,
        max_bytes: usize,
    ) -> Result<Result<(), LogError>, Fatal> {
        if self.runs.is_empty() && self.next <= self.upto {
            let frames = match reader.frames(self.next, max_bytes) {
                // Views are no reason to stop for what reading the log meets: it is told, and waited for.
                Err(error) if error.is_damage() => return Ok(Err(error)),
                read => read?,
            };
            for frame in frames {
                if frame.header.index > self.upto {
                    break;
                }
                self.walk(&frame)?;
                self.next = frame.header.index + 1;
            }
        }
        while let Some(((topic_id, queue_id), (from, entries))) = self.runs.first_key_value() {
            if let Err(error) = files.write_again(*topic_id, *queue_id, *from, entries) {
                return Ok(Err(error));
            }
            self.runs.pop_first();
        }
        Ok(Ok(()))
    }

    fn walk(&mut self, frame: &Frame) -> Result<(), Fatal> {
        let contradicts = |violation: &dyn std::fmt::Display| Fatal::State(violation.to_string());
        for record in tern_wire::record::iter(frame.records()) {
            let record = record.map_err(|error| contradicts(&error))?;
            let queue_id = record.queue_id().cast_unsigned();
            let topic_id = self
                .state
                .apply_record(record.topic(), queue_id, record.queue_offset())
                .map_err(|violation| contradicts(&violation))?;
            if self.queues.contains(&(topic_id, queue_id)) {
                let (_, entries) = self
                    .runs
                    .entry((topic_id, queue_id))
                    .or_insert_with(|| (record.queue_offset(), Vec::new()));
                entries.push(entry_of(&record, |_, _| {}));
            }
        }
        self.state
            .apply_metadata(frame.header.index, frame.header.term, frame.ops())
            .map_err(|violation| contradicts(&violation))?;
        Ok(())
    }
}
