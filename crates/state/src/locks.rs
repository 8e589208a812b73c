//! Queue locks: which client may consume a queue in order.

use std::sync::Arc;

use imbl::OrdMap;

use crate::hash::{Entry, EntryHash, replace};

/// Who holds a queue, and until when by the clocks of leaders.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Lock {
    client: Arc<str>,
    expires_ms: u64,
}

impl Lock {
    fn holds(&self, now_ms: u64) -> bool {
        now_ms < self.expires_ms
    }
}

/// The locks of one group by (topic id, queue id).
type GroupLocks = OrdMap<(u32, u32), Lock>;

/// All queue locks and the sum of their hashes.
///
/// A lock runs out by the time in the ops. Clocks of leaders differ, so at every look of an op a
/// lock is cut to one time to live from then: a leader whose clock was far ahead does not leave a
/// dead client's lock behind for longer.
#[derive(Debug, Clone, Default)]
pub(crate) struct QueueLocks {
    groups: OrdMap<Arc<str>, GroupLocks>,
    sum: u64,
}

impl QueueLocks {
    pub(crate) fn holder(&self, group: &str, queue: (u32, u32), now_ms: u64) -> Option<&str> {
        let lock = self.groups.get(group)?.get(&queue)?;
        lock.holds(now_ms).then_some(&*lock.client)
    }

    pub(crate) fn any(&self, group: &str, now_ms: u64) -> bool {
        let locks = self.groups.get(group);
        locks.is_some_and(|locks| locks.values().any(|lock| lock.holds(now_ms)))
    }

    /// Drops what has run out in the group, then gives `client` each of the queues that is free or
    /// its own already.
    pub(crate) fn lock(
        &mut self,
        (group, client): (&Arc<str>, &Arc<str>),
        (now_ms, ttl_ms): (u64, u64),
        queues: impl Iterator<Item = (u32, u32)>,
    ) {
        let latest_ms = now_ms.saturating_add(ttl_ms);
        let mut locks = self.groups.get(group).cloned().unwrap_or_default();
        let stale: Vec<_> = locks
            .iter()
            .filter(|(_, lock)| !lock.holds(now_ms) || lock.expires_ms > latest_ms)
            .map(|(&queue, lock)| (queue, lock.clone()))
            .collect();
        for (queue, lock) in stale {
            let cut = lock.holds(now_ms).then_some(Lock {
                expires_ms: latest_ms,
                ..lock
            });
            self.set(group, &mut locks, queue, cut);
        }
        for queue in queues {
            if locks.get(&queue).is_none_or(|lock| lock.client == *client) {
                let lock = Lock {
                    client: client.clone(),
                    expires_ms: latest_ms,
                };
                self.set(group, &mut locks, queue, Some(lock));
            }
        }
        self.store(group, locks);
    }

    /// Frees those of the queues that `client` holds.
    pub(crate) fn unlock(
        &mut self,
        (group, client): (&Arc<str>, &str),
        queues: impl Iterator<Item = (u32, u32)>,
    ) {
        let Some(mut locks) = self.groups.get(group).cloned() else {
            return;
        };
        for queue in queues {
            if locks
                .get(&queue)
                .is_some_and(|lock| *lock.client == *client)
            {
                self.set(group, &mut locks, queue, None);
            }
        }
        self.store(group, locks);
    }

    /// Frees all queues of a group.
    pub(crate) fn remove_group(&mut self, group: &str) {
        if let Some(locks) = self.groups.remove(group) {
            for (queue, lock) in &locks {
                replace(&mut self.sum, hash(group, *queue, lock), 0);
            }
        }
    }

    /// Frees all queues of a topic, for every group.
    pub(crate) fn remove_topic(&mut self, topic_id: u32) {
        let groups: Vec<Arc<str>> = self.groups.keys().cloned().collect();
        for group in groups {
            let mut locks = self.groups[&group].clone();
            let gone: Vec<_> = queues_of(&locks, topic_id);
            for queue in gone {
                self.set(&group, &mut locks, queue, None);
            }
            self.store(&group, locks);
        }
    }

    pub(crate) fn sum(&self) -> u64 {
        self.sum
    }

    /// The sum, counted anew.
    pub(crate) fn recomputed_sum(&self) -> u64 {
        let entries = self.groups.iter().flat_map(|(group, locks)| {
            locks
                .iter()
                .map(move |(queue, lock)| hash(group, *queue, lock))
        });
        entries.fold(0, u64::wrapping_add)
    }

    fn set(&mut self, group: &str, locks: &mut GroupLocks, queue: (u32, u32), to: Option<Lock>) {
        let new = to.as_ref().map_or(0, |lock| hash(group, queue, lock));
        let before = match to {
            Some(lock) => locks.insert(queue, lock),
            None => locks.remove(&queue),
        };
        let old = before.map_or(0, |lock| hash(group, queue, &lock));
        replace(&mut self.sum, old, new);
    }

    fn store(&mut self, group: &Arc<str>, locks: GroupLocks) {
        if locks.is_empty() {
            self.groups.remove(group);
        } else {
            self.groups.insert(group.clone(), locks);
        }
    }
}

/// The locked queues of one topic.
fn queues_of(locks: &GroupLocks, topic_id: u32) -> Vec<(u32, u32)> {
    let queues = locks.range((topic_id, 0)..=(topic_id, u32::MAX));
    queues.map(|(&queue, _)| queue).collect()
}

fn hash(group: &str, (topic_id, queue_id): (u32, u32), lock: &Lock) -> u64 {
    let entry = EntryHash::new(Entry::QueueLock).bytes(group.as_bytes());
    entry
        .word(u64::from(topic_id) << 32 | u64::from(queue_id))
        .bytes(lock.client.as_bytes())
        .word(lock.expires_ms)
        .finish()
}
