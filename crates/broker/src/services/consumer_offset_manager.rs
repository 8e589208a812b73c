//! Consumer offsets on their way into the log.
//!
//! One-way commits and the offsets that ride on pulls are collected and proposed as one op every 50 ms, or at 1,000
//! changes; they only raise an offset. A commit that somebody waits for is proposed at once and may lower it. Who
//! asks for a group's offsets first waits for those that are on their way, so that no answer falls behind what the
//! group has said.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hashbrown::HashMap;
use parking_lot::Mutex;
use tern_replica::{AnswerAt, Outcome, Proposal, RejectReason};
use tern_requests::{GroupQueue, QueueKey, Views};
use tern_state::{CommitOffsets, OffsetCommit, Op};
use tokio::runtime::Handle;

use crate::channels::mailbox::Mailbox;
use crate::clock;
use crate::response_batch::{ResponseBatch, Ticket};

/// How long a one-way commit waits for others.
const INTERVAL: Duration = Duration::from_millis(50);
/// Changes that are proposed without waiting.
const BATCH: usize = 1_000;
/// Changes that are held while the log takes none; what comes then is dropped, as its sender says it again.
const LIMIT: usize = 10_000;

/// Collects commits. Only the leader adds to it.
pub struct ConsumerOffsetManager {
    views: Arc<Views>,
    mailbox: Mailbox,
    runtime: Handle,
    pending: Mutex<PendingCommits>,
}

#[derive(Default)]
struct PendingCommits {
    groups: HashMap<Arc<str>, BTreeMap<QueueKey, u64>>,
    count: usize,
    /// A flush is due.
    armed: bool,
    /// Proposed and not decided, by group.
    in_flight: HashMap<Arc<str>, u32>,
}

impl ConsumerOffsetManager {
    /// Nothing is pending yet.
    pub fn new(views: Arc<Views>, mailbox: Mailbox, runtime: Handle) -> Self {
        Self {
            views,
            mailbox,
            runtime,
            pending: Mutex::default(),
        }
    }

    /// A commit that nobody waits for.
    pub(crate) fn add(self: &Arc<Self>, queue: &GroupQueue, offset: u64) {
        let stored = self
            .views
            .state()
            .offset(&queue.group, &queue.topic, queue.queue_id);
        if stored.is_some_and(|stored| offset <= stored) {
            return;
        }
        let mut pending = self.pending.lock();
        if !pending.stage(&queue.group, (queue.topic_id, queue.queue_id), offset) {
            return;
        }
        if pending.count >= BATCH {
            let commits = self.take(&mut pending);
            drop(pending);
            self.propose(commits, None, &mut ResponseBatch::default());
        } else if !pending.armed {
            pending.armed = true;
            drop(pending);
            self.arm();
        }
    }

    /// A commit whose sender waits; it may lower the offset. What was collected before it is older and goes.
    pub(crate) fn set(
        self: &Arc<Self>,
        queue: GroupQueue,
        offset: u64,
        then: Ticket,
        batch: &mut ResponseBatch,
    ) {
        let commits = {
            let mut pending = self.pending.lock();
            pending.drop_one(&queue.group, (queue.topic_id, queue.queue_id));
            pending.propose_batch(vec![OffsetCommit {
                group: queue.group,
                topic: queue.topic,
                queue_id: queue.queue_id,
                offset,
                explicit: true,
            }])
        };
        self.propose(commits, Some(then), batch);
    }

    /// Calls `then` when all that a group has committed so far can be read: with [`Outcome::Stored`] or
    /// [`Outcome::Confirmed`], or with why that cannot be known.
    pub(crate) fn settle(self: &Arc<Self>, group: &str, then: Ticket, batch: &mut ResponseBatch) {
        let mut pending = self.pending.lock();
        if pending.groups.contains_key(group) || pending.in_flight.contains_key(group) {
            // An op behind those in flight is applied after them, even if it is empty.
            let commits = self.take(&mut pending);
            drop(pending);
            self.propose(commits, Some(then), batch);
            return;
        }
        drop(pending);
        batch.settle(self.mailbox.read(then));
    }

