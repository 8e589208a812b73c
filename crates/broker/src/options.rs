//! What a replica is started with.

use std::net::SocketAddr;
use std::path::PathBuf;

use tern_log::NEAR_BYTES;
use tern_replica::{Flush, Mode};
use tern_replication::{RaftMember, Timing};
use tern_requests::Settings;

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
    /// A disk whose syncs are quicker is never slow beside the others', nanoseconds; 0 where none is.
    pub slow_sync_ns: u64,
    /// Size of a segment for a new group, bytes.
    pub segment_size: u64,
    /// Recent frames kept in memory, bytes.
    pub ring_bytes: usize,
    /// Memory that this process and its page cache may use, bytes.
    pub memory_bytes: u64,
    /// Bytes from socket to answer, over all connections.
    pub in_flight_bytes: usize,
    /// Sends to unknown topics may create them; fixed when the group is founded.
    pub auto_create_topic: bool,
    /// Queues of an automatically created topic's template; fixed when the group is founded.
    pub default_topic_queues: u32,
    /// Request codes that are answered by the control plane.
    pub control_codes: Vec<i32>,
}

impl NodeOptions {
    /// How far behind the end of the log frames are taken to be in the page cache: an eighth of the memory, as what is
    /// written and read elsewhere is there, too.
    pub fn near_bytes(&self) -> u64 {
        NEAR_BYTES
            .min(self.memory_bytes / 8)
            .max(self.ring_bytes as u64)
    }
}
