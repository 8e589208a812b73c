use std::sync::Arc;
use tern_requests::PullHandler;
use tern_requests::Verdict;
use tern_requests::testing::leader;
use tern_wire::Command;
use tern_wire::codes::response;
use tern_wire::headers::PullRequest;

use crate::requests::{Driver, RequestContext};
use crate::response_batch::ResponseBatch;
use crate::roles::RoleBoard;
use crate::routes::WaitsFor;
use crate::services::Services;
use crate::services::cold_lane::ColdLane;
use crate::testing::{ReplicaBench, TestClient, leading, role_board};
use tern_net::Credit;
use tern_replica::Outcome;
use tern_replica::RejectReason;
use tern_state::{GroupConfig, Op, PutGroup, PutTopic};
use tern_wire::codes::request;
use tern_wire::sys_flag::pull as flags;

const TOPIC: &str = "BenchmarkTest";

struct PullFixture {
    bench: ReplicaBench,
    services: Arc<Services>,
    driver: Arc<Driver>,
    client: TestClient,
}

impl PullFixture {
    async fn new(roles: RoleBoard) -> Self {
        Self::on(ReplicaBench::new(), roles).await
    }

    async fn on(mut bench: ReplicaBench, roles: RoleBoard) -> Self {
        for _ in 0..3 {
            bench.commit_message(TOPIC, 0, "", b"m");
        }
        bench.commit_ops(&[Op::PutGroup(PutGroup {
            changed_at_ms: 1,
            config: GroupConfig::new("CG"),
        })]);
        let services = Arc::new(bench.services(roles));
        Self {
            driver: Driver::start(&services),
            services,
            bench,
            client: TestClient::connect().await,
        }
    }

    fn pull(&self, queue_offset: i64, wait_ms: i64) {
        self.ask(&header(queue_offset, wait_ms));
    }

    fn ask(&self, header: &PullRequest<'_>) {
        let mut command = Command::request(request::PULL_MESSAGE, 1);
        header.encode(&mut command.fields);
        self.client.asks(&self.driver, command);
    }

    fn confirm(&self) {
        let read = self.bench.read().expect("ReadIndex is asked for");
        read(Outcome::Confirmed(1), &mut ResponseBatch::default());
    }

    async fn code(&mut self) -> i32 {
        self.client.answer().await.code
    }
}

fn header(queue_offset: i64, wait_ms: i64) -> PullRequest<'static> {
    PullRequest {
        consumer_group: "CG",
        topic: TOPIC,
        queue_id: 0,
        queue_offset,
        max_messages: 32,
        sys_flag: flags::SUBSCRIPTION | flags::SUSPEND,
        commit_offset: 0,
        suspend_timeout_ms: wait_ms,
        subscription: Some("*"),
        subscription_version: 0,
        expression_type: None,
        max_bytes: None,
        request_source: None,
        proxy_forward_client_id: None,
    }
}

#[tokio::test]
async fn messages_that_pulls_take_are_counted_and_looks_that_find_none() {
    let mut fixture = PullFixture::new(leading()).await;
    fixture.pull(1, 0);
    assert_eq!(fixture.code().await, 0);
    fixture.pull(3, 0);
    assert_eq!(fixture.code().await, response::PULL_NOT_FOUND);
    let totals = fixture.services.counters.totals();
    assert_eq!((totals.get_found, totals.get_missed), (1, 1));
    assert_eq!(totals.get_messages, 2);
    assert!(totals.get_bytes > 200, "two records with their heads");
    assert_eq!(totals.put_messages, 0, "nobody sent here");
}

fn bodies(answer: &Command) -> Vec<Vec<u8>> {
    tern_wire::record::iter(&answer.body)
        .map(|record| record.expect("whole").body().to_vec())
        .collect()
}

