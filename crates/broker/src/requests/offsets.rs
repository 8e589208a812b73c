//! Offsets: what a group has consumed (14, 15), and where a queue begins, ends, and was (29 to 32).
//!
//! Only the leader answers. What it reads is fresh: asked for after the request came, and applied.

use std::sync::Arc;

use tern_log::{LogError, QueueEntry};
use tern_wire::codes::response;
use tern_wire::headers::{
    OffsetResponse, QueryConsumerOffsetRequest, QueueRequest, SearchOffset, TimestampResponse,
    UpdateConsumerOffset,
};
use tern_wire::names::{check_group_from, check_topic};
use tern_wire::record::Record;
use tern_wire::{Command, Fields};
use tokio::runtime::Handle;

use super::reply::{Incoming, Reply};
use super::second_look::{Halt, Judge, SecondLook, Sight};
use crate::answers::{Answers, Ticket};
use crate::commits::{Commits, Place};
use crate::mailbox::Mailbox;
use crate::refused::Refused;
use crate::replica::Outcome;
use crate::roles::RoleBoard;
use crate::services::{Services, Settings};
use crate::views::Views;

/// A queue is young while its first message lies within the newest so many bytes of the log. A group that is new on
/// a young queue begins at 0, whatever it asks for; RocketMQ takes 40 % of the memory, here all replicas agree.
const YOUNG_BYTES: u64 = 4 << 30;

/// Answers questions about offsets and takes commits.
pub(crate) struct Offsets {
    settings: Settings,
    views: Arc<Views>,
    roles: Arc<RoleBoard>,
    mailbox: Mailbox,
    commits: Arc<Commits>,
    second_look: SecondLook,
    runtime: Handle,
}

/// A question about one queue.
struct Asked {
    topic: String,
    queue_id: u32,
    question: Question,
}

enum Question {
    /// 14.
    Committed {
        group: String,
        zero_if_none: bool,
    },
    /// 29. Of a time: the first message stored at it or later, or the last one stored at it or before.
    FirstFrom(u64),
    LastUpTo(u64),
    /// 30.
    End,
    /// 31.
    Begin,
    /// 32.
    OldestTime,
}

impl Offsets {
    pub fn new(services: &Services) -> Self {
        Self {
            settings: services.settings.clone(),
            views: Arc::clone(&services.views),
            roles: Arc::clone(&services.roles),
            mailbox: services.mailbox.clone(),
            commits: Arc::clone(&services.commits),
            second_look: SecondLook::new(services),
            runtime: services.runtime.clone(),
        }
    }

    /// 14: what has this group committed?
    pub fn query(self: &Arc<Self>, incoming: Incoming) {
        self.ask(incoming, |command| {
            let header = QueryConsumerOffsetRequest::decode(&command.fields)?;
            check_group_from(header.consumer_group, command.version)?;
            let question = Question::Committed {
                group: header.consumer_group.to_owned(),
                zero_if_none: header.set_zero_if_not_found != Some(false),
            };
            asked(header.topic, header.queue_id, question)
        });
    }

    /// 29: where was this queue at a time?
    pub fn search(self: &Arc<Self>, incoming: Incoming) {
        self.ask(incoming, |command| {
            let header = SearchOffset::decode(&command.fields)?;
            // Before all time lies no message.
            let time = u64::try_from(header.timestamp_ms).unwrap_or(0);
            let upper = header
                .boundary_type
                .is_some_and(|kind| kind.eq_ignore_ascii_case("UPPER"));
            let question = if upper {
                Question::LastUpTo(time)
            } else {
                Question::FirstFrom(time)
            };
            asked(header.topic, header.queue_id, question)
        });
    }

    /// 30: which offset will the next message get?
    pub fn max(self: &Arc<Self>, incoming: Incoming) {
        self.ask(incoming, |command| about_queue(command, Question::End));
    }

    /// 31: which is the oldest offset kept?
    pub fn min(self: &Arc<Self>, incoming: Incoming) {
        self.ask(incoming, |command| about_queue(command, Question::Begin));
    }

    /// 32: when was the oldest message stored?
    pub fn oldest_time(self: &Arc<Self>, incoming: Incoming) {
        self.ask(incoming, |command| {
            about_queue(command, Question::OldestTime)
        });
    }

