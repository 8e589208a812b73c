//! What readers see: snapshots that the apply thread publishes.

pub mod damage;
mod stamps;

use arc_swap::ArcSwap;
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tern_log::{ConsumeQueues, KeyIndex, LogError, LogReader, QueueEntry};
use tern_state::State;

use damage::DamageLog;
use stamps::StampWatch;

/// The committed past, as far as it is applied. Shared by all threads, changed by the apply thread.
pub struct Views {
    /// Reads frames and record slices. Ask only for what a view names: the log also holds what is not committed.
    pub log: LogReader,
    /// Physical offsets by topic, queue and queue offset.
    pub queues: Arc<ConsumeQueues>,
    /// Physical offsets by topic and key.
    pub keys: Arc<KeyIndex>,
    /// Damage of the log that readers met.
    pub damage: DamageLog,
    state: ArcSwap<State>,
    applied_index: AtomicU64,
    applied_position: AtomicU64,
    applied_records: AtomicU64,
    /// Committed before this start, as far as that was known then.
    replay_end: AtomicU64,
    stamps: StampWatch,
}

impl Views {
    /// Views that show a state and nothing else until the first frame is published.
    pub fn new(
        log: LogReader,
        queues: Arc<ConsumeQueues>,
        keys: Arc<KeyIndex>,
        state: State,
    ) -> Self {
        Self {
            log,
            queues,
            keys,
            damage: DamageLog::default(),
            state: ArcSwap::from_pointee(state),
            applied_index: AtomicU64::new(0),
            applied_position: AtomicU64::new(0),
            applied_records: AtomicU64::new(0),
            replay_end: AtomicU64::new(0),
            stamps: StampWatch::default(),
        }
    }

    /// Everything up to this index was committed before this start: until it is applied the views show a past that
    /// clients have left behind, topics that are deleted by now and queues without what was acknowledged.
    pub fn replay_to(&self, index: u64) {
        self.replay_end.store(index, Ordering::Release);
    }

    /// Whether the views show all that was known to be committed at the start.
    pub fn have_replayed(&self) -> bool {
        self.applied_index() >= self.replay_end.load(Ordering::Acquire)
    }

    /// The record that a queue's entry names. Damage is reported.
    ///
    /// # Errors
    /// As of [`LogReader::record`].
    pub fn record(&self, entry: &QueueEntry) -> Result<Bytes, LogError> {
        self.log
            .record(entry)
            .inspect_err(|error| self.damage.note(entry.physical_offset, error))
    }

    /// The newest published state.
    pub fn state(&self) -> arc_swap::Guard<Arc<State>> {
        self.state.load()
    }

    /// Index of the newest frame that the views show.
    pub fn applied_index(&self) -> u64 {
        self.applied_index.load(Ordering::Acquire)
    }

    /// End position of that frame.
    pub fn applied_position(&self) -> u64 {
        self.applied_position.load(Ordering::Acquire)
    }

    /// Messages applied since the start, those of the replay included.
    pub fn applied_records(&self) -> u64 {
        self.applied_records.load(Ordering::Relaxed)
    }

    /// How often store timestamps fell because a clock had been far ahead, since the start, the replay included.
    pub fn timestamp_falls(&self) -> u64 {
        self.stamps.falls()
    }

    /// Show a state, with the end position of its newest frame, and so many messages more than before.
    pub fn publish(&self, state: &State, position: u64, records: u64) {
        self.applied_records.fetch_add(records, Ordering::Relaxed);
        self.state.store(Arc::new(state.clone()));
        self.applied_position.store(position, Ordering::Release);
        self.applied_index
            .store(state.applied().0, Ordering::Release);
        if let Some(newest) = self.log.descriptor(state.applied().0) {
            self.stamps.note(newest.store_timestamp_ms);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::ViewBench;

    #[test]
    fn a_clock_that_was_ahead_is_seen_when_it_is_right_again() {
        let mut bench = ViewBench::new();
        for (clock_ms, falls) in [(100_000, 0), (90_000, 0), (9_000_000, 0), (101_000, 1)] {
            bench.set_clock(clock_ms);
            bench.commit_message("BenchmarkTest", 0, "", b"m");
            assert_eq!(bench.views.timestamp_falls(), falls);
        }
    }
}
