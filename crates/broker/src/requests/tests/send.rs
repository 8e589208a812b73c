use crate::clock;
use std::sync::Arc;
use tern_replica::StoredRecords;
use tern_wire::Command;
use tern_wire::headers::SendRequest;

use crate::requests::Driver;
use crate::response_batch::ResponseBatch;
use crate::roles::RoleBoard;
use crate::testing::{ReplicaBench, TestClient, leading, role_board};
use tern_replica::RejectReason;
use tern_replica::{AnswerAt, Outcome};
use tern_state::{
    BrokerPermission, LockQueues, Op, PutGroup, PutPermission, PutTopic, TopicConfig,
};
use tern_wire::codes::{request, response};
use tern_wire::version::V3_4_9;

struct SendFixture {
    bench: ReplicaBench,
    driver: Arc<Driver>,
    client: TestClient,
}

fn header(topic: &str, queue_id: i32) -> SendRequest<'_> {
    SendRequest {
        producer_group: "PG",
        topic,
        default_topic: "TBW102",
        default_topic_queue_nums: 4,
        queue_id,
        sys_flag: 0,
        born_timestamp_ms: 1,
        flag: 0,
        properties: None,
        reconsume_times: None,
        unit_mode: None,
        max_reconsume_times: None,
        batch: None,
        broker_name: None,
    }
}

impl SendFixture {
    async fn new(roles: RoleBoard) -> Self {
        let bench = ReplicaBench::new();
        Self {
            driver: bench.driver(roles),
            bench,
            client: TestClient::connect().await,
        }
    }

    fn put_topic(&mut self, name: &str, queues: u32, perm: u32) {
        self.bench.commit_ops(&[Op::PutTopic(PutTopic {
            changed_at_ms: 1,
            config: TopicConfig::new(name, queues, perm),
        })]);
    }

    fn put_permission(&mut self, read_only: bool, rejects_sends: bool) {
        self.bench.commit_ops(&[Op::PutPermission(PutPermission {
            changed_at_ms: 1,
            permission: BrokerPermission {
                read_only,
                rejects_sends,
            },
        })]);
    }

    fn send(&self, topic: &str, queue_id: i32) {
        let header = header(topic, queue_id);
        let mut command = Command::request(request::SEND_MESSAGE_V2, 1).with_body(&b"m"[..]);
        header.encode_v2(&mut command.fields);
        self.client.asks(&self.driver, command);
    }

    fn confirm(&self) {
        let mut batch = ResponseBatch::default();
        self.bench.read().expect("ReadIndex is asked for")(Outcome::Confirmed(1), &mut batch);
        batch.flush();
    }

    /// The answer to a send that came to this end.
    async fn end(&mut self, outcome: Outcome) -> Command {
        self.send("BenchmarkTest", 0);
        let proposal = self.bench.proposal().expect("it is proposed");
        let mut batch = ResponseBatch::default();
        (proposal.ticket)(outcome, &mut batch);
        batch.flush();
        self.client.answer().await
    }
}

/// The topics to which a retry goes that a client of this version sends after so many times; the group's own limit
/// is 1.
async fn ways(locked: bool, version: i32, times: i32, limit: Option<i32>) -> String {
    let mut fixture = SendFixture::new(leading()).await;
    let group = tern_state::GroupConfig {
        retry_max_times: 1,
        ..tern_state::GroupConfig::new("CG")
    };
    fixture.bench.commit_ops(&[Op::PutGroup(PutGroup {
        changed_at_ms: 1,
        config: group,
    })]);
    for topic in ["%RETRY%CG", "%DLQ%CG", "orders"] {
        fixture.put_topic(topic, 1, 6);
    }
    if locked {
        fixture.bench.commit_ops(&[Op::LockQueues(LockQueues {
            group: "CG".into(),
            client: "c".into(),
            at: leading().view().lease_time(clock::monotonic_ms()),
            ttl_ms: 60_000,
            queues: vec![("orders".into(), 0)],
        })]);
    }
    let header = SendRequest {
        reconsume_times: Some(times),
        max_reconsume_times: limit,
        ..header("%RETRY%CG", 0)
    };
    let mut command = Command::request(request::SEND_MESSAGE_V2, 1).with_body(&b"m"[..]);
    command.version = version;
    header.encode_v2(&mut command.fields);
    fixture.client.asks(&fixture.driver, command);
    let proposal = fixture.bench.proposal().expect("it is proposed");
    proposal.drafts[0].topic.to_string()
}

