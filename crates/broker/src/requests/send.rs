//! Sends: 10, 310, 320.

mod target;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use tern_state::{State, Topic, perm};
use tern_wire::codes::response;
use tern_wire::headers::{SendRequest, SendResponse};
use tern_wire::message_id::{UniqueIdMaker, offset_id};
use tern_wire::{Command, Fields};

use super::drafting::{Drafted, REGION, Sending, draft_limit};
use super::reply::{Incoming, Reply};
use super::second_look::{Halt, Judge, SecondLook, Sight};
use crate::answers::{Answers, Ticket};
use crate::clock;
use crate::counters::Counters;
use crate::mailbox::Mailbox;
use crate::refused::Refused;
use crate::replica::{AnswerAt, Outcome, Proposal, Stored};
use crate::roles::RoleBoard;
use crate::services::{Services, Settings};
use crate::views::Views;
use target::{check_kind, check_target, given_up, missing};

/// Takes messages from producers.
pub(crate) struct Sends {
    settings: Settings,
    views: Arc<Views>,
    roles: Arc<RoleBoard>,
    mailbox: Mailbox,
    second_look: SecondLook,
    counters: Arc<Counters>,
    unique_ids: UniqueIdMaker,
    picks: AtomicU32,
}

/// What the answer to a send says besides its place in the log.
struct Sent {
    queue_id: u32,
    bytes: u32,
    unique_key: Option<Box<str>>,
}

impl Sends {
    pub fn new(services: &Services) -> Self {
        let address = services.settings.store_host.ip();
        let salt = clock::monotonic_ns() as u32;
        Self {
            settings: services.settings.clone(),
            views: Arc::clone(&services.views),
            roles: Arc::clone(&services.roles),
            mailbox: services.mailbox.clone(),
            second_look: SecondLook::new(services),
            counters: Arc::clone(&services.counters),
            unique_ids: UniqueIdMaker::new(address, std::process::id(), salt),
            picks: AtomicU32::new(salt),
        }
    }

    /// Check a send, encode its records, hand them to the log. The answer follows when they are committed.
    pub fn send(self: &Arc<Self>, incoming: Incoming) {
        Answers::at_once(|answers| self.attempt(incoming, Sight::Published, answers));
    }

    fn attempt(self: &Arc<Self>, incoming: Incoming, sight: Sight, answers: &mut Answers) {
        match self.prepare(&incoming) {
            Ok(drafted) => self.propose(incoming, drafted, answers),
            Err(halt) => self
                .second_look
                .halted(self, incoming, (halt, sight), answers),
        }
    }

    /// The checks, in RocketMQ's order: the first one that fails decides the code.
    fn prepare(&self, incoming: &Incoming) -> Result<Drafted, Halt> {
        let role = self.roles.view();
        if !role.leads() {
            return Err(Refused::not_leader(&role).into());
        }
        let command = &incoming.command;
        let header = SendRequest::decode(command.code, &command.fields)?;
        check_target(&header)?;
        let state = self.views.state();
        let given_up = given_up(&header, command.version, &state, || {
            role.lease_time(clock::monotonic_ms())
        })?;
        let name = given_up.as_deref().unwrap_or(header.topic);
        let topic = state
            .topic(name)
            .ok_or_else(|| Halt::missing_topic(missing(&header, given_up.is_some(), name), name))?;
        if topic.config.perm & perm::WRITE == 0 {
            return Err(Halt::Doubt(Refused::new(
                response::NO_PERMISSION,
                format!(
                    "the broker[{}] sending message to topic[{}] is forbidden",
                    self.settings.group, name
                ),
            )));
        }
        let queue_id = match &given_up {
            Some(_) => 0,
            None => self.pick_queue(&header, topic)?,
        };
        check_kind(&header)?;
        let sending = Sending {
            header: &header,
            body: &command.body,
            topic,
            queue_id,
            given_up: given_up.is_some(),
            born_host: incoming.reply.connection().peer(),
            settings: &self.settings,
            limit: limit(&state),
        };
        let drafted = if header.is_batch() {
            sending.batch()?
        } else {
            sending.single(|| self.unique_ids.make(clock::wall_ms()))?
        };
        Ok(drafted)
    }

