//! Where a send goes, and whether it may.

use std::sync::Arc;

use tern_wire::codes::response;
use tern_wire::headers::SendRequest;
use tern_wire::names::{MAX_TOPIC, RETRY_PREFIX, check_topic};
use tern_wire::sys_flag;

use crate::creation::{Missing, NewTopic};
use crate::destination::{Destination, Retry, dead_letter_topic};
use crate::drafting::not_delivered;
use crate::handler::{NotServed, View};
use crate::request_error::RequestError;

/// Beginning of the names of the system's own topics.
const SYSTEM_PREFIX: &str = "rmq_sys_";

/// May clients send to a topic of this name, whether it exists or not?
pub(super) fn check_target(header: &SendRequest<'_>) -> Result<(), RequestError> {
    let topic = header.topic;
    check_topic(topic)?;
    if tern_state::refuses_client_sends(topic) || topic.starts_with(SYSTEM_PREFIX) {
        return Err(RequestError::new(
            response::NO_PERMISSION,
            format!("Sending message to topic[{topic}] is forbidden."),
        ));
    }
    if topic.starts_with(RETRY_PREFIX) {
        if header.is_batch() {
            return Err(RequestError::new(
                response::MESSAGE_ILLEGAL,
                format!("batch request does not support retry group {topic}"),
            ));
        }
        return Ok(());
    }
    if topic.len() > MAX_TOPIC {
        return Err(RequestError::new(
            response::MESSAGE_ILLEGAL,
            format!(
                "message topic length over max length {MAX_TOPIC}: {}",
                topic.len()
            ),
        ));
    }
    Ok(())
}

/// What decides about a message that a consumer sends to its group's retry topic, if it is one. That is the way of
/// clients whose send-back failed, and of those that consume in order and give a message up: so it is not tried again
/// either while the group holds queues.
pub(super) fn retry<'a>(
    header: &SendRequest<'_>,
    version: i32,
    view: &'a View<'_>,
) -> Result<Option<Retry<'a>>, NotServed> {
    let Some(name) = header.topic.strip_prefix(RETRY_PREFIX) else {
        return Ok(None);
    };
    let group = view
        .state
        .group(name)
        .ok_or_else(|| NotServed::StaleView(RequestError::no_group(name)))?;
    let at = view.role.lease_time(view.clock.monotonic_ms());
    Ok(Some(Retry {
        group,
        times: header.reconsume_times.unwrap_or(0),
        limit: header.max_reconsume_times,
        version,
        is_over: view.state.has_locks(name, at),
    }))
}

/// Kinds of messages that this version does not have, as the message flag names them.
pub(super) fn check_kind(header: &SendRequest<'_>) -> Result<(), RequestError> {
    if header.sys_flag & sys_flag::TRANSACTION_MASK != 0 {
        return Err(not_delivered("transactional"));
    }
    if header.sys_flag & (sys_flag::INNER_BATCH | sys_flag::NEED_UNWRAP) != 0 {
        return Err(not_delivered("inner batch"));
    }
    Ok(())
}

/// The topic that a send needs and the view does not know.
pub(super) fn missing(header: &SendRequest<'_>, destination: Destination, name: &str) -> Missing {
    if destination.is_dead_letter() {
        return Missing::OwnTopic(dead_letter_topic(name));
    }
    Missing::Topic(NewTopic {
        name: Arc::from(name),
        model: header.default_topic.to_owned(),
        queues: header.default_topic_queue_nums,
        unit: header.unit_mode == Some(true),
    })
}
