//! What a replica knows after walking the committed frames.

mod entries;
mod read;

use std::sync::Arc;

use foldhash::fast::FixedState;
use imbl::shared_ptr::DefaultSharedPtr;
use imbl::{GenericHashMap, OrdMap, Vector};

use crate::delay::{LEVELS, SCHEDULE_TOPIC, level_queue};
use crate::error::ApplyError;
use crate::founding::GroupFounding;
use crate::group::GroupConfig;
use crate::hash::{EntryKind, TableSums, replace};
use crate::locks::QueueLocks;
use crate::offsets::{ConsumerOffsets, OffsetCommit};
use crate::ops::Op;
use crate::system::{BUILT_IN_GROUPS, is_system_topic, system_topics};
use crate::topic::{MAX_QUEUES, Topic, TopicConfig};

use entries::{
    delay_hash, deleted_hash, founding_hash, group_hash, next_hash, topic_hash, version_hash,
};

/// A fixed seed: the map's layout is the same in every run. Its order is used nowhere.
type ByName<V> = GenericHashMap<Arc<str>, V, FixedState, DefaultSharedPtr>;

/// Version of a table, as brokers announce it: how many changes it has seen, and when the last one
/// was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DataVersion {
    /// Number of changes; the founding counts as one.
    pub counter: u64,
    /// Time of the last change, ms since 1970, stamped by leaders. Never falls, also where their
    /// clocks differ.
    pub changed_at_ms: u64,
}

impl DataVersion {
    fn advance(&mut self, changed_at_ms: u64) {
        self.counter += 1;
        self.changed_at_ms = self.changed_at_ms.max(changed_at_ms);
    }
}

/// What one metadata block changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// The group was founded: every table is new.
    pub founded: bool,
    /// Topics that were created or got another configuration, in order.
    pub topics: Vec<Arc<str>>,
    /// Subscription groups that were created or got another configuration, in order.
    pub groups: Vec<Arc<str>>,
    /// Topics that were deleted, with their ids, in order.
    pub topics_deleted: Vec<(Arc<str>, u32)>,
    /// Subscription groups that were deleted, in order.
    pub groups_deleted: Vec<Arc<str>>,
    /// Offset commits that were taken, also those that changed nothing.
    pub offsets_taken: usize,
    /// Offset commits that were ignored: they would lower a value without the explicit flag, or
    /// name a topic, a queue or a group that does not exist.
    pub offsets_ignored: usize,
}

/// The state machine, and at the same time the immutable view of it: a clone is a snapshot.
///
/// # Applying
/// Committed frames, in order: [`apply_record`](Self::apply_record) for each record of a frame,
/// then [`apply_metadata`](Self::apply_metadata) once, **also where the frame has no ops**, which
/// closes the frame. After an [`ApplyError`] the state is of no use any more.
///
/// # Snapshots
/// A clone shares everything with its origin and costs some ten reference counts. All tables are in
/// it, also the next queue offsets: these are persistent vectors, so the first record of a topic
/// after a clone copies a path of at most a few chunks of 64 counters, every other one writes in
/// place. Measured with 200 topics of 8 queues, one core: 40 ns a record in place, 0.8 µs for the
/// first one of a topic after a clone, 76 ns a clone, 0.3 µs an offset commit.
///
/// # Hash
/// [`hash`](Self::hash) covers the founding, all tables and the counters. It is kept at every
/// change and comparable between replicas at the same [`applied`](Self::applied) index, not in the
/// middle of a frame.
#[derive(Debug, Clone, Default)]
pub struct State {
    applied: (u64, u64),
    settings: Option<Arc<GroupFounding>>,
    topics: ByName<Arc<Topic>>,
    /// The same topics, ordered by id.
    topics_by_id: OrdMap<u32, Arc<Topic>>,
    topic_version: DataVersion,
    groups: OrdMap<Arc<str>, Arc<GroupConfig>>,
    group_version: DataVersion,
    offsets: ConsumerOffsets,
    /// Next queue offsets: a row for each topic there ever was, id 1 at place 0, as long as the
    /// highest queue that has a record. The row of a deleted topic is empty.
    next_offsets: Vector<Vector<u64>>,
    /// Progress of each delay level, level 1 at place 0.
    delays: [u64; LEVELS as usize],
    locks: QueueLocks,
    sums: TableSums,
}

