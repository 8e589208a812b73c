//! Offsets: what a group has consumed (14, 15), and where a queue begins, ends, and was (29 to 32).
//!
//! Only the leader answers, after ReadIndex: what it reads was committed after the request came, and is applied.

use std::marker::PhantomData;
use std::sync::Arc;

use tern_log::{LogError, QueueBounds, QueueEntry};
use tern_wire::codes::response;
use tern_wire::headers::{
    OffsetResponse, QueryConsumerOffsetRequest, QueueRequest, SearchOffset, TimestampResponse,
    UpdateConsumerOffset,
};
use tern_wire::names::{check_group_from, check_topic};
use tern_wire::record::Record;
use tern_wire::{Command, Fields};

use super::effects::Effects;
use super::handler::{ClientRequest, NotServed, Reads, RequestHandler, Response, Verdict, View};
use crate::queues::GroupQueue;
use crate::request_error::RequestError;

/// A queue is young while its first message lies within the newest so many bytes of the log. A group that is new on
/// a young queue begins at 0, whatever it asks for; RocketMQ takes 40 % of the memory, here all replicas agree.
const YOUNG_BYTES: u64 = 4 << 30;

/// 14: what has this group committed?
pub struct QueryConsumerOffsetHandler;

impl RequestHandler for QueryConsumerOffsetHandler {
    type Header<'a> = QueryConsumerOffsetRequest<'a>;
    type Pending = ();

    fn decode(command: &Command) -> Result<Self::Header<'_>, RequestError> {
        Ok(QueryConsumerOffsetRequest::decode(&command.fields)?)
    }

    fn check(
        header: &Self::Header<'_>,
        request: &ClientRequest<'_>,
        _: &View<'_>,
    ) -> Result<(), RequestError> {
        check_group_from(header.consumer_group, request.command.version)?;
        checked_queue(header.topic, header.queue_id)?;
        Ok(())
    }

    fn reads_offsets_of<'a>(header: &'a Self::Header<'_>) -> Option<&'a str> {
        Some(header.consumer_group)
    }

    fn judge(
        header: &Self::Header<'_>,
        _: &ClientRequest<'_>,
        view: &View<'_>,
        _: &mut Effects,
    ) -> Result<Verdict<()>, NotServed> {
        let queue = QueueView::of(view, header.topic, header.queue_id)?;
        let zero_if_none = header.set_zero_if_not_found != Some(false);
        let offset = queue.committed(header.consumer_group, zero_if_none)?;
        Ok(offset_answer(offset))
    }
}

/// 29: where was this queue at a time?
pub struct SearchOffsetHandler;

impl RequestHandler for SearchOffsetHandler {
    type Header<'a> = SearchOffset<'a>;
    type Pending = ();

    const READS: Reads = Reads::Files;

    fn decode(command: &Command) -> Result<Self::Header<'_>, RequestError> {
        Ok(SearchOffset::decode(&command.fields)?)
    }

    fn check(
        header: &Self::Header<'_>,
        _: &ClientRequest<'_>,
        _: &View<'_>,
    ) -> Result<(), RequestError> {
        checked_queue(header.topic, header.queue_id).map(drop)
    }

    fn judge(
        header: &Self::Header<'_>,
        _: &ClientRequest<'_>,
        view: &View<'_>,
        _: &mut Effects,
    ) -> Result<Verdict<()>, NotServed> {
        let queue = QueueView::of(view, header.topic, header.queue_id)?;
        // Before all time lies no message.
        let time = u64::try_from(header.timestamp_ms).unwrap_or(0);
        queue.reach()?;
        let is_upper = header
            .boundary_type
            .is_some_and(|kind| kind.eq_ignore_ascii_case("UPPER"));
        let offset = if is_upper {
            queue.last_up_to(time)
        } else {
            queue.first_from(time)
        };
        Ok(offset_answer(offset.map_err(|error| unreadable(&error))?))
    }
}

