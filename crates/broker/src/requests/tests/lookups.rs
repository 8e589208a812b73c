use std::sync::Arc;
use tern_wire::Command;
use tern_wire::record::iter;

use crate::requests::Driver;
use crate::response_batch::ResponseBatch;
use crate::testing::{ReplicaBench, TestClient, leading, role_board};
use tern_replica::Outcome;
use tern_wire::codes::request;

const TOPIC: &str = "BenchmarkTest";

async fn view(driver: &Arc<Driver>, client: &mut TestClient, offset: &str) -> Command {
    let mut command = Command::request(request::VIEW_MESSAGE_BY_ID, 1);
    command.fields.set("offset", offset);
    client.asks(driver, command);
    client.answer().await
}

#[tokio::test]
async fn a_message_is_found_at_its_place_and_nowhere_else() {
    let mut bench = ReplicaBench::new();
    for number in 0..3 {
        bench.commit_message(TOPIC, 3, "", format!("m{number}").as_bytes());
    }
    let topic_id = bench.views.state().topic(TOPIC).expect("it exists").id;
    let mut entries = Vec::new();
    bench
        .views
        .queues
        .read(topic_id, 3, 0, 9, &mut entries)
        .expect("entries");
    let mut client = TestClient::connect().await;
    let driver = bench.driver(role_board());
    for (number, entry) in entries.iter().enumerate() {
        let offset = entry.physical_offset;
        let answer = view(&driver, &mut client, &offset.to_string()).await;
        assert_eq!((answer.code, answer.remark.as_deref()), (0, None));
        let found: Vec<_> = iter(&answer.body)
            .map(|record| record.expect("a record").body().to_vec())
            .collect();
        assert_eq!(found, [format!("m{number}").into_bytes()]);
        let inside = (offset + 4).to_string();
        let answer = view(&driver, &mut client, &inside).await;
        let remark = format!("can not find message by the offset, {inside}");
        assert_eq!((answer.code, answer.remark.as_deref()), (1, Some(&*remark)));
    }
    for offset in [
        "-1".to_owned(),
        "0".to_owned(),
        bench.views.applied_position().to_string(),
        i64::MAX.to_string(),
    ] {
        assert_eq!(
            view(&driver, &mut client, &offset).await.code,
            1,
            "{offset}"
        );
    }
    assert_eq!(view(&driver, &mut client, "x").await.code, 29);
}

#[tokio::test]
async fn a_damaged_message_is_answered_with_an_error_that_names_it() {
    for roles in [leading(), role_board()] {
        let mut bench = ReplicaBench::cold();
        for _ in 0..3 {
            bench.commit_message(TOPIC, 3, "", b"m");
        }
        let rotted = bench.rot(TOPIC, 3, 1).physical_offset;
        let mut client = TestClient::connect().await;
        let driver = bench.driver(roles);
        let answer = view(&driver, &mut client, &rotted.to_string()).await;
        assert_eq!((answer.code, answer.body.len()), (1, 0));
        let remark = answer.remark.expect("a remark");
        assert!(remark.contains("damage at position"), "{remark}");
        assert_eq!(bench.views.damage.count(), 1);
        let whole = bench.entry(TOPIC, 3, 0).physical_offset;
        assert_eq!(view(&driver, &mut client, &whole.to_string()).await.code, 0);
    }
}

#[tokio::test]
async fn what_is_not_committed_yet_is_not_shown() {
    let mut bench = ReplicaBench::new();
    let end = bench.views.applied_position();
    let state = (**bench.views.state()).clone();
    bench.commit_message(TOPIC, 3, "", b"later");
    let topic_id = state.topic(TOPIC).expect("it exists").id;
    let mut entries = Vec::new();
    bench
        .views
        .queues
        .read(topic_id, 3, 0, 1, &mut entries)
        .expect("an entry");
    bench.views.publish(&state, end, 0);
    let mut client = TestClient::connect().await;
    let driver = bench.driver(role_board());
    let offset = entries[0].physical_offset.to_string();
    assert_eq!(view(&driver, &mut client, &offset).await.code, 1);

    let driver = bench.driver(leading());
    let mut command = Command::request(request::VIEW_MESSAGE_BY_ID, 1);
    command.fields.set("offset", &offset);
    client.asks(&driver, command);
    let read = bench.read().expect("the leader asks for ReadIndex");
    bench.commit_message(TOPIC, 3, "", b"and on");
    let mut batch = ResponseBatch::default();
    read(Outcome::Confirmed(1), &mut batch);
    batch.flush();
    assert_eq!(client.answer().await.code, 0);
}