    /// The queue that the producer names; any one it may write to if it names none.
    fn pick_queue(&self, header: &SendRequest<'_>, topic: &Topic) -> Result<u32, Halt> {
        let config = &topic.config;
        let queue_id = match u32::try_from(header.queue_id) {
            Ok(named) => Some(named).filter(|named| *named < config.queues()),
            Err(_) => self
                .picks
                .fetch_add(1, Ordering::Relaxed)
                .checked_rem(config.write_queues),
        };
        queue_id.ok_or_else(|| {
            Halt::Doubt(Refused::invalid(format!(
                "request queueId[{}] is illegal, topic[{}] has {} read and {} write queues",
                header.queue_id, config.name, config.read_queues, config.write_queues
            )))
        })
    }

    fn propose(self: &Arc<Self>, incoming: Incoming, drafted: Drafted, answers: &mut Answers) {
        // The request's body goes here: the records are a copy of it.
        let Incoming {
            reply, received_ns, ..
        } = incoming;
        let sent = Sent {
            queue_id: drafted.queue_id,
            bytes: drafted.draft.bytes.len() as u32,
            unique_key: drafted.unique_key,
        };
        let this = Arc::clone(self);
        let ticket: Ticket =
            Box::new(move |outcome, answers| this.decided(&outcome, reply, &sent, answers));
        let proposal = Proposal {
            drafts: smallvec::smallvec![drafted.draft],
            ops: Bytes::new(),
            answer: AnswerAt::Commit,
            ticket,
            received_ns,
        };
        answers.settle(self.mailbox.propose(proposal));
    }

    fn decided(&self, outcome: &Outcome, reply: Reply, sent: &Sent, answers: &mut Answers) {
        match outcome {
            Outcome::Stored(stored) => {
                let count = stored.physical_offsets.len();
                self.counters.put(count, u64::from(sent.bytes));
                if reply.is_awaited() {
                    let answer = self.answer(&reply, stored, sent);
                    reply.add(&answer, answers);
                }
            }
            other => {
                self.counters.put_failed();
                refuse(reply, Refused::of(other, &self.roles), answers);
            }
        }
    }

    fn answer(&self, reply: &Reply, stored: &Stored, sent: &Sent) -> Command {
        let mut ids = String::new();
        for physical_offset in &stored.physical_offsets {
            if !ids.is_empty() {
                ids.push(',');
            }
            ids.push_str(&offset_id(self.settings.store_host, *physical_offset));
        }
        let response = SendResponse {
            message_id: &ids,
            queue_id: sent.queue_id.cast_signed(),
            queue_offset: stored.queue_offset.cast_signed(),
            transaction_id: sent.unique_key.as_deref(),
            batch_unique_id: None,
            recall_handle: None,
            region: Some(REGION),
            trace_on: Some(true),
        };
        let mut fields = Fields::with_capacity(ids.len() + 192);
        response.encode(&mut fields);
        reply.with_fields(response::SUCCESS, fields)
    }
}

impl Judge for Sends {
    type Request = Incoming;

    fn judge_again(self: Arc<Self>, incoming: Incoming, answers: &mut Answers) {
        self.attempt(incoming, Sight::Fresh, answers);
    }

    fn refuse(incoming: Incoming, refused: Refused, answers: &mut Answers) {
        refuse(incoming.reply, refused, answers);
    }
}

/// Region and trace switch stand in refusals, too.
fn refuse(reply: Reply, refused: Refused, answers: &mut Answers) {
    if reply.is_one_way() {
        return;
    }
    let mut answer = reply.command(refused.code);
    answer.fields.set("MSG_REGION", REGION);
    answer.fields.set("TRACE_ON", "true");
    refused.write(&mut answer);
    reply.add(&answer, answers);
}

