//! Topics and groups that come into being because somebody uses them.
//!
//! What a published view does not know may exist all the same: right after a change of leaders the views are behind
//! the log. So everything here begins with ReadIndex, looks again, and only then proposes an op, one at a time for
//! each name. Whoever needs the same name meanwhile waits for the same op. An operator's change of a topic goes the
//! same way, so that a creation never overwrites it.

pub(crate) mod plans;
mod table_growth;

use std::sync::Arc;

use bytes::Bytes;
use hashbrown::HashMap;
use parking_lot::Mutex;
use tern_replica::{AnswerAt, Outcome, Proposal};
use tern_requests::{RequestError, TableLimits, Views};
use tern_state::{Op, State};
use tern_wire::codes::response;

use crate::channels::mailbox::Mailbox;
use crate::clock;
use crate::response_batch::{ResponseBatch, Ticket};
use crate::roles::RoleBoard;
use table_growth::{TableGrowth, refusal};

/// Requests that wait for changes at most.
const WAITING_LIMIT: usize = 10_000;
/// Called once with the end of a change, on a thread that must not be kept long.
pub type ChangeCallback = Box<dyn FnOnce(Result<(), RequestError>, &mut ResponseBatch) + Send>;

/// The ops that are missing in a state: none if it has all that is needed.
type PlanOps = Box<dyn Fn(&State) -> Result<Vec<Op>, RequestError> + Send>;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum ChangeKey {
    Topic(Arc<str>),
    Group(Arc<str>),
    Permission,
}

struct PendingChange {
    plan: PlanOps,
    then: ChangeCallback,
    /// The op is what was asked for, so that its uncertain outcome is the request's.
    is_request: bool,
}

/// What is being created, and who waits for it.
pub struct MetadataChanges {
    views: Arc<Views>,
    roles: Arc<RoleBoard>,
    mailbox: Mailbox,
    limits: TableLimits,
    waiting: Mutex<PendingChanges>,
}

#[derive(Default)]
struct PendingChanges {
    /// The first change of a key is the one whose op is on its way, if one is.
    pending: HashMap<ChangeKey, Vec<PendingChange>>,
    count: usize,
    /// What the ops on their way bring into being.
    growth: TableGrowth,
}

impl MetadataChanges {
    /// Nothing is being created yet.
    pub fn new(views: Arc<Views>, roles: Arc<RoleBoard>, mailbox: Mailbox) -> Self {
        Self {
            views,
            roles,
            mailbox,
            limits: TableLimits::default(),
            waiting: Mutex::default(),
        }
    }

    /// With other limits than the usual ones.
    #[must_use]
    pub fn with_limits(self, limits: TableLimits) -> Self {
        Self { limits, ..self }
    }

    /// What an operator asks for: the op is the request.
    fn submit(self: &Arc<Self>, key: ChangeKey, plan: PlanOps, then: ChangeCallback) {
        let change = PendingChange {
            plan,
            then,
            is_request: true,
        };
        ResponseBatch::at_once(|batch| self.enqueue(key, change, batch));
    }

    fn enqueue(self: &Arc<Self>, key: ChangeKey, change: PendingChange, batch: &mut ResponseBatch) {
        {
            let mut waiting = self.waiting.lock();
            if waiting.count >= WAITING_LIMIT {
                drop(waiting);
                (change.then)(
                    Err(RequestError::busy("requests waiting for a topic or group")),
                    batch,
                );
                return;
            }
            waiting.count += 1;
            // A key in the table has an op or a read on its way, also in the moment in which its last change has left the
            // list: only the first change of a key starts one.
            let is_running = waiting.pending.contains_key(&key);
            let pending = waiting.pending.entry(key.clone()).or_default();
            pending.push(change);
            if is_running {
                return;
            }
        }
        self.read_index(key, batch);
    }

