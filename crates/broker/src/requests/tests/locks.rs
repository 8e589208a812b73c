use crate::clock;
use crate::requests::Driver;
use crate::response_batch::ResponseBatch;
use crate::testing::{ReplicaBench, TestClient, leading, role_board};
use std::sync::Arc;
use tern_replica::StoredRecords;
use tern_replica::{AnswerAt, Outcome};
use tern_state::Op;
use tern_state::{DeleteGroup, GroupConfig, LockQueues, PutGroup, UnlockQueues};
use tern_wire::Command;
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
    let too_many: Vec<i64> = (0..=4_096).collect();
    for (bad, code) in [
        (b"nothing".to_vec(), 1),
        (Vec::new(), 1),
        (body("", &[0]), 29),
        (body(&"x".repeat(1_025), &[0]), 29),
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
