//! Topics and groups that come into being because somebody uses them.
//!
//! What a published view does not know may exist all the same: right after a change of leaders the views are behind
//! the log. So everything here begins with a fresh read, looks again, and only then proposes an op, one at a time for
//! each name. Whoever needs the same name meanwhile waits for the same op. An operator's change of a topic goes the
//! same way, so that a creation never overwrites it.

mod limits;
pub(crate) mod wants;

use std::sync::Arc;

use bytes::Bytes;
use hashbrown::HashMap;
use parking_lot::Mutex;
use tern_replica::{AnswerAt, Outcome, Proposal};
use tern_state::{Op, State};
use tern_wire::codes::response;

use crate::answers::{Answers, Ticket};
use crate::channels::mailbox::Mailbox;
use crate::clock;
use crate::refused::Refused;
use crate::roles::RoleBoard;
use crate::settings::TableLimits;
use crate::views::Views;
use limits::News;

/// Requests that wait for creations at most.
const WAITING_LIMIT: usize = 10_000;
/// Called once with the end of a creation, on a thread that must not be kept long.
pub type Then = Box<dyn FnOnce(Result<(), Refused>, &mut Answers) + Send>;

/// The ops that are missing in a state: none if it has all that is needed.
type Make = Box<dyn Fn(&State) -> Result<Vec<Op>, Refused> + Send>;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Subject {
    Topic(Arc<str>),
    Group(Arc<str>),
}

struct Want {
    make: Make,
    then: Then,
    /// The op is what was asked for, so that its uncertain outcome is the request's.
    is_request: bool,
}

/// What is being created, and who waits for it.
pub struct Creations {
    views: Arc<Views>,
    roles: Arc<RoleBoard>,
    mailbox: Mailbox,
    limits: TableLimits,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    /// The first want of a subject is the one whose op is on its way, if one is.
    wants: HashMap<Subject, Vec<Want>>,
    count: usize,
    /// What the ops on their way bring into being.
    coming: News,
}

impl Creations {
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
    fn ask(self: &Arc<Self>, subject: Subject, make: Make, then: Then) {
        let want = Want {
            make,
            then,
            is_request: true,
        };
        Answers::at_once(|answers| self.want(subject, want, answers));
    }

    fn want(self: &Arc<Self>, subject: Subject, want: Want, answers: &mut Answers) {
        {
            let mut waiting = self.waiting.lock();
            if waiting.count >= WAITING_LIMIT {
                drop(waiting);
                (want.then)(
                    Err(Refused::busy("requests waiting for a topic or group")),
                    answers,
                );
                return;
            }
            waiting.count += 1;
            // Who is in the table is being looked after, also in the moment in which the last want has left it.
            let is_running = waiting.wants.contains_key(&subject);
            let wants = waiting.wants.entry(subject.clone()).or_default();
            wants.push(want);
            if is_running {
                return;
            }
        }
        self.look(subject, answers);
    }

    /// Bring the view up to date, then decide.
    fn look(self: &Arc<Self>, subject: Subject, answers: &mut Answers) {
        let this = Arc::clone(self);
        let ticket: Ticket = Box::new(move |outcome, answers| match outcome {
            Outcome::Confirmed(_) => this.decide(&subject, answers),
            other => this.fail(&subject, &other, answers),
        });
        answers.settle(self.mailbox.read(ticket));
    }

    /// End what a fresh view satisfies or refuses, and propose the first op that is missing.
    fn decide(self: &Arc<Self>, subject: &Subject, answers: &mut Answers) {
        let mut ended: Vec<(Then, Result<(), Refused>)> = Vec::new();
        let missing = {
            let state = self.views.state();
            let mut waiting = self.waiting.lock();
            let coming = waiting.coming;
            let Some(wants) = waiting.wants.get_mut(subject) else {
                return;
            };
            let mut missing = None;
            while missing.is_none() && !wants.is_empty() {
                match self.ops_of(&wants[0], subject, &state, coming) {
                    Ok((ops, news)) if !ops.is_empty() => missing = Some((ops, news)),
                    other => ended.push((wants.remove(0).then, other.map(|_| ()))),
                }
            }
            waiting.count -= ended.len();
            match &missing {
                Some((_, news)) => waiting.coming.add(*news),
                None => drop(waiting.wants.remove(subject)),
            }
            missing
        };
        for (then, result) in ended {
            then(result, answers);
        }
        if let Some((ops, news)) = missing {
            self.propose(subject.clone(), &ops, news, answers);
        }
    }