    fn ask(
        self: &Arc<Self>,
        incoming: Incoming,
        read: impl FnOnce(&Command) -> Result<Asked, Refused>,
    ) {
        let role = self.roles.view();
        if !role.leads() {
            return incoming.reply.refuse_now(Refused::not_leader(&role));
        }
        let asked = match read(&incoming.command) {
            Ok(asked) => asked,
            Err(refused) => return incoming.reply.refuse_now(refused),
        };
        let group = match &asked.question {
            Question::Committed { group, .. } => Some(group.clone()),
            _ => None,
        };
        let ticket = self.answer_when_fresh(incoming.reply, asked);
        Answers::at_once(|answers| match group {
            Some(group) => self.commits.settle(&group, ticket, answers),
            None => answers.settle(self.mailbox.read(ticket)),
        });
    }

    fn answer_when_fresh(self: &Arc<Self>, reply: Reply, asked: Asked) -> Ticket {
        let this = Arc::clone(self);
        Box::new(move |outcome, answers| match outcome {
            Outcome::Confirmed(_) | Outcome::Stored(_) if asked.question.reads_files() => {
                let runtime = this.runtime.clone();
                runtime.spawn(async move {
                    match this.answer(&asked) {
                        Ok(fields) => {
                            let answer = reply.with_fields(response::SUCCESS, fields);
                            reply.send(answer);
                        }
                        Err(refused) => reply.refuse_now(refused),
                    }
                });
            }
            Outcome::Confirmed(_) | Outcome::Stored(_) => match this.answer(&asked) {
                Ok(fields) => {
                    let answer = reply.with_fields(response::SUCCESS, fields);
                    reply.add(&answer, answers);
                }
                Err(refused) => reply.refuse(refused, answers),
            },
            other => reply.refuse(Refused::of_condition(&other, &this.roles), answers),
        })
    }

    fn answer(&self, asked: &Asked) -> Result<Fields, Refused> {
        let mut fields = Fields::with_capacity(48);
        let offset = match asked.question {
            Question::OldestTime => {
                let timestamp_ms = self
                    .oldest_time_of(asked)
                    .map_err(|error| unreadable(&error))?;
                TimestampResponse { timestamp_ms }.encode(&mut fields);
                return Ok(fields);
            }
            Question::Committed {
                ref group,
                zero_if_none,
            } => self.committed(asked, group, zero_if_none)?,
            Question::End => self.range(asked).1,
            Question::Begin => self.range(asked).0,
            Question::FirstFrom(time) => self
                .first_from(asked, time)
                .map_err(|error| unreadable(&error))?,
            Question::LastUpTo(time) => {
                let behind = self
                    .first_from(asked, time.saturating_add(1))
                    .map_err(|error| unreadable(&error))?;
                if behind > self.range(asked).0 {
                    behind - 1
                } else {
                    0
                }
            }
        };
        OffsetResponse {
            offset: offset.cast_signed(),
        }
        .encode(&mut fields);
        Ok(fields)
    }

    fn committed(&self, asked: &Asked, group: &str, zero_if_none: bool) -> Result<u64, Refused> {
        if let Some(offset) = self
            .views
            .state()
            .offset(group, &asked.topic, asked.queue_id)
        {
            return Ok(offset);
        }
        if !zero_if_none {
            return Err(Refused::new(
                response::QUERY_NOT_FOUND,
                "Not found, do not set to zero, maybe this group boot first",
            ));
        }
        if self.is_young(asked).map_err(|error| unreadable(&error))? {
            return Ok(0);
        }
        Err(Refused::new(
            response::QUERY_NOT_FOUND,
            "Not found, V3_0_6_SNAPSHOT maybe this group consumer boot first",
        ))
    }

    fn is_young(&self, asked: &Asked) -> Result<bool, LogError> {
        let Some((offset, first)) = self.first(asked)? else {
            return Ok(true);
        };
        let end = self.views.applied_position();
        Ok(offset == 0 && end.saturating_sub(first.physical_offset) <= YOUNG_BYTES)
    }

    fn oldest_time_of(&self, asked: &Asked) -> Result<i64, LogError> {
        match self.first(asked)? {
            Some((_, first)) => Ok(self.store_time(&first)?.cast_signed()),
            None => Ok(-1),
        }
    }

    fn first_from(&self, asked: &Asked, time: u64) -> Result<u64, LogError> {
        let Some(topic_id) = self.topic_id(asked) else {
            return Ok(0);
        };
        let time_of = |entry: &QueueEntry| self.store_time(entry);
        self.views
            .queues
            .first_stored_at(topic_id, asked.queue_id, time, time_of)
    }

