//! Committed frames into views and state, in order, on every replica (L25, L26).

use crate::entries::entry_of;
use crate::fatal::Fatal;
use crate::inputs::RebuildNextOffsets;
use crate::keys::KeyWriter;
use crate::mending::Mending;
use crate::next_queue_offsets::NextQueueOffsets;
use std::sync::Arc;
use tern_log::planted::{Bug, is_planted};
use tern_log::{ConsumeQueues, Frame, KeyIndex, LogError, LogReader};
use tern_state::State;
use tern_state::delay::LEVELS;
use tern_wire::record::Record;

/// Queues that got new records, for the pulls that wait for them: topic id and queue id.
pub type TouchedQueues = Vec<(u32, u32)>;

/// What a stretch of applied frames changed.
#[derive(Debug, Default)]
pub struct Applied {
    /// Queues with new records, each once per frame at most.
    pub touched: TouchedQueues,
    /// The group was founded: every table is new.
    pub founded: bool,
    /// The topic table changed.
    pub topics_changed: bool,
    /// Ids of the topics that were deleted: their consume queues can go.
    pub topics_deleted: Vec<u32>,
    /// Number of records.
    pub records: u64,
    /// A view cannot be written for now; a later call may get on. What was tried, and what the system said.
    pub blocked: Option<LogError>,
}

/// The apply thread's part: state, consume queues, and how far they stand.
pub struct Applier {
    state: State,
    queues: Arc<ConsumeQueues>,
    keys: Option<Arc<KeyIndex>>,
    reader: LogReader,
    applied: u64,
    position: u64,
    mending: Option<Mending>,
}

impl Applier {
    /// Start with empty views; the log is replayed into them as it is committed.
    pub fn new(state: State, queues: Arc<ConsumeQueues>, reader: LogReader) -> Self {
        let applied = reader.first_index().saturating_sub(1);
        Self {
            state,
            queues,
            keys: None,
            reader,
            applied,
            position: 0,
            mending: None,
        }
    }

    /// Fill a key index too.
    #[must_use]
    pub fn with_keys(mut self, keys: Arc<KeyIndex>) -> Self {
        self.keys = Some(keys);
        self
    }

    /// Whether [`Self::apply`] has something to do though everything is applied: a queue's file was found damaged.
    pub fn mends(&self) -> bool {
        self.mending.is_some() || self.queues.has_damage()
    }

    /// Index of the newest applied frame.
    pub fn applied(&self) -> u64 {
        self.applied
    }

    /// End of the newest applied frame.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The state after the newest applied frame.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Apply frames up to `commit`, at most about `max_bytes` of them; call again until [`Self::applied`] is there.
    ///
    /// Views whose files cannot be written stop nobody: they hold in memory what they can, and then this call ends before
    /// the next frame ([`Applied::blocked`]); it is to be made again after a pause. Files of queues that were found damaged
    /// are written again on the way ([`Self::mends`]).
    ///
    /// A frame that is damaged, or that the disk does not give back, blocks in the same way: what stands before it is
    /// shown on, and the replica must not lead.
    ///
    /// # Errors
    /// [`Fatal`] if a frame contradicts the state: the replica stops.
    pub fn apply(&mut self, commit: u64, max_bytes: usize) -> Result<Applied, Fatal> {
        let mut applied = Applied::default();
        if self.mends() {
            applied.blocked = self.mend(max_bytes)?;
        }
        if self.applied >= commit {
            return Ok(applied);
        }
        let frames = match self.reader.frames(self.applied + 1, max_bytes) {
            Err(error) if error.is_damage() => {
                applied.blocked = Some(error);
                return Ok(applied);
            }
            read => read?,
        };
        for frame in frames {
            if frame.header.index > commit && !is_planted(Bug::ViewsBeforeCommit) {
                break;
            }
            // Between frames, as a frame is applied as a whole or not at all.
            if let Err(error) = self.queues.make_room() {
                applied.blocked = Some(error);
                break;
            }
            self.apply_frame(&frame, &mut applied)?;
        }
        Ok(applied)
    }

    /// A part of the way through the log for queues whose files are damaged; answers what has to be waited for.
    fn mend(&mut self, max_bytes: usize) -> Result<Option<LogError>, Fatal> {
        let mending = self.mending.get_or_insert_with(|| {
            Mending::new(self.queues.take_damaged(), &self.reader, self.applied)
        });
        let written = mending.go_on(&self.reader, &self.queues, max_bytes)?;
        if mending.is_done() {
            // Readers that came too early have noted the same queues again.
            let mut others = self.queues.take_damaged();
            others.retain(|queue| !mending.is_about(*queue));
            self.queues.put_back_damaged(others);
            self.mending = None;
        }
        Ok(written.err())
    }