/// A question about a queue that nothing but topic and queue id asks.
pub trait QueueQuestion: 'static {
    /// Where the answer is found.
    const READS: Reads;

    /// Answers by the queue as it is after ReadIndex.
    ///
    /// # Errors
    /// As of [`RequestHandler::judge`].
    fn answer(queue: &QueueView<'_>) -> Result<Verdict<()>, NotServed>;
}

/// The handler of one of these questions.
pub struct QueueQuestionHandler<Q>(PhantomData<Q>);

impl<Q: QueueQuestion> RequestHandler for QueueQuestionHandler<Q> {
    type Header<'a> = QueueRequest<'a>;
    type Pending = ();

    const READS: Reads = Q::READS;

    fn decode(command: &Command) -> Result<Self::Header<'_>, RequestError> {
        Ok(QueueRequest::decode(&command.fields)?)
    }

    fn check(
        header: &Self::Header<'_>,
        _: &ClientRequest<'_>,
        _: &View<'_>,
    ) -> Result<(), RequestError> {
        checked_queue(header.topic, header.queue_id).map(drop)
    }

    fn judge(
        header: &Self::Header<'_>,
        _: &ClientRequest<'_>,
        view: &View<'_>,
        _: &mut Effects,
    ) -> Result<Verdict<()>, NotServed> {
        let queue = QueueView::of(view, header.topic, header.queue_id)?;
        Q::answer(&queue)
    }
}

/// 30: which offset will the next message get?
pub struct MaxOffset;

impl QueueQuestion for MaxOffset {
    const READS: Reads = Reads::Memory;

    fn answer(queue: &QueueView<'_>) -> Result<Verdict<()>, NotServed> {
        Ok(offset_answer(queue.bounds().max))
    }
}

/// 31: which is the oldest offset kept?
pub struct MinOffset;

impl QueueQuestion for MinOffset {
    const READS: Reads = Reads::Memory;

    fn answer(queue: &QueueView<'_>) -> Result<Verdict<()>, NotServed> {
        Ok(offset_answer(queue.bounds().min))
    }
}

/// 32: when was the oldest message stored?
pub struct EarliestStoreTime;

impl QueueQuestion for EarliestStoreTime {
    const READS: Reads = Reads::Files;

    fn answer(queue: &QueueView<'_>) -> Result<Verdict<()>, NotServed> {
        queue.reach()?;
        let timestamp_ms = queue.oldest_time().map_err(|error| unreadable(&error))?;
        let mut fields = Fields::with_capacity(48);
        TimestampResponse { timestamp_ms }.encode(&mut fields);
        let answer = Response::with_fields(response::SUCCESS, fields);
        Ok(Verdict::Answer(answer))
    }
}

/// 15: a group has consumed up to here.
pub struct UpdateConsumerOffsetHandler;

impl RequestHandler for UpdateConsumerOffsetHandler {
    type Header<'a> = UpdateConsumerOffset<'a>;
    type Pending = ();

    fn decode(command: &Command) -> Result<Self::Header<'_>, RequestError> {
        Ok(UpdateConsumerOffset::decode(&command.fields)?)
    }

    fn judge(
        header: &Self::Header<'_>,
        request: &ClientRequest<'_>,
        view: &View<'_>,
        _: &mut Effects,
    ) -> Result<Verdict<()>, NotServed> {
        check_group_from(header.consumer_group, request.command.version)?;
        check_topic(header.topic)?;
        let offset = u64::try_from(header.commit_offset).map_err(|_| {
            RequestError::invalid(format!("commitOffset[{}] is illegal", header.commit_offset))
        })?;
        let Some(group) = view.state.group(header.consumer_group) else {
            return Err(NotServed::no_group(view.settings, header.consumer_group));
        };
        let topic = view
            .state
            .topic(header.topic)
            .ok_or_else(|| NotServed::StaleView(RequestError::no_topic(header.topic)))?;
        let queue_id = u32::try_from(header.queue_id)
            .ok()
            .filter(|queue_id| *queue_id < topic.config.queues());
        let queue_id = queue_id.ok_or_else(|| {
            NotServed::StaleView(RequestError::invalid(format!(
                "queueId[{}] is illegal, topic[{}]",
                header.queue_id, header.topic
            )))
        })?;
        let queue = GroupQueue {
            group: Arc::clone(&group.name),
            topic: Arc::clone(&topic.config.name),
            topic_id: topic.id,
            queue_id,
        };
        Ok(Verdict::Commit(queue, offset))
    }
}

