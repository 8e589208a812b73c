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
use crate::clock;
use crate::request_error::RequestError;
use crate::services::registry::heartbeat::{nullable, number};
use tern_replica::StoredRecords;

/// A lock lives for this long after it was given or renewed; clients renew every 20 s.
const TTL_MS: u64 = 60_000;
/// Queues of one request.
const MOST_QUEUES: usize = 4_096;
/// Bytes of a client id.
const LONGEST_CLIENT: usize = 1_024;

/// The body of both requests.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct LockBatch {
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
pub(crate) struct LockHandler;

/// A lock on its way into the log.
#[derive(Debug)]
pub(crate) struct PendingLock {
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
        let at = view.role.lease_time(clock::monotonic_ms());
        let op = Op::LockQueues(LockQueues {
            group: group.into(),
            client: (*body.client_id).into(),
            at,
            ttl_ms: TTL_MS,
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
        let at = at.later(clock::monotonic_ms());
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
pub(crate) struct UnlockHandler;

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
    use crate::requests::Driver;
    use crate::response_batch::ResponseBatch;
    use crate::testing::{ReplicaBench, TestClient, leading, role_board};
    use tern_replica::{AnswerAt, Outcome};
    use tern_state::{DeleteGroup, GroupConfig, LockQueues, PutGroup, UnlockQueues};
    use tern_wire::codes::request;

    fn body(client: &str, queues: &[i64]) -> Vec<u8> {
        let queues: Vec<_> = queues
            .iter()
            .map(|queue| serde_json::json!({"brokerName": "group-a", "queueId": queue, "topic": "BenchmarkTest"}))
            .collect();
        serde_json::json!({"clientId": client, "consumerGroup": "CG", "mqSet": queues})
            .to_string()
            .into_bytes()
    }

    fn command(code: i32, body: Vec<u8>) -> Command {
        Command::request(code, 1).with_body(body)
    }

    struct LockFixture {
        bench: ReplicaBench,
        client: TestClient,
        driver: Arc<Driver>,
    }

    impl LockFixture {
        async fn new() -> Self {
            let mut bench = ReplicaBench::new();
            bench.commit_ops(&[Op::PutGroup(PutGroup {
                changed_at_ms: 1,
                config: GroupConfig::new("CG"),
            })]);
            let driver = bench.driver(leading());
            Self {
                bench,
                client: TestClient::connect().await,
                driver,
            }
        }

        /// Commit what was proposed.
        fn commit(&mut self) {
            let proposal = self.bench.proposal().expect("an op is proposed");
            assert_eq!(proposal.answer, AnswerAt::Apply);
            self.bench
                .commit_ops(&Op::decode_all(&proposal.ops).expect("ops"));
            let mut batch = ResponseBatch::default();
            (proposal.ticket)(Outcome::Stored(StoredRecords::default()), &mut batch);
            batch.flush();
        }

        async fn lock(&mut self, client: &str, queues: &[i64]) -> String {
            self.client.asks(
                &self.driver,
                command(request::LOCK_BATCH_MQ, body(client, queues)),
            );
            self.commit();
            let answer = self.client.answer().await;
            assert_eq!(answer.code, 0);
            String::from_utf8(answer.body.to_vec()).expect("JSON")
        }
    }

    fn locked(queues: &[i64]) -> String {
        let queues: Vec<_> = queues
            .iter()
            .map(|queue| {
                format!(r#"{{"brokerName":"group-a","queueId":{queue},"topic":"BenchmarkTest"}}"#)
            })
            .collect();
        format!(r#"{{"lockOKMQSet":[{}]}}"#, queues.join(","))
    }

    #[tokio::test]
    async fn an_answer_names_the_queues_that_the_client_has() {
        let mut fixture = LockFixture::new().await;
        assert_eq!(fixture.lock("a", &[0, 1]).await, locked(&[0, 1]));
        assert_eq!(fixture.lock("b", &[1, 2]).await, locked(&[2]));
        assert_eq!(
            fixture.lock("a", &[0, 1, -1, 99_999]).await,
            locked(&[0, 1])
        );
    }

    #[tokio::test]
    async fn a_name_that_no_topic_has_is_left_out_whatever_its_length() {
        let fixture = LockFixture::new().await;
        for code in [request::LOCK_BATCH_MQ, request::UNLOCK_BATCH_MQ] {
            let queue = |topic: &str| serde_json::json!({"brokerName": "group-a", "queueId": 0, "topic": topic});
            let body = serde_json::json!({"clientId": "a", "consumerGroup": "CG",
                "mqSet": [queue(&"x".repeat(9 << 20)), queue("no topic"), queue(""), queue("BenchmarkTest")]});
            fixture.client.asks(
                &fixture.driver,
                command(code, body.to_string().into_bytes()),
            );
            let proposal = fixture.bench.proposal().expect("an op is proposed");
            let ops = Op::decode_all(&proposal.ops).expect("ops");
            let (Op::LockQueues(LockQueues { queues, .. })
            | Op::UnlockQueues(UnlockQueues { queues, .. })) = &ops[0]
            else {
                panic!("not a lock: {ops:?}");
            };
            assert_eq!(*queues, [("BenchmarkTest".into(), 0)]);
        }
    }

    #[tokio::test]
    async fn a_lease_is_measured_by_a_clock_that_nobody_sets() {
        let fixture = LockFixture::new().await;
        let before_ms = clock::monotonic_ms();
        fixture.client.asks(
            &fixture.driver,
            command(request::LOCK_BATCH_MQ, body("a", &[0])),
        );
        let proposal = fixture.bench.proposal().expect("an op is proposed");
        let ops = Op::decode_all(&proposal.ops).expect("ops");
        let Op::LockQueues(LockQueues { at, .. }) = ops[0] else {
            panic!("not a lock: {ops:?}");
        };
        assert_eq!(
            at,
            fixture.driver.services().roles.view().lease_time(at.now_ms),
            "of this leadership"
        );
        assert!((before_ms..=clock::monotonic_ms()).contains(&at.now_ms));
    }

    #[tokio::test]
    async fn an_answer_that_is_late_names_no_lock_that_has_run_out() {
        let mut fixture = LockFixture::new().await;
        fixture.client.asks(
            &fixture.driver,
            command(request::LOCK_BATCH_MQ, body("a", &[0])),
        );
        let proposal = fixture.bench.proposal().expect("an op is proposed");
        let mut ops = Op::decode_all(&proposal.ops).expect("ops");
        let Op::LockQueues(LockQueues { at, ttl_ms, .. }) = &mut ops[0] else {
            panic!("not a lock: {ops:?}");
        };
        *ttl_ms = 1;
        let asked_ms = at.now_ms;
        fixture.bench.commit_ops(&ops);
        while clock::monotonic_ms() == asked_ms {
            std::hint::spin_loop();
        }
        let mut batch = ResponseBatch::default();
        (proposal.ticket)(Outcome::Stored(StoredRecords::default()), &mut batch);
        batch.flush();
        assert_eq!(fixture.client.answer().await.body, locked(&[]).as_bytes());
    }

    #[tokio::test]
    async fn a_one_way_unlock_frees_the_clients_own_queues_and_is_not_answered() {
        let mut fixture = LockFixture::new().await;
        fixture.lock("a", &[0]).await;
        for client in ["b", "a"] {
            let unlock = command(request::UNLOCK_BATCH_MQ, body(client, &[0])).one_way();
            fixture.client.asks(&fixture.driver, unlock);
            fixture.commit();
            let got = fixture.lock("b", &[0]).await;
            let expected = if client == "a" {
                locked(&[0])
            } else {
                locked(&[])
            };
            assert_eq!(got, expected);
        }
    }

    #[tokio::test]
    async fn an_unlock_that_is_awaited_is_answered_without_a_body() {
        let mut fixture = LockFixture::new().await;
        let unlock = command(request::UNLOCK_BATCH_MQ, body("a", &[0]));
        fixture.client.asks(&fixture.driver, unlock);
        fixture.commit();
        let answer = fixture.client.answer().await;
        assert_eq!((answer.code, answer.body.len()), (0, 0));
    }

    #[tokio::test]
    async fn only_the_leader_gives_locks() {
        let bench = ReplicaBench::new();
        let mut client = TestClient::connect().await;
        let driver = bench.driver(role_board());
        client.asks(&driver, command(request::LOCK_BATCH_MQ, body("a", &[0])));
        assert_eq!(client.answer().await.code, 14);
        client.asks(&driver, command(request::UNLOCK_BATCH_MQ, body("a", &[0])));
        assert_eq!(client.answer().await.code, 14);
        assert!(bench.proposal().is_none());
    }

    #[tokio::test]
    async fn an_unknown_group_comes_into_being_first() {
        let mut fixture = LockFixture::new().await;
        fixture.bench.commit_ops(&[Op::DeleteGroup(DeleteGroup {
            changed_at_ms: 1,
            name: "CG".into(),
            clean_offsets: false,
        })]);
        fixture.client.asks(
            &fixture.driver,
            command(request::LOCK_BATCH_MQ, body("a", &[0])),
        );
        let mut batch = ResponseBatch::default();
        fixture.bench.read().expect("ReadIndex is asked for")(Outcome::Confirmed(1), &mut batch);
        fixture.commit();
        fixture.commit();
        let answer = fixture.client.answer().await;
        assert_eq!(answer.body, locked(&[0]).as_bytes());
    }

    #[tokio::test]
    async fn bodies_that_name_nobody_or_too_much_are_refused() {
        let mut fixture = LockFixture::new().await;
        let too_many: Vec<i64> = (0..=MOST_QUEUES as i64).collect();
        for (bad, code) in [
            (b"nothing".to_vec(), 1),
            (Vec::new(), 1),
            (body("", &[0]), 29),
            (body(&"x".repeat(LONGEST_CLIENT + 1), &[0]), 29),
            (body("a", &too_many), 29),
            (br#"{"clientId":"a","mqSet":[]}"#.to_vec(), 29),
        ] {
            fixture
                .client
                .asks(&fixture.driver, command(request::LOCK_BATCH_MQ, bad));
            assert_eq!(fixture.client.answer().await.code, code);
        }
        assert!(fixture.bench.proposal().is_none());
    }

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