    /// The ops that a want lacks, and what they bring into being, if there is room for it.
    fn ops_of(
        &self,
        want: &Want,
        subject: &Subject,
        state: &State,
        coming: News,
    ) -> Result<(Vec<Op>, News), Refused> {
        let ops = (want.make)(state)?;
        let news = News::of(&ops, state);
        match self.limits.refusal(state, coming, news) {
            None => Ok((ops, news)),
            Some(remark) => Err(Refused::new(limit_code(want, subject), remark)),
        }
    }

    fn propose(self: &Arc<Self>, subject: Subject, ops: &[Op], news: News, answers: &mut Answers) {
        let mut block = Vec::new();
        for op in ops {
            op.encode(&mut block);
        }
        let this = Arc::clone(self);
        let ticket: Ticket = Box::new(move |outcome, answers| {
            this.waiting.lock().coming.remove(news);
            match outcome {
                Outcome::Stored(_) => this.stored(&subject, answers),
                other => this.fail(&subject, &other, answers),
            }
        });
        let proposal = Proposal {
            drafts: smallvec::SmallVec::new(),
            ops: Bytes::from(block),
            answer: AnswerAt::Apply,
            ticket,
            received_ns: clock::monotonic_ns(),
        };
        answers.settle(self.mailbox.propose(proposal));
    }

    /// The op of the first want is applied: each round ends at least that one.
    fn stored(self: &Arc<Self>, subject: &Subject, answers: &mut Answers) {
        let first = {
            let mut waiting = self.waiting.lock();
            waiting.count -= 1;
            waiting.wants.get_mut(subject).map(|wants| wants.remove(0))
        };
        if let Some(first) = first {
            (first.then)(Ok(()), answers);
        }
        self.decide(subject, answers);
    }

    fn fail(&self, subject: &Subject, outcome: &Outcome, answers: &mut Answers) {
        let wants = {
            let mut waiting = self.waiting.lock();
            let wants = waiting.wants.remove(subject).unwrap_or_default();
            waiting.count -= wants.len();
            wants
        };
        for want in wants {
            let refused = if want.is_request {
                Refused::of(outcome, &self.roles)
            } else {
                Refused::of_condition(outcome, &self.roles)
            };
            (want.then)(Err(refused), answers);
        }
    }
}

/// An operator is told that what he asks for is not allowed; a request that needs what there is not, that it is not
/// there: certain, and other brokers may have it.
fn limit_code(want: &Want, subject: &Subject) -> i32 {
    match subject {
        _ if want.is_request => response::INVALID_PARAMETER,
        Subject::Topic(_) => response::TOPIC_NOT_EXIST,
        Subject::Group(_) => response::SUBSCRIPTION_GROUP_NOT_EXIST,
    }
}

#[cfg(test)]
mod tests {
    use super::wants::{NewTopic, missing_of_group};
    use super::*;
    use crate::testing::{Bench, leading};
    use tern_replica::{Refusal, Stored};
    use tern_state::{PutTopic, TopicConfig};

    type Ends = Arc<Mutex<Vec<Result<(), i32>>>>;

    fn creations(bench: &Bench) -> Arc<Creations> {
        Arc::new(Creations::new(
            Arc::clone(&bench.views),
            Arc::new(leading()),
            bench.mailbox.clone(),
        ))
    }

    fn note(ends: &Ends) -> Then {
        let ends = Arc::clone(ends);
        Box::new(move |end, _| ends.lock().push(end.map_err(|refused| refused.code)))
    }

    fn new_topic(name: &str, model: &str) -> NewTopic {
        NewTopic {
            name: Arc::from(name),
            model: model.to_owned(),
            queues: 4,
            unit: false,
        }
    }

