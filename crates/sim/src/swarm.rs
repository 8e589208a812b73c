//! What one history is like: drawn from its seed, so that each has some of the faults and none has all of them.
//!
//! A history in which everything goes wrong at once shows little: nothing gets far enough to be lost.

use tern_log::NEAR_BYTES;
use tern_replica::Acknowledgement;
use tern_replication::{Configuration, replica_id};

use crate::random::Random;

/// How a group replicates.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SwarmMode {
    /// Three or five replicas that elect their leader.
    #[default]
    Raft,
    /// As these, with machines beside them: members come, go, and come back without their memory.
    Changing,
    /// A master, and a slave that follows it.
    AsyncSlave,
    /// A master, and a slave for which senders wait.
    SyncDoubleWrite,
}

impl SwarmMode {
    /// Whether there is one master, with slaves that decide nothing.
    pub const fn has_slaves(self) -> bool {
        matches!(self, Self::AsyncSlave | Self::SyncDoubleWrite)
    }

    /// The replicas that decide nothing, of so many.
    pub fn learners(self, members: usize) -> Vec<u32> {
        match self {
            Self::Raft | Self::Changing => Vec::new(),
            Self::AsyncSlave | Self::SyncDoubleWrite => (2..=members as u32).collect(),
        }
    }

    /// Who must hold a message before its sender is told.
    pub const fn acknowledgement(self) -> Acknowledgement {
        match self {
            Self::SyncDoubleWrite => Acknowledgement::SlaveToo,
            Self::Raft | Self::Changing | Self::AsyncSlave => Acknowledgement::Committed,
        }
    }
}

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
    /// Each sync of a machine takes long for a while.
    Slow,
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
    pub const ALL: [Self; 19] = [
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
        Self::Slow,
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
    /// How the group replicates.
    pub mode: SwarmMode,
    /// Members of the group: 3 or 5; 2 with a master and a slave.
    pub members: usize,
    /// Machines beside these, which may become members.
    pub spare: usize,
    /// Whether an emptied member joins its group again, under a new id.
    pub rejoins: bool,
    /// Least and greatest pause between two changes of the members, microseconds; none if nobody changes them.
    pub change_pause: Option<(u64, u64)>,
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
    /// Greatest time of a sync that is none of the slow ones, microseconds.
    pub longest_sync: u64,
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
            mode: SwarmMode::Raft,
            members: if random.chance(25) { 5 } else { 3 },
            spare: 0,
            rejoins: false,
            change_pause: None,
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
            longest_sync: if random.chance(50) { 5_000 } else { 1_000 },
            slow_syncs: 1,
            election_slot_ns: ELECTION_TURN_NS,
            first_fault: if random.chance(30) { 0 } else { 1_000_000 },
            kinds,
        }
    }

    /// A history in which nothing goes wrong but what a test does to it.
    pub fn fair() -> Self {
        Self {
            mode: SwarmMode::Raft,
            members: 3,
            spare: 0,
            rejoins: false,
            change_pause: None,
            segment_size: 4 << 20,
            ring_bytes: 16 << 20,
            ring_descriptors: 65_536,
            send_pause: 15_000,
            elsewhere: 20,
            more_reads: 0,
            body: 1_500,
            fault_pause: (1_000_000, 1_000_000),
            longest_sync: 1_000,
            slow_syncs: 0,
            election_slot_ns: ELECTION_TURN_NS,
            first_fault: u64::MAX / 2,
            kinds: Vec::new(),
        }
    }

    /// The same history of three members, with two machines beside them: members come, go, and take each other's place.
    #[must_use]
    pub fn changing(self) -> Self {
        Self {
            mode: SwarmMode::Changing,
            members: 3,
            spare: 2,
            rejoins: true,
            change_pause: Some((200_000, 3_000_000)),
            ..self
        }
    }

    /// The configuration that the group is founded with.
    pub fn founding(&self) -> Configuration {
        let numbers = 1..=self.members as u32;
        Configuration {
            voters: numbers.map(|number| replica_id(number, 1)).collect(),
            ..Configuration::default()
        }
    }

    /// All machines.
    pub const fn machines(&self) -> usize {
        self.members + self.spare
    }

    /// The same history of a master and a slave.
    #[must_use]
    pub fn in_mode(self, mode: SwarmMode) -> Self {
        let members = match mode {
            SwarmMode::Raft | SwarmMode::Changing => self.members,
            SwarmMode::AsyncSlave | SwarmMode::SyncDoubleWrite => 2,
        };
        Self {
            mode,
            members,
            ..self
        }
    }

    /// How far behind the end of the log frames are not old. Where few descriptors are held everything is old at once.
    pub const fn near_bytes(&self) -> u64 {
        if self.ring_descriptors == 128 {
            0
        } else {
            NEAR_BYTES
        }
    }

    /// Machines that may lose what they promised to keep, of a group that is to go on.
    pub fn minority(&self) -> usize {
        match self.mode {
            SwarmMode::Raft | SwarmMode::Changing => (self.members - 1) / 2,
            SwarmMode::AsyncSlave | SwarmMode::SyncDoubleWrite => self.members - 1,
        }
    }

    /// Disks that must have what is committed.
    pub fn disks_for_commit(&self) -> usize {
        match self.mode {
            SwarmMode::Raft | SwarmMode::Changing => self.members / 2 + 1,
            SwarmMode::AsyncSlave | SwarmMode::SyncDoubleWrite => 1,
        }
    }

    /// Disks that must have a message of which its sender was told code 0.
    pub fn disks_for_success(&self) -> usize {
        match self.mode {
            SwarmMode::Raft | SwarmMode::Changing | SwarmMode::AsyncSlave => {
                self.disks_for_commit()
            }
            SwarmMode::SyncDoubleWrite => 2,
        }
    }
}
