use crate::response_batch::ResponseBatch;
use crate::testing::{ReplicaBench, TestClient, leading, role_board};
use tern_replica::{AnswerAt, Outcome};
use tern_state::{GroupConfig, Op, PutGroup, PutTopic, TopicConfig};
use tern_wire::Command;
use tern_wire::codes::request;
use tern_wire::headers::SendBack;
use tern_wire::properties::get;
use tern_wire::properties::names;
use tern_wire::record::Record;

const TOPIC: &str = "BenchmarkTest";

fn command(offset: i64) -> Command {
    let header = SendBack {
        offset,
        group: "CG",
        delay_level: 0,
        origin_message_id: None,
        origin_topic: None,
        unit_mode: None,
        max_reconsume_times: None,
        broker_name: None,
        attempts: None,
        reason: None,
    };
    let mut command = Command::request(request::CONSUMER_SEND_MSG_BACK, 1);
    header.encode(&mut command.fields);
    command
}

fn put_group(bench: &mut ReplicaBench) {
    bench.commit_ops(&[Op::PutGroup(PutGroup {
        changed_at_ms: 1,
        config: GroupConfig::new("CG"),
    })]);
}

/// The physical offset of a message with a retry topic to go to.
fn message(bench: &mut ReplicaBench) -> i64 {
    bench.commit_ops(&[Op::PutTopic(PutTopic {
        changed_at_ms: 1,
        config: TopicConfig::new("%RETRY%CG", 1, 6),
    })]);
    let offset = bench.commit_message(TOPIC, 3, "a", b"bad");
    let id = bench.views.state().topic(TOPIC).unwrap().id;
    let mut entries = Vec::new();
    bench
        .views
        .queues
        .read(id, 3, offset, 1, &mut entries)
        .unwrap();
    entries[0].physical_offset.cast_signed()
}

#[tokio::test]
async fn a_replica_that_does_not_lead_refuses_before_the_log_sees_anything() {
    let (mut bench, mut client) = (ReplicaBench::new(), TestClient::connect().await);
    put_group(&mut bench);
    let offset = message(&mut bench);
    let driver = bench.driver(role_board());
    client.asks(&driver, command(offset));
    assert_eq!(client.answer().await.code, 14);
    assert!(bench.proposal().is_none());
}

#[tokio::test]
async fn a_view_that_is_behind_decides_against_no_group() {
    let (mut bench, mut client) = (ReplicaBench::new(), TestClient::connect().await);
    let offset = message(&mut bench);
    let driver = bench.driver(leading());
    client.asks(&driver, command(offset));
    let read = bench.read().expect("ReadIndex is asked for");
    read(Outcome::Confirmed(9), &mut ResponseBatch::default());
    assert_eq!(client.answer().await.code, 26);
}

#[tokio::test]
async fn a_message_that_the_view_does_not_show_yet_is_looked_for_again() {
    let (mut bench, client) = (ReplicaBench::new(), TestClient::connect().await);
    put_group(&mut bench);
    let first = message(&mut bench);
    let driver = bench.driver(leading());
    client.asks(&driver, command(first + (1 << 20)));
    assert!(bench.read().is_some());
    assert!(bench.proposal().is_none());
}

#[tokio::test]
async fn what_comes_back_waits_longer_each_time_and_is_answered_at_its_commit() {
    let (mut bench, mut client) = (ReplicaBench::new(), TestClient::connect().await);
    put_group(&mut bench);
    let offset = message(&mut bench);
    let driver = bench.driver(leading());
    client.asks(&driver, command(offset));
    let proposal = bench.proposal().expect("it is proposed");
    assert_eq!(proposal.answer, AnswerAt::Commit);
    let draft = &proposal.drafts[0];
    assert_eq!((&*draft.topic, draft.queue_id), ("SCHEDULE_TOPIC_XXXX", 2));
    let record = Record::parse(&draft.bytes).unwrap();
    let text = record.properties();
    for (name, value) in [
        (names::TAGS, "a"),
        (names::DELAY, "3"),
        (names::REAL_TOPIC, "%RETRY%CG"),
        (names::REAL_QID, "0"),
        (names::RETRY_TOPIC, TOPIC),
    ] {
        assert_eq!(get(text, name), Some(value), "{name}");
    }
    assert_eq!(record.reconsume_times(), 1);
    let mut batch = ResponseBatch::default();
    (proposal.ticket)(Outcome::Unknown, &mut batch);
    batch.flush();
    assert_eq!(client.answer().await.code, 1);
}

/// It would be stored again under what the properties have become, with a body whose checksum is right.
#[tokio::test]
async fn a_message_whose_properties_rotted_does_not_come_back() {
    let (mut bench, mut client) = (ReplicaBench::cold(), TestClient::connect().await);
    put_group(&mut bench);
    let offset = message(&mut bench);
    bench.commit_message(TOPIC, 3, "", b"a frame behind it");
    bench.rot_properties(TOPIC, 3, 0, "TAGS");
    let driver = bench.driver(leading());
    client.asks(&driver, command(offset));
    assert!(bench.proposal().is_none());
    let answer = client.answer().await;
    let remark = answer.remark.unwrap_or_default();
    assert!(remark.contains("damage at position"), "{remark}");
    assert_eq!((answer.code, bench.views.damage.count()), (1, 1));
}