/// A queue as the view shows it; one that does not exist is empty.
pub struct QueueView<'a> {
    view: &'a View<'a>,
    topic: &'a str,
    topic_id: Option<u32>,
    queue_id: u32,
}

impl<'a> QueueView<'a> {
    fn of(view: &'a View<'a>, topic: &'a str, queue_id: i32) -> Result<Self, RequestError> {
        let queue_id = checked_queue(topic, queue_id)?;
        Ok(Self {
            view,
            topic,
            topic_id: view.state.topic(topic).map(|topic| topic.id),
            queue_id,
        })
    }

    fn committed(&self, group: &str, zero_if_none: bool) -> Result<u64, RequestError> {
        let state = &self.view.state;
        if let Some(offset) = state.offset(group, self.topic, self.queue_id) {
            return Ok(offset);
        }
        if !zero_if_none {
            return Err(RequestError::new(
                response::QUERY_NOT_FOUND,
                "Not found, do not set to zero, maybe this group boot first",
            ));
        }
        if self.is_young() {
            return Ok(0);
        }
        Err(RequestError::new(
            response::QUERY_NOT_FOUND,
            "Not found, V3_0_6_SNAPSHOT maybe this group consumer boot first",
        ))
    }

    fn is_young(&self) -> bool {
        let bounds = self.bounds();
        let end = self.view.views.applied_position();
        let behind = end.saturating_sub(bounds.first_position);
        bounds.min == bounds.max || (bounds.min == 0 && behind <= YOUNG_BYTES)
    }

    /// To be asked before messages of the queue are read. All of them stand at or behind its first one, which may well be
    /// among those that are read.
    fn reach(&self) -> Result<(), NotServed> {
        let bounds = self.bounds();
        if bounds.min == bounds.max {
            return Ok(());
        }
        self.view.reach(bounds.first_position)
    }

    /// When the oldest message was stored, ms since 1970; -1 if there is none.
    fn oldest_time(&self) -> Result<i64, LogError> {
        match self.first()? {
            Some(first) => Ok(self.store_time(&first)?.cast_signed()),
            None => Ok(-1),
        }
    }

    /// The first message stored at a time or later.
    fn first_from(&self, time: u64) -> Result<u64, LogError> {
        let Some(topic_id) = self.topic_id else {
            return Ok(0);
        };
        let time_of = |entry: &QueueEntry| self.store_time(entry);
        let queues = &self.view.views.queues;
        queues.first_stored_at(topic_id, self.queue_id, time, time_of)
    }

    /// The last message stored at a time or before.
    fn last_up_to(&self, time: u64) -> Result<u64, LogError> {
        let behind = self.first_from(time.saturating_add(1))?;
        Ok(if behind > self.bounds().min {
            behind - 1
        } else {
            0
        })
    }

    /// The oldest message.
    fn first(&self) -> Result<Option<QueueEntry>, LogError> {
        let Some(topic_id) = self.topic_id else {
            return Ok(None);
        };
        let min = self.bounds().min;
        let mut entries = Vec::with_capacity(1);
        let queues = &self.view.views.queues;
        queues.read(topic_id, self.queue_id, min, 1, &mut entries)?;
        Ok(entries.first().copied())
    }

    fn store_time(&self, entry: &QueueEntry) -> Result<u64, LogError> {
        let bytes = self.view.views.record(entry)?;
        let time = Record::parse(&bytes).map_or(0, |record| record.store_timestamp_ms());
        Ok(time.cast_unsigned())
    }

    /// All 0 for a queue that does not exist.
    fn bounds(&self) -> QueueBounds {
        self.topic_id.map_or_else(QueueBounds::default, |topic_id| {
            self.view.views.queues.bounds(topic_id, self.queue_id)
        })
    }
}

