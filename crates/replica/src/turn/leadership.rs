//! What a turn remembers of its fitness to lead, and of a leader that seems gone.

/// What keeps this replica from leading.
#[derive(Debug, Default)]
pub(super) struct Health {
    /// Damage was met in the log: for good, until it is repaired.
    pub rotted: bool,
    /// When a successor was asked to take over.
    pub handing_over_ns: Option<u64>,
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
