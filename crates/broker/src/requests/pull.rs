//! Pulls: 11.
//!
//! Every replica serves what is committed here. Only the leader commits the offset that rides on a pull, creates an
//! unknown group, and corrects an offset outside of its queue (21), and this only after a fresh read: a view that is
//! behind must not send a consumer back.

mod admission;
mod answering;

use std::sync::{Arc, Weak};

use tern_log::planted::{Bug, is_planted};
use tern_wire::codes::response;
use tern_wire::tags::Subscription;
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::reading::scan;
use super::reply::{Incoming, Reply};
use super::second_look::{Halt, Judge, SecondLook, Sight};
use crate::answers::{Answers, Ticket};
use crate::clients::ClientRegistry;
use crate::commits::Commits;
use crate::counters::Counters;
use crate::holds::{Held, HoldId, HoldTable, QueueKey};
use crate::mailbox::Mailbox;
use crate::refused::Refused;
use crate::replica::Outcome;
use crate::roles::RoleBoard;
use crate::services::{Services, Settings};
use crate::views::Views;
pub(super) use admission::no_filter;
use answering::{correction, unreadable};

/// Answers consumers that ask for messages.
pub(crate) struct Pulls {
    settings: Settings,
    views: Arc<Views>,
    roles: Arc<RoleBoard>,
    mailbox: Mailbox,
    holds: Arc<HoldTable>,
    clients: Arc<ClientRegistry>,
    second_look: SecondLook,
    commits: Arc<Commits>,
    counters: Arc<Counters>,
    runtime: Handle,
}

/// A pull that passed the checks.
struct Pull {
    reply: Reply,
    topic: Arc<str>,
    queue: QueueKey,
    filter: Arc<Subscription>,
    most: usize,
    /// Where the consumer wants to begin.
    begin: i64,
    /// Everything from there up to here was looked at, and the filter wants none of it.
    next: u64,
    /// Until when it may be parked.
    until: Option<Instant>,
    /// Its name among the parked ones, once it is.
    hold: Option<HoldId>,
    topic_sys_flag: i32,
    group_sys_flag: i32,
}

/// A parked pull. Weak, as the table that holds it belongs to what answers it.
struct Parked {
    pulls: Weak<Pulls>,
    pull: Pull,
}

impl Held for Parked {
    fn wake(self: Box<Self>) {
        if let Some(pulls) = self.pulls.upgrade() {
            pulls.serve(self.pull);
        }
    }

    fn expire(self: Box<Self>) {
        if let Some(pulls) = self.pulls.upgrade() {
            pulls.give_up(self.pull);
        }
    }
}

impl Pulls {
    pub fn new(services: &Services) -> Self {
        Self {
            settings: services.settings.clone(),
            views: Arc::clone(&services.views),
            roles: Arc::clone(&services.roles),
            mailbox: services.mailbox.clone(),
            holds: Arc::clone(&services.holds),
            clients: Arc::clone(&services.clients),
            second_look: SecondLook::new(services),
            commits: Arc::clone(&services.commits),
            counters: Arc::clone(&services.counters),
            runtime: services.runtime.clone(),
        }
    }

    /// Answer a pull: messages if there are any, otherwise park it until one arrives.
    pub fn pull(self: &Arc<Self>, incoming: Incoming) {
        self.attempt(incoming, Sight::Published);
    }

    fn attempt(self: &Arc<Self>, incoming: Incoming, sight: Sight) {
        let leads = self.roles.view().leads();
        match self.admit(&incoming, leads) {
            Ok(admitted) => self.begin(admitted.with(incoming.reply), sight),
            Err(halt) if leads => Answers::at_once(|answers| {
                self.second_look
                    .halted(self, incoming, (halt, sight), answers);
            }),
            Err(Halt::Refused(refused)) => incoming.reply.refuse_now(refused),
            // Who cannot make a fresh read may be behind, just after a start by all of it: the leader knows.
            Err(_) => {
                let role = self.roles.view();
                incoming.reply.refuse_now(Refused::not_leader(&role));
            }
        }
    }

    /// First look: inside the queue, at its end, or outside of it.
    fn begin(self: &Arc<Self>, pull: Pull, sight: Sight) {
        if !pull.reply.is_awaited() {
            return;
        }
        let (min, max) = self.views.queues.range(pull.queue.0, pull.queue.1);
        let inside = u64::try_from(pull.begin).is_ok_and(|begin| (min..=max).contains(&begin));
        if inside {
            self.serve(pull);
        } else if !self.roles.view().leads() {
            self.wait(pull, max);
        } else if sight == Sight::Published && !is_planted(Bug::CorrectedStale) {
            self.check_outside(pull, max);
        } else if self.is_gone(pull.queue) {
            pull.reply.refuse_now(Refused::no_topic(&pull.topic));
        } else {
            let (remark, next) = correction(pull.begin, min, max);
            self.answer_empty(pull, response::PULL_OFFSET_MOVED, remark, next);
        }
    }