#[tokio::test]
async fn a_damaged_body_is_never_answered_and_those_around_it_are() {
    for roles in [leading(), role_board()] {
        let mut fixture = PullFixture::on(ReplicaBench::cold(), roles).await;
        for _ in 3..6 {
            fixture.bench.commit_message(TOPIC, 0, "", b"m");
        }
        let rotted = fixture.bench.rot(TOPIC, 0, 2);
        let damage = &fixture.services.views.damage;
        assert_eq!((damage.first(), damage.count()), (None, 0));
        fixture.pull(0, 0);
        let answer = fixture.client.answer().await;
        let next = answer.fields.get("nextBeginOffset");
        assert_eq!((answer.code, next), (0, Some("2")), "up to the damage");
        assert_eq!(bodies(&answer), vec![b"m".to_vec(); 2]);
        for _ in 0..2 {
            fixture.pull(2, 20_000);
            let answer = fixture.client.answer().await;
            assert_eq!((answer.code, answer.body.len()), (1, 0));
            assert_eq!(answer.fields.get("nextBeginOffset"), None);
            let frame = rotted.physical_offset - 64;
            let named = format!("damage at position {frame} ");
            let remark = answer.remark.expect("a remark");
            assert!(remark.contains(&named), "{remark}");
            let first = damage.first().map(|first| first.position);
            assert_eq!((first, damage.count()), (Some(frame), 1));
        }
        fixture.pull(3, 0);
        let answer = fixture.client.answer().await;
        assert_eq!((answer.code, bodies(&answer).len()), (0, 3));
        let totals = fixture.services.counters.totals();
        assert_eq!(totals.get_messages, 5, "what was not sent is not counted");
    }
}

#[tokio::test]
async fn a_view_that_is_behind_sends_no_consumer_back() {
    let mut fixture = PullFixture::new(leading()).await;
    fixture.pull(5, 0);
    for _ in 0..4 {
        fixture.bench.commit_message(TOPIC, 0, "", b"m");
    }
    fixture.confirm();
    let answer = fixture.client.answer().await;
    assert_eq!(
        (answer.code, answer.fields.get("nextBeginOffset")),
        (0, Some("7"))
    );
    fixture.pull(9, 0);
    fixture.confirm();
    assert_eq!(fixture.code().await, response::PULL_OFFSET_MOVED);
}

/// What planted bug B12 did: a driver that has a pull judged as after ReadIndex, by a view that is behind.
#[tokio::test]
async fn a_correction_by_a_view_that_is_behind_would_lose_its_consumer_a_message() {
    let fixture = PullFixture::new(leading()).await;
    let mut command = Command::request(request::PULL_MESSAGE, 1);
    header(5, 0).encode(&mut command.fields);
    // The test above holds that this consumer gets message 5: it is committed, and the view does not show it yet.
    match fixture.bench.judge::<PullHandler>(leader(), &command) {
        Ok(Verdict::Answer(answer)) => assert_eq!(answer.code, response::PULL_OFFSET_MOVED),
        other => panic!("no answer: {other:?}"),
    }
}

#[tokio::test]
async fn who_cannot_make_a_fresh_read_corrects_nothing() {
    let mut deposed = PullFixture::new(leading()).await;
    deposed.pull(9, 0);
    let refusal = RejectReason::NotLeader { leader: 0, term: 2 };
    deposed.bench.read().expect("asked")(Outcome::Rejected(refusal), &mut ResponseBatch::default());
    assert_eq!(deposed.code().await, response::PULL_NOT_FOUND);

    let mut follower = PullFixture::new(role_board()).await;
    for begin in [9, -1] {
        follower.pull(begin, 0);
        assert_eq!(follower.code().await, response::PULL_NOT_FOUND);
    }
    follower.pull(9, 50);
    assert_eq!(follower.services.holds.waiting(), 1);
    assert_eq!(follower.code().await, response::PULL_NOT_FOUND);
    assert!(follower.bench.read().is_none());
}

