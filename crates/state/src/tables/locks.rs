//! Queue locks: which client may consume a queue in order.
//!
//! | size | field |
//! |--:|---|
//! | 4 | number of groups |
//! | 4 + length | group, string, rising |
//! | 4 | number of its queues |
//! | 4 | topic id |
//! | 4 | queue id, rising with the topic id |
//! | 4 + length | client id, string |
//! | 8 | term of the leader that gave or renewed the lock |
//! | 8 | when it was renewed, monotonic ms of that leader |
//! | 8 | time to live, ms |
//!
//! The second and third once a group, the last six once a queue.

use std::sync::Arc;

use imbl::OrdMap;

use super::table::{Table, push};
use crate::codec::{FieldError, FieldReader, FieldWriter};
use crate::error::RowError;
use crate::hash::{EntryHash, replace};

const QUEUE_LOCK: u64 = 10;

/// A moment of a leadership, by the monotonic clock of the leader: what the leases of queue locks are
/// measured in.
///
/// Clocks of two replicas, and of one replica before and after a boot, have nothing in common, and a
/// wall clock may be set; so only times of one leadership are compared. What a leader finds when it
/// begins counts as renewed at that moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseTime {
    /// Term of the leader.
    pub term: u64,
    /// When its leadership began, monotonic ms.
    pub since_ms: u64,
    /// The moment, monotonic ms.
    pub now_ms: u64,
}

impl LeaseTime {
    /// The moment `now_ms` by the clock of the same leader, whether it still leads or not. By this clock a lease runs
    /// out no later than by that of a leader that came after: that one counts every lease as renewed when it began.
    #[must_use]
    pub fn later(self, now_ms: u64) -> Self {
        Self {
            now_ms: now_ms.max(self.now_ms),
            ..self
        }
    }
}

/// How far the times of ops that follow each other in the log may fall: requests are stamped before they are lined up.
const OUT_OF_ORDER_MS: u64 = 1_000;

/// Who holds a queue, and since when.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Lock {
    client: Arc<str>,
    /// Term and time of the leader that gave or renewed it.
    term: u64,
    renewed_ms: u64,
    ttl_ms: u64,
}

impl Lock {
    /// An empty client id and three numbers.
    const LEAST_BYTES: usize = 4 + 3 * 8;

    fn write(&self, out: &mut FieldWriter<'_>) {
        out.string(&self.client);
        out.u64(self.term);
        out.u64(self.renewed_ms);
        out.u64(self.ttl_ms);
    }

    fn read(from: &mut FieldReader<'_>) -> Result<Self, FieldError> {
        Ok(Self {
            client: from.string()?.into(),
            term: from.u64()?,
            renewed_ms: from.u64()?,
            ttl_ms: from.u64()?,
        })
    }

    /// When it was renewed, by the clock of another leadership perhaps. A little later than now if a request that was
    /// stamped before stands behind it; not more: one term may outlive a boot where one replica is the whole group, and
    /// its clock begins again.
    fn renewed_ms(&self, at: LeaseTime) -> u64 {
        let renewed_ms = if self.term == at.term {
            self.renewed_ms.max(at.since_ms)
        } else {
            at.since_ms
        };
        if renewed_ms > at.now_ms.saturating_add(OUT_OF_ORDER_MS) {
            at.now_ms
        } else {
            renewed_ms
        }
    }

    fn holds(&self, at: LeaseTime) -> bool {
        at.now_ms.saturating_sub(self.renewed_ms(at)) < self.ttl_ms
    }

    /// The same lock by the clock of this leadership.
    fn at(&self, at: LeaseTime) -> Self {
        Self {
            client: self.client.clone(),
            term: at.term,
            renewed_ms: self.renewed_ms(at),
            ttl_ms: self.ttl_ms,
        }
    }
}

/// The locks of one group by (topic id, queue id).
type GroupLocks = OrdMap<(u32, u32), Lock>;

/// All queue locks and the sum of their hashes.
///
/// A lease runs out by the times in the ops. Each op that looks at a group's locks puts those of earlier
/// leaderships on the clock of its own.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct LockTable {
    groups: OrdMap<Arc<str>, GroupLocks>,
    sum: u64,
}

