//! What a replica is started with.

use std::net::SocketAddr;
use std::path::PathBuf;

use tern_replica::{Acknowledgement, Flush};
use tern_replication::{RaftMember, Timing};
use tern_requests::Settings;

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

/// Everything a replica is started with.
#[derive(Debug, Clone)]
pub struct NodeOptions {
    /// What handlers have to know.
    pub settings: Settings,
    /// Own member id.
    pub member: String,
    /// All members of the group.
    pub members: Vec<RaftMember>,
    /// How the group replicates.
    pub mode: Mode,
    /// The slaves of this master, or other slaves than this one, are in nobody's list: they come and say who they are.
    pub open: bool,
    /// When a frame counts as written. In mode `raft` always when it is on the disk.
    pub flush: Flush,
    /// Where clients connect.
    pub listen: SocketAddr,
    /// The second client port, two below the first.
    pub fast_listen: Option<SocketAddr>,
    /// Where peers connect.
    pub peer_listen: SocketAddr,
    /// The address that clients are told.
    pub advertise: String,
    /// Data directory of this replica.
    pub data: PathBuf,
    /// Authenticates members of the cluster to each other.
    pub secret: Option<Vec<u8>>,
    /// Heartbeat and election times.
    pub timing: Timing,
    /// Size of a segment for a new group, bytes.
    pub segment_size: u64,
    /// Recent frames kept in memory, bytes.
    pub ring_bytes: usize,
    /// Bytes from socket to answer, over all connections.
    pub in_flight_bytes: usize,
    /// Sends to unknown topics may create them; fixed when the group is founded.
    pub auto_create_topic: bool,
    /// Queues of an automatically created topic's template; fixed when the group is founded.
    pub default_topic_queues: u32,
    /// Request codes that are answered by the control plane.
    pub control_codes: Vec<i32>,
}
