//! What a replica knows after walking the committed frames.

use std::sync::Arc;

use crate::changes::Changes;
use crate::delay::{LEVELS, SCHEDULE_TOPIC, level_queue};
use crate::error::ApplyError;
use crate::founding::GroupFounding;
use crate::group::GroupConfig;
use crate::offsets::OffsetCommit;
use crate::ops::Op;
use crate::system::{BUILT_IN_GROUPS, is_system_topic, system_topics};
use crate::tables::StateTables;
use crate::topic::MAX_QUEUES;

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
#[derive(Debug, Clone, Default, PartialEq)]
pub struct State {
    /// Index and term of the last frame that was closed.
    pub(crate) applied: (u64, u64),
    pub(crate) tables: StateTables,
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
        let Some(id) = self.tables.topics.by_name(topic).map(|topic| topic.id) else {
            return Err(self.unknown_topic(topic));
        };
        let next_offsets = &mut self.tables.next_offsets;
        next_offsets.count_record((id, topic), queue_id, queue_offset)?;
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
        match (op, self.settings()) {
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
                if self.tables.topics.put(config) {
                    self.tables.topics.advance(changed_at_ms);
                    changes.topics.push(name);
                }
            }
            Op::PutGroup {
                changed_at_ms,
                config,
            } => {
                let name = config.name.clone();
                if self.tables.groups.put(config) {
                    self.tables.groups.advance(changed_at_ms);
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
            Op::DelayProgress { level, to, .. } => self.tables.delays.set(level, to),
            Op::LockQueues {
                group,
                client,
                at,
                ttl_ms,
                queues,
            } => {
                // Stamped under one leadership and appended under a later one of the same replica: what
                // it says of the time before that one began is too early for the locks found then.
                if at.term == term && self.group(&group).is_some() {
                    let queues = self.known_queues(&queues);
                    let locks = &mut self.tables.locks;
                    locks.lock((&group, &client), (at, ttl_ms), queues.into_iter());
                }
            }
            Op::UnlockQueues {
                group,
                client,
                queues,
            } => {
                let queues = self.known_queues(&queues);
                let locks = &mut self.tables.locks;
                locks.unlock((&group, &client), queues.into_iter());
            }
            Op::DeleteTopic {
                changed_at_ms,
                name,
            } => {
                if let Some(id) = self.tables.topics.remove(&name) {
                    self.tables.next_offsets.remove_topic(id);
                    self.tables.consumer_offsets.remove_topic(id);
                    self.tables.locks.remove_topic(id);
                    self.tables.topics.advance(changed_at_ms);
                    changes.topics_deleted.push((name, id));
                }
            }
            Op::DeleteGroup {
                changed_at_ms,
                name,
                clean_offsets,
            } => {
                if clean_offsets {
                    self.tables.consumer_offsets.remove_group(&name);
                }
                if self.tables.groups.remove(&name) {
                    self.tables.locks.remove_group(&name);
                    self.tables.groups.advance(changed_at_ms);
                    changes.groups_deleted.push(name);
                }
            }
        }
    }

    fn found(&mut self, founding: GroupFounding, changes: &mut Changes) {
        changes.founded = true;
        let (topics, groups) = (&mut self.tables.topics, &mut self.tables.groups);
        for topic in system_topics(&founding) {
            let name = topic.name.clone();
            if topics.put(topic) {
                changes.topics.push(name);
            }
        }
        for group in BUILT_IN_GROUPS {
            groups.put(GroupConfig::new(group));
            changes.groups.push(group.into());
        }
        topics.advance(founding.founded_at_ms);
        groups.advance(founding.founded_at_ms);
        self.tables.settings.set(founding);
    }

    /// False if the commit is ignored. A topic, queue or group that does not exist is not an error:
    /// the leader checked when the client asked, and it may be deleted while the leader collects
    /// commits for one op.
    fn commit_offset(&mut self, commit: &OffsetCommit) -> bool {
        let tables = &mut self.tables;
        let Some(topic) = tables.topics.by_name(&commit.topic) else {
            return false;
        };
        let queues = tables.next_offsets.queues(topic.id);
        if commit.queue_id >= queues.max(topic.config.queues())
            || tables.groups.by_name(&commit.group).is_none()
        {
            return false;
        }
        let queue = (topic.id, commit.queue_id);
        let offset = commit.offset.min(tables.next_offsets.get(queue.0, queue.1));
        let before = tables.consumer_offsets.get(&commit.group, queue.0, queue.1);
        if !commit.explicit && before.is_some_and(|before| offset < before) {
            return false;
        }
        if before != Some(offset) {
            tables.consumer_offsets.put(&commit.group, queue, offset);
        }
        true
    }

    /// Those queues of a list that a topic may have, with the topics' ids.
    fn known_queues(&self, queues: &[(Arc<str>, u32)]) -> Vec<(u32, u32)> {
        let known = queues.iter().filter_map(|(topic, queue_id)| {
            let topic = self.topic(topic)?;
            (*queue_id < MAX_QUEUES).then_some((topic.id, *queue_id))
        });
        known.collect()
    }

    #[cold]
    fn unknown_topic(&self, topic: &str) -> ApplyError {
        if self.settings().is_none() {
            return ApplyError::NotFounded;
        }
        ApplyError::UnknownTopic {
            topic: topic.into(),
        }
    }
}