impl LockTable {
    pub(crate) fn holder(&self, group: &str, queue: (u32, u32), at: LeaseTime) -> Option<&str> {
        let lock = self.groups.get(group)?.get(&queue)?;
        lock.holds(at).then_some(&*lock.client)
    }

    pub(crate) fn any(&self, group: &str, at: LeaseTime) -> bool {
        let locks = self.groups.get(group);
        locks.is_some_and(|locks| locks.values().any(|lock| lock.holds(at)))
    }

    /// Drops what has run out in the group, then gives `client` each of the queues that is free or
    /// its own already.
    pub(crate) fn lock(
        &mut self,
        (group, client): (&Arc<str>, &Arc<str>),
        (at, ttl_ms): (LeaseTime, u64),
        queues: impl Iterator<Item = (u32, u32)>,
    ) {
        let mut locks = self.groups.get(group).cloned().unwrap_or_default();
        let changed: Vec<_> = locks
            .iter()
            .map(|(&queue, lock)| (queue, lock.holds(at).then(|| lock.at(at)), lock))
            .filter(|(_, now, lock)| now.as_ref() != Some(*lock))
            .map(|(queue, now, _)| (queue, now))
            .collect();
        for (queue, now) in changed {
            self.set(group, &mut locks, queue, now);
        }
        for queue in queues {
            let held = locks.get(&queue);
            if held.is_none_or(|lock| lock.client == *client) {
                let lock = Lock {
                    client: client.clone(),
                    term: at.term,
                    renewed_ms: held.map_or(at.now_ms, |lock| lock.renewed_ms.max(at.now_ms)),
                    ttl_ms,
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

impl Table for LockTable {
    const ID: u16 = 7;

    const ENTRY_KINDS: &'static [u64] = &[QUEUE_LOCK];

    fn sum(&self) -> u64 {
        self.sum
    }

    fn recomputed_sum(&self) -> u64 {
        let entries = self.groups.iter().flat_map(|(group, locks)| {
            locks
                .iter()
                .map(move |(queue, lock)| hash(group, *queue, lock))
        });
        entries.fold(0, u64::wrapping_add)
    }

    fn write(&self, out: &mut FieldWriter<'_>) {
        out.rows(self.groups.iter(), |out, (group, locks)| {
            out.string(group);
            out.rows(locks.iter(), |out, ((topic_id, queue_id), lock)| {
                out.u32(*topic_id);
                out.u32(*queue_id);
                lock.write(out);
            });
        });
    }

    fn read(from: &mut FieldReader<'_>) -> Result<Self, RowError> {
        const LEAST_BYTES: usize = 4 + 4 + Lock::LEAST_BYTES;
        let mut table = Self::default();
        for _ in 0..from.count(4 + 4 + LEAST_BYTES)? {
            let group = Arc::from(from.string()?);
            let mut locks = GroupLocks::new();
            for _ in 0..from.count(LEAST_BYTES)? {
                let queue = (from.u32()?, from.u32()?);
                push(&mut locks, queue, Lock::read(from)?)?;
            }
            if locks.is_empty() {
                return Err(RowError::Empty);
            }
            push(&mut table.groups, group, locks)?;
        }
        table.sum = table.recomputed_sum();
        Ok(table)
    }

    fn topic_ids(&self) -> impl Iterator<Item = u32> {
        let queues = self.groups.values().flat_map(GroupLocks::keys);
        queues.map(|(topic_id, _)| *topic_id)
    }
}

/// The locked queues of one topic.
fn queues_of(locks: &GroupLocks, topic_id: u32) -> Vec<(u32, u32)> {
    let queues = locks.range((topic_id, 0)..=(topic_id, u32::MAX));
    queues.map(|(&queue, _)| queue).collect()
}

fn hash(group: &str, (topic_id, queue_id): (u32, u32), lock: &Lock) -> u64 {
    let entry = EntryHash::new(QUEUE_LOCK).bytes(group.as_bytes());
    entry
        .word(u64::from(topic_id) << 32 | u64::from(queue_id))
        .bytes(lock.client.as_bytes())
        .word(lock.term)
        .word(lock.renewed_ms)
        .word(lock.ttl_ms)
        .finish()
}
