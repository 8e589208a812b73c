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
    /// Since when it has this role in this term, by the monotonic clock, ms.
    pub since_ms: u64,
}

impl RoleView {
    /// Whether this replica may take what only the leader may.
    pub fn leads(&self) -> bool {
        self.role == Role::Leader
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