fn checked_queue(topic: &str, queue_id: i32) -> Result<u32, RequestError> {
    check_topic(topic)?;
    u32::try_from(queue_id).map_err(|_| {
        RequestError::invalid(format!("queueId[{queue_id}] is illegal, topic[{topic}]"))
    })
}

fn offset_answer<P>(offset: u64) -> Verdict<P> {
    let mut fields = Fields::with_capacity(48);
    OffsetResponse {
        offset: offset.cast_signed(),
    }
    .encode(&mut fields);
    Verdict::Answer(Response::with_fields(response::SUCCESS, fields))
}

fn unreadable(error: &LogError) -> RequestError {
    RequestError::new(
        response::SYSTEM_ERROR,
        format!("the queue cannot be read: {error}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{ViewBench, leader};
    use tern_state::{CommitOffsets, GroupConfig, OffsetCommit, Op, PutGroup};
    use tern_wire::codes::request;

    const TOPIC: &str = "BenchmarkTest";

    /// What is asked about a queue.
    #[derive(Clone, Copy)]
    enum Question {
        Committed { zero_if_none: bool },
        FirstFrom(u64),
        LastUpTo(u64),
        End,
        Begin,
        OldestTime,
    }

    fn answer(
        bench: &ViewBench,
        topic: &str,
        queue_id: i32,
        question: Question,
    ) -> Result<i64, i32> {
        let time = |timestamp_ms: u64, boundary| {
            let mut command = Command::request(request::SEARCH_OFFSET_BY_TIMESTAMP, 1);
            SearchOffset {
                topic,
                queue_id,
                timestamp_ms: timestamp_ms.try_into().unwrap_or(i64::MAX),
                boundary_type: Some(boundary),
            }
            .encode(&mut command.fields);
            bench.judge::<SearchOffsetHandler>(leader(), &command)
        };
        let queue = |code| {
            let mut command = Command::request(code, 1);
            QueueRequest {
                topic,
                queue_id,
                committed: None,
            }
            .encode(&mut command.fields);
            command
        };
        let verdict = match question {
            Question::Committed { zero_if_none } => {
                let mut command = Command::request(request::QUERY_CONSUMER_OFFSET, 1);
                QueryConsumerOffsetRequest {
                    consumer_group: "g",
                    topic,
                    queue_id,
                    set_zero_if_not_found: Some(zero_if_none),
                }
                .encode(&mut command.fields);
                bench.judge::<QueryConsumerOffsetHandler>(leader(), &command)
            }
            Question::FirstFrom(ms) => time(ms, "LOWER"),
            Question::LastUpTo(ms) => time(ms, "UPPER"),
            Question::End => bench.judge::<QueueQuestionHandler<MaxOffset>>(
                leader(),
                &queue(request::GET_MAX_OFFSET),
            ),
            Question::Begin => bench.judge::<QueueQuestionHandler<MinOffset>>(
                leader(),
                &queue(request::GET_MIN_OFFSET),
            ),
            Question::OldestTime => bench.judge::<QueueQuestionHandler<EarliestStoreTime>>(
                leader(),
                &queue(request::GET_EARLIEST_MSG_STORETIME),
            ),
        };
        match verdict.map_err(|not_served| not_served.into_error().code)? {
            Verdict::Answer(answer) => {
                let value = answer.fields.get("offset");
                let value = value
                    .or(answer.fields.get("timestamp"))
                    .expect("one of the two");
                Ok(value.parse().expect("a number"))
            }
            other => panic!("no answer: {other:?}"),
        }
    }

    #[test]
    fn a_queue_says_where_it_begins_and_ends() {
        let mut bench = ViewBench::new();
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

    #[test]
    fn a_time_leads_to_the_message_at_its_lower_or_upper_side() {
        let mut bench = ViewBench::new();
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

    #[test]
    fn a_new_group_begins_at_zero_on_a_young_queue() {
        let mut bench = ViewBench::new();
        bench.commit_message(TOPIC, 0, "", b"m");
        let committed = |zero_if_none| Question::Committed { zero_if_none };
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