    fn confirm(bench: &Bench, answers: &mut Answers) {
        bench.read().expect("a fresh read is asked for")(Outcome::Confirmed(1), answers);
    }

    #[test]
    fn sends_to_one_unknown_topic_wait_for_one_op() {
        let mut bench = Bench::new();
        let creations = creations(&bench);
        let (ends, mut answers) = (Ends::default(), Answers::default());
        creations.topic(new_topic("orders", "TBW102"), note(&ends), &mut answers);
        creations.topic(new_topic("orders", "TBW102"), note(&ends), &mut answers);
        let read = bench.read().expect("a fresh read is asked for");
        assert!(bench.read().is_none(), "once");
        read(Outcome::Confirmed(1), &mut answers);
        creations.topic(new_topic("orders", "TBW102"), note(&ends), &mut answers);
        let proposal = bench.proposal().expect("the topic is proposed");
        assert!(bench.proposal().is_none() && ends.lock().is_empty());
        bench.commit_ops(&Op::decode_all(&proposal.ops).unwrap());
        (proposal.ticket)(Outcome::Stored(Stored::default()), &mut answers);
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
        assert_eq!(creations.waiting.lock().count, 0);
    }

    #[test]
    fn a_request_that_comes_while_the_one_before_it_is_answered_is_looked_after_once() {
        let mut bench = Bench::new();
        let creations = creations(&bench);
        let (ends, mut answers) = (Ends::default(), Answers::default());
        let (again, noted) = (Arc::clone(&creations), note(&ends));
        let then: Then = Box::new(move |_, _| again.delete_topic("orders".into(), noted));
        creations.topic(new_topic("orders", "TBW102"), then, &mut answers);
        confirm(&bench, &mut answers);
        for _ in 0..2 {
            let proposal = bench.proposal().expect("one op");
            bench.commit_ops(&Op::decode_all(&proposal.ops).unwrap());
            (proposal.ticket)(Outcome::Stored(Stored::default()), &mut answers);
        }
        assert_eq!(*ends.lock(), [Ok(())]);
        assert!(bench.proposal().is_none());
        assert!(bench.views.state().topic("orders").is_none());
        assert_eq!(creations.waiting.lock().count, 0);
    }

    #[test]
    fn a_topic_that_the_view_did_not_show_yet_is_not_created_again() {
        let mut bench = Bench::new();
        let creations = creations(&bench);
        let (ends, mut answers) = (Ends::default(), Answers::default());
        creations.topic(new_topic("orders", "TBW102"), note(&ends), &mut answers);
        bench.commit_ops(&[Op::PutTopic(PutTopic {
            changed_at_ms: 1,
            config: TopicConfig::new("orders", 8, 6),
        })]);
        confirm(&bench, &mut answers);
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
        let bench = Bench::new();
        let creations = creations(&bench);
        let (ends, mut answers) = (Ends::default(), Answers::default());
        creations.topic(new_topic("orders", "nothing"), note(&ends), &mut answers);
        creations.topic(new_topic("orders", "TBW102"), note(&ends), &mut answers);
        confirm(&bench, &mut answers);
        assert_eq!(*ends.lock(), [Err(17)]);
        assert!(bench.proposal().is_some());
    }

    #[test]
    fn a_send_whose_topic_could_not_be_created_is_certain_not_to_be_stored() {
        let bench = Bench::new();
        let creations = creations(&bench);
        let (ends, mut answers) = (Ends::default(), Answers::default());
        creations.topic(new_topic("orders", "TBW102"), note(&ends), &mut answers);
        creations.put_topic(TopicConfig::new("orders", 2, 6), note(&ends));
        confirm(&bench, &mut answers);
        let proposal = bench.proposal().unwrap();
        (proposal.ticket)(Outcome::Unknown, &mut answers);
        assert_eq!(*ends.lock(), [Err(14), Err(1)]);
    }