    fn arm(self: &Arc<Self>) {
        let this = Arc::clone(self);
        self.runtime.spawn(async move {
            tokio::time::sleep(INTERVAL).await;
            this.flush();
        });
    }

    fn flush(self: &Arc<Self>) {
        let commits = {
            let mut pending = self.pending.lock();
            pending.armed = false;
            self.take(&mut pending)
        };
        if !commits.is_empty() {
            self.propose(commits, None, &mut ResponseBatch::default());
        }
    }

    /// Everything that is pending, now in flight.
    fn take(&self, pending: &mut PendingCommits) -> Vec<OffsetCommit> {
        let state = self.views.state();
        pending.count = 0;
        let mut commits = Vec::new();
        for (group, offsets) in std::mem::take(&mut pending.groups) {
            for ((topic_id, queue_id), offset) in offsets {
                let Some(topic) = state.topic_by_id(topic_id) else {
                    continue;
                };
                commits.push(OffsetCommit {
                    group: Arc::clone(&group),
                    topic: Arc::clone(&topic.config.name),
                    queue_id,
                    offset,
                    explicit: false,
                });
            }
        }
        pending.propose_batch(commits)
    }

    fn propose(
        self: &Arc<Self>,
        commits: Vec<OffsetCommit>,
        then: Option<Ticket>,
        batch: &mut ResponseBatch,
    ) {
        let op = Op::CommitOffsets(CommitOffsets(commits));
        let mut block = Vec::new();
        op.encode(&mut block);
        let Op::CommitOffsets(CommitOffsets(commits)) = op else {
            unreachable!("made above");
        };
        let this = Arc::clone(self);
        let ticket: Ticket = Box::new(move |outcome, batch| {
            this.decided(&commits, &outcome);
            if let Some(then) = then {
                then(outcome, batch);
            }
        });
        let proposal = Proposal {
            drafts: smallvec::SmallVec::new(),
            ops: Bytes::from(block),
            answer: AnswerAt::Apply,
            ticket,
            received_ns: clock::monotonic_ns(),
        };
        batch.settle(self.mailbox.propose(proposal));
    }

    /// A busy log has taken nothing: what nobody waits for is tried again.
    fn decided(self: &Arc<Self>, commits: &[OffsetCommit], outcome: &Outcome) {
        let again = matches!(outcome, Outcome::Rejected(RejectReason::Busy(_)));
        let state = self.views.state();
        let mut pending = self.pending.lock();
        pending.decided(commits);
        if !again {
            return;
        }
        for commit in commits.iter().filter(|commit| !commit.explicit) {
            if let Some(topic) = state.topic(&commit.topic) {
                pending.stage(&commit.group, (topic.id, commit.queue_id), commit.offset);
            }
        }
        if pending.count > 0 && !pending.armed {
            pending.armed = true;
            drop(pending);
            self.arm();
        }
    }
}

impl PendingCommits {
    /// False if there is no room for it.
    fn stage(&mut self, group: &Arc<str>, queue: QueueKey, offset: u64) -> bool {
        if let Some(held) = self
            .groups
            .get_mut(group)
            .and_then(|offsets| offsets.get_mut(&queue))
        {
            *held = offset.max(*held);
            return true;
        }
        if self.count >= LIMIT {
            return false;
        }
        self.count += 1;
        self.groups
            .entry(Arc::clone(group))
            .or_default()
            .insert(queue, offset);
        true
    }

    fn drop_one(&mut self, group: &str, queue: QueueKey) {
        let Some(offsets) = self.groups.get_mut(group) else {
            return;
        };
        self.count -= usize::from(offsets.remove(&queue).is_some());
        if offsets.is_empty() {
            self.groups.remove(group);
        }
    }