    /// Messages, or a place among the parked pulls. Runs again when the queue has got messages.
    fn serve(self: &Arc<Self>, mut pull: Pull) {
        if !pull.reply.is_awaited() {
            return;
        }
        if self.holds.is_closed() {
            return self.send_away(pull);
        }
        if pull.hold.is_some() && self.is_gone(pull.queue) {
            return pull.reply.refuse_now(Refused::no_topic(&pull.topic));
        }
        let end = self.views.queues.range(pull.queue.0, pull.queue.1).1;
        let mut found = match scan(
            &self.views.queues,
            pull.queue,
            pull.next,
            &pull.filter,
            pull.most,
        ) {
            Ok(found) => found,
            Err(error) => return pull.reply.refuse_now(unreadable(&error)),
        };
        let is_first = pull.hold.is_none();
        let moved = found.next != pull.next;
        pull.next = found.next;
        if !found.entries.is_empty() {
            return self.answer_messages(pull, &mut found);
        }
        self.counters.missed();
        if moved && (is_first || pull.next < end) {
            self.give_up(pull);
        } else {
            self.wait(pull, end);
        }
    }

    /// Park a pull, if it may wait. `end` is where its queue ended before it was looked at.
    fn wait(self: &Arc<Self>, mut pull: Pull, end: u64) {
        let Some(until) = pull.until else {
            return self.give_up(pull);
        };
        let queue = pull.queue;
        let id = pull.hold.unwrap_or_else(|| self.holds.next_id());
        pull.hold = Some(id);
        pull.reply.park();
        let parked = Parked {
            pulls: Arc::downgrade(self),
            pull,
        };
        self.holds.park(id, queue, until, Box::new(parked));
        // A message that came between the look and the parking has woken nobody, nor has a deletion.
        if (self.views.queues.range(queue.0, queue.1).1 > end
            || self.is_gone(queue)
            || self.holds.is_closed())
            && let Some(parked) = self.holds.take(id)
        {
            self.runtime.spawn(async move { parked.wake() });
        }
    }

    /// This replica is going, and another leads: its consumers shall not wait until the connection breaks.
    fn send_away(&self, pull: Pull) {
        let role = self.roles.view();
        pull.reply.refuse_now(Refused::not_leader(&role));
    }

    /// Whether the queue's topic was deleted since the pull was admitted.
    fn is_gone(&self, queue: QueueKey) -> bool {
        self.views.state().topic_by_id(queue.0).is_none()
    }

    /// An offset outside of the queue is corrected only after a fresh read. Who cannot make one waits.
    fn check_outside(self: &Arc<Self>, pull: Pull, end: u64) {
        let this = Arc::clone(self);
        let ticket: Ticket = Box::new(move |outcome, _| {
            let runtime = this.runtime.clone();
            runtime.spawn(async move {
                match outcome {
                    Outcome::Confirmed(_) => this.begin(pull, Sight::Fresh),
                    _ => this.wait(pull, end),
                }
            });
        });
        Answers::at_once(|answers| answers.settle(self.mailbox.read(ticket)));
    }
}

impl Judge for Pulls {
    type Request = Incoming;

    /// Off the apply thread: from here on files may be read.
    fn judge_again(self: Arc<Self>, incoming: Incoming, _: &mut Answers) {
        let runtime = self.runtime.clone();
        runtime.spawn(async move { self.attempt(incoming, Sight::Fresh) });
    }

    fn refuse(incoming: Incoming, refused: Refused, answers: &mut Answers) {
        incoming.reply.refuse(refused, answers);
    }
}

#[cfg(test)]
mod tests {
    use super::admission::{Admitted, MAX_WAIT};
    use super::*;
    use crate::replica::Refusal;
    use crate::testing::{Bench, Client, leading, role_board};
    use tern_state::{GroupConfig, Op, PutGroup, PutTopic};
    use tern_wire::Command;
    use tern_wire::codes::request;
    use tern_wire::headers::PullRequest;
    use tern_wire::sys_flag::pull as flags;

    const TOPIC: &str = "BenchmarkTest";

    struct Fixture {
        bench: Bench,
        services: Services,
        pulls: Arc<Pulls>,
        client: Client,
    }

    impl Fixture {
        async fn new(roles: RoleBoard) -> Self {
            Self::on(Bench::new(), roles).await
        }

