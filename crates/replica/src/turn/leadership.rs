//! What a turn remembers of its fitness to lead and of a leader that seems gone, and what it says of a promotion.

use tern_replication::ReplicaId;
use thiserror::Error;

/// What keeps this replica from leading.
#[derive(Debug, Default)]
pub(super) struct Health {
    /// Damage was met in the log: for good, until it is repaired.
    pub rotted: bool,
    /// When a successor was asked to take over.
    pub handing_over_ns: Option<u64>,
    /// When a leader was last heard.
    pub led_ns: u64,
}

impl Health {
    /// Damage was met in the log.
    pub(super) const fn met_rot(&mut self) {
        self.rotted = true;
    }
}

/// A leader that is taken for dead.
#[derive(Debug, Clone, Copy)]
pub(super) struct Suspicion {
    pub term: u64,
    /// Voters without that leader.
    pub survivors: u64,
    pub campaign_ns: u64,
    pub tries: u32,
}

/// What its leader had at some moment, and a learner has to confirm.
#[derive(Debug, Clone, Copy)]
pub(super) struct LearnerMark {
    pub learner: ReplicaId,
    pub index: u64,
    pub since_ns: u64,
}

/// Where a slave stands that becomes the master.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Promotion {
    /// Its last frame.
    pub last_index: u64,
    /// When the messages of that were stored, ms since 1970.
    pub stored_ms: u64,
}

/// Why a slave does not become the master.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PromotionRefusal {
    /// It is none.
    #[error("this replica is no slave")]
    NoSlave,
    /// The master is connected, and can hand over.
    #[error("its master lives: hand over (transfer-leader), and nothing is lost")]
    MasterLives,
    /// What the master alone had would be lost.
    #[error(
        "its master is gone, and what that stored last may be there alone: start the master again, or force the promotion"
    )]
    MayLose,
}