#[tokio::test]
async fn sends_are_counted_by_message_and_those_that_fail_apart() {
    let mut fixture = SendFixture::new(leading()).await;
    let stored = StoredRecords {
        physical_offsets: smallvec::smallvec![64, 264, 464],
        ..StoredRecords::default()
    };
    assert_eq!(fixture.end(Outcome::Stored(stored)).await.code, 0);
    let totals = fixture.driver.services().counters.totals();
    assert_eq!((totals.put_messages, totals.put_failed), (3, 0));
    let size = totals.put_bytes;
    assert!(size > 100, "the record has more than its head");
    assert_eq!(fixture.end(Outcome::Unknown).await.code, 1);
    let stored = StoredRecords {
        physical_offsets: smallvec::smallvec![664],
        ..StoredRecords::default()
    };
    assert_eq!(fixture.end(Outcome::Stored(stored)).await.code, 0);
    let totals = fixture.driver.services().counters.totals();
    assert_eq!((totals.put_messages, totals.put_failed), (4, 1));
    assert_eq!(totals.put_bytes, 2 * size, "each send had the same record");
}

#[tokio::test]
async fn a_retry_beyond_its_limit_or_of_a_group_that_holds_queues_is_dead() {
    let (new, old) = (V3_4_9, V3_4_9 - 1);
    assert_eq!(ways(false, new, 1, None).await, "%RETRY%CG");
    assert_eq!(ways(false, new, 2, None).await, "%DLQ%CG");
    assert_eq!(ways(false, new, 2, Some(5)).await, "%RETRY%CG");
    assert_eq!(ways(false, old, 2, Some(5)).await, "%DLQ%CG");
    assert_eq!(ways(true, new, 0, Some(5)).await, "%DLQ%CG");
}

#[tokio::test]
async fn dead_letters_get_their_topic_when_the_first_comes() {
    let mut fixture = SendFixture::new(leading()).await;
    fixture.bench.commit_ops(&[Op::PutGroup(PutGroup {
        changed_at_ms: 1,
        config: tern_state::GroupConfig::new("CG"),
    })]);
    let header = SendRequest {
        reconsume_times: Some(17),
        ..header("%RETRY%CG", 0)
    };
    let mut command = Command::request(request::SEND_MESSAGE_V2, 1).with_body(&b"m"[..]);
    header.encode_v2(&mut command.fields);
    fixture.client.asks(&fixture.driver, command);
    fixture.confirm();
    let proposal = fixture.bench.proposal().expect("the topic is proposed");
    fixture
        .bench
        .commit_ops(&Op::decode_all(&proposal.ops).unwrap());
    let made = fixture.bench.views.state();
    let config = &made.topic("%DLQ%CG").unwrap().config;
    assert_eq!((config.write_queues, config.perm), (1, 6));
    (proposal.ticket)(
        Outcome::Stored(StoredRecords::default()),
        &mut ResponseBatch::default(),
    );
    let proposal = fixture.bench.proposal().expect("then the message");
    assert_eq!(&*proposal.drafts[0].topic, "%DLQ%CG");
}

#[tokio::test]
async fn a_send_is_answered_at_its_commit_with_its_place() {
    let mut fixture = SendFixture::new(leading()).await;
    fixture.send("BenchmarkTest", 7);
    let proposal = fixture.bench.proposal().expect("it is proposed");
    assert_eq!(proposal.answer, AnswerAt::Commit);
    let draft = proposal.drafts.into_iter().next().expect("with records");
    assert_eq!(
        (&*draft.topic, draft.queue_id, draft.sizes.len()),
        ("BenchmarkTest", 7, 1)
    );
    let stored = StoredRecords {
        index: 9,
        queue_offset: 41,
        physical_offsets: [4_096].into_iter().collect(),
    };
    let answer = fixture.end(Outcome::Stored(stored)).await;
    assert_eq!(
        (answer.code, answer.fields.get("queueOffset")),
        (0, Some("41"))
    );
    assert_eq!(
        answer.fields.get("msgId"),
        Some("7F00000100002A9F0000000000001000")
    );
}