    /// Bring the view up to date, then decide.
    fn read_index(self: &Arc<Self>, key: ChangeKey, batch: &mut ResponseBatch) {
        let this = Arc::clone(self);
        let ticket: Ticket = Box::new(move |outcome, batch| match outcome {
            Outcome::Confirmed(_) => this.decide(&key, batch),
            other => this.fail(&key, &other, batch),
        });
        batch.settle(self.mailbox.read(ticket));
    }

    /// End what a fresh view satisfies or refuses, and propose the first op that is missing.
    ///
    /// One op of a key is on its way at a time. The change that needs it stays at the head of its key's list, so the key
    /// stays in the table, and a change that comes meanwhile joins the list instead of looking for itself.
    fn decide(self: &Arc<Self>, key: &ChangeKey, batch: &mut ResponseBatch) {
        let mut ended: Vec<(ChangeCallback, Result<(), RequestError>)> = Vec::new();
        let missing = {
            // The state is loaded before the lock: it is at least as new as the op or the ReadIndex that led here.
            let state = self.views.state();
            let mut waiting = self.waiting.lock();
            let growth = waiting.growth;
            let Some(pending) = waiting.pending.get_mut(key) else {
                return;
            };
            let mut missing = None;
            while missing.is_none() && !pending.is_empty() {
                match self.ops_of(&pending[0], key, &state, growth) {
                    Ok((ops, added)) if !ops.is_empty() => missing = Some((ops, added)),
                    other => ended.push((pending.remove(0).then, other.map(|_| ()))),
                }
            }
            waiting.count -= ended.len();
            match &missing {
                Some((_, added)) => waiting.growth.add(*added),
                None => drop(waiting.pending.remove(key)),
            }
            missing
        };
        // Called without the lock: a callback judges its request again, which may ask for the next change.
        for (then, result) in ended {
            then(result, batch);
        }
        if let Some((ops, added)) = missing {
            self.propose(key.clone(), &ops, added, batch);
        }
    }

    /// The ops that a change lacks, and what they bring into being, if there is room for it.
    fn ops_of(
        &self,
        change: &PendingChange,
        key: &ChangeKey,
        state: &State,
        growth: TableGrowth,
    ) -> Result<(Vec<Op>, TableGrowth), RequestError> {
        let ops = (change.plan)(state)?;
        let added = TableGrowth::of(&ops, state);
        match refusal(self.limits, state, growth, added) {
            None => Ok((ops, added)),
            Some(remark) => Err(RequestError::new(limit_code(change, key), remark)),
        }
    }

