//! Messages that a consumer could not consume come back: 36.
//!
//! The message is stored again for its group, under the group's retry topic and with a delay, until it has been tried
//! often enough; then among the group's dead letters. Only the leader takes it.

use std::sync::Arc;

use bytes::Bytes;
use smallvec::smallvec;
use tern_log::LogError;
use tern_state::{perm, retry_topic};
use tern_wire::Command;
use tern_wire::codes::response;
use tern_wire::headers::SendBack;
use tern_wire::message_id::offset_id;
use tern_wire::names::{MAX_LEGACY, check_group_from};
use tern_wire::properties::{NAME_END, PropertyError, VALUE_END, Writer, get, names};
use tern_wire::record::{MAX_PROPERTIES, NewRecord, Record, encode};

use super::destination::{
    Destination, Retry, TopicQueue, dead_letter_name, dead_letter_topic, delay_level, destination,
};
use super::drafting::limit_of;
use super::effects::Effects;
use super::handler::{
    Append, ClientRequest, NotServed, Reads, RequestHandler, Response, Verdict, View,
};
use super::reading::consumed_record_at;
use crate::creation::Missing;
use crate::request_error::RequestError;
use tern_replica::Draft;

/// The level of a message that comes back for the first time, where the broker decides.
const FIRST_LEVEL: i64 = 3;
/// Bytes of a reason that are kept.
const MAX_REASON: usize = 1024;

/// Takes messages back from consumers. The answer follows when the message is committed again.
pub struct SendBackHandler;

impl RequestHandler for SendBackHandler {
    type Header<'a> = SendBack<'a>;
    type Pending = ();

    /// The message may be on the disk.
    const READS: Reads = Reads::Files;

    fn decode(command: &Command) -> Result<Self::Header<'_>, RequestError> {
        Ok(SendBack::decode(&command.fields)?)
    }

    /// The checks, in RocketMQ's order: the first one that fails decides the code.
    fn judge(
        header: &Self::Header<'_>,
        request: &ClientRequest<'_>,
        view: &View<'_>,
        _: &mut Effects,
    ) -> Result<Verdict<()>, NotServed> {
        let version = request.command.version;
        check_group_from(header.group, version)?;
        let group = view
            .state
            .group(header.group)
            .ok_or_else(|| NotServed::StaleView(RequestError::no_group(header.group)))?;
        if group.retry_queue_nums <= 0 {
            // The group has no queues for it: it is dropped, as RocketMQ does.
            return Ok(Verdict::Answer(Response::new(response::SUCCESS)));
        }
        let original = original(header.offset, view)?;
        let original = Record::parse(&original).map_err(|_| lost(header.offset))?;
        let times = original.reconsume_times();
        let retry = Retry {
            group,
            times: times.saturating_add(1),
            limit: header.max_reconsume_times,
            version,
            is_over: header.delay_level < 0,
        };
        let level = match header.delay_level {
            0 => delay_level(FIRST_LEVEL + i64::from(times)),
            level => delay_level(i64::from(level)),
        };
        let destination = destination(Some(&retry), level);
        let resent = Resent {
            original: &original,
            queue: queue(header, &retry, destination, view)?,
            destination,
            times: retry.times.max(header.attempts.unwrap_or(0)),
            reason: header.reason.filter(|_| destination.is_dead_letter()),
        };
        Ok(Verdict::Propose(Append::messages(resent.draft(view)?, ())))
    }
}

/// The bytes of the message that the consumer names.
fn original(offset: i64, view: &View<'_>) -> Result<Bytes, NotServed> {
    let position = u64::try_from(offset).map_err(|_| lost(offset))?;
    view.reach(position)?;
    consumed_record_at(view.views, position)
        .map_err(|error| unreadable(&error))?
        .ok_or_else(|| NotServed::StaleView(lost(offset)))
}