    fn apply_frame(&mut self, frame: &Frame, applied: &mut Applied) -> Result<(), Fatal> {
        let header = &frame.header;
        for record in tern_wire::record::iter(frame.records()) {
            let record = record.map_err(|error| Fatal::State(error.to_string()))?;
            self.apply_record(&record, applied)?;
        }
        let changes = self
            .state
            .apply_metadata(header.index, header.term, frame.ops())
            .map_err(|violation| Fatal::State(violation.to_string()))?;
        applied.founded |= changes.founded;
        applied.topics_changed |=
            changes.permission || !changes.topics.is_empty() || !changes.topics_deleted.is_empty();
        let deleted = changes.topics_deleted.iter().map(|(_, id)| *id);
        applied.topics_deleted.extend(deleted);
        applied.records += u64::from(header.message_count);
        self.applied = header.index;
        self.position = frame.end().position;
        Ok(())
    }

    fn apply_record(&mut self, record: &Record<'_>, applied: &mut Applied) -> Result<(), Fatal> {
        let (topic, queue_id) = (record.topic(), record.queue_id().cast_unsigned());
        let queue_offset = record.queue_offset();
        let topic_id = self
            .state
            .apply_record(topic, queue_id, queue_offset)
            .map_err(|violation| Fatal::State(violation.to_string()))?;
        let mut keys = self
            .keys
            .as_ref()
            .and_then(|keys| KeyWriter::of(keys, record));
        let entry = entry_of(record, |name, value| {
            if let Some(keys) = &mut keys {
                keys.property(name, value);
            }
        });
        // Files are no matter here (`make_room`): what can be wrong is the offset, and that contradicts the state.
        self.queues
            .append(topic_id, queue_id, queue_offset, entry)
            .map_err(|error| Fatal::State(error.to_string()))?;
        if applied.touched.last() != Some(&(topic_id, queue_id)) {
            applied.touched.push((topic_id, queue_id));
        }
        Ok(())
    }

    /// The next queue offsets behind frame `rebuild.upto`: the committed ones, and a counters-only scan of the frames
    /// that a new leader's no-op will commit.
    ///
    /// # Errors
    /// [`Fatal`] if a frame cannot be read.
    pub fn rebuild(&self, rebuild: RebuildNextOffsets) -> Result<NextQueueOffsets, Fatal> {
        self.rebuild_behind(self.applied, rebuild)
    }

    /// As [`Self::rebuild`], with the scan beginning behind a frame; right only for the newest applied one.
    pub(crate) fn rebuild_behind(
        &self,
        applied: u64,
        rebuild: RebuildNextOffsets,
    ) -> Result<NextQueueOffsets, Fatal> {
        let mut next_offsets = NextQueueOffsets::default();
        for level in 1..=LEVELS {
            next_offsets.set_delay(level, self.state.delay_progress(level));
        }
        for topic in self.state.topics() {
            next_offsets.put_topic(&topic.config.name);
            for (queue_id, next) in self.state.next_offsets_of(topic.id) {
                next_offsets.set(&topic.config.name, queue_id, next);
            }
        }
        let mut index = applied + 1;
        while index <= rebuild.upto && !is_planted(Bug::OffsetsReused) {
            for frame in self.reader.frames(index, 4 << 20)? {
                index = frame.header.index + 1;
                if frame.header.index > rebuild.upto {
                    break;
                }
                for record in tern_wire::record::iter(frame.records()) {
                    let record = record.map_err(|error| Fatal::State(error.to_string()))?;
                    let queue_id = record.queue_id().cast_unsigned();
                    next_offsets.count(record.topic(), queue_id, record.queue_offset());
                }
                let preconditions = tern_state::preconditions(frame.ops())
                    .map_err(|error| Fatal::State(error.to_string()))?;
                next_offsets.advance(&preconditions);
            }
        }
        Ok(next_offsets)
    }

    /// Whether the log has lost the frames behind which a leader began: it leads no more, and another one has cut them.
    pub(crate) fn is_cut(&self, rebuild: RebuildNextOffsets) -> bool {
        self.reader.term(rebuild.upto) != Some(rebuild.upto_term)
    }
}
