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

/// The broker id of a master.
const MASTER_ID: u64 = 0;

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
        suggested_broker_id: suggested_broker(pull, view).cast_signed(),
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

/// The broker id that should be asked next: the master's, or a slave's for a group that is far behind.
///
/// Source: `RocketMQ`, `PullMessageProcessor` and `DefaultMessageStore.getMessage`, which compares the newest position with
/// that of the last message of the answer. Its brokers name the slave of the group's configuration even if none is
/// connected. Members of a Raft group are no slaves: their leader always names itself.
fn suggested_broker(pull: &Pull, view: &View<'_>) -> u64 {
    if !view.settings.slave_read {
        return MASTER_ID;
    }
    let end = view.views.applied_position();
    let is_far_behind = pull
        .looked_at
        .is_some_and(|position| end.saturating_sub(position) > view.settings.far_behind_bytes);
    let wanted = if is_far_behind {
        pull.brokers.when_far_behind
    } else {
        pull.brokers.usual
    };
    if wanted == MASTER_ID {
        return MASTER_ID;
    }
    view.near_slaves.choose(wanted).unwrap_or(MASTER_ID)
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
    use crate::handler::Verdict;
    use crate::pull::PullHandler;
    use crate::settings::Settings;
    use crate::testing::{ViewBench, follower, leader, settings};
    use tern_replica::NearSlaves;
    use tern_replication::replica_id;
    use tern_state::{GroupConfig, Op, PutGroup};
    use tern_wire::Command;
    use tern_wire::codes::request;
    use tern_wire::headers::PullRequest;
    use tern_wire::sys_flag::pull as flags;

    /// Ten messages of 1000 bytes, and a group that reads from these broker ids.
    fn bench(usual: u64, when_far_behind: u64) -> ViewBench {
        let mut bench = ViewBench::new();
        for _ in 0..10 {
            bench.commit_message("BenchmarkTest", 0, "", &[b'x'; 1000]);
        }
        bench.commit_ops(&[Op::PutGroup(PutGroup {
            changed_at_ms: 1,
            config: GroupConfig {
                broker_id: usual,
                which_broker_when_consume_slowly: when_far_behind,
                ..GroupConfig::new("CG")
            },
        })]);
        bench
    }

    fn slaves(numbers: &[u32]) -> NearSlaves {
        let mut near = NearSlaves::default();
        for number in numbers {
            near.add(replica_id(*number, 1), replica_id(1, 1));
        }
        near
    }

    /// Who is named by the answer to a pull of one message that stands at a queue offset.
    fn suggested(
        bench: &ViewBench,
        settings: &Settings,
        slaves: NearSlaves,
        leads: bool,
        queue_offset: i64,
    ) -> i64 {
        let mut command = Command::request(request::PULL_MESSAGE, 1);
        PullRequest {
            consumer_group: "CG",
            topic: "BenchmarkTest",
            queue_id: 0,
            queue_offset,
            max_messages: 1,
            sys_flag: flags::SUBSCRIPTION,
            commit_offset: 0,
            suspend_timeout_ms: 0,
            subscription: Some("*"),
            subscription_version: 0,
            expression_type: None,
            max_bytes: None,
            request_source: None,
            proxy_forward_client_id: None,
        }
        .encode(&mut command.fields);
        let role = if leads { leader() } else { follower() };
        match bench.judge_with::<PullHandler>(settings, slaves, role, &command) {
            Ok(Verdict::Answer(answer)) => {
                PullResponse::decode(&answer.fields)
                    .expect("an answer's header")
                    .suggested_broker_id
            }
            _ => panic!("no answer"),
        }
    }

    /// A group may be this many bytes behind.
    fn behind(far_behind_bytes: u64) -> Settings {
        Settings {
            far_behind_bytes,
            ..settings()
        }
    }

    #[test]
    fn a_group_far_behind_is_sent_to_a_slave_and_comes_back_when_it_is_near() {
        let (bench, settings) = (bench(0, 1), behind(5_000));
        for leads in [true, false] {
            let named =
                [0, 3, 8, 9].map(|at| suggested(&bench, &settings, slaves(&[2]), leads, at));
            assert_eq!(named, [1, 1, 0, 0], "by the master: {leads}");
        }
    }

    #[test]
    fn a_master_without_a_near_slave_names_itself_and_with_another_slave_that_one() {
        let (bench, settings) = (bench(0, 1), behind(0));
        assert_eq!(suggested(&bench, &settings, slaves(&[]), true, 0), 0);
        assert_eq!(suggested(&bench, &settings, slaves(&[4]), true, 0), 3);
        assert_eq!(suggested(&bench, &settings, slaves(&[2, 4]), true, 0), 1);
    }

    #[test]
    fn nobody_is_sent_to_a_slave_where_slaves_are_not_read() {
        let settings = Settings {
            slave_read: false,
            ..behind(0)
        };
        assert_eq!(
            suggested(&bench(2, 1), &settings, slaves(&[2, 3]), true, 0),
            0
        );
    }

    #[test]
    fn a_group_reads_from_whom_its_configuration_names() {
        let settings = behind(5_000);
        let near = slaves(&[2, 3]);
        assert_eq!(
            suggested(&bench(2, 1), &settings, near, true, 9),
            2,
            "always from a slave"
        );
        assert_eq!(
            suggested(&bench(0, 0), &settings, near, true, 0),
            0,
            "never from one"
        );
    }

    #[test]
    fn an_offset_outside_of_a_queue_is_sent_to_its_nearer_end() {
        assert_eq!(correction(11, 4, 10), ("OFFSET_OVERFLOW_BADLY", 10));
        assert_eq!(correction(i64::MAX, 0, 10), ("OFFSET_OVERFLOW_BADLY", 10));
        assert_eq!(correction(3, 4, 10), ("OFFSET_TOO_SMALL", 4));
        assert_eq!(correction(-1, 0, 10), ("OFFSET_TOO_SMALL", 0));
        assert_eq!(correction(5, 0, 0), ("NO_MESSAGE_IN_QUEUE", 0));
    }
}