/// The queue that the message belongs to from now on: one of the group's retry topic, or of its dead letters.
fn queue(
    header: &SendBack<'_>,
    retry: &Retry<'_>,
    destination: Destination,
    view: &View<'_>,
) -> Result<TopicQueue, NotServed> {
    let group = retry.group;
    let is_dead_letter = destination.is_dead_letter();
    let config = if is_dead_letter {
        dead_letter_topic(&dead_letter_name(&group.name))
    } else {
        retry_topic(group, header.unit_mode == Some(true), false)
    };
    let Some(topic) = view.state.topic(&config.name) else {
        let name = Arc::clone(&config.name);
        return Err(if name.len() > MAX_LEGACY {
            RequestError::no_topic(&name)
                .with_code(response::SYSTEM_ERROR)
                .into()
        } else {
            NotServed::missing_topic(Missing::OwnTopic(config), &name)
        });
    };
    if topic.config.perm & perm::WRITE == 0 {
        return Err(NotServed::StaleView(RequestError::new(
            response::NO_PERMISSION,
            format!("the topic[{}] sending message is forbidden", config.name),
        )));
    }
    let queues = if is_dead_letter {
        1
    } else {
        let wanted = group.retry_queue_nums.unsigned_abs();
        wanted.min(topic.config.queues()).max(1)
    };
    let queue_id = view.numbering.pick(queues).unwrap_or(0);
    Ok((Arc::clone(&topic.config.name), queue_id))
}

/// A message that is stored again.
struct Resent<'a> {
    original: &'a Record<'a>,
    queue: TopicQueue,
    destination: Destination,
    /// How often it was tried again.
    times: i32,
    /// Why it is a dead letter.
    reason: Option<&'a str>,
}

impl Resent<'_> {
    /// The message once more, for another queue.
    fn draft(self, view: &View<'_>) -> Result<Draft, NotServed> {
        let Self {
            original,
            queue,
            destination,
            times,
            reason,
        } = self;
        let text = original.properties();
        let is_first = get(text, names::RETRY_TOPIC).is_none();
        let too_long = |error: &dyn std::fmt::Display| {
            RequestError::new(
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
        let mut queue = queue;
        let mut complete = || {
            if is_first {
                let (group, queue_id) = (&view.settings.group, original.queue_id());
                let origin = format!("{group}:{queue_id}:{}", original.queue_offset());
                properties.push(names::RETRY_TOPIC, original.topic())?;
                properties.push(names::ORIGIN_QUEUE, &origin)?;
            }
            if get(text, names::ORIGIN_MESSAGE_ID).is_none() {
                let id = offset_id(original.store_host(), original.physical_offset());
                properties.push(names::ORIGIN_MESSAGE_ID, &id)?;
            }
            queue = destination.stored_in(queue.clone(), &mut properties)?;
            Ok::<_, PropertyError>(())
        };
        complete().map_err(|error| too_long(&error))?;
        if let Some(reason) = reason {
            add_reason(reason, &mut properties).map_err(|error| too_long(&error))?;
        }
        let record = NewRecord {
            queue_id: queue.1.cast_signed(),
            flag: original.flag(),
            sys_flag: original.sys_flag(),
            born_timestamp_ms: original.born_timestamp_ms(),
            born_host: original.born_host(),
            store_host: view.settings.store_host,
            reconsume_times: times,
            prepared_transaction_offset: 0,
            body: original.body(),
            topic: &queue.0,
            properties: properties.as_str().as_bytes(),
        };
        let mut bytes = Vec::with_capacity(record.encoded_len());
        let size = encode(&record, &mut bytes).map_err(|error| too_long(&error))?;
        let limit = limit_of(&view.state);
        if size > limit {
            return Err(too_long(&format_args!("{size} bytes, the limit is {limit}")).into());
        }
        Ok(Draft {
            topic: queue.0,
            queue_id: queue.1,
            bytes,
            sizes: smallvec![size as u32],
        })
    }
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

fn lost(offset: i64) -> RequestError {
    RequestError::new(
        response::SYSTEM_ERROR,
        format!("look message by offset failed, {offset}"),
    )
}

fn unreadable(error: &LogError) -> RequestError {
    RequestError::new(
        response::SYSTEM_ERROR,
        format!("look message by offset failed: {error}"),
    )
}
