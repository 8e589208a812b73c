//! Messages that a consumer could not consume come back: 36.
//!
//! The message is stored again for its group, under the group's retry topic and with a delay, until it has been tried
//! often enough; then among the group's dead letters. Only the leader takes it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use smallvec::smallvec;
use tern_log::LogError;
use tern_state::{GroupConfig, TopicConfig, perm, retry_topic};
use tern_wire::Command;
use tern_wire::codes::response;
use tern_wire::headers::SendBack;
use tern_wire::message_id::offset_id;
use tern_wire::names::{DLQ_PREFIX, MAX_LEGACY, check_group_from};
use tern_wire::properties::{NAME_END, PropertyError, VALUE_END, Writer, get, names};
use tern_wire::record::{MAX_PROPERTIES, NewRecord, Record, encode};
use tern_wire::version::V3_4_9;
use tokio::runtime::Handle;

use super::drafting::{Place, delay_level, delayed};
use super::reading::consumed_record_at;
use super::reply::{Incoming, Reply};
use super::second_look::{Halt, Judge, Missing, SecondLook, Sight};
use crate::answers::{Answers, Ticket};
use crate::clock;
use crate::counters::Counters;
use crate::mailbox::Mailbox;
use crate::refused::Refused;
use crate::replica::{AnswerAt, Draft, Outcome, Proposal};
use crate::roles::RoleBoard;
use crate::services::{Services, Settings};
use crate::views::Views;

/// The level of a message that comes back for the first time, where the broker decides.
const FIRST_LEVEL: i64 = 3;
/// Bytes of a reason that are kept.
const MAX_REASON: usize = 1024;

/// Takes messages back from consumers.
pub(crate) struct SendBacks {
    settings: Settings,
    views: Arc<Views>,
    roles: Arc<RoleBoard>,
    mailbox: Mailbox,
    second_look: SecondLook,
    counters: Arc<Counters>,
    runtime: Handle,
    picks: AtomicU32,
}

/// What a request asks for, as the view stands.
enum Way {
    /// The group has no queues for it: it is dropped, as RocketMQ does.
    Nowhere,
    /// Store this.
    Again(Draft),
}

impl SendBacks {
    pub fn new(services: &Services) -> Self {
        Self {
            settings: services.settings.clone(),
            views: Arc::clone(&services.views),
            roles: Arc::clone(&services.roles),
            mailbox: services.mailbox.clone(),
            second_look: SecondLook::new(services),
            counters: Arc::clone(&services.counters),
            runtime: services.runtime.clone(),
            picks: AtomicU32::new(clock::monotonic_ns() as u32),
        }
    }

    /// Store a message for its group again. The answer follows when that is committed.
    pub fn send_back(self: &Arc<Self>, incoming: Incoming) {
        Answers::at_once(|answers| self.attempt(incoming, Sight::Published, answers));
    }

    fn attempt(self: &Arc<Self>, incoming: Incoming, sight: Sight, answers: &mut Answers) {
        match self.prepare(&incoming) {
            Ok(Way::Nowhere) => stored(incoming.reply, answers),
            Ok(Way::Again(draft)) => self.propose(incoming, draft, answers),
            Err(halt) => self
                .second_look
                .halted(self, incoming, (halt, sight), answers),
        }
    }

