use std::sync::Arc;
use tern_log::KeyHasher;
use tern_wire::Command;
use tern_wire::codes::response;
use tern_wire::headers::QueryMessage;
use tern_wire::properties;

use crate::requests::Driver;
use crate::response_batch::ResponseBatch;
use crate::testing::{ReplicaBench, TestClient, leading, role_board};
use tern_replica::testing::record;
use tern_replica::{Outcome, RejectReason};
use tern_wire::codes::request;
use tern_wire::record::iter;

const TOPIC: &str = "BenchmarkTest";

struct QueryFixture {
    bench: ReplicaBench,
    driver: Arc<Driver>,
    client: TestClient,
}

fn header(key: &str) -> QueryMessage<'_> {
    QueryMessage {
        topic: TOPIC,
        key,
        max_messages: 10,
        begin_timestamp_ms: 0,
        end_timestamp_ms: i64::MAX,
        is_unique_key: None,
        index_type: None,
    }
}

impl QueryFixture {
    async fn new(roles: crate::RoleBoard) -> Self {
        Self::on(ReplicaBench::new(), roles).await
    }

    async fn on(bench: ReplicaBench, roles: crate::RoleBoard) -> Self {
        let driver = bench.driver(roles);
        Self {
            bench,
            driver,
            client: TestClient::connect().await,
        }
    }

    /// Commit a message; returns where it stands.
    fn commit(&mut self, topic: &str, keys: &str, unique: &str, body: &[u8]) -> u64 {
        let pairs = [("KEYS", keys), ("UNIQ_KEY", unique)];
        let pairs = pairs.into_iter().filter(|(_, value)| !value.is_empty());
        let properties = properties::to_text(pairs).expect("short");
        let record = record(topic, 0, &properties, body);
        self.bench.commit_record(&record);
        let newest = self.bench.views.keys.newest();
        newest.map_or(0, |newest| newest.physical_offset)
    }

    /// An entry for a key that its record does not have, as if hashes met.
    fn collide(&self, key: &str, physical_offset: u64, stored_ms: u64) {
        let hash = KeyHasher::new(TOPIC).hash(key);
        self.bench
            .views
            .keys
            .append(hash, physical_offset, stored_ms);
    }

    fn ask(&self, header: &QueryMessage<'_>) {
        let mut command = Command::request(request::QUERY_MESSAGE, 7);
        header.encode(&mut command.fields);
        self.client.asks(&self.driver, command);
    }

    async fn bodies(&mut self, header: &QueryMessage<'_>) -> Vec<String> {
        self.ask(header);
        let answer = self.client.answer().await;
        assert_eq!(answer.code, 0, "{answer:?}");
        bodies(&answer)
    }

    async fn code(&mut self, header: &QueryMessage<'_>) -> i32 {
        self.ask(header);
        self.client.answer().await.code
    }
}

fn bodies(answer: &Command) -> Vec<String> {
    iter(&answer.body)
        .map(|record| String::from_utf8_lossy(record.expect("whole").body()).into_owned())
        .collect()
}

#[tokio::test]
async fn messages_are_found_by_each_key_and_by_unique_id_newest_first() {
    let mut fixture = QueryFixture::new(role_board()).await;
    fixture.commit(TOPIC, "red green", "U1", b"1");
    fixture.commit(TOPIC, "", "U2", b"2");
    fixture.commit(TOPIC, " green  blue ", "U3", b"3");
    fixture.commit("TBW102", "green", "U4", b"another topic");
    let last = fixture.commit(TOPIC, "greenish", "U1", b"5");
    assert_eq!(fixture.bodies(&header("green")).await, ["3", "1"]);
    assert_eq!(fixture.bodies(&header("blue")).await, ["3"]);
    assert_eq!(fixture.bodies(&header("U1")).await, ["5", "1"]);
    for nothing in ["gre", "", "red green", "GREEN", "U5"] {
        assert_eq!(
            fixture.code(&header(nothing)).await,
            response::QUERY_NOT_FOUND
        );
    }
    fixture.ask(&header("U2"));
    let answer = fixture.client.answer().await;
    let newest = fixture.bench.views.keys.newest().expect("there are keys");
    assert_eq!(newest.physical_offset, last);
    let field = |name| answer.fields.get(name).map(str::to_owned);
    assert_eq!(field("indexLastUpdatePhyoffset"), Some(last.to_string()));
    assert_eq!(
        field("indexLastUpdateTimestamp"),
        Some(newest.store_timestamp_ms.to_string())
    );
}