    fn propose_batch(&mut self, commits: Vec<OffsetCommit>) -> Vec<OffsetCommit> {
        for group in groups_of(&commits) {
            *self.in_flight.entry(Arc::clone(group)).or_default() += 1;
        }
        commits
    }

    fn decided(&mut self, commits: &[OffsetCommit]) {
        for group in groups_of(commits) {
            let Some(count) = self.in_flight.get_mut(group) else {
                continue;
            };
            *count -= 1;
            if *count == 0 {
                self.in_flight.remove(group);
            }
        }
    }
}

/// The groups of a batch, each once: commits of one group lie together.
fn groups_of(commits: &[OffsetCommit]) -> impl Iterator<Item = &Arc<str>> {
    commits
        .chunk_by(|one, next| one.group == next.group)
        .map(|group| &group[0].group)
}

#[cfg(test)]
mod tests {
    use tern_state::{GroupConfig, PutGroup, PutTopic, TopicConfig};

    use super::*;
    use crate::testing::ReplicaBench;
    use tern_replica::{Bound, StoredRecords};

    struct OffsetFixture {
        bench: ReplicaBench,
        manager: Arc<ConsumerOffsetManager>,
        queue: GroupQueue,
    }

    impl OffsetFixture {
        fn new() -> Self {
            let mut bench = ReplicaBench::new();
            bench.commit_ops(&[
                Op::PutTopic(PutTopic {
                    changed_at_ms: 1,
                    config: TopicConfig::new("T", 2_000, 6),
                }),
                Op::PutGroup(PutGroup {
                    changed_at_ms: 1,
                    config: GroupConfig::new("g"),
                }),
            ]);
            for _ in 0..20 {
                bench.commit_message("T", 0, "", b"m");
            }
            let topic_id = bench.views.state().topic("T").unwrap().id;
            let manager = ConsumerOffsetManager::new(
                Arc::clone(&bench.views),
                bench.mailbox.clone(),
                Handle::current(),
            );
            Self {
                bench,
                manager: Arc::new(manager),
                queue: GroupQueue {
                    group: "g".into(),
                    topic: "T".into(),
                    topic_id,
                    queue_id: 0,
                },
            }
        }

        fn proposed(&self) -> Option<(Vec<OffsetCommit>, Ticket)> {
            let proposal = self.bench.proposal()?;
            let mut ops = Op::decode_all(&proposal.ops).unwrap();
            let Some(Op::CommitOffsets(CommitOffsets(commits))) = ops.pop() else {
                panic!("one op of commits");
            };
            Some((commits, proposal.ticket))
        }

        fn queue(&self, queue_id: u32) -> GroupQueue {
            GroupQueue {
                queue_id,
                ..self.queue.clone()
            }
        }

        fn decided(&mut self, commits: Vec<OffsetCommit>, ticket: Ticket) {
            self.bench
                .commit_ops(&[Op::CommitOffsets(CommitOffsets(commits))]);
            ticket(
                Outcome::Stored(StoredRecords::default()),
                &mut ResponseBatch::default(),
            );
        }
    }

    fn note(ends: &Arc<Mutex<Vec<Outcome>>>) -> Ticket {
        let ends = Arc::clone(ends);
        Box::new(move |outcome, _| ends.lock().push(outcome))
    }