    /// The checks, in RocketMQ's order: the first one that fails decides the code.
    fn prepare(&self, incoming: &Incoming) -> Result<Way, Halt> {
        let role = self.roles.view();
        if !role.leads() {
            return Err(Refused::not_leader(&role).into());
        }
        let command = &incoming.command;
        let header = SendBack::decode(&command.fields)?;
        check_group_from(header.group, command.version)?;
        let state = self.views.state();
        let group = state
            .group(header.group)
            .ok_or_else(|| Halt::Doubt(Refused::no_group(header.group)))?;
        if group.retry_queue_nums <= 0 {
            return Ok(Way::Nowhere);
        }
        let original = self.original(header.offset)?;
        let original = Record::parse(&original).map_err(|_| lost(header.offset))?;
        let given_up = is_given_up(&header, command.version, group, &original);
        let config = if given_up {
            dead_letter_topic(&dead_letter_name(&group.name))
        } else {
            retry_topic(group, header.unit_mode == Some(true), false)
        };
        let Some(topic) = state.topic(&config.name) else {
            let name = Arc::clone(&config.name);
            return Err(if name.len() > MAX_LEGACY {
                Refused::no_topic(&name)
                    .with_code(response::SYSTEM_ERROR)
                    .into()
            } else {
                Halt::missing_topic(Missing::OwnTopic(config), &name)
            });
        };
        if topic.config.perm & perm::WRITE == 0 {
            return Err(Halt::Doubt(Refused::new(
                response::NO_PERMISSION,
                format!("the topic[{}] sending message is forbidden", config.name),
            )));
        }
        let queues = if given_up {
            1
        } else {
            let wanted = group.retry_queue_nums.unsigned_abs();
            wanted.min(topic.config.queues()).max(1)
        };
        let queue_id = self.picks.fetch_add(1, Ordering::Relaxed) % queues;
        let place = (Arc::clone(&topic.config.name), queue_id);
        let level = match header.delay_level {
            _ if given_up => None,
            0 => delay_level(FIRST_LEVEL + i64::from(original.reconsume_times())),
            level => delay_level(i64::from(level)),
        };
        let reason = header.reason.filter(|_| given_up);
        let times = original
            .reconsume_times()
            .saturating_add(1)
            .max(header.attempts.unwrap_or(0));
        self.again(&original, place, level, times, reason)
            .map(Way::Again)
    }

    /// The bytes of the message that the consumer names.
    fn original(&self, offset: i64) -> Result<Bytes, Halt> {
        let position = u64::try_from(offset).map_err(|_| lost(offset))?;
        consumed_record_at(&self.views, position)
            .map_err(|error| unreadable(&error))?
            .ok_or_else(|| Halt::Doubt(lost(offset)))
    }

    /// The message once more, for another place.
    fn again(
        &self,
        original: &Record<'_>,
        place: Place,
        level: Option<u16>,
        times: i32,
        reason: Option<&str>,
    ) -> Result<Draft, Halt> {
        let text = original.properties();
        let is_first = get(text, names::RETRY_TOPIC).is_none();
        let too_long = |error: &dyn std::fmt::Display| {
            Refused::new(
                response::MESSAGE_ILLEGAL,
                format!("the message does not take what a retry needs: {error}"),
            )
        };
        let mut properties = Writer::with_capacity(text.len() + 256);
        properties.copy(text, |name| match name {
            names::DELAY | names::REAL_TOPIC | names::REAL_QID => false,
            names::ORIGIN_QUEUE => !is_first,
            names::DEAD_LETTER_REASON => reason.is_none(),
            _ => true,
        });
        let mut place = place;
        let mut complete = || {
            if is_first {
                let (group, queue) = (&self.settings.group, original.queue_id());
                let origin = format!("{group}:{queue}:{}", original.queue_offset());
                properties.push(names::RETRY_TOPIC, original.topic())?;
                properties.push(names::ORIGIN_QUEUE, &origin)?;
            }
            if get(text, names::ORIGIN_MESSAGE_ID).is_none() {
                let id = offset_id(original.store_host(), original.physical_offset());
                properties.push(names::ORIGIN_MESSAGE_ID, &id)?;
            }
            if let Some(level) = level {
                place = delayed(level, &place, &mut properties)?;
            }
            Ok::<_, PropertyError>(())
        };
        complete().map_err(|error| too_long(&error))?;
        if let Some(reason) = reason {
            add_reason(reason, &mut properties).map_err(|error| too_long(&error))?;
        }
        let record = NewRecord {
            queue_id: place.1.cast_signed(),
            flag: original.flag(),
            sys_flag: original.sys_flag(),
            born_timestamp_ms: original.born_timestamp_ms(),
            born_host: original.born_host(),
            store_host: self.settings.store_host,
            reconsume_times: times,
            prepared_transaction_offset: 0,
            body: original.body(),
            topic: &place.0,
            properties: properties.as_str().as_bytes(),
        };
        let mut bytes = Vec::with_capacity(record.encoded_len());
        let size = encode(&record, &mut bytes).map_err(|error| too_long(&error))?;
        let limit = super::send::limit(&self.views.state());
        if size > limit {
            return Err(too_long(&format_args!("{size} bytes, the limit is {limit}")).into());
        }
        Ok(Draft {
            topic: place.0,
            queue_id: place.1,
            bytes,
            sizes: smallvec![size as u32],
        })
    }