impl State {
    /// The state before the first frame.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes one record of a committed frame and returns its topic's id.
    ///
    /// # Errors
    /// The record's topic is unknown, or its queue offset is not the next one of its queue.
    pub fn apply_record(
        &mut self,
        topic: &str,
        queue_id: u32,
        queue_offset: u64,
    ) -> Result<u32, ApplyError> {
        let Some(id) = self.topics.get(topic).map(|topic| topic.id) else {
            return Err(self.unknown_topic(topic));
        };
        let row = self
            .next_offsets
            .get_mut(place(id))
            .expect("every topic has a row");
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
            &mut self.sums.next_offsets,
            next_hash(id, queue, need),
            next_hash(id, queue, need + 1),
        );
        Ok(id)
    }

    /// Applies the ops of one committed frame and closes the frame.
    ///
    /// `metadata` is the frame's metadata block, empty for frames without ops and for frames whose
    /// block is not made of ops (membership). Offset commits of the frame see the records of the
    /// frame.
    ///
    /// # Errors
    /// The frame does not follow the one before, its block is unreadable, or an op contradicts the
    /// state.
    pub fn apply_metadata(
        &mut self,
        index: u64,
        term: u64,
        metadata: &[u8],
    ) -> Result<Changes, ApplyError> {
        let (applied_index, applied_term) = self.applied;
        if index != applied_index + 1 || term < applied_term {
            return Err(ApplyError::Order {
                index,
                term,
                applied_index,
                applied_term,
            });
        }
        let mut changes = Changes::default();
        if !metadata.is_empty() {
            let ops =
                Op::decode_all(metadata).map_err(|source| ApplyError::Op { index, source })?;
            for op in ops {
                self.check(&op)?;
                self.apply(op, term, &mut changes);
            }
        }
        self.applied = (index, term);
        Ok(changes)
    }

    /// Whether `op` could be applied to this state. A leader asks before it proposes: once the op
    /// is committed, a contradiction stops every replica.
    ///
    /// # Errors
    /// What applying the op would return.
    pub fn check(&self, op: &Op) -> Result<(), ApplyError> {
        match (op, &self.settings) {
            (Op::FoundGroup(_), Some(_)) => Err(ApplyError::FoundedTwice),
            (Op::FoundGroup(founding), None) => founding.check(),
            (_, None) => Err(ApplyError::NotFounded),
            (Op::PutTopic { config, .. }, Some(_)) => config.check(),
            (Op::PutGroup { config, .. }, Some(_)) => config.check(),
            (Op::DelayProgress { level, from, to }, Some(_)) => {
                self.check_delay(*level, *from, *to)
            }
            (Op::DeleteTopic { name, .. }, Some(founding)) => {
                if is_system_topic(Some(founding), name) {
                    return Err(ApplyError::SystemTopic {
                        topic: name.clone(),
                    });
                }
                Ok(())
            }
            (
                Op::CommitOffsets(_)
                | Op::LockQueues { .. }
                | Op::UnlockQueues { .. }
                | Op::DeleteGroup { .. },
                Some(_),
            ) => Ok(()),
        }
    }

    fn check_delay(&self, level: u16, from: u64, to: u64) -> Result<(), ApplyError> {
        if !(1..=LEVELS).contains(&level) {
            return Err(ApplyError::DelayLevel { level });
        }
        let stands = self.delay_progress(level);
        let end = self.next_offset(SCHEDULE_TOPIC, level_queue(level));
        if from != stands || to < from || to > end {
            return Err(ApplyError::DelayProgress {
                level,
                stands,
                end,
                from,
                to,
            });
        }
        Ok(())
    }

    fn apply(&mut self, op: Op, term: u64, changes: &mut Changes) {
        match op {
            Op::FoundGroup(founding) => self.found(founding, changes),
            Op::PutTopic {
                changed_at_ms,
                config,
            } => {
                let name = config.name.clone();
                if self.put_topic(config) {
                    self.advance_topics(changed_at_ms);
                    changes.topics.push(name);
                }
            }
            Op::PutGroup {
                changed_at_ms,
                config,
            } => {
                let name = config.name.clone();
                if self.put_group(config) {
                    self.advance_groups(changed_at_ms);
                    changes.groups.push(name);
                }
            }
            Op::CommitOffsets(commits) => {
                for commit in &commits {
                    if self.commit_offset(commit) {
                        changes.offsets_taken += 1;
                    } else {
                        changes.offsets_ignored += 1;
                    }
                }
            }
            Op::DelayProgress { level, from, to } => {
                self.delays[usize::from(level) - 1] = to;
                replace(
                    &mut self.sums.delays,
                    delay_hash(level, from),
                    delay_hash(level, to),
                );
            }
            Op::LockQueues {
                group,
                client,
                at,
                ttl_ms,
                queues,
            } => {
                // Stamped under one leadership and appended under a later one of the same replica: what
                // it says of the time before that one began is too early for the locks found then.
                if at.term == term && self.groups.contains_key(&group) {
                    let queues = known_queues(&self.topics, &queues);
                    self.locks.lock((&group, &client), (at, ttl_ms), queues);
                    self.sums.locks = self.locks.sum();
                }
            }
            Op::UnlockQueues {
                group,
                client,
                queues,
            } => {
                let queues = known_queues(&self.topics, &queues);
                self.locks.unlock((&group, &client), queues);
                self.sums.locks = self.locks.sum();
            }
            Op::DeleteTopic {
                changed_at_ms,
                name,
            } => {
                if let Some(id) = self.delete_topic(&name) {
                    self.advance_topics(changed_at_ms);
                    changes.topics_deleted.push((name, id));
                }
            }
            Op::DeleteGroup {
                changed_at_ms,
                name,
                clean_offsets,
            } => {
                if clean_offsets {
                    self.offsets.remove_group(&name);
                    self.sums.consumer_offsets = self.offsets.sum();
                }
                if let Some(group) = self.groups.remove(&name) {
                    replace(&mut self.sums.groups, group_hash(&group), 0);
                    self.locks.remove_group(&name);
                    self.sums.locks = self.locks.sum();
                    self.advance_groups(changed_at_ms);
                    changes.groups_deleted.push(name);
                }
            }
        }
    }

    /// The id that the topic had; none if there is no such topic.
    fn delete_topic(&mut self, name: &str) -> Option<u32> {
        let topic = self.topics.remove(name)?;
        self.topics_by_id.remove(&topic.id);
        let row = std::mem::take(
            self.next_offsets
                .get_mut(place(topic.id))
                .expect("every topic has a row"),
        );
        for (queue, next) in row.iter().enumerate() {
            replace(
                &mut self.sums.next_offsets,
                next_hash(topic.id, queue, *next),
                0,
            );
        }
        self.offsets.remove_topic(topic.id);
        self.locks.remove_topic(topic.id);
        self.sums.consumer_offsets = self.offsets.sum();
        self.sums.locks = self.locks.sum();
        replace(&mut self.sums.topics, topic_hash(&topic), 0);
        let deleted = self.deleted_topics();
        replace(
            &mut self.sums.topics,
            deleted_hash(deleted - 1),
            deleted_hash(deleted),
        );
        Some(topic.id)
    }

    /// Number of topics that were deleted since the founding.
    fn deleted_topics(&self) -> usize {
        self.next_offsets.len() - self.topics_by_id.len()
    }

    fn found(&mut self, founding: GroupFounding, changes: &mut Changes) {
        changes.founded = true;
        for topic in system_topics(&founding) {
            let name = topic.name.clone();
            if self.put_topic(topic) {
                changes.topics.push(name);
            }
        }
        for group in BUILT_IN_GROUPS {
            self.put_group(GroupConfig::new(group));
            changes.groups.push(group.into());
        }
        self.advance_topics(founding.founded_at_ms);
        self.advance_groups(founding.founded_at_ms);
        replace(&mut self.sums.settings, 0, founding_hash(&founding));
        self.settings = Some(Arc::new(founding));
    }

    /// False if the topic had this configuration already: then nothing changed, not even the
    /// version.
    fn put_topic(&mut self, config: TopicConfig) -> bool {
        let before = self.topics.get(&config.name);
        if before.is_some_and(|before| before.config == config) {
            return false;
        }
        let old = before.map_or(0, |before| topic_hash(before));
        let id = before.map(|before| before.id);
        let topic = Arc::new(Topic {
            id: id.unwrap_or_else(|| self.next_offsets.len() as u32 + 1),
            config,
        });
        replace(&mut self.sums.topics, old, topic_hash(&topic));
        self.topics.insert(topic.config.name.clone(), topic.clone());
        self.topics_by_id.insert(topic.id, topic);
        if id.is_none() {
            self.next_offsets.push_back(Vector::new());
        }
        true
    }

    /// False if the group had this configuration already.
    fn put_group(&mut self, config: GroupConfig) -> bool {
        let before = self.groups.get(&config.name);
        if before.is_some_and(|before| **before == config) {
            return false;
        }
        let old = before.map_or(0, |before| group_hash(before));
        replace(&mut self.sums.groups, old, group_hash(&config));
        self.groups.insert(config.name.clone(), Arc::new(config));
        true
    }

    fn advance_topics(&mut self, changed_at_ms: u64) {
        let old = self.topic_version;
        self.topic_version.advance(changed_at_ms);
        let entry = EntryKind::TopicVersion;
        replace(
            &mut self.sums.topics,
            version_hash(old, entry),
            version_hash(self.topic_version, entry),
        );
    }

    fn advance_groups(&mut self, changed_at_ms: u64) {
        let old = self.group_version;
        self.group_version.advance(changed_at_ms);
        let entry = EntryKind::GroupVersion;
        replace(
            &mut self.sums.groups,
            version_hash(old, entry),
            version_hash(self.group_version, entry),
        );
    }

    /// False if the commit is ignored. A topic, queue or group that does not exist is not an error:
    /// the leader checked when the client asked, and it may be deleted while the leader collects
    /// commits for one op.
    fn commit_offset(&mut self, commit: &OffsetCommit) -> bool {
        let Some(topic) = self.topics.get(&commit.topic) else {
            return false;
        };
        let row = &self.next_offsets[place(topic.id)];
        if commit.queue_id as usize >= row.len().max(topic.config.queues() as usize)
            || !self.groups.contains_key(&commit.group)
        {
            return false;
        }
        let end = row.get(commit.queue_id as usize).copied().unwrap_or(0);
        let taken = self
            .offsets
            .commit(commit, topic.id, commit.offset.min(end));
        self.sums.consumer_offsets = self.offsets.sum();
        taken
    }

    #[cold]
    fn unknown_topic(&self, topic: &str) -> ApplyError {
        if self.settings.is_none() {
            return ApplyError::NotFounded;
        }
        ApplyError::UnknownTopic {
            topic: topic.into(),
        }
    }
}

/// Those queues of a list that a topic may have, with the topics' ids.
fn known_queues(
    topics: &ByName<Arc<Topic>>,
    queues: &[(Arc<str>, u32)],
) -> impl Iterator<Item = (u32, u32)> {
    queues.iter().filter_map(|(topic, queue_id)| {
        let topic = topics.get(topic)?;
        (*queue_id < MAX_QUEUES).then_some((topic.id, *queue_id))
    })
}

/// Place of a topic id in the tables ordered by id.
fn place(topic_id: u32) -> usize {
    topic_id as usize - 1
}
