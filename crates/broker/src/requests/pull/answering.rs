//! What a pull is answered.

use bytes::BytesMut;
use tern_log::LogError;
use tern_wire::codes::response;
use tern_wire::headers::PullResponse;
use tern_wire::{Fields, encode_frame_head};

use super::{Pull, Pulls};
use crate::refused::Refused;
use crate::requests::reading::Scanned;

impl Pulls {
    /// Nothing to give: go on behind what was looked at, or ask again later.
    pub(super) fn give_up(&self, pull: Pull) {
        let (min, max) = self.views.queues.range(pull.queue.0, pull.queue.1);
        let begin = u64::try_from(pull.begin).unwrap_or(0);
        if pull.next > begin {
            let next = pull.next.cast_signed();
            self.answer_empty(
                pull,
                response::PULL_RETRY_IMMEDIATELY,
                "NO_MATCHED_MESSAGE",
                next,
            );
        } else {
            let remark = if min == max {
                "NO_MESSAGE_IN_QUEUE"
            } else {
                "OFFSET_OVERFLOW_ONE"
            };
            let next = pull.begin;
            self.answer_empty(pull, response::PULL_NOT_FOUND, remark, next);
        }
    }

    /// A message that cannot be read is not passed over: those before it are answered, and who asks for it gets an
    /// error, on this replica.
    pub(super) fn answer_messages(&self, pull: Pull, found: &mut Scanned) {
        let length = found.bytes();
        let mut answer = pull.reply.with_fields(
            response::SUCCESS,
            self.fields(&pull, found.next.cast_signed()),
        );
        answer.remark = Some("FOUND".to_owned());
        let mut frame = BytesMut::with_capacity(length + 512);
        // The messages are copied once: from the log into the frame that is sent.
        if encode_frame_head(&answer, length, &mut frame).is_err() {
            let remark = "the messages are longer than a frame";
            return pull
                .reply
                .refuse_now(Refused::new(response::SYSTEM_ERROR, remark));
        }
        match self.views.log.copy_records(&found.entries, &mut frame) {
            Ok(()) => {
                self.counters.got(found.entries.len(), length);
                pull.reply.send_frame(frame.freeze());
            }
            Err(unread) => {
                self.views.damage.note(unread.position, &unread.error);
                if unread.intact == 0 {
                    return Self::answer_unreadable(pull, &unread.error);
                }
                found.cut(unread.intact);
                self.answer_messages(pull, found);
            }
        }
    }

    /// An answer without messages.
    pub(super) fn answer_empty(&self, pull: Pull, code: i32, remark: &str, next: i64) {
        let answer = pull
            .reply
            .with_fields(code, self.fields(&pull, next))
            .with_remark(remark);
        pull.reply.send(answer);
    }

    /// The offset is outside of the queue: where to go on.
    pub(super) fn answer_moved(&self, pull: Pull, min: u64, max: u64) {
        let (remark, next) = correction(pull.begin, min, max);
        self.answer_empty(pull, response::PULL_OFFSET_MOVED, remark, next);
    }

    pub(super) fn answer_unreadable(pull: Pull, error: &LogError) {
        pull.reply.refuse_now(unreadable(error));
    }

    fn fields(&self, pull: &Pull, next: i64) -> Fields {
        let (min, max) = self.views.queues.range(pull.queue.0, pull.queue.1);
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
}

/// Remark and next offset of an answer 21.
fn correction(begin: i64, min: u64, max: u64) -> (&'static str, i64) {
    if min == max {
        ("NO_MESSAGE_IN_QUEUE", max.cast_signed())
    } else if u64::try_from(begin).is_ok_and(|begin| begin > max) {
        ("OFFSET_OVERFLOW_BADLY", max.cast_signed())
    } else {
        ("OFFSET_TOO_SMALL", min.cast_signed())
    }
}

fn unreadable(error: &LogError) -> Refused {
    Refused::new(
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
