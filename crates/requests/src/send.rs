//! Sends: 10, 310, 320.

mod target;

use tern_state::{Topic, perm};
use tern_wire::codes::response;
use tern_wire::headers::{SendRequest, SendResponse};
use tern_wire::message_id::offset_id;
use tern_wire::{Command, Fields};

use super::destination::{Destination, dead_letter_name, destination};
use super::drafting::{Drafted, REGION, Sending, delivery_properties, limit_of};
use super::effects::Effects;
use super::handler::{Append, ClientRequest, NotServed, RequestHandler, Response, Verdict, View};
use crate::request_error::RequestError;
use target::{check_kind, check_target, missing, retry};
use tern_replica::StoredRecords;

/// Takes messages from producers. The answer follows when they are committed.
pub struct SendHandler;

/// What the answer to a send says besides its place in the log.
#[derive(Debug)]
pub struct PendingSend {
    queue_id: u32,
    unique_key: Option<Box<str>>,
}

impl RequestHandler for SendHandler {
    type Header<'a> = SendRequest<'a>;
    type Pending = PendingSend;

    fn decode(command: &Command) -> Result<Self::Header<'_>, RequestError> {
        Ok(SendRequest::decode(command.code, &command.fields)?)
    }

    /// The checks, in RocketMQ's order: the first one that fails decides the code.
    fn judge(
        header: &Self::Header<'_>,
        request: &ClientRequest<'_>,
        view: &View<'_>,
        _: &mut Effects,
    ) -> Result<Verdict<PendingSend>, NotServed> {
        let command = request.command;
        check_target(header)?;
        let retry = retry(header, command.version, view)?;
        let asked = delivery_properties(header.properties.unwrap_or_default());
        let level = asked.as_ref().ok().and_then(|asked| asked.delay);
        let destination = destination(retry.as_ref(), level.filter(|_| !header.is_batch()));
        let dead_letters;
        let name = match &retry {
            Some(retry) if destination.is_dead_letter() => {
                dead_letters = dead_letter_name(&retry.group.name);
                &*dead_letters
            }
            _ => header.topic,
        };
        let topic = view
            .state
            .topic(name)
            .ok_or_else(|| NotServed::missing_topic(missing(header, destination, name), name))?;
        let permission = view.state.permission();
        if topic.config.perm & perm::WRITE == 0 || permission.refuses_send(topic.config.order) {
            return Err(NotServed::StaleView(RequestError::new(
                response::NO_PERMISSION,
                format!(
                    "the broker[{}] sending message to topic[{}] is forbidden",
                    view.settings.group, name
                ),
            )));
        }
        let queue_id = pick_queue(header, destination, topic, view)?;
        check_kind(header)?;
        let sending = Sending {
            header,
            body: &command.body,
            topic,
            queue_id,
            destination,
            asked,
            born_host: request.peer,
            settings: view.settings,
            limit: limit_of(&view.state),
        };
        let drafted = if header.is_batch() {
            sending.batch()?
        } else {
            sending.single(|| view.numbering.unique_id(view.clock.wall_ms()))?
        };
        let Drafted {
            draft,
            queue_id,
            unique_key,
        } = drafted;
        let pending = PendingSend {
            queue_id,
            unique_key,
        };
        Ok(Verdict::Propose(Append::messages(draft, pending)))
    }

    fn stored(pending: PendingSend, stored: &StoredRecords, view: &View<'_>) -> Response {
        let mut ids = String::new();
        for physical_offset in &stored.physical_offsets {
            if !ids.is_empty() {
                ids.push(',');
            }
            ids.push_str(&offset_id(view.settings.store_host, *physical_offset));
        }
        let response = SendResponse {
            message_id: &ids,
            queue_id: pending.queue_id.cast_signed(),
            queue_offset: stored.queue_offset.cast_signed(),
            transaction_id: pending.unique_key.as_deref(),
            batch_unique_id: None,
            recall_handle: None,
            region: Some(REGION),
            trace_on: Some(true),
        };
        let mut fields = Fields::with_capacity(ids.len() + 192);
        response.encode(&mut fields);
        Response::with_fields(response::SUCCESS, fields)
    }

    /// Region and trace switch stand in refusals, too.
    fn complete_refusal(answer: &mut Command) {
        answer.fields.set("MSG_REGION", REGION);
        answer.fields.set("TRACE_ON", "true");
    }
}

/// The queue that the producer names; the next one of those that it may write to if it names none.
fn pick_queue(
    header: &SendRequest<'_>,
    destination: Destination,
    topic: &Topic,
    view: &View<'_>,
) -> Result<u32, NotServed> {
    if destination.is_dead_letter() {
        return Ok(0);
    }
    let config = &topic.config;
    let queue_id = match u32::try_from(header.queue_id) {
        Ok(named) => Some(named).filter(|named| *named < config.queues()),
        Err(_) => view.numbering.pick(config.write_queues),
    };
    queue_id.ok_or_else(|| {
        NotServed::StaleView(RequestError::invalid(format!(
            "request queueId[{}] is illegal, topic[{}] has {} read and {} write queues",
            header.queue_id, config.name, config.read_queues, config.write_queues
        )))
    })
}