        async fn on(mut bench: Bench, roles: RoleBoard) -> Self {
            for _ in 0..3 {
                bench.commit_message(TOPIC, 0, "", b"m");
            }
            bench.commit_ops(&[Op::PutGroup(PutGroup {
                changed_at_ms: 1,
                config: GroupConfig::new("CG"),
            })]);
            let services = bench.services(roles);
            Self {
                pulls: Arc::new(Pulls::new(&services)),
                services,
                bench,
                client: Client::connect().await,
            }
        }

        fn pull(&self, queue_offset: i64, wait_ms: i64) {
            self.ask(&header(queue_offset, wait_ms));
        }

        fn ask(&self, header: &PullRequest<'_>) {
            let mut command = Command::request(request::PULL_MESSAGE, 1);
            header.encode(&mut command.fields);
            self.pulls.pull(self.client.asks(command));
        }

        fn confirm(&self) {
            let read = self.bench.read().expect("a fresh read is asked for");
            read(Outcome::Confirmed(1), &mut Answers::default());
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
        let mut fixture = Fixture::new(leading()).await;
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
            let mut fixture = Fixture::on(Bench::cold(), roles).await;
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
        let mut fixture = Fixture::new(leading()).await;
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

    #[cfg(feature = "planted-bugs")]
    #[tokio::test]
    async fn a_correction_without_a_fresh_read_is_seen() {
        use tern_log::planted::{Bug, plant};

        let mut fixture = Fixture::new(leading()).await;
        plant(Some(Bug::CorrectedStale));
        fixture.pull(5, 0);
        let code = fixture.code().await;
        plant(None);
        // The test above holds that this consumer gets message 5: it is committed, and the view does not show it yet.
        assert_eq!(code, response::PULL_OFFSET_MOVED);
        assert!(fixture.bench.read().is_none(), "nobody was asked");
    }

    #[tokio::test]
    async fn who_cannot_make_a_fresh_read_corrects_nothing() {
        let mut deposed = Fixture::new(leading()).await;
        deposed.pull(9, 0);
        let refusal = Refusal::NotLeader { leader: 0, term: 2 };
        deposed.bench.read().expect("asked")(Outcome::Refused(refusal), &mut Answers::default());
        assert_eq!(deposed.code().await, response::PULL_NOT_FOUND);

        let mut follower = Fixture::new(role_board()).await;
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
        let mut follower = Fixture::new(role_board()).await;
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
        follower
            .services
            .commits
            .settle("CG", Box::new(|_, _| {}), &mut Answers::default());
        assert!(follower.bench.read().is_some(), "no commit is pending");
        assert!(follower.bench.proposal().is_none());
    }

    #[tokio::test]
    async fn where_followers_do_not_serve_they_name_the_leader() {
        let mut fixture = Fixture::new(role_board()).await;
        fixture.services.settings.slave_read = false;
        fixture.pulls = Arc::new(Pulls::new(&fixture.services));
        fixture.pull(0, 0);
        assert_eq!(fixture.code().await, response::SERVICE_NOT_AVAILABLE);
    }

    #[tokio::test]
    async fn a_topic_that_the_view_does_not_show_yet_is_not_denied() {
        let mut fixture = Fixture::new(leading()).await;
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
        let mut fixture = Fixture::new(role_board()).await;
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
        let mut fixture = Fixture::new(leading()).await;
        // It comes after the pull has looked at a queue that ended at 3, and before it parks.
        fixture.bench.commit_message(TOPIC, 0, "", b"m");
        let pull = Admitted {
            topic: TOPIC.into(),
            queue: (
                fixture
                    .bench
                    .views
                    .state()
                    .topic(TOPIC)
                    .expect("it exists")
                    .id,
                0,
            ),
            filter: Arc::new(Subscription::All),
            most: 32,
            begin: 3,
            until: Some(Instant::now() + MAX_WAIT),
            topic_sys_flag: 0,
            group_sys_flag: 0,
        };
        let reply = fixture
            .client
            .asks(Command::request(request::PULL_MESSAGE, 2))
            .reply;
        fixture.pulls.wait(pull.with(reply), 3);
        assert_eq!(fixture.code().await, 0);
    }

    #[tokio::test]
    async fn a_replica_that_goes_sends_pulls_to_the_leader_those_that_wait_as_well() {
        let mut fixture = Fixture::new(leading()).await;
        fixture.pull(3, 20_000);
        fixture.services.roles.learn_address(2, "127.0.0.1:10921");
        fixture.services.roles.changed(crate::replica::RoleChange {
            role: tern_replication::Role::Follower,
            term: 2,
            leader: 2 << 32 | 1,
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
        let mut fixture = Fixture::new(leading()).await;
        fixture.pull(3, 20_000);
        fixture.services.roles.changed(crate::replica::RoleChange {
            role: tern_replication::Role::Follower,
            term: 2,
            leader: 0,
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
}