pub(super) fn limit(state: &State) -> usize {
    state
        .settings()
        .map_or(0, |founding| draft_limit(founding.segment_size))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replica::Refusal;
    use crate::testing::{Bench, Client, leading, role_board};
    use tern_state::{LockQueues, Op, PutGroup, PutTopic, TopicConfig};
    use tern_wire::codes::request;
    use tern_wire::version::V3_4_9;

    struct Fixture {
        bench: Bench,
        sends: Arc<Sends>,
        client: Client,
    }

    fn header(topic: &str, queue_id: i32) -> SendRequest<'_> {
        SendRequest {
            producer_group: "PG",
            topic,
            default_topic: "TBW102",
            default_topic_queue_nums: 4,
            queue_id,
            sys_flag: 0,
            born_timestamp_ms: 1,
            flag: 0,
            properties: None,
            reconsume_times: None,
            unit_mode: None,
            max_reconsume_times: None,
            batch: None,
            broker_name: None,
        }
    }

    impl Fixture {
        async fn new(roles: RoleBoard) -> Self {
            let bench = Bench::new();
            Self {
                sends: Arc::new(Sends::new(&bench.services(roles))),
                bench,
                client: Client::connect().await,
            }
        }

        fn put_topic(&mut self, name: &str, queues: u32, perm: u32) {
            self.bench.commit_ops(&[Op::PutTopic(PutTopic {
                changed_at_ms: 1,
                config: TopicConfig::new(name, queues, perm),
            })]);
        }

        fn send(&self, topic: &str, queue_id: i32) {
            let header = header(topic, queue_id);
            let mut command = Command::request(request::SEND_MESSAGE_V2, 1).with_body(&b"m"[..]);
            header.encode_v2(&mut command.fields);
            self.sends.send(self.client.asks(command));
        }

        fn confirm(&self) {
            let mut answers = Answers::default();
            self.bench.read().expect("a fresh read is asked for")(
                Outcome::Confirmed(1),
                &mut answers,
            );
            answers.flush();
        }

        /// The answer to a send that came to this end.
        async fn end(&mut self, outcome: Outcome) -> Command {
            self.send("BenchmarkTest", 0);
            let proposal = self.bench.proposal().expect("it is proposed");
            let mut answers = Answers::default();
            (proposal.ticket)(outcome, &mut answers);
            answers.flush();
            self.client.answer().await
        }
    }

    /// The topics to which a retry goes that a client of this version sends after so many times; the group's own limit
    /// is 1.
    async fn ways(locked: bool, version: i32, times: i32, limit: Option<i32>) -> String {
        let mut fixture = Fixture::new(leading()).await;
        let group = tern_state::GroupConfig {
            retry_max_times: 1,
            ..tern_state::GroupConfig::new("CG")
        };
        fixture.bench.commit_ops(&[Op::PutGroup(PutGroup {
            changed_at_ms: 1,
            config: group,
        })]);
        for topic in ["%RETRY%CG", "%DLQ%CG", "orders"] {
            fixture.put_topic(topic, 1, 6);
        }
        if locked {
            fixture.bench.commit_ops(&[Op::LockQueues(LockQueues {
                group: "CG".into(),
                client: "c".into(),
                at: leading().view().lease_time(clock::monotonic_ms()),
                ttl_ms: 60_000,
                queues: vec![("orders".into(), 0)],
            })]);
        }
        let header = SendRequest {
            reconsume_times: Some(times),
            max_reconsume_times: limit,
            ..header("%RETRY%CG", 0)
        };
        let mut command = Command::request(request::SEND_MESSAGE_V2, 1).with_body(&b"m"[..]);
        command.version = version;
        header.encode_v2(&mut command.fields);
        fixture.sends.send(fixture.client.asks(command));
        let proposal = fixture.bench.proposal().expect("it is proposed");
        proposal.drafts[0].topic.to_string()
    }

    #[tokio::test]
    async fn sends_are_counted_by_message_and_those_that_fail_apart() {
        let mut fixture = Fixture::new(leading()).await;
        let stored = Stored {
            physical_offsets: smallvec::smallvec![64, 264, 464],
            ..Stored::default()
        };
        assert_eq!(fixture.end(Outcome::Stored(stored)).await.code, 0);
        let totals = fixture.sends.counters.totals();
        assert_eq!((totals.put_messages, totals.put_failed), (3, 0));
        let size = totals.put_bytes;
        assert!(size > 100, "the record has more than its head");
        assert_eq!(fixture.end(Outcome::Unknown).await.code, 1);
        let stored = Stored {
            physical_offsets: smallvec::smallvec![664],
            ..Stored::default()
        };
        assert_eq!(fixture.end(Outcome::Stored(stored)).await.code, 0);
        let totals = fixture.sends.counters.totals();
        assert_eq!((totals.put_messages, totals.put_failed), (4, 1));
        assert_eq!(totals.put_bytes, 2 * size, "each send had the same record");
    }

    #[tokio::test]
    async fn a_retry_beyond_its_limit_or_of_a_group_that_holds_queues_is_dead() {
        let (new, old) = (V3_4_9, V3_4_9 - 1);
        assert_eq!(ways(false, new, 1, None).await, "%RETRY%CG");
        assert_eq!(ways(false, new, 2, None).await, "%DLQ%CG");
        assert_eq!(ways(false, new, 2, Some(5)).await, "%RETRY%CG");
        assert_eq!(ways(false, old, 2, Some(5)).await, "%DLQ%CG");
        assert_eq!(ways(true, new, 0, Some(5)).await, "%DLQ%CG");
    }

    #[tokio::test]
    async fn dead_letters_get_their_topic_when_the_first_comes() {
        let mut fixture = Fixture::new(leading()).await;
        fixture.bench.commit_ops(&[Op::PutGroup(PutGroup {
            changed_at_ms: 1,
            config: tern_state::GroupConfig::new("CG"),
        })]);
        let header = SendRequest {
            reconsume_times: Some(17),
            ..header("%RETRY%CG", 0)
        };
        let mut command = Command::request(request::SEND_MESSAGE_V2, 1).with_body(&b"m"[..]);
        header.encode_v2(&mut command.fields);
        fixture.sends.send(fixture.client.asks(command));
        fixture.confirm();
        let proposal = fixture.bench.proposal().expect("the topic is proposed");
        fixture
            .bench
            .commit_ops(&Op::decode_all(&proposal.ops).unwrap());
        let made = fixture.bench.views.state();
        let config = &made.topic("%DLQ%CG").unwrap().config;
        assert_eq!((config.write_queues, config.perm), (1, 6));
        (proposal.ticket)(Outcome::Stored(Stored::default()), &mut Answers::default());
        let proposal = fixture.bench.proposal().expect("then the message");
        assert_eq!(&*proposal.drafts[0].topic, "%DLQ%CG");
    }

    #[tokio::test]
    async fn a_send_is_answered_at_its_commit_with_its_place() {
        let mut fixture = Fixture::new(leading()).await;
        fixture.send("BenchmarkTest", 7);
        let proposal = fixture.bench.proposal().expect("it is proposed");
        assert_eq!(proposal.answer, AnswerAt::Commit);
        let draft = proposal.drafts.into_iter().next().expect("with records");
        assert_eq!(
            (&*draft.topic, draft.queue_id, draft.sizes.len()),
            ("BenchmarkTest", 7, 1)
        );
        let stored = Stored {
            index: 9,
            queue_offset: 41,
            physical_offsets: [4_096].into_iter().collect(),
        };
        let answer = fixture.end(Outcome::Stored(stored)).await;
        assert_eq!(
            (answer.code, answer.fields.get("queueOffset")),
            (0, Some("41"))
        );
        assert_eq!(
            answer.fields.get("msgId"),
            Some("7F00000100002A9F0000000000001000")
        );
    }

    #[tokio::test]
    async fn each_outcome_has_its_code() {
        let mut fixture = Fixture::new(leading()).await;
        let not_leader = Refusal::NotLeader {
            leader: 1 << 32 | 1,
            term: 5,
        };
        let answer = fixture.end(Outcome::Refused(not_leader)).await;
        assert_eq!(
            (answer.code, answer.fields.get("leaderTerm")),
            (14, Some("5"))
        );
        assert_eq!(answer.fields.get("leaderAddr"), Some("127.0.0.1:10911"));
        for (code, outcome) in [
            (14, Outcome::Refused(Refusal::NoRoom)),
            (14, Outcome::Refused(Refusal::Stopping)),
            (
                2,
                Outcome::Refused(Refusal::Busy(crate::replica::Bound::Uncommitted)),
            ),
            (1, Outcome::NotStored),
            (1, Outcome::Unknown),
        ] {
            assert_eq!(fixture.end(outcome.clone()).await.code, code, "{outcome:?}");
        }
    }

    #[tokio::test]
    async fn a_replica_that_does_not_lead_refuses_before_the_log_sees_anything() {
        let mut fixture = Fixture::new(role_board()).await;
        fixture.send("BenchmarkTest", 0);
        assert_eq!(fixture.client.answer().await.code, 14);
        assert!(fixture.bench.proposal().is_none());
    }

    #[tokio::test]
    async fn a_view_that_is_behind_decides_against_no_message() {
        let mut fixture = Fixture::new(leading()).await;
        fixture.put_topic("grown", 4, 6);
        fixture.put_topic("opened", 4, 4);
        fixture.send("grown", 6);
        fixture.put_topic("grown", 8, 6);
        fixture.confirm();
        assert_eq!(
            fixture
                .bench
                .proposal()
                .expect("it is sent")
                .drafts
                .into_iter()
                .next()
                .expect("records")
                .queue_id,
            6
        );
        fixture.send("opened", 1);
        fixture.put_topic("opened", 4, 6);
        fixture.confirm();
        assert!(fixture.bench.proposal().is_some());
    }

    #[tokio::test]
    async fn what_a_fresh_view_forbids_is_refused() {
        let mut fixture = Fixture::new(leading()).await;
        fixture.put_topic("closed", 4, 4);
        for (topic, queue_id, code) in [("closed", 0, 16), ("BenchmarkTest", 1_024, 29)] {
            fixture.send(topic, queue_id);
            fixture.confirm();
            assert_eq!(fixture.client.answer().await.code, code);
        }
        assert!(fixture.bench.proposal().is_none());
    }

    #[tokio::test]
    async fn a_producer_that_names_no_queue_gets_one_that_it_may_write_to() {
        let mut fixture = Fixture::new(leading()).await;
        let config = TopicConfig {
            write_queues: 2,
            ..TopicConfig::new("narrow", 4, 6)
        };
        fixture.bench.commit_ops(&[Op::PutTopic(PutTopic {
            changed_at_ms: 1,
            config,
        })]);
        let mut picked: Vec<_> = (0..4)
            .map(|_| {
                fixture.send("narrow", -1);
                fixture
                    .bench
                    .proposal()
                    .expect("it is sent")
                    .drafts
                    .into_iter()
                    .next()
                    .expect("records")
                    .queue_id
            })
            .collect();
        picked.sort_unstable();
        assert_eq!(picked, [0, 0, 1, 1]);
        fixture.put_topic("none", 0, 6);
        fixture.send("none", -1);
        fixture.confirm();
        assert_eq!(fixture.client.answer().await.code, 29);
    }
}