#[tokio::test]
async fn a_follower_serves_what_it_has_and_commits_and_creates_nothing() {
    let mut follower = PullFixture::new(role_board()).await;
    let commits = PullRequest {
        sys_flag: flags::SUBSCRIPTION | flags::COMMIT_OFFSET,
        commit_offset: 2,
        ..header(0, 0)
    };
    follower.ask(&commits);
    follower.ask(&PullRequest {
        consumer_group: "unknown",
        ..commits
    });
    assert_eq!((follower.code().await, follower.code().await), (0, 0));
    follower.services.offset_manager.settle(
        "CG",
        Box::new(|_, _| {}),
        &mut ResponseBatch::default(),
    );
    assert!(follower.bench.read().is_some(), "no commit is pending");
    assert!(follower.bench.proposal().is_none());
}

#[tokio::test]
async fn where_followers_do_not_serve_they_name_the_leader() {
    let mut fixture = PullFixture::new(role_board()).await;
    let mut services = fixture.bench.services(role_board());
    services.settings.slave_read = false;
    fixture.driver = Driver::start(&Arc::new(services));
    fixture.pull(0, 0);
    assert_eq!(fixture.code().await, response::SERVICE_NOT_AVAILABLE);
}

#[tokio::test]
async fn a_topic_that_the_view_does_not_show_yet_is_not_denied() {
    let mut fixture = PullFixture::new(leading()).await;
    fixture.ask(&PullRequest {
        topic: "young",
        ..header(0, 0)
    });
    fixture.bench.commit_ops(&[Op::PutTopic(PutTopic {
        changed_at_ms: 1,
        config: tern_state::TopicConfig::new("young", 4, 6),
    })]);
    fixture.confirm();
    assert_eq!(fixture.code().await, response::PULL_NOT_FOUND);
}

#[tokio::test]
async fn a_follower_denies_nothing_that_it_may_only_not_know_yet() {
    let mut fixture = PullFixture::new(role_board()).await;
    fixture.ask(&PullRequest {
        topic: "young",
        ..header(0, 0)
    });
    fixture.ask(&PullRequest {
        queue_id: 5_000,
        ..header(0, 0)
    });
    for _ in 0..2 {
        assert_eq!(fixture.code().await, response::SERVICE_NOT_AVAILABLE);
    }
    assert!(fixture.bench.read().is_none());
}

#[tokio::test]
async fn a_message_that_comes_while_a_pull_is_being_parked_wakes_it() {
    let mut fixture = PullFixture::new(leading()).await;
    let mut command = Command::request(request::PULL_MESSAGE, 2);
    header(3, 20_000).encode(&mut command.fields);
    let hold = match fixture.bench.judge::<PullHandler>(leader(), &command) {
        Ok(Verdict::Hold(hold)) => hold,
        other => panic!("it would not wait: {other:?}"),
    };
    // It comes after the pull has looked at a queue that ended at 3, and before it parks.
    fixture.bench.commit_message(TOPIC, 0, "", b"m");
    let connection = &fixture.client.connection;
    let context = RequestContext::new(connection, command, Credit::free(), WaitsFor::View);
    fixture.driver.hold(context.responder, hold, None);
    assert_eq!(fixture.code().await, 0);
}

#[tokio::test]
async fn a_replica_that_goes_sends_pulls_to_the_leader_those_that_wait_as_well() {
    let mut fixture = PullFixture::new(leading()).await;
    fixture.pull(3, 20_000);
    fixture.services.roles.learn_address(2, "127.0.0.1:10921");
    fixture.services.roles.changed(tern_replica::RoleChange {
        role: tern_replication::Role::Follower,
        term: 2,
        leader: 2 << 32 | 1,
        is_slave: false,
        cause: None,
    });
    assert_eq!(fixture.services.holds.waiting(), 1);
    fixture.services.holds.close();
    fixture.pull(0, 20_000);
    for _ in 0..2 {
        let answer = fixture.client.answer().await;
        assert_eq!(answer.code, response::SERVICE_NOT_AVAILABLE);
        assert_eq!(answer.fields.get("leaderAddr"), Some("127.0.0.1:10921"));
    }
    assert_eq!(fixture.services.holds.waiting(), 0);
}