    #[tokio::test(start_paused = true)]
    async fn commits_that_nobody_waits_for_ride_together_after_50_ms() {
        let fixture = OffsetFixture::new();
        fixture.manager.add(&fixture.queue(0), 3);
        fixture.manager.add(&fixture.queue(0), 7);
        fixture.manager.add(&fixture.queue(0), 5);
        fixture.manager.add(&fixture.queue(1), 2);
        tokio::time::sleep(INTERVAL / 2).await;
        assert!(fixture.proposed().is_none());
        tokio::time::sleep(INTERVAL).await;
        let (commits, _) = fixture.proposed().expect("proposed after the interval");
        let offsets: Vec<_> = commits
            .iter()
            .map(|c| (c.queue_id, c.offset, c.explicit))
            .collect();
        assert_eq!(offsets, [(0, 7, false), (1, 2, false)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_thousand_changes_do_not_wait() {
        let fixture = OffsetFixture::new();
        (0..BATCH as u32).for_each(|queue_id| fixture.manager.add(&fixture.queue(queue_id), 1));
        assert_eq!(fixture.proposed().expect("proposed at once").0.len(), BATCH);
    }

    #[tokio::test(start_paused = true)]
    async fn an_offset_that_raises_nothing_costs_no_op() {
        let mut fixture = OffsetFixture::new();
        fixture.manager.add(&fixture.queue(0), 9);
        tokio::time::sleep(INTERVAL * 2).await;
        let (commits, ticket) = fixture.proposed().unwrap();
        fixture.decided(commits, ticket);
        fixture.manager.add(&fixture.queue(0), 9);
        fixture.manager.add(&fixture.queue(0), 4);
        tokio::time::sleep(INTERVAL * 2).await;
        assert!(fixture.proposed().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_query_waits_for_what_its_group_has_committed() {
        let mut fixture = OffsetFixture::new();
        let ends = Arc::default();
        let mut batch = ResponseBatch::default();
        fixture.manager.add(&fixture.queue(0), 9);
        fixture.manager.settle("other", note(&ends), &mut batch);
        assert!(
            fixture.bench.read().is_some(),
            "another group's commits do not matter"
        );
        fixture.manager.settle("g", note(&ends), &mut batch);
        let (first, first_ticket) = fixture.proposed().expect("the pending commit goes first");
        assert_eq!(first.len(), 1);
        fixture.manager.settle("g", note(&ends), &mut batch);
        let (second, second_ticket) = fixture
            .proposed()
            .expect("and the next query waits behind it");
        assert!(second.is_empty() && ends.lock().is_empty());
        fixture.decided(first, first_ticket);
        fixture.decided(second, second_ticket);
        assert_eq!(ends.lock().len(), 2);
        fixture.manager.settle("g", note(&ends), &mut batch);
        assert!(
            fixture.bench.read().is_some(),
            "nothing is on its way any more"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn an_explicit_commit_replaces_older_ones_that_are_pending() {
        let fixture = OffsetFixture::new();
        fixture.manager.add(&fixture.queue(0), 9);
        fixture.manager.set(
            fixture.queue(0),
            2,
            note(&Arc::default()),
            &mut ResponseBatch::default(),
        );
        let (commits, _) = fixture.proposed().unwrap();
        assert_eq!(
            (commits.len(), commits[0].offset, commits[0].explicit),
            (1, 2, true)
        );
        tokio::time::sleep(INTERVAL * 2).await;
        assert!(
            fixture.proposed().is_none(),
            "the older value does not come back"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_busy_log_is_asked_again() {
        let fixture = OffsetFixture::new();
        fixture.manager.add(&fixture.queue(0), 9);
        tokio::time::sleep(INTERVAL * 2).await;
        let (_, ticket) = fixture.proposed().unwrap();
        ticket(
            Outcome::Rejected(RejectReason::Busy(Bound::Waiting)),
            &mut ResponseBatch::default(),
        );
        tokio::time::sleep(INTERVAL * 2).await;
        let (commits, ticket) = fixture.proposed().expect("again");
        assert_eq!(commits[0].offset, 9);
        let refusal = RejectReason::NotLeader { leader: 0, term: 1 };
        ticket(Outcome::Rejected(refusal), &mut ResponseBatch::default());
        tokio::time::sleep(INTERVAL * 2).await;
        assert!(
            fixture.proposed().is_none(),
            "a deposed leader forgets them"
        );
    }
}
