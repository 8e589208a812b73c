//! Requests that lead to old messages: each is served where those are read, or refused by name, and asks for nothing else
//! when what it leads to is new.

use std::sync::Arc;

use tern_replica::{Outcome, Proposal};
use tern_state::{GroupConfig, Op, PutGroup, PutTopic, TopicConfig};
use tern_wire::Command;
use tern_wire::codes::{request, response};
use tern_wire::headers::{QueueRequest, SearchOffset, SendBack};

use crate::Ticket;
use crate::requests::Driver;
use crate::response_batch::ResponseBatch;
use crate::services::cold_lane::ColdLane;
use crate::testing::{ReplicaBench, TestClient, leading};

const TOPIC: &str = "BenchmarkTest";
/// The queue that begins with an old message, and one that has a new message alone.
const QUEUES: [u32; 2] = [0, 1];

/// Requests to a leader whose log has old and new messages, through a lane that takes them or has room for nobody.
struct ColdFixture {
    bench: ReplicaBench,
    driver: Arc<Driver>,
    client: TestClient,
}

impl ColdFixture {
    async fn new(is_full: bool) -> Self {
        let mut bench = ReplicaBench::cold();
        bench.commit_ops(&[
            Op::PutGroup(PutGroup {
                changed_at_ms: 1,
                config: GroupConfig::new("CG"),
            }),
            Op::PutTopic(PutTopic {
                changed_at_ms: 1,
                config: TopicConfig::new("%RETRY%CG", 1, 6),
            }),
        ]);
        for _ in 0..40 {
            bench.commit_message(TOPIC, QUEUES[0], "", &[b'x'; 16 << 10]);
        }
        bench.commit_message(TOPIC, QUEUES[1], "", b"m");
        let mut services = bench.services(leading());
        if is_full {
            services.cold_lane = ColdLane::full();
        }
        Self {
            driver: Driver::start(&Arc::new(services)),
            bench,
            client: TestClient::connect().await,
        }
    }

    /// Everything that reads messages which it names, of one of the queues: its first message, or the queue.
    fn requests(&self, queue_id: u32) -> [Command; 4] {
        let position = self.bench.entry(TOPIC, queue_id, 0).physical_offset;
        let (offset, queue_id) = (position.cast_signed(), queue_id.cast_signed());
        let mut view = Command::request(request::VIEW_MESSAGE_BY_ID, 1);
        view.fields.set("offset", &offset.to_string());
        let mut search = Command::request(request::SEARCH_OFFSET_BY_TIMESTAMP, 1);
        SearchOffset {
            topic: TOPIC,
            queue_id,
            timestamp_ms: 25,
            boundary_type: None,
        }
        .encode(&mut search.fields);
        let mut earliest = Command::request(request::GET_EARLIEST_MSG_STORETIME, 1);
        QueueRequest {
            topic: TOPIC,
            queue_id,
            committed: None,
        }
        .encode(&mut earliest.fields);
        [view, search, earliest, send_back(offset)]
    }

    /// Asks; confirms ReadIndex where it is asked for.
    fn ask(&self, command: Command) {
        let is_confirmed = matches!(
            command.code,
            request::SEARCH_OFFSET_BY_TIMESTAMP | request::GET_EARLIEST_MSG_STORETIME
        );
        self.client.asks(&self.driver, command);
        if is_confirmed {
            confirm(self.bench.read().expect("ReadIndex is asked for"));
        }
    }

    /// What another thread hands in.
    async fn handed_in<T>(&self, next: impl Fn(&ReplicaBench) -> Option<T>) -> T {
        loop {
            match next(&self.bench) {
                Some(input) => return input,
                None => tokio::task::yield_now().await,
            }
        }
    }

    async fn proposal(&self) -> Proposal<Ticket> {
        self.handed_in(ReplicaBench::proposal).await
    }
}

fn confirm(read: Ticket) {
    read(Outcome::Confirmed(1), &mut ResponseBatch::default());
}

fn send_back(offset: i64) -> Command {
    let mut command = Command::request(request::CONSUMER_SEND_MSG_BACK, 1);
    SendBack {
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
    }
    .encode(&mut command.fields);
    command
}

#[tokio::test]
async fn what_leads_to_old_messages_is_refused_by_name_when_too_many_wait_for_the_disk() {
    let mut fixture = ColdFixture::new(true).await;
    for command in fixture.requests(QUEUES[0]) {
        let code = command.code;
        fixture.ask(command);
        assert!(fixture.bench.proposal().is_none(), "to {code}");
        let refused = fixture.client.answer().await;
        assert_eq!(refused.code, response::FLOW_CONTROL, "to {code}");
        let remark = refused.remark.unwrap_or_default();
        assert!(remark.contains("COLD_READS_BUSY"), "to {code}: {remark}");
    }
}

#[tokio::test]
async fn what_leads_to_new_messages_is_served_whoever_waits_for_the_disk() {
    let mut fixture = ColdFixture::new(true).await;
    let [served @ .., send_back] = fixture.requests(QUEUES[1]);
    for command in served {
        let code = command.code;
        fixture.ask(command);
        let answer = fixture.client.answer().await;
        assert_eq!(answer.code, response::SUCCESS, "to {code}");
    }
    fixture.ask(send_back);
    assert!(fixture.bench.proposal().is_some());
}

#[tokio::test]
async fn what_leads_to_old_messages_is_served_from_where_those_are_read() {
    let mut fixture = ColdFixture::new(false).await;
    let [view, search, earliest, send_back] = fixture.requests(QUEUES[0]);
    fixture.ask(view);
    let answer = fixture.client.answer().await;
    assert_eq!(answer.code, response::SUCCESS);
    assert!(answer.body.len() > 16 << 10);
    // The messages are stored from 20 ms on, one each 10 ms.
    for (command, field, value) in [(search, "offset", "1"), (earliest, "timestamp", "20")] {
        fixture.ask(command);
        let answer = fixture.client.answer().await;
        assert_eq!(answer.fields.get(field), Some(value));
    }
    fixture.ask(send_back);
    let proposal = fixture.proposal().await;
    assert_eq!(&*proposal.drafts[0].topic, "SCHEDULE_TOPIC_XXXX");
}

#[tokio::test]
async fn a_leader_denies_an_old_message_after_one_fresh_read() {
    let mut fixture = ColdFixture::new(false).await;
    let position = fixture.bench.entry(TOPIC, QUEUES[0], 0).physical_offset;
    fixture.ask(send_back(position.cast_signed() + 4));
    let read = fixture.handed_in(ReplicaBench::read).await;
    confirm(read);
    let denied = fixture.client.answer().await;
    assert_eq!(denied.code, response::SYSTEM_ERROR);
    assert!(fixture.bench.read().is_none());
}
