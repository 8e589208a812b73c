//! What a pull is answered.

use bytes::BytesMut;
use tern_log::LogError;
use tern_wire::Fields;
use tern_wire::codes::response;
use tern_wire::headers::PullResponse;

use super::admission::Pull;
use crate::effects::Effects;
use crate::handler::{Response, View};
use crate::reading::Scanned;
use crate::request_error::RequestError;

/// Nothing to give: go on behind what was looked at, or ask again later.
pub(super) fn nothing(pull: &Pull, view: &View<'_>) -> Response {
    let (min, max) = view.views.queues.range(pull.queue.0, pull.queue.1);
    let begin = u64::try_from(pull.begin).unwrap_or(0);
    if pull.next > begin {
        let (code, next) = (response::PULL_RETRY_IMMEDIATELY, pull.next.cast_signed());
        answer_empty(pull, code, "NO_MATCHED_MESSAGE", next, view)
    } else {
        let remark = if min == max {
            "NO_MESSAGE_IN_QUEUE"
        } else {
            "OFFSET_OVERFLOW_ONE"
        };
        answer_empty(pull, response::PULL_NOT_FOUND, remark, pull.begin, view)
    }
}

/// A message that cannot be read is not passed over: those before it are answered, and a consumer that asks for it gets
/// an error, on this replica.
pub(super) fn answer_messages(
    pull: &Pull,
    found: &mut Scanned,
    view: &View<'_>,
    effects: &mut Effects,
) -> Result<Response, RequestError> {
    // The messages are copied once: from the log into the body that is sent.
    let mut body = BytesMut::with_capacity(found.bytes());
    while let Err(unread) = view.views.log.copy_records(&found.entries, &mut body) {
        view.views.damage.note(unread.position, &unread.error);
        if unread.intact == 0 {
            return Err(unreadable(&unread.error));
        }
        found.cut(unread.intact);
        body.clear();
    }
    effects.taken = Some((found.entries.len(), found.bytes()));
    let fields = fields(pull, found.next.cast_signed(), view);
    Ok(Response::with_fields(response::SUCCESS, fields)
        .with_remark("FOUND")
        .with_body(body.freeze()))
}

/// An answer without messages.
pub(super) fn answer_empty(
    pull: &Pull,
    code: i32,
    remark: &'static str,
    next: i64,
    view: &View<'_>,
) -> Response {
    Response::with_fields(code, fields(pull, next, view)).with_remark(remark)
}

fn fields(pull: &Pull, next: i64, view: &View<'_>) -> Fields {
    let (min, max) = view.views.queues.range(pull.queue.0, pull.queue.1);
    let response = PullResponse {
        suggested_broker_id: 0,
        next_begin_offset: next,
        min_offset: min.cast_signed(),
        max_offset: max.cast_signed(),
        offset_delta: None,
        topic_sys_flag: Some(pull.topic_sys_flag),
        group_sys_flag: Some(pull.group_sys_flag),
        forbidden_type: None,
    };
    let mut fields = Fields::with_capacity(160);
    response.encode(&mut fields);
    fields
}

/// Remark and next offset of an answer 21.
pub(super) fn correction(begin: i64, min: u64, max: u64) -> (&'static str, i64) {
    if min == max {
        ("NO_MESSAGE_IN_QUEUE", max.cast_signed())
    } else if u64::try_from(begin).is_ok_and(|begin| begin > max) {
        ("OFFSET_OVERFLOW_BADLY", max.cast_signed())
    } else {
        ("OFFSET_TOO_SMALL", min.cast_signed())
    }
}

pub(super) fn unreadable(error: &LogError) -> RequestError {
    RequestError::new(
        response::SYSTEM_ERROR,
        format!("the messages cannot be read: {error}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_outside_of_a_queue_is_sent_to_its_nearer_end() {
        assert_eq!(correction(11, 4, 10), ("OFFSET_OVERFLOW_BADLY", 10));
        assert_eq!(correction(i64::MAX, 0, 10), ("OFFSET_OVERFLOW_BADLY", 10));
        assert_eq!(correction(3, 4, 10), ("OFFSET_TOO_SMALL", 4));
        assert_eq!(correction(-1, 0, 10), ("OFFSET_TOO_SMALL", 0));
        assert_eq!(correction(5, 0, 0), ("NO_MESSAGE_IN_QUEUE", 0));
    }
}
