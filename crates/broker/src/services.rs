//! What request handlers may use. A handler takes the two or three parts it needs, never this whole.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tern_state::is_system_group;
use tern_wire::message_id::UniqueIdMaker;
use tokio::runtime::Handle;

use crate::clients::ClientRegistry;
use crate::clock;
use crate::commits::Commits;
use crate::counters::Counters;
use crate::creations::{Creations, TableLimits};
use crate::holds::HoldTable;
use crate::mailbox::Mailbox;
use crate::roles::RoleBoard;
use crate::views::Views;

/// What a process may choose for itself and handlers have to know.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Name of the cluster, written into every message as `CLUSTER`.
    pub cluster: String,
    /// Name of the group: the broker name that clients see.
    pub group: String,
    /// Advertised address; stands in records and message ids.
    pub store_host: SocketAddr,
    /// A first pull or heartbeat of an unknown group creates it.
    pub auto_create_group: bool,
    /// Largest body of a message, bytes.
    pub max_message_bytes: usize,
    /// Serve pulls of committed records while another replica leads.
    pub slave_read: bool,
    /// How many topics and groups there may be.
    pub limits: TableLimits,
}

impl Settings {
    /// Whether a group of this name comes into being by use.
    pub(crate) fn creates_group(&self, name: &str) -> bool {
        self.auto_create_group || is_system_group(name)
    }
}

/// What messages get that do not bring it along: unique ids, and queues in turn.
pub(crate) struct Numbering {
    unique_ids: UniqueIdMaker,
    picked: AtomicU32,
}

impl Numbering {
    pub fn new(address: IpAddr) -> Self {
        // Two brokers, or two starts of one, do not begin with the same numbers.
        let salt = clock::monotonic_ns() as u32;
        Self {
            unique_ids: UniqueIdMaker::new(address, std::process::id(), salt),
            picked: AtomicU32::new(salt),
        }
    }

    /// A unique id, made at this time, ms since 1970.
    pub fn unique_id(&self, now_ms: u64) -> String {
        self.unique_ids.make(now_ms)
    }

    /// One of so many queues, each in turn; none of none.
    pub fn pick(&self, queues: u32) -> Option<u32> {
        self.picked
            .fetch_add(1, Ordering::Relaxed)
            .checked_rem(queues)
    }
}

/// The parts, for wiring.
pub struct Services {
    /// Settings of this process.
    pub settings: Settings,
    /// Committed past.
    pub views: Arc<Views>,
    /// Who leads.
    pub roles: Arc<RoleBoard>,
    /// The way into the log.
    pub mailbox: Mailbox,
    /// Parked pulls.
    pub holds: Arc<HoldTable>,
    /// Connected clients and their groups.
    pub clients: Arc<ClientRegistry>,
    /// Topics and groups on their way into being.
    pub creations: Arc<Creations>,
    /// Consumer offsets on their way into the log.
    pub commits: Arc<Commits>,
    /// What was put and got.
    pub counters: Arc<Counters>,
    /// For work that must not run on the calling thread.
    pub runtime: Handle,
}