    #[test]
    fn a_deposed_leader_creates_nothing() {
        let bench = Bench::new();
        let creations = creations(&bench);
        let (ends, mut answers) = (Ends::default(), Answers::default());
        creations.group(Arc::from("g"), (false, false), note(&ends), &mut answers);
        let refusal = Refusal::NotLeader { leader: 0, term: 2 };
        bench.read().unwrap()(Outcome::Refused(refusal), &mut answers);
        assert_eq!(*ends.lock(), [Err(14)]);
        assert!(bench.proposal().is_none());
    }

    #[test]
    fn a_topic_that_is_used_is_made_as_by_a_send_and_then_left_as_it_is() {
        let mut bench = Bench::new();
        let creations = creations(&bench);
        let (ends, mut answers) = (Ends::default(), Answers::default());
        creations.use_topic(Arc::from("orders"), 100, note(&ends));
        confirm(&bench, &mut answers);
        let proposal = bench.proposal().unwrap();
        bench.commit_ops(&Op::decode_all(&proposal.ops).unwrap());
        (proposal.ticket)(Outcome::Stored(Stored::default()), &mut answers);
        creations.use_topic(Arc::from("orders"), 2, note(&ends));
        confirm(&bench, &mut answers);
        assert!(bench.proposal().is_none(), "there is one");
        assert_eq!(*ends.lock(), [Ok(()), Ok(())]);
        let state = bench.views.state();
        let config = &state.topic("orders").unwrap().config;
        assert_eq!((config.write_queues, config.perm), (8, 6));
    }

