//! Heartbeats: one body to many addresses, again and again, whatever the event loop does meanwhile.
//!
//! The caller sets the addresses, the body and the interval; here they are only kept going. A server forgets its
//! clients with their connections, so after a lost connection the next heartbeat is sent at once.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hashbrown::HashMap;
use parking_lot::Mutex;
use tern_net::Client;
use tern_wire::Command;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::Instant;

/// What is sent, to whom, and how often.
#[derive(Debug, Clone)]
pub struct HeartbeatSchedule {
    /// Comes back with the outcome of the first heartbeat to each address.
    pub version: u64,
    /// Request code.
    pub code: i32,
    /// Body of each heartbeat.
    pub body: Bytes,
    /// The servers.
    pub addresses: Vec<Arc<str>>,
    /// Between two heartbeats.
    pub interval: Duration,
    /// Between a heartbeat that failed and the next.
    pub retry: Duration,
    /// How long to wait for an answer.
    pub timeout: Duration,
}

/// What became of the first heartbeat of a version to an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeartbeatOutcome {
    /// The version, as the schedule gave it.
    pub version: u64,
    /// Where it went.
    pub address: Arc<str>,
    /// Whether it was answered, be it with an error code.
    pub answered: bool,
}

/// Keeps the heartbeats of a process going.
pub struct Heartbeats {
    state: Mutex<HeartbeatState>,
    wake: Notify,
    client: Client,
    report: Box<dyn Fn(HeartbeatOutcome) + Send + Sync>,
    runtime: Handle,
}

#[derive(Default)]
struct HeartbeatState {
    schedule: Option<Arc<HeartbeatSchedule>>,
    targets: HashMap<Arc<str>, Target>,
}

/// One address.
struct Target {
    due: Instant,
    /// When the last heartbeat was sent.
    began: Instant,
    /// A heartbeat waits for its answer.
    in_flight: bool,
    /// The connection went away during that heartbeat.
    lost: bool,
    /// Failures since the last answer.
    failures: u32,
    /// The last version whose first outcome was reported.
    reported_version: u64,
}

impl Heartbeats {
    /// Calls by `client`, and tells `report` how the first heartbeat of each version to each address ended. Nothing is
    /// sent before the first [`Heartbeats::set`].
    pub fn new(
        client: Client,
        runtime: &Handle,
        report: impl Fn(HeartbeatOutcome) + Send + Sync + 'static,
    ) -> Arc<Self> {
        let heartbeats = Arc::new(Self {
            state: Mutex::default(),
            wake: Notify::new(),
            client,
            report: Box::new(report),
            runtime: runtime.clone(),
        });
        runtime.spawn(run(Arc::clone(&heartbeats)));
        heartbeats
    }

    /// Sends heartbeats like this from now on. A new version goes to all addresses at once; the same one only to new
    /// addresses.
    pub fn set(&self, schedule: HeartbeatSchedule) {
        let now = Instant::now();
        let mut state = self.state.lock();
        let renewed = state
            .schedule
            .as_ref()
            .is_none_or(|last| last.version != schedule.version);
        state
            .targets
            .retain(|address, _| schedule.addresses.contains(address));
        for address in &schedule.addresses {
            let target = state
                .targets
                .entry(Arc::clone(address))
                .or_insert_with(|| Target::new(now));
            if renewed {
                target.due = now;
            }
        }
        state.schedule = Some(Arc::new(schedule));
        drop(state);
        self.wake.notify_one();
    }

    /// The connection to an address is gone, and with it what the server knew.
    pub fn disconnected(&self, address: &str) {
        let mut state = self.state.lock();
        let Some(retry) = state.schedule.as_ref().map(|schedule| schedule.retry) else {
            return;
        };
        if let Some(target) = state.targets.get_mut(address)
            && target.reported_version > 0
        {
            // A server that closes after each heartbeat is not called in a tight circle.
            target.due = Instant::now().max(target.began + retry);
            target.lost = target.in_flight;
            drop(state);
            self.wake.notify_one();
        }
    }

    /// Addresses that have not answered their last heartbeats, and how many of them.
    pub fn failures(&self) -> Vec<(Arc<str>, u32)> {
        let state = self.state.lock();
        let failing = state.targets.iter().filter(|(_, it)| it.failures > 0);
        failing
            .map(|(address, it)| (Arc::clone(address), it.failures))
            .collect()
    }

    /// Starts what is due; gives when the next is.
    fn start_due(self: &Arc<Self>) -> Option<Instant> {
        let now = Instant::now();
        let mut state = self.state.lock();
        let schedule = Arc::clone(state.schedule.as_ref()?);
        let mut next: Option<Instant> = None;
        for (address, target) in &mut state.targets {
            if target.in_flight {
                continue;
            }
            if target.due <= now {
                target.in_flight = true;
                target.began = now;
                target.lost = false;
                self.runtime.spawn(send_heartbeat(
                    Arc::clone(self),
                    Arc::clone(&schedule),
                    Arc::clone(address),
                    now,
                ));
            } else {
                next = Some(next.map_or(target.due, |soonest| soonest.min(target.due)));
            }
        }
        next
    }

    /// `began` is when the heartbeat was sent: an address that was left out and named again since waits for one of its own.
    fn on_outcome(
        &self,
        schedule: &HeartbeatSchedule,
        address: &Arc<str>,
        began: Instant,
        answered: bool,
    ) {
        let now = Instant::now();
        let mut state = self.state.lock();
        let version = state.schedule.as_ref().map(|current| current.version);
        let target = state.targets.get_mut(address);
        if let Some(target) = target.filter(|it| it.in_flight && it.began == began) {
            target.in_flight = false;
            let renewed = version != Some(schedule.version);
            target.due = match answered {
                true if renewed || target.lost => now,
                true => now + schedule.interval,
                false => now + schedule.retry,
            };
            target.failures = if answered { 0 } else { target.failures + 1 };
            if target.reported_version < schedule.version {
                target.reported_version = schedule.version;
                (self.report)(HeartbeatOutcome {
                    version: schedule.version,
                    address: Arc::clone(address),
                    answered,
                });
            }
        }
        drop(state);
        self.wake.notify_one();
    }
}

impl Target {
    fn new(due: Instant) -> Self {
        Self {
            due,
            began: due,
            in_flight: false,
            lost: false,
            failures: 0,
            reported_version: 0,
        }
    }
}

/// Sends one heartbeat; whatever is answered, the server is there.
async fn send_heartbeat(
    heartbeats: Arc<Heartbeats>,
    schedule: Arc<HeartbeatSchedule>,
    address: Arc<str>,
    began: Instant,
) {
    let command = Command::request(schedule.code, 0).with_body(schedule.body.clone());
    let answer = heartbeats
        .client
        .call(&address, command, schedule.timeout)
        .await;
    heartbeats.on_outcome(&schedule, &address, began, answer.is_ok());
}

async fn run(heartbeats: Arc<Heartbeats>) {
    loop {
        let next = heartbeats.start_due();
        let woken = heartbeats.wake.notified();
        match next {
            Some(due) => drop(tokio::time::timeout_at(due, woken).await),
            None => woken.await,
        }
    }
}