    fn propose(self: &Arc<Self>, incoming: Incoming, draft: Draft, answers: &mut Answers) {
        let Incoming {
            reply, received_ns, ..
        } = incoming;
        let (this, bytes) = (Arc::clone(self), draft.bytes.len() as u64);
        let ticket: Ticket = Box::new(move |outcome, answers| match outcome {
            Outcome::Stored(_) => {
                this.counters.put(1, bytes);
                stored(reply, answers);
            }
            other => {
                this.counters.put_failed();
                reply.refuse(Refused::of(&other, &this.roles), answers);
            }
        });
        let proposal = Proposal {
            drafts: smallvec![draft],
            ops: Bytes::new(),
            answer: AnswerAt::Commit,
            ticket,
            received_ns,
        };
        answers.settle(self.mailbox.propose(proposal));
    }
}

impl Judge for SendBacks {
    type Request = Incoming;

    /// Not on the thread that applies: the message may be on the disk.
    fn judge_again(self: Arc<Self>, incoming: Incoming, _: &mut Answers) {
        let runtime = self.runtime.clone();
        runtime.spawn(async move {
            Answers::at_once(|answers| self.attempt(incoming, Sight::Fresh, answers));
        });
    }

    fn refuse(incoming: Incoming, refused: Refused, answers: &mut Answers) {
        incoming.reply.refuse(refused, answers);
    }
}

/// Whether a message is not tried again.
fn is_given_up(
    header: &SendBack<'_>,
    version: i32,
    group: &GroupConfig,
    original: &Record<'_>,
) -> bool {
    let limit = header
        .max_reconsume_times
        .filter(|_| version >= V3_4_9)
        .unwrap_or(group.retry_max_times);
    header.delay_level < 0 || original.reconsume_times() >= limit
}

/// Adds as much of a reason as there is room for: without it a message is still a dead letter.
fn add_reason(reason: &str, properties: &mut Writer) -> Result<(), PropertyError> {
    let taken = properties.len() + names::DEAD_LETTER_REASON.len() + 2;
    let room = MAX_PROPERTIES.saturating_sub(taken).min(MAX_REASON);
    let reason = reason.replace([NAME_END, VALUE_END], " ");
    let mut end = room.min(reason.len());
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    match &reason[..end] {
        "" => Ok(()),
        shortened => properties.push(names::DEAD_LETTER_REASON, shortened),
    }
}

fn stored(reply: Reply, answers: &mut Answers) {
    if reply.is_awaited() {
        let answer: Command = reply.command(response::SUCCESS);
        reply.add(&answer, answers);
    }
}

fn lost(offset: i64) -> Refused {
    Refused::new(
        response::SYSTEM_ERROR,
        format!("look message by offset failed, {offset}"),
    )
}

fn unreadable(error: &LogError) -> Refused {
    Refused::new(
        response::SYSTEM_ERROR,
        format!("look message by offset failed: {error}"),
    )
}

/// Name of a group's topic of dead letters.
pub(super) fn dead_letter_name(group: &str) -> String {
    format!("{DLQ_PREFIX}{group}")
}

