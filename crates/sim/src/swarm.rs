//! What one history is like: drawn from its seed, so that each has some of the faults and none has all of them.
//!
//! A history in which everything goes wrong at once shows little: nothing gets far enough to be lost.

use crate::random::Random;

/// A kind of fault that a history may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// The power of machines goes.
    Power,
    /// Processes are killed.
    Kill,
    /// Processes are stopped as an operator stops them.
    Clean,
    /// A process ends at one of its writes.
    AtWrite,
    /// A process stands still and goes on (SIGSTOP).
    Pause,
    /// The network is cut, in one or both directions.
    Cut,
    /// Messages are lost, late, doubled.
    Weather,
    /// A write or a sync fails.
    DiskError,
    /// A read fails.
    ReadError,
    /// A sync takes seconds.
    Hang,
    /// Disks are full for a while.
    Full,
    /// A wall clock jumps and jumps back; clocks run at different speeds.
    Clock,
    /// A replica is told that a peer is gone that lives.
    FalseGone,
    /// Bits rot on a disk.
    Rot,
    /// A sector that was synced is lost, or a write went elsewhere.
    Sector,
    /// The power goes while a sector is half written.
    Torn,
    /// A disk is emptied.
    Wipe,
    /// An old copy of a disk is put back.
    OldCopy,
}

impl FaultKind {
    /// All of them.
    pub const ALL: [Self; 18] = [
        Self::Power,
        Self::Kill,
        Self::Clean,
        Self::AtWrite,
        Self::Pause,
        Self::Cut,
        Self::Weather,
        Self::DiskError,
        Self::ReadError,
        Self::Hang,
        Self::Full,
        Self::Clock,
        Self::FalseGone,
        Self::Rot,
        Self::Sector,
        Self::Torn,
        Self::Wipe,
        Self::OldCopy,
    ];

    /// Whether it destroys what a disk has promised to keep: fewer machines than a majority may meet it in a history.
    pub const fn destroys(self) -> bool {
        matches!(
            self,
            Self::Rot | Self::Sector | Self::Torn | Self::Wipe | Self::OldCopy
        )
    }
}

/// A twelfth of the least election timeout of the profile `shared`, as a process computes it.
const ELECTION_TURN_NS: u64 = 25_000_000;

/// The shape of a history.
#[derive(Debug, Clone)]
pub struct Swarm {
    /// Members of the group: 3 or 5.
    pub members: usize,
    /// Bytes of a segment: small, so that the log rolls.
    pub segment_size: u64,
    /// Bytes of recent frames held in memory: small, so that a follower that was away is fed from the files.
    pub ring_bytes: usize,
    /// Descriptors held in memory.
    pub ring_descriptors: usize,
    /// Greatest pause between two sends, microseconds.
    pub send_pause: u64,
    /// Requests that go to any replica instead of the leader, percent.
    pub elsewhere: u64,
    /// Requests that are fresh reads, beside those of the usual mix, percent.
    pub more_reads: u64,
    /// Greatest length of a body, bytes.
    pub body: u64,
    /// Least and greatest pause between two faults, microseconds.
    pub fault_pause: (u64, u64),
    /// Syncs that take 20 to 300 ms, percent.
    pub slow_syncs: u64,
    /// How long a survivor of a dead leader has before the next one's slot, nanoseconds.
    pub election_slot_ns: u64,
    /// When the first fault may come, microseconds.
    pub first_fault: u64,
    /// What may happen.
    pub kinds: Vec<FaultKind>,
}

impl Swarm {
    /// The shape that a seed gives.
    pub fn draw(random: &mut Random) -> Self {
        let common = random.chance(70);
        let kinds = FaultKind::ALL.into_iter().filter(|kind| match kind {
            FaultKind::Power | FaultKind::Kill => random.chance(if common { 80 } else { 40 }),
            FaultKind::Rot
            | FaultKind::Sector
            | FaultKind::Torn
            | FaultKind::Wipe
            | FaultKind::OldCopy => random.chance(15),
            _ => random.chance(40),
        });
        let mut kinds: Vec<FaultKind> = kinds.collect();
        if kinds.is_empty() {
            kinds.push(FaultKind::Power);
        }
        let is_slow = random.chance(30);
        Self {
            members: if random.chance(25) { 5 } else { 3 },
            segment_size: [512 << 10, 1 << 20, 4 << 20][random.below(3) as usize],
            ring_bytes: [16 << 10, 128 << 10, 16 << 20][random.below(3) as usize],
            ring_descriptors: [128, 1024, 65_536][random.below(3) as usize],
            send_pause: if is_slow { 40_000 } else { 15_000 },
            elsewhere: 20,
            more_reads: 0,
            body: [100, 1_500, 1_500, 6_000][random.below(4) as usize],
            fault_pause: if random.chance(20) {
                (5_000, 300_000)
            } else {
                (50_000, 1_500_000)
            },
            slow_syncs: 1,
            election_slot_ns: ELECTION_TURN_NS,
            first_fault: if random.chance(30) { 0 } else { 1_000_000 },
            kinds,
        }
    }

    /// A history in which nothing goes wrong but what a test does to it.
    pub fn fair() -> Self {
        Self {
            members: 3,
            segment_size: 4 << 20,
            ring_bytes: 16 << 20,
            ring_descriptors: 65_536,
            send_pause: 15_000,
            elsewhere: 20,
            more_reads: 0,
            body: 1_500,
            fault_pause: (1_000_000, 1_000_000),
            slow_syncs: 0,
            election_slot_ns: ELECTION_TURN_NS,
            first_fault: u64::MAX / 2,
            kinds: Vec::new(),
        }
    }

    /// Machines that may lose what they promised to keep.
    pub fn minority(&self) -> usize {
        (self.members - 1) / 2
    }
}
