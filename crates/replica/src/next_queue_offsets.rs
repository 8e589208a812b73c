//! What a leader must know of its own log's end: topics, the next queue offset of every queue, delay progress.

use hashbrown::HashMap;
use std::sync::Arc;

use crate::proposal::{Draft, RejectReason};
use tern_state::Precondition;
use tern_state::delay::LEVELS;

/// Topics with their next queue offsets, and the delay levels' progress. Pure counting: the leader stamps from it,
/// and every replica checks the stamps when it applies them.
///
/// A request is drafted against a published view and then waits, so it may name a topic that is deleted by now, or
/// progress that was made by now. Committed, such an entry would stop every replica (L34); it is refused here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NextQueueOffsets {
    /// A row for each topic that exists.
    next: HashMap<Arc<str>, Vec<u64>, foldhash::fast::FixedState>,
    /// Level 1 at index 0.
    delays: [u64; LEVELS as usize],
}

impl NextQueueOffsets {
    /// A topic exists, with the offsets that it has, none if it is new.
    pub fn put_topic(&mut self, topic: &Arc<str>) {
        if !self.next.contains_key(topic) {
            self.next.insert(Arc::clone(topic), Vec::new());
        }
    }

    /// Set the next offset of a queue.
    pub fn set(&mut self, topic: &Arc<str>, queue_id: u32, next: u64) {
        *self.slot(topic, queue_id) = next;
    }

    /// Set the progress of a delay level.
    pub fn set_delay(&mut self, level: u16, progress: u64) {
        if let Some(stands) = self.delay(level) {
            *stands = progress;
        }
    }

    /// Whether a proposal fits behind what stands in the log.
    ///
    /// # Errors
    /// It names a topic that is gone, or repeats progress of a delay level.
    pub fn check(
        &mut self,
        drafts: &[Draft],
        preconditions: &[Precondition],
    ) -> Result<(), RejectReason> {
        if drafts
            .iter()
            .any(|draft| !self.next.contains_key(&draft.topic))
        {
            return Err(RejectReason::NoTopic);
        }
        for op in preconditions {
            if let Precondition::Delay { level, from, .. } = op
                && self.delay(*level).is_none_or(|stands| stands != from)
            {
                return Err(RejectReason::Outdated);
            }
        }
        Ok(())
    }

    /// Ops that stand in the log now.
    pub fn advance(&mut self, preconditions: &[Precondition]) {
        for op in preconditions {
            match op {
                Precondition::Topics(topics) => {
                    for topic in topics {
                        self.put_topic(topic);
                    }
                }
                Precondition::Deleted(topic) => {
                    self.next.remove(topic);
                }
                Precondition::Delay { level, to, .. } => self.set_delay(*level, *to),
            }
        }
    }

    /// Take `count` offsets of a queue; the first of them is returned.
    pub fn take(&mut self, topic: &Arc<str>, queue_id: u32, count: u64) -> u64 {
        let slot = self.slot(topic, queue_id);
        let first = *slot;
        *slot += count;
        first
    }

    /// Count one record that another leader stamped.
    pub fn count(&mut self, topic: &str, queue_id: u32, queue_offset: u64) {
        let next = queue_offset + 1;
        if let Some(slots) = self.next.get_mut(topic)
            && let Some(slot) = slots.get_mut(queue_id as usize)
        {
            *slot = next;
            return;
        }
        *self.slot(&Arc::from(topic), queue_id) = next;
    }

    fn slot(&mut self, topic: &Arc<str>, queue_id: u32) -> &mut u64 {
        let at = queue_id as usize;
        self.put_topic(topic);
        let slots = self.next.get_mut(topic).expect("inserted above");
        if slots.len() <= at {
            slots.resize(at + 1, 0);
        }
        &mut slots[at]
    }

    fn delay(&mut self, level: u16) -> Option<&mut u64> {
        self.delays.get_mut(usize::from(level.checked_sub(1)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(topic: &str) -> Draft {
        Draft {
            topic: topic.into(),
            queue_id: 0,
            bytes: Vec::new(),
            sizes: smallvec::SmallVec::new(),
        }
    }

    #[test]
    fn offsets_of_a_queue_are_given_out_without_gap() {
        let topic: Arc<str> = Arc::from("orders");
        let mut next_offsets = NextQueueOffsets::default();
        assert_eq!(next_offsets.take(&topic, 2, 3), 0);
        assert_eq!(next_offsets.take(&topic, 2, 1), 3);
        assert_eq!(next_offsets.take(&topic, 0, 1), 0);
        next_offsets.count("orders", 2, 9);
        assert_eq!(next_offsets.take(&topic, 2, 1), 10);
        next_offsets.count("others", 1, 4);
        assert_eq!(next_offsets.take(&Arc::from("others"), 1, 1), 5);
    }

    #[test]
    fn records_of_a_deleted_topic_are_refused_until_it_is_made_again_from_0() {
        let topic: Arc<str> = Arc::from("orders");
        let mut next_offsets = NextQueueOffsets::default();
        assert_eq!(
            next_offsets.check(&[draft("orders")], &[]),
            Err(RejectReason::NoTopic)
        );
        next_offsets.advance(&[Precondition::Topics(vec![topic.clone()])]);
        assert_eq!(next_offsets.check(&[draft("orders")], &[]), Ok(()));
        next_offsets.take(&topic, 0, 3);
        next_offsets.advance(&[Precondition::Topics(vec![topic.clone()])]);
        assert_eq!(
            next_offsets.take(&topic, 0, 1),
            3,
            "a change keeps the offsets"
        );
        next_offsets.advance(&[Precondition::Deleted(topic.clone())]);
        assert_eq!(
            next_offsets.check(&[draft("orders")], &[]),
            Err(RejectReason::NoTopic)
        );
        next_offsets.advance(&[Precondition::Topics(vec![topic.clone()])]);
        assert_eq!(next_offsets.take(&topic, 0, 1), 0);
    }

    #[test]
    fn delay_progress_is_admitted_once() {
        let mut next_offsets = NextQueueOffsets::default();
        let step = |from, to| [Precondition::Delay { level: 2, from, to }];
        next_offsets.set_delay(2, 4);
        assert_eq!(next_offsets.check(&[], &step(4, 6)), Ok(()));
        next_offsets.advance(&step(4, 6));
        assert_eq!(
            next_offsets.check(&[], &step(4, 6)),
            Err(RejectReason::Outdated)
        );
        assert_eq!(next_offsets.check(&[], &step(6, 7)), Ok(()));
        let no_level = [Precondition::Delay {
            level: 19,
            from: 0,
            to: 1,
        }];
        assert_eq!(
            next_offsets.check(&[], &no_level),
            Err(RejectReason::Outdated)
        );
    }
}