#[tokio::test]
async fn a_change_of_roles_leaves_pulls_parked() {
    let mut fixture = PullFixture::new(leading()).await;
    fixture.pull(3, 20_000);
    fixture.services.roles.changed(tern_replica::RoleChange {
        role: tern_replication::Role::Follower,
        term: 2,
        leader: 0,
        is_slave: false,
        cause: None,
    });
    assert_eq!(fixture.services.holds.waiting(), 1);
    fixture.bench.commit_message(TOPIC, 0, "", b"m");
    let topic_id = fixture
        .bench
        .views
        .state()
        .topic(TOPIC)
        .expect("it exists")
        .id;
    fixture.services.holds.wake(&[(topic_id, 0)]);
    assert_eq!(fixture.code().await, 0);
}

/// Messages that go far enough back for the first of them to be old.
fn commit_old_ones(bench: &mut ReplicaBench) -> i64 {
    let mut last = 0;
    for _ in 0..40 {
        last = bench.commit_message(TOPIC, 0, "", &[b'x'; 16 << 10]);
    }
    last.cast_signed()
}

#[tokio::test]
async fn old_messages_are_read_on_their_own_threads_and_new_ones_where_the_pull_came_in() {
    let mut fixture = PullFixture::on(ReplicaBench::cold(), leading()).await;
    let last = commit_old_ones(&mut fixture.bench);
    let cold = |fixture: &PullFixture| fixture.services.counters.totals().get_cold;
    fixture.pull(last, 0);
    let answer = fixture.client.answer().await;
    assert_eq!((answer.code, bodies(&answer).len()), (0, 1));
    assert_eq!(cold(&fixture), 0);
    fixture.pull(0, 0);
    let answer = fixture.client.answer().await;
    assert_eq!(answer.code, 0);
    assert_eq!(bodies(&answer)[0], b"m");
    assert!(bodies(&answer).len() > 10);
    assert_eq!(cold(&fixture), 1);
    assert_eq!(fixture.services.counters.totals().get_found, 2);
}

#[tokio::test]
async fn a_pull_of_old_messages_is_refused_by_name_when_too_many_wait_for_the_disk() {
    let mut bench = ReplicaBench::cold();
    let last = commit_old_ones(&mut bench);
    let mut fixture = PullFixture::on(bench, leading()).await;
    let mut services = fixture.bench.services(leading());
    services.cold_lane = ColdLane::full();
    fixture.driver = Driver::start(&Arc::new(services));
    fixture.pull(0, 0);
    let refused = fixture.client.answer().await;
    assert_eq!(refused.code, response::FLOW_CONTROL);
    assert!(
        refused
            .remark
            .is_some_and(|remark| remark.contains("COLD_READS_BUSY"))
    );
    fixture.pull(last, 0);
    assert_eq!(fixture.code().await, 0, "new ones are served");
}

/// The queue has few messages, all of them old: their entries are in a file.
#[tokio::test]
async fn of_a_message_that_is_surely_old_not_even_the_entry_is_read_where_the_pull_came_in() {
    let mut bench = ReplicaBench::cold();
    for _ in 0..500 {
        bench.commit_message(TOPIC, 0, "", b"m");
    }
    for _ in 0..40 {
        bench.commit_message(TOPIC, 1, "", &[b'x'; 16 << 10]);
    }
    let mut fixture = PullFixture::on(bench, leading()).await;
    let mut services = fixture.bench.services(leading());
    services.cold_lane = ColdLane::full();
    fixture.driver = Driver::start(&Arc::new(services));
    fixture.bench.fail_next_read("/views/");
    fixture.pull(0, 0);
    assert_eq!(fixture.code().await, response::FLOW_CONTROL);
}
