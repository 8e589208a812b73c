//! What a process may choose for itself.

use std::net::SocketAddr;

use tern_state::is_system_group;

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
    /// How long a queue stays with a client that does not renew its lock, ms.
    pub lock_lease_ms: u64,
    /// Serve pulls of committed records while another replica leads.
    pub slave_read: bool,
    /// A consumer of a master that is further behind the end of the log is told to read from a slave, bytes.
    pub far_behind_bytes: u64,
    /// How many topics and groups there may be.
    pub limits: TableLimits,
}

impl Settings {
    /// How long a lock lives after it was given or renewed, ms; clients renew every 20 s. RocketMQ's.
    pub const LOCK_LEASE_MS: u64 = 60_000;

    /// What is far behind by RocketMQ's `accessMessageInMemoryMaxRatio`, of so much memory.
    pub const fn far_behind(memory_bytes: u64, percent: u64) -> u64 {
        memory_bytes / 100 * percent
    }

    /// Whether a group of this name comes into being by use.
    pub fn creates_group(&self, name: &str) -> bool {
        self.auto_create_group || is_system_group(name)
    }
}

/// The most there may be. Each process may choose for itself; the leader's hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableLimits {
    /// Topics, those of the system's own making among them.
    pub topics: usize,
    /// Subscription groups.
    pub groups: usize,
}

impl Default for TableLimits {
    fn default() -> Self {
        Self {
            topics: 20_000,
            groups: 20_000,
        }
    }
}
