//! What tests of this crate and of those above it share: a replica's log with published views, and a handler asked once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::Guard;
use tern_log::QueueEntry;
use tern_replica::NearSlaves;
use tern_replica::testing::LogBench;
use tern_replication::Role;
use tern_state::{Op, State};
use tern_wire::Command;
use tern_wire::record::NewRecord;

use crate::clock::Clocks;
use crate::effects::Effects;
use crate::handler::{ClientRequest, Consistency, NotServed, RequestHandler, Verdict, View};
use crate::numbering::Numbering;
use crate::registry::ClientRegistry;
use crate::role_view::RoleView;
use crate::settings::{Settings, TableLimits};
use crate::views::Views;

/// The address of the replica.
pub const ADDRESS: &str = "127.0.0.1:10911";

/// Settings as a broker's tests have them.
pub fn settings() -> Settings {
    Settings {
        cluster: "demo".to_owned(),
        group: "group-a".to_owned(),
        store_host: ADDRESS.parse().expect("an address"),
        auto_create_group: true,
        max_message_bytes: 4 << 20,
        lock_lease_ms: Settings::LOCK_LEASE_MS,
        slave_read: true,
        far_behind_bytes: u64::MAX,
        limits: TableLimits::default(),
    }
}

/// A follower that knows of no leader.
pub fn follower() -> RoleView {
    RoleView {
        role: Role::Follower,
        term: 0,
        leader: 0,
        leader_address: None,
        is_slave: false,
        since_ms: 0,
    }
}

/// The leader of term 1.
pub fn leader() -> RoleView {
    RoleView {
        role: Role::Leader,
        term: 1,
        leader: 1 << 32 | 1,
        leader_address: Some(ADDRESS.to_owned()),
        is_slave: false,
        since_ms: 0,
    }
}

/// A clock that is turned by hand: both of its times are the same, ms.
#[derive(Debug, Default)]
pub struct HandClock(pub AtomicU64);

impl Clocks for HandClock {
    fn monotonic_ms(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn wall_ms(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A replica's log with published views, stepped by hand.
pub struct ViewBench {
    /// What is published.
    pub views: Arc<Views>,
    log: LogBench,
}

impl Default for ViewBench {
    fn default() -> Self {
        Self::new()
    }
}

impl ViewBench {
    /// With a founded group.
    pub fn new() -> Self {
        Self::over(LogBench::new())
    }

    /// The same, but frames are read from their files; the newest stays in memory.
    pub fn cold() -> Self {
        Self::over(LogBench::cold())
    }

    fn over(log: LogBench) -> Self {
        let views = Arc::new(Views::new(
            log.reader.clone(),
            Arc::clone(&log.queues),
            Arc::clone(&log.keys),
            State::new(),
        ));
        let bench = Self { views, log };
        bench.publish();
        bench
    }

    fn publish(&self) {
        let end = self.log.end_position();
        self.views.publish(self.log.state(), end, 0);
    }

    /// The leader's clock from here on.
    pub fn set_clock(&mut self, clock_ms: u64) {
        self.log.clock_ms = Some(clock_ms);
    }

    /// As [`LogBench::rot`].
    pub fn rot(&self, topic: &str, queue_id: u32, queue_offset: u64) -> QueueEntry {
        self.log.rot(topic, queue_id, queue_offset)
    }

    /// As [`LogBench::rot_properties`].
    pub fn rot_properties(
        &self,
        topic: &str,
        queue_id: u32,
        offset: u64,
        text: &str,
    ) -> QueueEntry {
        self.log.rot_properties(topic, queue_id, offset, text)
    }

    /// As [`LogBench::fail_next_read`].
    pub fn fail_next_read(&self, path_part: &str) {
        self.log.fail_next_read(path_part);
    }

    /// As [`LogBench::entry`].
    pub fn entry(&self, topic: &str, queue_id: u32, queue_offset: u64) -> QueueEntry {
        self.log.entry(topic, queue_id, queue_offset)
    }

    /// Commit and apply ops.
    pub fn commit_ops(&mut self, ops: &[Op]) {
        self.log.commit_ops(ops);
        self.publish();
    }

    /// Commit and apply one message; returns its queue offset.
    pub fn commit_message(&mut self, topic: &str, queue_id: u32, tag: &str, body: &[u8]) -> u64 {
        let queue_offset = self.log.commit_message(topic, queue_id, tag, body);
        self.publish();
        queue_offset
    }

    /// Commit and apply one message with a key, in the topic's first queue.
    pub fn commit_keyed(&mut self, topic: &str, key: &str, body: &[u8]) -> u64 {
        let queue_offset = self.log.commit_keyed(topic, key, body);
        self.publish();
        queue_offset
    }

    /// Commit and apply one record; returns its queue offset.
    pub fn commit_record(&mut self, record: &NewRecord<'_>) -> u64 {
        let queue_offset = self.log.commit_record(record);
        self.publish();
        queue_offset
    }

    /// What a handler says of a request to a replica in this role, with a view that is up to date.
    ///
    /// # Errors
    /// As of [`RequestHandler::judge`].
    pub fn judge<H: RequestHandler>(
        &self,
        role: RoleView,
        command: &Command,
    ) -> Result<Verdict<H::Pending>, NotServed> {
        self.judge_with::<H>(&settings(), NearSlaves::default(), role, command)
    }

    /// The same with other settings, and with slaves of a master.
    ///
    /// # Errors
    /// As of [`RequestHandler::judge`].
    pub fn judge_with<H: RequestHandler>(
        &self,
        settings: &Settings,
        near_slaves: NearSlaves,
        role: RoleView,
        command: &Command,
    ) -> Result<Verdict<H::Pending>, NotServed> {
        let clients = ClientRegistry::new();
        let numbering = Numbering::new(settings.store_host.ip(), 1, 1);
        let view = View {
            settings,
            views: &self.views,
            clients: &clients,
            numbering: &numbering,
            clock: &HandClock::default(),
            role: Guard::from_inner(Arc::new(role)),
            state: self.views.state(),
            consistency: Consistency::Linearizable,
            is_leaving: false,
            near_slaves,
            reads_cold: true,
        };
        let request = ClientRequest {
            command,
            peer: "127.0.0.1:1234".parse().expect("an address"),
            connection: 1,
        };
        let header = H::decode(command)?;
        H::check(&header, &request, &view)?;
        H::judge(&header, &request, &view, &mut Effects::default())
    }
}
