//! Faults that are under way.

use tern_testdisk::MemoryDisk;

use crate::network::Micros;
use crate::swarm::Swarm;

/// What ends after a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// There is room again.
    Full,
    /// The wall clock is right again.
    Clock,
    /// A copy of the disk that was taken is old enough to be put back.
    OldCopy,
}

/// Faults that are under way, and those that may still come.
pub(crate) struct Faults {
    pub is_active: bool,
    /// Machines that may lose what they promised.
    pub doomed: Vec<usize>,
    /// Until when syncs of a machine hang.
    pub hangs: Vec<Micros>,
    /// Until when syncs of a machine are slow, and the least time that one takes.
    pub slow: Vec<(Micros, Micros)>,
    pub copies: Vec<Option<MemoryDisk>>,
    /// How a process that ends at one of its writes dies: with the power, or alone.
    pub with_power: Vec<bool>,
}

impl Faults {
    pub fn new(swarm: &Swarm) -> Self {
        Self {
            is_active: false,
            doomed: Vec::new(),
            hangs: vec![0; swarm.machines()],
            slow: vec![(0, 0); swarm.machines()],
            copies: vec![None; swarm.machines()],
            with_power: vec![false; swarm.machines()],
        }
    }

    /// From now on, something goes wrong now and then.
    pub fn begin(&mut self) {
        self.is_active = true;
    }

    /// The least time of a sync that begins now, where the disk is slow.
    pub fn slow(&self, at: usize, now: Micros) -> Option<Micros> {
        let (until, least) = self.slow[at];
        (until > now).then_some(least)
    }

    /// How long a sync that begins now hangs.
    pub fn hang(&self, at: usize, now: Micros) -> Option<Micros> {
        let until = self.hangs[at];
        (until > now).then(|| until - now)
    }
}