    /// The oldest message of a queue and its queue offset.
    fn first(&self, asked: &Asked) -> Result<Option<(u64, QueueEntry)>, LogError> {
        let Some(topic_id) = self.topic_id(asked) else {
            return Ok(None);
        };
        let min = self.range(asked).0;
        let mut entries = Vec::with_capacity(1);
        self.views
            .queues
            .read(topic_id, asked.queue_id, min, 1, &mut entries)?;
        Ok(entries.first().map(|entry| (min, *entry)))
    }

    fn store_time(&self, entry: &QueueEntry) -> Result<u64, LogError> {
        let bytes = self.views.record(entry)?;
        let time = Record::parse(&bytes).map_or(0, |record| record.store_timestamp_ms());
        Ok(time.cast_unsigned())
    }

    /// Both 0 for a queue that does not exist.
    fn range(&self, asked: &Asked) -> (u64, u64) {
        self.topic_id(asked).map_or((0, 0), |topic_id| {
            self.views.queues.range(topic_id, asked.queue_id)
        })
    }

    fn topic_id(&self, asked: &Asked) -> Option<u32> {
        self.views.state().topic(&asked.topic).map(|topic| topic.id)
    }

    /// 15: a group has consumed up to here. One-way it is collected and may only rise; who waits for the answer
    /// means the value as it is.
    pub fn update(self: &Arc<Self>, incoming: Incoming) {
        Answers::at_once(|answers| self.attempt_update(incoming, Sight::Published, answers));
    }

    fn attempt_update(self: &Arc<Self>, incoming: Incoming, sight: Sight, answers: &mut Answers) {
        match self.check_update(&incoming.command) {
            Ok((place, offset)) => self.commit(incoming.reply, place, offset, answers),
            Err(halt) => self
                .second_look
                .halted(self, incoming, (halt, sight), answers),
        }
    }

    fn check_update(&self, command: &Command) -> Result<(Place, u64), Halt> {
        let role = self.roles.view();
        if !role.leads() {
            return Err(Refused::not_leader(&role).into());
        }
        let header = UpdateConsumerOffset::decode(&command.fields)?;
        check_group_from(header.consumer_group, command.version)?;
        check_topic(header.topic)?;
        let Ok(offset) = u64::try_from(header.commit_offset) else {
            return Err(Refused::invalid(format!(
                "commitOffset[{}] is illegal",
                header.commit_offset
            ))
            .into());
        };
        let state = self.views.state();
        let Some(group) = state.group(header.consumer_group) else {
            return Err(Halt::no_group(&self.settings, header.consumer_group));
        };
        let topic = state
            .topic(header.topic)
            .ok_or_else(|| Halt::Doubt(Refused::no_topic(header.topic)))?;
        let queue_id = u32::try_from(header.queue_id)
            .ok()
            .filter(|queue_id| *queue_id < topic.config.queues());
        let queue_id = queue_id.ok_or_else(|| {
            Halt::Doubt(Refused::invalid(format!(
                "queueId[{}] is illegal, topic[{}]",
                header.queue_id, header.topic
            )))
        })?;
        let place = Place {
            group: Arc::clone(&group.name),
            topic: Arc::clone(&topic.config.name),
            topic_id: topic.id,
            queue_id,
        };
        Ok((place, offset))
    }

    fn commit(self: &Arc<Self>, reply: Reply, place: Place, offset: u64, answers: &mut Answers) {
        if reply.is_one_way() {
            return self.commits.add(&place, offset);
        }
        let this = Arc::clone(self);
        let ticket: Ticket = Box::new(move |outcome, answers| match outcome {
            Outcome::Stored(_) => {
                let answer = reply.command(response::SUCCESS);
                reply.add(&answer, answers);
            }
            other => reply.refuse(Refused::of(&other, &this.roles), answers),
        });
        self.commits.set(place, offset, ticket, answers);
    }
}

impl Judge for Offsets {
    type Request = Incoming;

    fn judge_again(self: Arc<Self>, incoming: Incoming, answers: &mut Answers) {
        self.attempt_update(incoming, Sight::Fresh, answers);
    }

    fn refuse(incoming: Incoming, refused: Refused, answers: &mut Answers) {
        incoming.reply.refuse(refused, answers);
    }
}

impl Question {
    /// Whether the answer may have to come from the log's files: not on the apply thread then.
    fn reads_files(&self) -> bool {
        matches!(
            self,
            Self::FirstFrom(_) | Self::LastUpTo(_) | Self::OldestTime
        )
    }
}

fn about_queue(command: &Command, question: Question) -> Result<Asked, Refused> {
    let header = QueueRequest::decode(&command.fields)?;
    asked(header.topic, header.queue_id, question)
}