#[tokio::test]
async fn each_outcome_has_its_code() {
    let mut fixture = SendFixture::new(leading()).await;
    let not_leader = RejectReason::NotLeader {
        leader: 1 << 32 | 1,
        term: 5,
    };
    let answer = fixture.end(Outcome::Rejected(not_leader)).await;
    assert_eq!(
        (answer.code, answer.fields.get("leaderTerm")),
        (14, Some("5"))
    );
    assert_eq!(answer.fields.get("leaderAddr"), Some("127.0.0.1:10911"));
    for (code, outcome) in [
        (14, Outcome::Rejected(RejectReason::NoRoom)),
        (14, Outcome::Rejected(RejectReason::Stopping)),
        (
            2,
            Outcome::Rejected(RejectReason::Busy(tern_replica::Bound::Uncommitted)),
        ),
        (1, Outcome::NotStored),
        (1, Outcome::Unknown),
    ] {
        assert_eq!(fixture.end(outcome.clone()).await.code, code, "{outcome:?}");
    }
}

#[tokio::test]
async fn a_replica_that_does_not_lead_refuses_before_the_log_sees_anything() {
    let mut fixture = SendFixture::new(role_board()).await;
    fixture.send("BenchmarkTest", 0);
    assert_eq!(fixture.client.answer().await.code, 14);
    assert!(fixture.bench.proposal().is_none());
}

#[tokio::test]
async fn a_view_that_is_behind_decides_against_no_message() {
    let mut fixture = SendFixture::new(leading()).await;
    fixture.put_topic("grown", 4, 6);
    fixture.put_topic("opened", 4, 4);
    fixture.send("grown", 6);
    fixture.put_topic("grown", 8, 6);
    fixture.confirm();
    assert_eq!(
        fixture
            .bench
            .proposal()
            .expect("it is sent")
            .drafts
            .into_iter()
            .next()
            .expect("records")
            .queue_id,
        6
    );
    fixture.send("opened", 1);
    fixture.put_topic("opened", 4, 6);
    fixture.confirm();
    assert!(fixture.bench.proposal().is_some());
}

#[tokio::test]
async fn what_a_fresh_view_forbids_is_refused() {
    let mut fixture = SendFixture::new(leading()).await;
    fixture.put_topic("closed", 4, 4);
    for (topic, queue_id, code) in [("closed", 0, 16), ("BenchmarkTest", 1_024, 29)] {
        fixture.send(topic, queue_id);
        fixture.confirm();
        assert_eq!(fixture.client.answer().await.code, code);
    }
    assert!(fixture.bench.proposal().is_none());
}

#[tokio::test]
async fn a_producer_that_names_no_queue_gets_one_that_it_may_write_to() {
    let mut fixture = SendFixture::new(leading()).await;
    let config = TopicConfig {
        write_queues: 2,
        ..TopicConfig::new("narrow", 4, 6)
    };
    fixture.bench.commit_ops(&[Op::PutTopic(PutTopic {
        changed_at_ms: 1,
        config,
    })]);
    let mut picked: Vec<_> = (0..4)
        .map(|_| {
            fixture.send("narrow", -1);
            fixture
                .bench
                .proposal()
                .expect("it is sent")
                .drafts
                .into_iter()
                .next()
                .expect("records")
                .queue_id
        })
        .collect();
    picked.sort_unstable();
    assert_eq!(picked, [0, 0, 1, 1]);
    fixture.put_topic("none", 0, 6);
    fixture.send("none", -1);
    fixture.confirm();
    assert_eq!(fixture.client.answer().await.code, 29);
}

#[tokio::test]
async fn a_group_that_is_left_takes_what_still_comes_but_for_ordered_topics() {
    let mut fixture = SendFixture::new(leading()).await;
    fixture.put_topic("orders", 1, 6);
    fixture.bench.commit_ops(&[Op::PutTopic(PutTopic {
        changed_at_ms: 1,
        config: TopicConfig {
            order: true,
            ..TopicConfig::new("steps", 1, 6)
        },
    })]);
    fixture.put_permission(true, false);
    fixture.send("orders", 0);
    assert!(fixture.bench.proposal().is_some());
    fixture.send("steps", 0);
    fixture.confirm();
    assert_eq!(fixture.client.answer().await.code, response::NO_PERMISSION);
}

#[tokio::test]
async fn a_group_that_rejects_sends_takes_none_until_it_is_told_to() {
    let mut fixture = SendFixture::new(leading()).await;
    fixture.put_topic("orders", 1, 6);
    fixture.put_permission(false, true);
    fixture.send("orders", 0);
    fixture.confirm();
    assert_eq!(fixture.client.answer().await.code, response::NO_PERMISSION);
    assert!(fixture.bench.proposal().is_none());
    fixture.put_permission(false, false);
    fixture.send("orders", 0);
    assert!(fixture.bench.proposal().is_some());
}
