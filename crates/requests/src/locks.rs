//! Queue locks for orderly consumption: 41, 42.
//!
//! Only the leader gives and takes locks, as ops: a fail-over forgets none. An answer is made from the state behind
//! the op, so a lock that is named in it stands in the log, and at the moment of the answer, so that it has not run out:
//! a leader that was stopped in between may answer when its follower has given the queue to somebody else.
//!
//! Leases are measured by the monotonic clock of whoever leads: no wall clock that is set gives a queue to a second
//! client.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tern_state::{LeaseTime, LockQueues, MAX_QUEUES, Op, UnlockQueues};
use tern_wire::Command;
use tern_wire::codes::response;
use tern_wire::names::{check_group_from, check_topic};

use super::effects::Effects;
use super::handler::{
    Append, ClientRequest, Consistency, NotServed, RequestHandler, Response, Verdict, View,
};
use crate::registry::heartbeat::{nullable, number};
use crate::request_error::RequestError;
use tern_replica::StoredRecords;

/// Queues of one request.
const MOST_QUEUES: usize = 4_096;
/// Bytes of a client id.
const LONGEST_CLIENT: usize = 1_024;

/// The body of both requests.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LockBatch {
    #[serde(deserialize_with = "nullable")]
    client_id: String,
    #[serde(deserialize_with = "nullable")]
    consumer_group: String,
    #[serde(deserialize_with = "nullable")]
    mq_set: Vec<MessageQueue>,
}

/// A queue, as clients name it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct MessageQueue {
    #[serde(deserialize_with = "nullable")]
    broker_name: String,
    #[serde(deserialize_with = "number")]
    queue_id: i64,
    #[serde(deserialize_with = "nullable")]
    topic: String,
}

/// The body of an answer to 41.
#[derive(Serialize)]
struct Locked<'a> {
    #[serde(rename = "lockOKMQSet")]
    queues: Vec<&'a MessageQueue>,
}

/// 41: lock these queues for a client, or renew its locks. The answer names those that it has now.
pub struct LockHandler;

/// A lock on its way into the log.
#[derive(Debug)]
pub struct PendingLock {
    body: LockBatch,
    at: LeaseTime,
}

impl RequestHandler for LockHandler {
    type Header<'a> = LockBatch;
    type Pending = PendingLock;

    fn decode(command: &Command) -> Result<LockBatch, RequestError> {
        decode(command)
    }

    fn judge(
        body: &LockBatch,
        request: &ClientRequest<'_>,
        view: &View<'_>,
        _: &mut Effects,
    ) -> Result<Verdict<PendingLock>, NotServed> {
        check(body, request)?;
        let group = &*body.consumer_group;
        // Locks belong to a group that exists. A client that is faster than its heartbeat brings its group along.
        if view.consistency == Consistency::Local
            && view.state.group(group).is_none()
            && view.settings.creates_group(group)
        {
            return Err(NotServed::no_group(view.settings, group));
        }
        let at = view.role.lease_time(view.clock.monotonic_ms());
        let op = Op::LockQueues(LockQueues {
            group: group.into(),
            client: (*body.client_id).into(),
            at,
            ttl_ms: view.settings.lock_lease_ms,
            queues: keys(&body.mq_set),
        });
        let pending = PendingLock {
            body: body.clone(),
            at,
        };
        Ok(Verdict::Propose(Append::op(&op, pending)))
    }

    fn stored(pending: PendingLock, _: &StoredRecords, view: &View<'_>) -> Response {
        let PendingLock { body, at } = pending;
        let at = at.later(view.clock.monotonic_ms());
        let holds = |queue: &&MessageQueue| {
            let queue_id = u32::try_from(queue.queue_id).unwrap_or(MAX_QUEUES);
            let holder = view
                .state
                .lock_holder(&body.consumer_group, &queue.topic, queue_id, at);
            holder == Some(&*body.client_id)
        };
        let locked = Locked {
            queues: body.mq_set.iter().filter(holds).collect(),
        };
        let body = serde_json::to_vec(&locked).expect("texts and numbers are always JSON");
        Response::new(response::SUCCESS).with_body(body)
    }
}

/// 42: give locks up; usually one-way. Those of other clients stay.
pub struct UnlockHandler;

impl RequestHandler for UnlockHandler {
    type Header<'a> = LockBatch;
    type Pending = ();

    fn decode(command: &Command) -> Result<LockBatch, RequestError> {
        decode(command)
    }

    fn judge(
        body: &LockBatch,
        request: &ClientRequest<'_>,
        _: &View<'_>,
        _: &mut Effects,
    ) -> Result<Verdict<()>, NotServed> {
        check(body, request)?;
        let op = Op::UnlockQueues(UnlockQueues {
            group: (*body.consumer_group).into(),
            client: (*body.client_id).into(),
            queues: keys(&body.mq_set),
        });
        Ok(Verdict::Propose(Append::op(&op, ())))
    }
}

fn decode(command: &Command) -> Result<LockBatch, RequestError> {
    serde_json::from_slice(&command.body).map_err(|error| {
        let remark = format!("the body names no queues to lock: {error}");
        RequestError::new(response::SYSTEM_ERROR, remark)
    })
}

fn check(body: &LockBatch, request: &ClientRequest<'_>) -> Result<(), RequestError> {
    check_group_from(&body.consumer_group, request.command.version)?;
    if body.client_id.is_empty() || body.client_id.len() > LONGEST_CLIENT {
        let remark = format!("a clientId has 1 to {LONGEST_CLIENT} bytes");
        return Err(RequestError::invalid(remark));
    }
    if body.mq_set.len() > MOST_QUEUES {
        let remark = format!("a request locks at most {MOST_QUEUES} queues");
        return Err(RequestError::invalid(remark));
    }
    Ok(())
}

/// Topics and queue ids; what cannot be a queue is left out, as a name that no topic has.
fn keys(queues: &[MessageQueue]) -> Vec<(Arc<str>, u32)> {
    let keys = queues.iter().filter_map(|queue| {
        let queue_id = u32::try_from(queue.queue_id).ok()?;
        check_topic(&queue.topic).ok()?;
        Some((Arc::from(&*queue.topic), queue_id))
    });
    keys.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_other_clients_write_means_the_same() {
        let queue = |queue_id| MessageQueue {
            broker_name: "b".to_owned(),
            queue_id,
            topic: "t".to_owned(),
        };
        let read = |text: &str| serde_json::from_str::<LockBatch>(text).expect("a body");
        let java = r#"{"clientId":"c","consumerGroup":"g","mqSet":[{"brokerName":"b","queueId":3,"topic":"t"}],"onlyThisBroker":false}"#;
        let cpp = r#"{"clientId":"c","consumerGroup":"g","mqSet":[{"topic":"t","brokerName":"b","queueId":"3"}]}"#;
        for text in [java, cpp] {
            let body = read(text);
            assert_eq!((&*body.client_id, &*body.consumer_group), ("c", "g"));
            assert_eq!(body.mq_set, [queue(3)]);
        }
        assert_eq!(
            read(r#"{"clientId":null,"mqSet":null}"#),
            LockBatch::default()
        );
    }
}