fn asked(topic: &str, queue_id: i32, question: Question) -> Result<Asked, Refused> {
    check_topic(topic)?;
    let Ok(queue_id) = u32::try_from(queue_id) else {
        return Err(Refused::invalid(format!(
            "queueId[{queue_id}] is illegal, topic[{topic}]"
        )));
    };
    Ok(Asked {
        topic: topic.to_owned(),
        queue_id,
        question,
    })
}

fn unreadable(error: &LogError) -> Refused {
    Refused::new(
        response::SYSTEM_ERROR,
        format!("the queue cannot be read: {error}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Bench, leading};
    use tern_state::{CommitOffsets, GroupConfig, OffsetCommit, Op, PutGroup};

    const TOPIC: &str = "BenchmarkTest";

    fn offsets(bench: &Bench) -> Offsets {
        Offsets::new(&bench.services(leading()))
    }

    fn answer(bench: &Bench, topic: &str, queue_id: i32, question: Question) -> Result<i64, i32> {
        let asked = asked(topic, queue_id, question).map_err(|refused| refused.code)?;
        let fields = offsets(bench)
            .answer(&asked)
            .map_err(|refused| refused.code)?;
        let value = fields
            .get("offset")
            .or(fields.get("timestamp"))
            .expect("one of the two");
        Ok(value.parse().expect("a number"))
    }

    #[tokio::test]
    async fn a_queue_says_where_it_begins_and_ends() {
        let mut bench = Bench::new();
        for _ in 0..3 {
            bench.commit_message(TOPIC, 0, "", b"m");
        }
        assert_eq!(answer(&bench, TOPIC, 0, Question::End), Ok(3));
        assert_eq!(answer(&bench, TOPIC, 0, Question::Begin), Ok(0));
        for (topic, queue_id) in [(TOPIC, 1), (TOPIC, i32::MAX), ("unknown", 0)] {
            assert_eq!(answer(&bench, topic, queue_id, Question::End), Ok(0));
            assert_eq!(
                answer(&bench, topic, queue_id, Question::OldestTime),
                Ok(-1)
            );
        }
        assert_eq!(answer(&bench, TOPIC, -1, Question::End), Err(29));
        assert_eq!(answer(&bench, "../x", 0, Question::End), Err(29));
    }

    #[tokio::test]
    async fn a_time_leads_to_the_message_at_its_lower_or_upper_side() {
        let mut bench = Bench::new();
        // Stored at 10, 20 and 30 ms.
        for _ in 0..3 {
            bench.commit_message(TOPIC, 0, "", b"m");
        }
        assert_eq!(answer(&bench, TOPIC, 0, Question::OldestTime), Ok(10));
        for (time, first, last) in [
            (0, 0, 0),
            (10, 0, 0),
            (15, 1, 0),
            (20, 1, 1),
            (30, 2, 2),
            (31, 3, 2),
        ] {
            assert_eq!(
                answer(&bench, TOPIC, 0, Question::FirstFrom(time)),
                Ok(first),
                "{time}"
            );
            assert_eq!(
                answer(&bench, TOPIC, 0, Question::LastUpTo(time)),
                Ok(last),
                "{time}"
            );
        }
        assert_eq!(
            answer(&bench, TOPIC, 0, Question::LastUpTo(u64::MAX)),
            Ok(2)
        );
        assert_eq!(answer(&bench, TOPIC, 1, Question::FirstFrom(0)), Ok(0));
    }

    #[tokio::test]
    async fn a_new_group_begins_at_zero_on_a_young_queue() {
        let mut bench = Bench::new();
        bench.commit_message(TOPIC, 0, "", b"m");
        let committed = |zero_if_none| Question::Committed {
            group: "g".to_owned(),
            zero_if_none,
        };
        assert_eq!(answer(&bench, TOPIC, 0, committed(true)), Ok(0));
        assert_eq!(answer(&bench, TOPIC, 0, committed(false)), Err(22));
        bench.commit_ops(&[
            Op::PutGroup(PutGroup {
                changed_at_ms: 1,
                config: GroupConfig::new("g"),
            }),
            Op::CommitOffsets(CommitOffsets(vec![OffsetCommit {
                group: "g".into(),
                topic: TOPIC.into(),
                queue_id: 0,
                offset: 1,
                explicit: false,
            }])),
        ]);
        assert_eq!(answer(&bench, TOPIC, 0, committed(false)), Ok(1));
    }
}
