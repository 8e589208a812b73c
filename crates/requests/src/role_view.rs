//! Who leads, for readers.

use tern_replication::{ReplicaId, Role};
use tern_state::LeaseTime;

/// Who this replica is in its group, as of the last turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleView {
    /// Role.
    pub role: Role,
    /// Term.
    pub term: u64,
    /// Who leads, 0 if unknown.
    pub leader: ReplicaId,
    /// Client address of the leader, if it is known.
    pub leader_address: Option<String>,
    /// Whether it is the slave of a master, and so never elected.
    pub is_slave: bool,
    /// Since when it has this role in this term, by the monotonic clock, ms.
    pub since_ms: u64,
}

impl RoleView {
    /// Whether this replica may take what only the leader may.
    pub fn leads(&self) -> bool {
        self.role == Role::Leader
    }

    /// Whether it answers what otherwise the leader alone does: a slave whose master is gone, by what it has. It may be
    /// behind what the master had, as any slave of RocketMQ.
    pub fn reads_alone(&self) -> bool {
        self.is_slave && !self.leads() && self.leader == 0
    }

    /// A moment of this leadership, for the leases of queue locks.
    pub fn lease_time(&self, now_ms: u64) -> LeaseTime {
        LeaseTime {
            term: self.term,
            since_ms: self.since_ms,
            now_ms,
        }
    }
}