    #[test]
    fn an_operators_topic_waits_for_a_creation_and_then_stands() {
        let mut bench = Bench::new();
        let creations = creations(&bench);
        let (ends, mut answers) = (Ends::default(), Answers::default());
        creations.topic(new_topic("orders", "TBW102"), note(&ends), &mut answers);
        creations.put_topic(TopicConfig::new("orders", 16, 6), note(&ends));
        confirm(&bench, &mut answers);
        for _ in 0..2 {
            let proposal = bench.proposal().unwrap();
            bench.commit_ops(&Op::decode_all(&proposal.ops).unwrap());
            (proposal.ticket)(Outcome::Stored(Stored::default()), &mut answers);
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
        let mut bench = Bench::new();
        let creations = creations(&bench);
        let (ends, mut answers) = (Ends::default(), Answers::default());
        creations.group(Arc::from("g"), (false, false), note(&ends), &mut answers);
        confirm(&bench, &mut answers);
        let proposal = bench.proposal().unwrap();
        bench.commit_ops(&Op::decode_all(&proposal.ops).unwrap());
        (proposal.ticket)(Outcome::Stored(Stored::default()), &mut answers);
        assert_eq!(*ends.lock(), [Ok(())]);
        let state = bench.views.state();
        assert!(state.group("g").is_some());
        assert_eq!(state.topic("%RETRY%g").unwrap().config.read_queues, 1);
        assert!(missing_of_group(&state, "g", false, false).is_empty());
    }

    /// With room for so many more than the system has of its own.
    fn limited(bench: &Bench, more_topics: usize, more_groups: usize) -> Arc<Creations> {
        let limits = {
            let state = bench.views.state();
            TableLimits {
                topics: state.topics().len() + more_topics,
                groups: state.groups().len() + more_groups,
            }
        };
        let creations = Creations::new(
            Arc::clone(&bench.views),
            Arc::new(leading()),
            bench.mailbox.clone(),
        );
        Arc::new(creations.with_limits(limits))
    }

    /// Confirm the next read, commit the proposal that follows, and have it answered.
    fn store(bench: &mut Bench, answers: &mut Answers) {
        confirm(bench, answers);
        let proposal = bench.proposal().expect("proposed");
        commit(bench, proposal, answers);
    }

    fn commit(bench: &mut Bench, proposal: tern_replica::Proposal<Ticket>, answers: &mut Answers) {
        bench.commit_ops(&Op::decode_all(&proposal.ops).unwrap());
        (proposal.ticket)(Outcome::Stored(Stored::default()), answers);
    }

    #[test]
    fn topics_beyond_the_limit_are_refused_to_senders_and_operators_and_nothing_is_proposed() {
        let mut bench = Bench::new();
        let creations = limited(&bench, 2, 10);
        let (ends, mut answers) = (Ends::default(), Answers::default());
        let mut on_their_way = Vec::new();
        for name in ["a", "b"] {
            creations.topic(new_topic(name, "TBW102"), note(&ends), &mut answers);
            confirm(&bench, &mut answers);
            on_their_way.push(bench.proposal().expect("there is room"));
        }
        creations.topic(new_topic("c", "TBW102"), note(&ends), &mut answers);
        confirm(&bench, &mut answers);
        assert_eq!(*ends.lock(), [Err(17)], "what is on its way counts");
        for proposal in on_their_way {
            commit(&mut bench, proposal, &mut answers);
        }
        creations.put_topic(TopicConfig::new("c", 1, 6), note(&ends));
        confirm(&bench, &mut answers);
        creations.topic(new_topic("c", "TBW102"), note(&ends), &mut answers);
        confirm(&bench, &mut answers);
        assert!(bench.proposal().is_none());
        assert_eq!(*ends.lock(), [Err(17), Ok(()), Ok(()), Err(29), Err(17)]);
        // What is there may be changed, and what is deleted makes room.
        creations.put_topic(TopicConfig::new("b", 2, 6), note(&ends));
        store(&mut bench, &mut answers);
        creations.delete_topic("a".into(), note(&ends));
        store(&mut bench, &mut answers);
        creations.put_topic(TopicConfig::new("c", 1, 6), note(&ends));
        store(&mut bench, &mut answers);
        assert_eq!(ends.lock()[5..], [Ok(()); 3]);
        assert_eq!(creations.waiting.lock().coming, News::default());
    }

    #[test]
    fn a_creation_that_fails_gives_its_room_back() {
        let bench = Bench::new();
        let creations = limited(&bench, 1, 10);
        let (ends, mut answers) = (Ends::default(), Answers::default());
        for _ in 0..2 {
            creations.topic(new_topic("a", "TBW102"), note(&ends), &mut answers);
            confirm(&bench, &mut answers);
            let proposal = bench.proposal().expect("there is room");
            (proposal.ticket)(Outcome::NotStored, &mut answers);
        }
        assert_eq!(*ends.lock(), [Err(14); 2]);
    }

    #[test]
    fn groups_beyond_the_limit_are_refused_and_their_topics_find_room_without() {
        let mut bench = Bench::new();
        let creations = limited(&bench, 0, 1);
        let (ends, mut answers) = (Ends::default(), Answers::default());
        creations.group(Arc::from("g"), (false, false), note(&ends), &mut answers);
        store(&mut bench, &mut answers);
        let letters = TopicConfig::new("%DLQ%g", 1, 6);
        creations.missing_topic(letters, note(&ends), &mut answers);
        store(&mut bench, &mut answers);
        creations.group(Arc::from("h"), (false, false), note(&ends), &mut answers);
        confirm(&bench, &mut answers);
        creations.put_group(tern_state::GroupConfig::new("h"), note(&ends));
        confirm(&bench, &mut answers);
        assert!(bench.proposal().is_none());
        assert_eq!(*ends.lock(), [Ok(()), Ok(()), Err(26), Err(29)]);
    }

    #[test]
    fn a_limit_names_itself_and_the_key_that_raises_it() {
        let bench = Bench::new();
        let creations = limited(&bench, 0, 0);
        let (said, mut answers) = (Arc::new(Mutex::new(String::new())), Answers::default());
        for (key, apache) in [
            ("max_topics", "maxTopicNums"),
            ("max_groups", "maxSubscriptionGroupNums"),
        ] {
            let note = Arc::clone(&said);
            let then: Then = Box::new(move |end, _| {
                *note.lock() = end.expect_err("refused").remark.into_owned();
            });
            if key == "max_topics" {
                creations.topic(new_topic("a", "TBW102"), then, &mut answers);
            } else {
                creations.group(Arc::from("g"), (false, false), then, &mut answers);
            }
            confirm(&bench, &mut answers);
            let said = said.lock();
            assert!(
                said.contains(key) && said.contains(apache) && said.contains("the limit is"),
                "{said}"
            );
        }
    }
}
