//! The next queue offset of every queue, as a leader gives them out.

use hashbrown::HashMap;
use std::sync::Arc;

/// Next queue offsets by topic and queue. Pure counting: the leader stamps from it, and every replica checks
/// the stamps when it applies them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueueNumbers {
    next: HashMap<Arc<str>, Vec<u64>, foldhash::fast::FixedState>,
}

impl QueueNumbers {
    /// Set the next offset of a queue.
    pub fn set(&mut self, topic: &Arc<str>, queue_id: u32, next: u64) {
        *self.slot(topic, queue_id) = next;
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
        if !self.next.contains_key(topic) {
            self.next.insert(Arc::clone(topic), Vec::new());
        }
        let slots = self.next.get_mut(topic).expect("inserted above");
        if slots.len() <= at {
            slots.resize(at + 1, 0);
        }
        &mut slots[at]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_of_a_queue_are_given_out_without_gap() {
        let topic: Arc<str> = Arc::from("orders");
        let mut numbers = QueueNumbers::default();
        assert_eq!(numbers.take(&topic, 2, 3), 0);
        assert_eq!(numbers.take(&topic, 2, 1), 3);
        assert_eq!(numbers.take(&topic, 0, 1), 0);
        numbers.count("orders", 2, 9);
        assert_eq!(numbers.take(&topic, 2, 1), 10);
        numbers.count("others", 1, 4);
        assert_eq!(numbers.take(&Arc::from("others"), 1, 1), 5);
    }
}