/// A group's topic of dead letters, as it comes into being.
pub(super) fn dead_letter_topic(name: &str) -> TopicConfig {
    TopicConfig::new(name, 1, perm::READ | perm::WRITE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Bench, Client, leading, role_board};
    use tern_state::Op;
    use tern_wire::codes::request;

    const TOPIC: &str = "BenchmarkTest";

    fn command(offset: i64) -> Command {
        let header = SendBack {
            offset,
            group: "CG",
            delay_level: 0,
            origin_message_id: None,
            origin_topic: None,
            unit_mode: None,
            max_reconsume_times: None,
            broker_name: None,
            attempts: None,
            reason: None,
        };
        let mut command = Command::request(request::CONSUMER_SEND_MSG_BACK, 1);
        header.encode(&mut command.fields);
        command
    }

    fn put_group(bench: &mut Bench) {
        bench.commit_ops(&[Op::PutGroup {
            changed_at_ms: 1,
            config: GroupConfig::new("CG"),
        }]);
    }

    /// The physical offset of a message with a retry topic to go to.
    fn message(bench: &mut Bench) -> i64 {
        bench.commit_ops(&[Op::PutTopic {
            changed_at_ms: 1,
            config: TopicConfig::new("%RETRY%CG", 1, 6),
        }]);
        let offset = bench.commit_message(TOPIC, 3, "a", b"bad");
        let id = bench.views.state().topic(TOPIC).unwrap().id;
        let mut entries = Vec::new();
        bench
            .views
            .queues
            .read(id, 3, offset, 1, &mut entries)
            .unwrap();
        entries[0].physical_offset.cast_signed()
    }

    #[tokio::test]
    async fn a_replica_that_does_not_lead_refuses_before_the_log_sees_anything() {
        let (mut bench, mut client) = (Bench::new(), Client::connect().await);
        put_group(&mut bench);
        let offset = message(&mut bench);
        let backs = Arc::new(SendBacks::new(&bench.services(role_board())));
        backs.send_back(client.asks(command(offset)));
        assert_eq!(client.answer().await.code, 14);
        assert!(bench.proposal().is_none());
    }

    #[tokio::test]
    async fn a_view_that_is_behind_decides_against_no_group() {
        let (mut bench, mut client) = (Bench::new(), Client::connect().await);
        let offset = message(&mut bench);
        let backs = Arc::new(SendBacks::new(&bench.services(leading())));
        backs.send_back(client.asks(command(offset)));
        let read = bench.read().expect("a fresh read is asked for");
        read(Outcome::Confirmed(9), &mut Answers::default());
        assert_eq!(client.answer().await.code, 26);
    }

    #[tokio::test]
    async fn a_message_that_the_view_does_not_show_yet_is_looked_for_again() {
        let (mut bench, client) = (Bench::new(), Client::connect().await);
        put_group(&mut bench);
        let first = message(&mut bench);
        let backs = Arc::new(SendBacks::new(&bench.services(leading())));
        backs.send_back(client.asks(command(first + (1 << 20))));
        assert!(bench.read().is_some());
        assert!(bench.proposal().is_none());
    }

    #[tokio::test]
    async fn what_comes_back_waits_longer_each_time_and_is_answered_at_its_commit() {
        let (mut bench, mut client) = (Bench::new(), Client::connect().await);
        put_group(&mut bench);
        let offset = message(&mut bench);
        let backs = Arc::new(SendBacks::new(&bench.services(leading())));
        backs.send_back(client.asks(command(offset)));
        let proposal = bench.proposal().expect("it is proposed");
        assert_eq!(proposal.answer, AnswerAt::Commit);
        let draft = &proposal.drafts[0];
        assert_eq!((&*draft.topic, draft.queue_id), ("SCHEDULE_TOPIC_XXXX", 2));
        let record = Record::parse(&draft.bytes).unwrap();
        let text = record.properties();
        for (name, value) in [
            (names::TAGS, "a"),
            (names::DELAY, "3"),
            (names::REAL_TOPIC, "%RETRY%CG"),
            (names::REAL_QID, "0"),
            (names::RETRY_TOPIC, TOPIC),
        ] {
            assert_eq!(get(text, name), Some(value), "{name}");
        }
        assert_eq!(record.reconsume_times(), 1);
        let mut answers = Answers::default();
        (proposal.ticket)(Outcome::Unknown, &mut answers);
        answers.flush();
        assert_eq!(client.answer().await.code, 1);
    }

    /// It would be stored again under what the properties have become, with a body whose checksum is right.
    #[tokio::test]
    async fn a_message_whose_properties_rotted_does_not_come_back() {
        let (mut bench, mut client) = (Bench::cold(), Client::connect().await);
        put_group(&mut bench);
        let offset = message(&mut bench);
        bench.commit_message(TOPIC, 3, "", b"a frame behind it");
        bench.rot_properties(TOPIC, 3, 0, "TAGS");
        let backs = Arc::new(SendBacks::new(&bench.services(leading())));
        backs.send_back(client.asks(command(offset)));
        assert!(bench.proposal().is_none());
        let answer = client.answer().await;
        let remark = answer.remark.unwrap_or_default();
        assert!(remark.contains("damage at position"), "{remark}");
        assert_eq!((answer.code, bench.views.damage.count()), (1, 1));
    }
}
