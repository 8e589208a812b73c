//! Bounds and times of a replica's turn, and what its mode promises.

/// Who must hold a message before its sender is told that it is stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Acknowledgement {
    /// Whoever the commit takes: a majority, or the master alone.
    #[default]
    Committed,
    /// A slave, too: synchronous double write.
    SlaveToo,
}

/// How a group replicates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Three or more replicas that elect their leader.
    Raft,
    /// One replica, no slaves.
    MultiMaster,
    /// A master and slaves that follow it.
    AsyncSlave,
    /// A master that tells a sender of success when a slave has the message, too.
    SyncDoubleWrite,
}

impl Mode {
    /// Its number on the wire between replicas.
    pub const fn number(self) -> u8 {
        match self {
            Self::MultiMaster => 0,
            Self::AsyncSlave => 1,
            Self::SyncDoubleWrite => 2,
            Self::Raft => 3,
        }
    }

    /// Its name, as configuration and documentation have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::MultiMaster => "multi-master",
            Self::AsyncSlave => "async-slave",
            Self::SyncDoubleWrite => "sync-double-write",
            Self::Raft => "raft",
        }
    }

    /// Whether a group has one master and slaves, which decide nothing.
    pub const fn has_slaves(self) -> bool {
        matches!(self, Self::AsyncSlave | Self::SyncDoubleWrite)
    }

    /// Who must hold a message before its sender is told that it is stored.
    pub const fn acknowledgement(self) -> Acknowledgement {
        match self {
            Self::SyncDoubleWrite => Acknowledgement::SlaveToo,
            Self::MultiMaster | Self::AsyncSlave | Self::Raft => Acknowledgement::Committed,
        }
    }
}

/// What has to happen to a frame before it counts as written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Flush {
    /// It is on the disk.
    #[default]
    Sync,
    /// It is in the page cache: the death of the process takes nothing, a power cut what came after the last flush.
    /// Flushes follow one another at this distance, nanoseconds.
    Async {
        /// The distance.
        every_ns: u64,
    },
}

impl Flush {
    /// As RocketMQ flushes by default (`flushIntervalCommitLog`).
    pub const EVERY_HALF_SECOND: Self = Self::Async {
        every_ns: 500_000_000,
    };
}

/// No turn waits longer for a flush: half a heartbeat of the profile `lan`, nanoseconds.
pub const LONGEST_FLUSH_WAIT_NS: u64 = 25_000_000;

/// What a turn has to know besides its parts.
#[derive(Debug, Clone, Copy)]
pub struct TurnOptions {
    /// Ticks of a heartbeat, at most this many are caught up by a follower after a stall (L10).
    pub heartbeat_ticks: u32,
    /// Ticks that a leader catches up at most: two election timeouts.
    pub leader_catch_up_ticks: u32,
    /// Proposals that wait for a frame at most.
    pub waiting: usize,
    /// While a frame is on its way to a majority, a proposal waits for others at most twice the time that a commit takes,
    /// but so long at least, nanoseconds,
    pub linger_least_ns: u64,
    /// and so long at most.
    pub linger_most_ns: u64,
    /// A proposal that waited longer is refused with `Busy`, nanoseconds.
    pub wait_limit_ns: u64,
    /// An appended proposal that is undecided for longer is answered as unknown, nanoseconds.
    pub ack_timeout_ns: u64,
    /// Frames appended and not committed.
    pub uncommitted_frames: usize,
    /// Bytes committed that the views may be behind.
    pub behind_bytes: u64,
    /// Size of a segment, bytes.
    pub segment_size: u64,
    /// How long one survivor of a dead leader has before the next one's slot, nanoseconds: longer than a round of
    /// pre-votes.
    pub election_slot_ns: u64,
    /// Spreads the slots of survivors.
    pub seed: u64,
    /// Who must hold a message before its sender is told.
    pub acknowledgement: Acknowledgement,
    /// Whether the learners of the group are the slaves of a master ([`Mode::has_slaves`]).
    pub has_slaves: bool,
    /// When a frame counts as written.
    pub flush: Flush,
    /// A slave that is more bytes behind is taken for one that is not there (RocketMQ's `haSlaveFallbehindMax`).
    pub slave_behind_bytes: u64,
    /// A disk whose syncs are quicker than this is never slow, nanoseconds; 0 where none is.
    pub slow_sync_ns: u64,
}

impl Default for TurnOptions {
    fn default() -> Self {
        Self {
            heartbeat_ticks: 10,
            leader_catch_up_ticks: 120,
            waiting: 10_000,
            linger_least_ns: 500_000,
            linger_most_ns: 8_000_000,
            wait_limit_ns: 200_000_000,
            ack_timeout_ns: 2_500_000_000,
            uncommitted_frames: 10_000,
            behind_bytes: 256 << 20,
            segment_size: 64 << 20,
            election_slot_ns: 25_000_000,
            seed: 0,
            acknowledgement: Acknowledgement::Committed,
            has_slaves: false,
            flush: Flush::Sync,
            slave_behind_bytes: 256 << 20,
            slow_sync_ns: 20_000_000,
        }
    }
}