#[tokio::test]
async fn a_query_for_a_unique_id_passes_over_keys() {
    let mut fixture = QueryFixture::new(role_board()).await;
    fixture.commit(TOPIC, "", "U1", b"the message");
    fixture.commit(TOPIC, "U1", "U2", b"one that names it");
    let unique = QueryMessage {
        is_unique_key: Some(true),
        ..header("U1")
    };
    assert_eq!(fixture.bodies(&unique).await, ["the message"]);
    assert_eq!(fixture.bodies(&header("U1")).await.len(), 2);
}

#[tokio::test]
async fn the_number_of_messages_is_bounded() {
    let mut fixture = QueryFixture::new(role_board()).await;
    for number in 0..100 {
        fixture.commit(TOPIC, "k", "U", number.to_string().as_bytes());
    }
    for (asked, is_unique_key, count) in [
        (3, None, 3),
        (1000, None, 64),
        (0, None, 1),
        (-1, Some(false), 1),
        (1, Some(true), 32),
        (64, Some(true), 32),
    ] {
        let found = fixture
            .bodies(&QueryMessage {
                max_messages: asked,
                is_unique_key,
                ..header(if is_unique_key == Some(true) {
                    "U"
                } else {
                    "k"
                })
            })
            .await;
        assert_eq!((found.len(), &*found[0]), (count, "99"));
    }
}

#[tokio::test]
async fn an_answer_has_2_mib_or_one_message() {
    let mut fixture = QueryFixture::new(role_board()).await;
    for size in [900 << 10, 900 << 10, 900 << 10, 3 << 20] {
        fixture.commit(TOPIC, "k", "", &vec![b'x'; size]);
    }
    assert_eq!(fixture.bodies(&header("k")).await.len(), 1);
    let earlier = QueryMessage {
        end_timestamp_ms: 30,
        ..header("k")
    };
    assert_eq!(fixture.bodies(&earlier).await.len(), 2);
}

#[tokio::test]
async fn only_messages_of_the_time_are_found() {
    let mut fixture = QueryFixture::new(role_board()).await;
    // The n-th is stored at n times 10 ms.
    for number in 1..=5 {
        fixture.commit(TOPIC, "k", "", number.to_string().as_bytes());
    }
    for (begin, end, found) in [
        (20, 40, &["4", "3", "2"][..]),
        (21, 39, &["3"]),
        (i64::MIN, 10, &["1"]),
        (50, i64::MAX, &["5"]),
    ] {
        let query = QueryMessage {
            begin_timestamp_ms: begin,
            end_timestamp_ms: end,
            ..header("k")
        };
        assert_eq!(fixture.bodies(&query).await, found);
    }
    for (begin, end) in [(40, 20), (51, i64::MAX), (0, -1)] {
        let query = QueryMessage {
            begin_timestamp_ms: begin,
            end_timestamp_ms: end,
            ..header("k")
        };
        assert_eq!(fixture.code(&query).await, response::QUERY_NOT_FOUND);
    }
}

#[tokio::test]
async fn candidates_whose_hash_only_meets_do_not_hide_those_that_match() {
    let mut fixture = QueryFixture::new(role_board()).await;
    fixture.commit(TOPIC, "k", "", b"right");
    for number in 0..300 {
        let position = fixture.commit(TOPIC, "other", "", b"wrong");
        fixture.collide("k", position, 1000 + number);
    }
    assert_eq!(fixture.bodies(&header("k")).await, ["right"]);
    fixture.collide("nobody", 4096, 10);
    assert_eq!(
        fixture.code(&header("nobody")).await,
        response::QUERY_NOT_FOUND
    );
    // A position where no record begins.
    fixture.collide("nowhere", 4099, 10);
    fixture.collide("nowhere", 1 << 40, 10);
    assert_eq!(
        fixture.code(&header("nowhere")).await,
        response::QUERY_NOT_FOUND
    );
}