    fn propose(
        self: &Arc<Self>,
        key: ChangeKey,
        ops: &[Op],
        added: TableGrowth,
        batch: &mut ResponseBatch,
    ) {
        let mut block = Vec::new();
        for op in ops {
            op.encode(&mut block);
        }
        let this = Arc::clone(self);
        let ticket: Ticket = Box::new(move |outcome, batch| {
            this.waiting.lock().growth.remove(added);
            match outcome {
                Outcome::Stored(_) => this.stored(&key, batch),
                other => this.fail(&key, &other, batch),
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

    /// The op of the first change is applied: each round ends at least that one.
    fn stored(self: &Arc<Self>, key: &ChangeKey, batch: &mut ResponseBatch) {
        let first = {
            let mut waiting = self.waiting.lock();
            waiting.count -= 1;
            waiting
                .pending
                .get_mut(key)
                .map(|pending| pending.remove(0))
        };
        if let Some(first) = first {
            (first.then)(Ok(()), batch);
        }
        self.decide(key, batch);
    }

    fn fail(&self, key: &ChangeKey, outcome: &Outcome, batch: &mut ResponseBatch) {
        let pending = {
            let mut waiting = self.waiting.lock();
            let pending = waiting.pending.remove(key).unwrap_or_default();
            waiting.count -= pending.len();
            pending
        };
        for change in pending {
            let error = if change.is_request {
                RequestError::of(outcome, &self.roles.view())
            } else {
                RequestError::of_condition(outcome, &self.roles.view())
            };
            (change.then)(Err(error), batch);
        }
    }
}

/// An operator is told that what he asks for is not allowed; a request that needs what there is not, that it is not
/// there: certain, and other brokers may have it.
fn limit_code(change: &PendingChange, key: &ChangeKey) -> i32 {
    match key {
        _ if change.is_request => response::INVALID_PARAMETER,
        ChangeKey::Topic(_) | ChangeKey::Permission => response::TOPIC_NOT_EXIST,
        ChangeKey::Group(_) => response::SUBSCRIPTION_GROUP_NOT_EXIST,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{ReplicaBench, leading};
    use tern_replica::{RejectReason, StoredRecords};
    use tern_requests::{Missing, NewTopic, missing_of_group};
    use tern_state::{PutTopic, TopicConfig};

    type Ends = Arc<Mutex<Vec<Result<(), i32>>>>;

    fn metadata_changes(bench: &ReplicaBench) -> Arc<MetadataChanges> {
        Arc::new(MetadataChanges::new(
            Arc::clone(&bench.views),
            Arc::new(leading()),
            bench.mailbox.clone(),
        ))
    }

    fn note(ends: &Ends) -> ChangeCallback {
        let ends = Arc::clone(ends);
        Box::new(move |end, _| ends.lock().push(end.map_err(|error| error.code)))
    }

    fn new_topic(name: &str, model: &str) -> Missing {
        Missing::Topic(NewTopic {
            name: Arc::from(name),
            model: model.to_owned(),
            queues: 4,
            unit: false,
        })
    }

    fn confirm(bench: &ReplicaBench, batch: &mut ResponseBatch) {
        bench.read().expect("ReadIndex is asked for")(Outcome::Confirmed(1), batch);
    }

    #[test]
    fn sends_to_one_unknown_topic_wait_for_one_op() {
        let mut bench = ReplicaBench::new();
        let metadata_changes = metadata_changes(&bench);
        let (ends, mut batch) = (Ends::default(), ResponseBatch::default());
        metadata_changes.missing(new_topic("orders", "TBW102"), note(&ends), &mut batch);
        metadata_changes.missing(new_topic("orders", "TBW102"), note(&ends), &mut batch);
        let read = bench.read().expect("ReadIndex is asked for");
        assert!(bench.read().is_none(), "once");
        read(Outcome::Confirmed(1), &mut batch);
        metadata_changes.missing(new_topic("orders", "TBW102"), note(&ends), &mut batch);
        let proposal = bench.proposal().expect("the topic is proposed");
        assert!(bench.proposal().is_none() && ends.lock().is_empty());
        bench.commit_ops(&Op::decode_all(&proposal.ops).unwrap());
        (proposal.ticket)(Outcome::Stored(StoredRecords::default()), &mut batch);
        assert_eq!(*ends.lock(), [Ok(()); 3]);
        assert_eq!(
            bench
                .views
                .state()
                .topic("orders")
                .unwrap()
                .config
                .write_queues,
            4
        );
        assert_eq!(metadata_changes.waiting.lock().count, 0);
    }

    #[test]
    fn a_request_that_comes_while_the_one_before_it_is_answered_is_looked_after_once() {
        let mut bench = ReplicaBench::new();
        let metadata_changes = metadata_changes(&bench);
        let (ends, mut batch) = (Ends::default(), ResponseBatch::default());
        let (again, noted) = (Arc::clone(&metadata_changes), note(&ends));
        let then: ChangeCallback = Box::new(move |_, _| again.delete_topic("orders".into(), noted));
        metadata_changes.missing(new_topic("orders", "TBW102"), then, &mut batch);
        confirm(&bench, &mut batch);
        for _ in 0..2 {
            let proposal = bench.proposal().expect("one op");
            bench.commit_ops(&Op::decode_all(&proposal.ops).unwrap());
            (proposal.ticket)(Outcome::Stored(StoredRecords::default()), &mut batch);
        }
        assert_eq!(*ends.lock(), [Ok(())]);
        assert!(bench.proposal().is_none());
        assert!(bench.views.state().topic("orders").is_none());
        assert_eq!(metadata_changes.waiting.lock().count, 0);
    }

    #[test]
    fn a_topic_that_the_view_did_not_show_yet_is_not_created_again() {
        let mut bench = ReplicaBench::new();
        let metadata_changes = metadata_changes(&bench);
        let (ends, mut batch) = (Ends::default(), ResponseBatch::default());
        metadata_changes.missing(new_topic("orders", "TBW102"), note(&ends), &mut batch);
        bench.commit_ops(&[Op::PutTopic(PutTopic {
            changed_at_ms: 1,
            config: TopicConfig::new("orders", 8, 6),
        })]);
        confirm(&bench, &mut batch);
        assert!(bench.proposal().is_none());
        assert_eq!(*ends.lock(), [Ok(())]);
        assert_eq!(
            bench
                .views
                .state()
                .topic("orders")
                .unwrap()
                .config
                .write_queues,
            8
        );
    }

    #[test]
    fn without_a_model_each_send_is_refused_by_its_own_fields() {
        let bench = ReplicaBench::new();
        let metadata_changes = metadata_changes(&bench);
        let (ends, mut batch) = (Ends::default(), ResponseBatch::default());
        metadata_changes.missing(new_topic("orders", "nothing"), note(&ends), &mut batch);
        metadata_changes.missing(new_topic("orders", "TBW102"), note(&ends), &mut batch);
        confirm(&bench, &mut batch);
        assert_eq!(*ends.lock(), [Err(17)]);
        assert!(bench.proposal().is_some());
    }

    #[test]
    fn a_send_whose_topic_could_not_be_created_is_certain_not_to_be_stored() {
        let bench = ReplicaBench::new();
        let metadata_changes = metadata_changes(&bench);
        let (ends, mut batch) = (Ends::default(), ResponseBatch::default());
        metadata_changes.missing(new_topic("orders", "TBW102"), note(&ends), &mut batch);
        metadata_changes.put_topic(TopicConfig::new("orders", 2, 6), note(&ends));
        confirm(&bench, &mut batch);
        let proposal = bench.proposal().unwrap();
        (proposal.ticket)(Outcome::Unknown, &mut batch);
        assert_eq!(*ends.lock(), [Err(14), Err(1)]);
    }

    #[test]
    fn a_deposed_leader_creates_nothing() {
        let bench = ReplicaBench::new();
        let metadata_changes = metadata_changes(&bench);
        let (ends, mut batch) = (Ends::default(), ResponseBatch::default());
        metadata_changes.group(Arc::from("g"), (false, false), note(&ends), &mut batch);
        let refusal = RejectReason::NotLeader { leader: 0, term: 2 };
        bench.read().unwrap()(Outcome::Rejected(refusal), &mut batch);
        assert_eq!(*ends.lock(), [Err(14)]);
        assert!(bench.proposal().is_none());
    }

    #[test]
    fn a_topic_that_is_used_is_made_as_by_a_send_and_then_left_as_it_is() {
        let mut bench = ReplicaBench::new();
        let metadata_changes = metadata_changes(&bench);
        let (ends, mut batch) = (Ends::default(), ResponseBatch::default());
        metadata_changes.use_topic(Arc::from("orders"), 100, note(&ends));
        confirm(&bench, &mut batch);
        let proposal = bench.proposal().unwrap();
        bench.commit_ops(&Op::decode_all(&proposal.ops).unwrap());
        (proposal.ticket)(Outcome::Stored(StoredRecords::default()), &mut batch);
        metadata_changes.use_topic(Arc::from("orders"), 2, note(&ends));
        confirm(&bench, &mut batch);
        assert!(bench.proposal().is_none(), "there is one");
        assert_eq!(*ends.lock(), [Ok(()), Ok(())]);
        let state = bench.views.state();
        let config = &state.topic("orders").unwrap().config;
        assert_eq!((config.write_queues, config.perm), (8, 6));
    }

    #[test]
    fn an_operators_topic_waits_for_a_creation_and_then_stands() {
        let mut bench = ReplicaBench::new();
        let metadata_changes = metadata_changes(&bench);
        let (ends, mut batch) = (Ends::default(), ResponseBatch::default());
        metadata_changes.missing(new_topic("orders", "TBW102"), note(&ends), &mut batch);
        metadata_changes.put_topic(TopicConfig::new("orders", 16, 6), note(&ends));
        confirm(&bench, &mut batch);
        for _ in 0..2 {
            let proposal = bench.proposal().unwrap();
            bench.commit_ops(&Op::decode_all(&proposal.ops).unwrap());
            (proposal.ticket)(Outcome::Stored(StoredRecords::default()), &mut batch);
        }
        assert_eq!(*ends.lock(), [Ok(()), Ok(())]);
        assert_eq!(
            bench
                .views
                .state()
                .topic("orders")
                .unwrap()
                .config
                .write_queues,
            16
        );
    }

    #[test]
    fn a_group_comes_with_its_retry_topic() {
        let mut bench = ReplicaBench::new();
        let metadata_changes = metadata_changes(&bench);
        let (ends, mut batch) = (Ends::default(), ResponseBatch::default());
        metadata_changes.group(Arc::from("g"), (false, false), note(&ends), &mut batch);
        confirm(&bench, &mut batch);
        let proposal = bench.proposal().unwrap();
        bench.commit_ops(&Op::decode_all(&proposal.ops).unwrap());
        (proposal.ticket)(Outcome::Stored(StoredRecords::default()), &mut batch);
        assert_eq!(*ends.lock(), [Ok(())]);
        let state = bench.views.state();
        assert!(state.group("g").is_some());
        assert_eq!(state.topic("%RETRY%g").unwrap().config.read_queues, 1);
        assert!(missing_of_group(&state, "g", (false, false), 0).is_empty());
    }

    /// With room for so many more than the system has of its own.
    fn limited(
        bench: &ReplicaBench,
        more_topics: usize,
        more_groups: usize,
    ) -> Arc<MetadataChanges> {
        let limits = {
            let state = bench.views.state();
            TableLimits {
                topics: state.topics().len() + more_topics,
                groups: state.groups().len() + more_groups,
            }
        };
        let metadata_changes = MetadataChanges::new(
            Arc::clone(&bench.views),
            Arc::new(leading()),
            bench.mailbox.clone(),
        );
        Arc::new(metadata_changes.with_limits(limits))
    }

    /// Confirm the next read, commit the proposal that follows, and have it answered.
    fn store(bench: &mut ReplicaBench, batch: &mut ResponseBatch) {
        confirm(bench, batch);
        let proposal = bench.proposal().expect("proposed");
        commit(bench, proposal, batch);
    }

    fn commit(
        bench: &mut ReplicaBench,
        proposal: tern_replica::Proposal<Ticket>,
        batch: &mut ResponseBatch,
    ) {
        bench.commit_ops(&Op::decode_all(&proposal.ops).unwrap());
        (proposal.ticket)(Outcome::Stored(StoredRecords::default()), batch);
    }

    #[test]
    fn topics_beyond_the_limit_are_refused_to_senders_and_operators_and_nothing_is_proposed() {
        let mut bench = ReplicaBench::new();
        let metadata_changes = limited(&bench, 2, 10);
        let (ends, mut batch) = (Ends::default(), ResponseBatch::default());
        let mut on_their_way = Vec::new();
        for name in ["a", "b"] {
            metadata_changes.missing(new_topic(name, "TBW102"), note(&ends), &mut batch);
            confirm(&bench, &mut batch);
            on_their_way.push(bench.proposal().expect("there is room"));
        }
        metadata_changes.missing(new_topic("c", "TBW102"), note(&ends), &mut batch);
        confirm(&bench, &mut batch);
        assert_eq!(*ends.lock(), [Err(17)], "what is on its way counts");
        for proposal in on_their_way {
            commit(&mut bench, proposal, &mut batch);
        }
        metadata_changes.put_topic(TopicConfig::new("c", 1, 6), note(&ends));
        confirm(&bench, &mut batch);
        metadata_changes.missing(new_topic("c", "TBW102"), note(&ends), &mut batch);
        confirm(&bench, &mut batch);
        assert!(bench.proposal().is_none());
        assert_eq!(*ends.lock(), [Err(17), Ok(()), Ok(()), Err(29), Err(17)]);
        // What is there may be changed, and what is deleted makes room.
        metadata_changes.put_topic(TopicConfig::new("b", 2, 6), note(&ends));
        store(&mut bench, &mut batch);
        metadata_changes.delete_topic("a".into(), note(&ends));
        store(&mut bench, &mut batch);
        metadata_changes.put_topic(TopicConfig::new("c", 1, 6), note(&ends));
        store(&mut bench, &mut batch);
        assert_eq!(ends.lock()[5..], [Ok(()); 3]);
        assert_eq!(
            metadata_changes.waiting.lock().growth,
            TableGrowth::default()
        );
    }

    #[test]
    fn a_creation_that_fails_gives_its_room_back() {
        let bench = ReplicaBench::new();
        let metadata_changes = limited(&bench, 1, 10);
        let (ends, mut batch) = (Ends::default(), ResponseBatch::default());
        for _ in 0..2 {
            metadata_changes.missing(new_topic("a", "TBW102"), note(&ends), &mut batch);
            confirm(&bench, &mut batch);
            let proposal = bench.proposal().expect("there is room");
            (proposal.ticket)(Outcome::NotStored, &mut batch);
        }
        assert_eq!(*ends.lock(), [Err(14); 2]);
    }

    #[test]
    fn groups_beyond_the_limit_are_refused_and_their_topics_find_room_without() {
        let mut bench = ReplicaBench::new();
        let metadata_changes = limited(&bench, 0, 1);
        let (ends, mut batch) = (Ends::default(), ResponseBatch::default());
        metadata_changes.group(Arc::from("g"), (false, false), note(&ends), &mut batch);
        store(&mut bench, &mut batch);
        let letters = TopicConfig::new("%DLQ%g", 1, 6);
        metadata_changes.missing(Missing::OwnTopic(letters), note(&ends), &mut batch);
        store(&mut bench, &mut batch);
        metadata_changes.group(Arc::from("h"), (false, false), note(&ends), &mut batch);
        confirm(&bench, &mut batch);
        metadata_changes.put_group(tern_state::GroupConfig::new("h"), note(&ends));
        confirm(&bench, &mut batch);
        assert!(bench.proposal().is_none());
        assert_eq!(*ends.lock(), [Ok(()), Ok(()), Err(26), Err(29)]);
    }

    #[test]
    fn a_limit_names_itself_and_the_key_that_raises_it() {
        let bench = ReplicaBench::new();
        let metadata_changes = limited(&bench, 0, 0);
        let (said, mut batch) = (
            Arc::new(Mutex::new(String::new())),
            ResponseBatch::default(),
        );
        for (key, apache) in [
            ("max_topics", "maxTopicNums"),
            ("max_groups", "maxSubscriptionGroupNums"),
        ] {
            let note = Arc::clone(&said);
            let then: ChangeCallback = Box::new(move |end, _| {
                *note.lock() = end.expect_err("refused").remark.into_owned();
            });
            if key == "max_topics" {
                metadata_changes.missing(new_topic("a", "TBW102"), then, &mut batch);
            } else {
                metadata_changes.group(Arc::from("g"), (false, false), then, &mut batch);
            }
            confirm(&bench, &mut batch);
            let said = said.lock();
            assert!(
                said.contains(key) && said.contains(apache) && said.contains("the limit is"),
                "{said}"
            );
        }
    }
}
