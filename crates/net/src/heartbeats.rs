//! Heartbeats: one body to many addresses, again and again, whatever the control plane does meanwhile.
//!
//! Who is called, with what and how often is told from outside; here it is only kept up. A server forgets its clients with
//! their connections, so after a lost connection the next beat goes out at once.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hashbrown::HashMap;
use parking_lot::Mutex;
use tern_wire::Command;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::bridge::Bridge;
use crate::client::Client;
use crate::events::Event;

/// What is sent, to whom, and how often.
#[derive(Debug, Clone)]
pub struct Beating {
    /// Comes back with the outcome of the first beat to each address.
    pub version: u64,
    /// Request code.
    pub code: i32,
    /// Body of each beat.
    pub body: Bytes,
    /// Whom to send it to.
    pub addresses: Vec<Arc<str>>,
    /// Between two beats.
    pub interval: Duration,
    /// Between a beat that failed and the next.
    pub retry: Duration,
    /// How long to wait for an answer.
    pub timeout: Duration,
}

/// Keeps the heartbeats of a process going.
pub struct Heartbeats {
    state: Mutex<State>,
    wake: Notify,
    client: Client,
    bridge: Arc<Bridge>,
    runtime: Handle,
}

#[derive(Default)]
struct State {
    beating: Option<Arc<Beating>>,
    targets: HashMap<Arc<str>, Target>,
}

/// One address.
struct Target {
    due: Instant,
    /// When the last beat went out.
    began: Instant,
    /// A beat waits for its answer.
    beats: bool,
    /// The connection went away during that beat.
    lost: bool,
    /// Failures since the last answer.
    failures: u32,
    /// The last version whose first outcome was told.
    told: u64,
}

impl Heartbeats {
    /// Nothing is sent before the first [`Heartbeats::set`].
    pub fn new(client: Client, bridge: Arc<Bridge>, runtime: &Handle) -> Arc<Self> {
        let heartbeats = Arc::new(Self {
            state: Mutex::default(),
            wake: Notify::new(),
            client,
            bridge,
            runtime: runtime.clone(),
        });
        heartbeats.bridge.tell_of_lost_connections(&heartbeats);
        runtime.spawn(run(Arc::clone(&heartbeats)));
        heartbeats
    }

    /// Beats like this from now on. A new version goes to all addresses at once; the same one only to new addresses.
    pub fn set(&self, beating: Beating) {
        let now = Instant::now();
        let mut state = self.state.lock();
        let renewed = state
            .beating
            .as_ref()
            .is_none_or(|last| last.version != beating.version);
        state
            .targets
            .retain(|address, _| beating.addresses.contains(address));
        for address in &beating.addresses {
            let target = state
                .targets
                .entry(Arc::clone(address))
                .or_insert_with(|| Target::new(now));
            if renewed {
                target.due = now;
            }
        }
        state.beating = Some(Arc::new(beating));
        drop(state);
        self.wake.notify_one();
    }

    /// The connection to an address is gone, and with it what the server knew.
    pub fn disconnected(&self, address: &str) {
        let mut state = self.state.lock();
        let Some(retry) = state.beating.as_ref().map(|beating| beating.retry) else {
            return;
        };
        if let Some(target) = state.targets.get_mut(address)
            && target.told > 0
        {
            // A server that closes after each beat is not called in a tight circle.
            target.due = Instant::now().max(target.began + retry);
            target.lost = target.beats;
            drop(state);
            self.wake.notify_one();
        }
    }

    /// Addresses that have not answered their last beats, and how many of them.
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
        let beating = Arc::clone(state.beating.as_ref()?);
        let mut next: Option<Instant> = None;
        for (address, target) in &mut state.targets {
            if target.beats {
                continue;
            }
            if target.due <= now {
                target.beats = true;
                target.began = now;
                target.lost = false;
                self.runtime.spawn(beat(
                    Arc::clone(self),
                    Arc::clone(&beating),
                    Arc::clone(address),
                ));
            } else {
                next = Some(next.map_or(target.due, |soonest| soonest.min(target.due)));
            }
        }
        next
    }

    fn beaten(&self, beating: &Beating, address: &Arc<str>, answered: bool) {
        let now = Instant::now();
        let mut state = self.state.lock();
        let version = state.beating.as_ref().map(|current| current.version);
        if let Some(target) = state.targets.get_mut(address) {
            target.beats = false;
            let renewed = version != Some(beating.version);
            target.due = match answered {
                true if renewed || target.lost => now,
                true => now + beating.interval,
                false => now + beating.retry,
            };
            target.failures = if answered { 0 } else { target.failures + 1 };
            if target.told < beating.version {
                target.told = beating.version;
                self.bridge.queue().push(Event::Beaten {
                    version: beating.version,
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
            beats: false,
            lost: false,
            failures: 0,
            told: 0,
        }
    }
}

/// Sends one beat; whatever is answered, the server is there.
async fn beat(heartbeats: Arc<Heartbeats>, beating: Arc<Beating>, address: Arc<str>) {
    let command = Command::request(beating.code, 0).with_body(beating.body.clone());
    let answer = heartbeats
        .client
        .call(&address, command, beating.timeout)
        .await;
    heartbeats.beaten(&beating, &address, answer.is_ok());
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