#[tokio::test]
async fn a_leader_denies_a_message_only_after_a_fresh_read() {
    let mut fixture = QueryFixture::new(leading()).await;
    fixture.commit(TOPIC, "k", "", b"m");
    assert_eq!(fixture.bodies(&header("k")).await, ["m"], "found at once");
    for (key, outcome, code) in [
        ("late", Outcome::Confirmed(1), 0),
        ("never", Outcome::Confirmed(1), response::QUERY_NOT_FOUND),
        (
            "unknown",
            Outcome::Rejected(RejectReason::NotLeader { leader: 0, term: 2 }),
            response::SERVICE_NOT_AVAILABLE,
        ),
    ] {
        fixture.ask(&header(key));
        let ticket = loop {
            match fixture.bench.read() {
                Some(ticket) => break ticket,
                None => tokio::task::yield_now().await,
            }
        };
        fixture.commit(TOPIC, "late", "", b"m");
        let mut batch = ResponseBatch::default();
        ticket(outcome, &mut batch);
        batch.flush();
        assert_eq!(fixture.client.answer().await.code, code, "{key}");
    }
}

#[tokio::test]
async fn while_the_index_is_rebuilt_nothing_is_denied() {
    let mut fixture = QueryFixture::new(role_board()).await;
    fixture.bench.views.keys.begin_rebuild();
    fixture.commit(TOPIC, "k", "", b"m");
    assert_eq!(fixture.bodies(&header("k")).await, ["m"]);
    let code = fixture.code(&header("other")).await;
    assert_eq!(code, response::SERVICE_NOT_AVAILABLE);
    fixture.bench.views.keys.end_rebuild(true);
    assert_eq!(
        fixture.code(&header("other")).await,
        response::QUERY_NOT_FOUND
    );
}

#[tokio::test]
async fn where_followers_do_not_serve_they_name_the_leader() {
    let mut fixture = QueryFixture::new(role_board()).await;
    let mut services = fixture.bench.services(role_board());
    services.settings.slave_read = false;
    fixture.driver = Driver::start(&Arc::new(services));
    fixture.commit(TOPIC, "k", "", b"m");
    assert_eq!(
        fixture.code(&header("k")).await,
        response::SERVICE_NOT_AVAILABLE
    );
}

#[tokio::test]
async fn a_damaged_message_is_not_said_to_be_none() {
    let mut fixture = QueryFixture::on(ReplicaBench::cold(), role_board()).await;
    for (key, body) in [("k1", b"1"), ("k2", b"2"), ("k3", b"3")] {
        fixture.commit(TOPIC, key, "", body);
    }
    fixture.bench.rot(TOPIC, 0, 1);
    fixture.ask(&header("k2"));
    let answer = fixture.client.answer().await;
    let remark = answer.remark.expect("a remark");
    assert_eq!(answer.code, response::SYSTEM_ERROR, "{remark}");
    assert!(remark.contains("damage at position"), "{remark}");
    assert_eq!(fixture.bench.views.damage.count(), 1);
    assert_eq!(fixture.bodies(&header("k1")).await, ["1"]);
    assert_eq!(fixture.bodies(&header("k3")).await, ["3"]);
}

#[tokio::test]
async fn headers_are_checked() {
    let mut fixture = QueryFixture::new(role_board()).await;
    let bad = QueryMessage {
        topic: "no topic",
        ..header("k")
    };
    assert_eq!(fixture.code(&bad).await, response::INVALID_PARAMETER);
    let by_tag = QueryMessage {
        index_type: Some("T"),
        ..header("k")
    };
    assert_eq!(fixture.code(&by_tag).await, response::SYSTEM_ERROR);
    let command = Command::request(request::QUERY_MESSAGE, 7);
    fixture.client.asks(&fixture.driver, command);
    let answer = fixture.client.answer().await;
    assert_eq!(answer.code, response::INVALID_PARAMETER);
}
