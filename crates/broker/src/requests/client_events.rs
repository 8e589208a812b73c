//! What happens because clients come and go: the push 40, new groups, lines about groups that do not agree.
//!
//! Every replica keeps the registry. What follows from it is the leader's.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use hashbrown::HashMap;
use parking_lot::Mutex;
use tern_journal::{Level, Logger, RateLimitedLog};
use tern_net::Connection;
use tern_requests::HeartbeatEffects;
use tern_wire::Command;
use tern_wire::codes::request;
use tern_wire::headers::NotifyConsumerIdsChanged;

use crate::clock;
use crate::response_batch::ResponseBatch;
use crate::services::Services;

/// How often entries without heartbeats are looked for.
const SWEEP: Duration = Duration::from_secs(10);

static LEFT_OUT: RateLimitedLog = RateLimitedLog::new(
    Logger::Broker,
    Level::Warning,
    "heartbeat beyond the bounds of the client registry, partly left out",
);

/// Disputes that wait to be said; more are left out.
const MAX_DISPUTES: usize = 256;
/// A little longer than the time between two lines of one kind.
const DISPUTE_PAUSE: Duration = Duration::from_millis(1_100);

static DISPUTE: RateLimitedLog = RateLimitedLog::new(
    Logger::Broker,
    Level::Warning,
    "one group, several subscriptions",
);

/// Acts on changes of the client registry.
pub(crate) struct ClientEvents {
    services: Arc<Services>,
    last_opaque: AtomicI32,
    /// Connections by which heartbeats came, by their numbers, for pushes. Weak: the end of one is not always told here.
    connections: Mutex<HashMap<u64, Weak<Connection>>>,
    /// Disputes that are still to be said.
    disputes: Mutex<Disputes>,
}

/// A queue of lines, and whether a task says them.
#[derive(Default)]
struct Disputes {
    lines: VecDeque<(Arc<str>, String)>,
    is_said: bool,
}

impl ClientEvents {
    /// Starts the task that removes clients which have gone silent; it ends with the last user.
    pub fn start(services: &Arc<Services>) -> Arc<Self> {
        let events = Arc::new(Self {
            services: Arc::clone(services),
            last_opaque: AtomicI32::new(0),
            connections: Mutex::default(),
            disputes: Mutex::default(),
        });
        services.runtime.spawn(sweep(Arc::downgrade(&events)));
        events
    }

    /// A client was heard.
    pub fn heartbeat(self: &Arc<Self>, effects: HeartbeatEffects, connection: &Arc<Connection>) {
        self.connections
            .lock()
            .entry(connection.id())
            .or_insert_with(|| Arc::downgrade(connection));
        if effects.left_out > 0 {
            LEFT_OUT.log(
                connection.peer(),
                format_args!("{} entries", effects.left_out),
            );
        }
        if !self.services.roles.view().leads() {
            return;
        }
        self.say_disputes(effects.disputes);
        ResponseBatch::at_once(|batch| {
            for group in effects.missing_groups {
                let shape = (group.unit, group.order);
                // Nobody waits for it: the next heartbeat tries again.
                let then = Box::new(|_, _: &mut ResponseBatch| {});
                self.services
                    .metadata_changes
                    .group(group.name, shape, then, batch);
            }
        });
    }

    /// A connection ended: its clients are gone at once.
    pub fn closed(&self, connection: &Connection) {
        self.connections.lock().remove(&connection.id());
        let changed = self.services.clients.closed(connection.id());
        self.notify(&changed);
    }

    /// 40 to the members of groups that changed.
    pub fn notify(&self, groups: &[Arc<str>]) {
        let role = self.services.roles.view();
        if groups.is_empty() || !(role.leads() || role.reads_alone()) {
            return;
        }
        for group in groups {
            let state = self.services.views.state();
            if state
                .group(group)
                .is_some_and(|group| !group.notify_consumer_ids_changed_enable)
            {
                continue;
            }
            for id in self.services.clients.connections(group) {
                let Some(connection) = self.connection(id) else {
                    continue;
                };
                let opaque = self.last_opaque.fetch_add(1, Ordering::Relaxed);
                let mut push =
                    Command::request(request::NOTIFY_CONSUMER_IDS_CHANGED, opaque).one_way();
                NotifyConsumerIdsChanged {
                    consumer_group: group,
                }
                .encode(&mut push.fields);
                connection.send_command(push);
            }
        }
    }

    fn connection(&self, id: u64) -> Option<Arc<Connection>> {
        self.connections.lock().get(&id)?.upgrade()
    }

    /// One after the other, no faster than complaints are printed: what is said once must not be left out.
    fn say_disputes(self: &Arc<Self>, disputes: Vec<(Arc<str>, String)>) {
        let mut waiting = self.disputes.lock();
        let room = MAX_DISPUTES.saturating_sub(waiting.lines.len());
        waiting.lines.extend(disputes.into_iter().take(room));
        if waiting.lines.is_empty() || std::mem::replace(&mut waiting.is_said, true) {
            return;
        }
        drop(waiting);
        self.services.runtime.spawn(say_all(Arc::downgrade(self)));
    }
}

async fn say_all(events: Weak<ClientEvents>) {
    while let Some(events) = events.upgrade() {
        {
            let mut waiting = events.disputes.lock();
            let Some((group, what)) = waiting.lines.pop_front() else {
                waiting.is_said = false;
                return;
            };
            DISPUTE.log(group, what);
        }
        drop(events);
        tokio::time::sleep(DISPUTE_PAUSE).await;
    }
}

async fn sweep(events: Weak<ClientEvents>) {
    loop {
        tokio::time::sleep(SWEEP).await;
        let Some(events) = events.upgrade() else {
            return;
        };
        events
            .connections
            .lock()
            .retain(|_, connection| connection.strong_count() > 0);
        let changed = events.services.clients.expire(clock::monotonic_ms());
        events.notify(&changed);
    }
}
