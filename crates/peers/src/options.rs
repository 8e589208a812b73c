//! Addresses, limits and times of the streams.

use std::net::SocketAddr;
use std::time::Duration;

use tern_replication::RaftMember;

/// How the streams are set up.
#[derive(Debug, Clone)]
pub struct PeerOptions {
    /// Where peers connect.
    pub listen: SocketAddr,
    /// Own replica number.
    pub own: u32,
    /// All members, the own one among them.
    pub members: Vec<RaftMember>,
    /// Proves membership in the cluster; without one only loopback peers are accepted.
    pub secret: Option<Vec<u8>>,
    /// A peer that said nothing for this long is dialled anew (L43).
    pub silence: Duration,
    /// Longest message, bytes.
    pub message_limit: usize,
    /// Frames in one append, bytes; one frame may be longer.
    pub append_bytes: usize,
    /// Bytes of one peer's messages that may wait here to be acted upon, and bytes that may wait here for one peer.
    pub waiting_bytes: usize,
    /// Time for a handshake, from connect to the last byte.
    pub handshake_limit: Duration,
    /// Time for the first message of a handshake, which a member sends at once.
    pub opening_limit: Duration,
    /// Incoming connections that are in their handshake. A member has two more, once it has proven to be one.
    pub strangers: usize,
    /// Those of them that come from one address.
    pub strangers_of_address: usize,
}

impl PeerOptions {
    /// The usual limits.
    pub fn new(listen: SocketAddr, own: u32, members: Vec<RaftMember>, silence: Duration) -> Self {
        Self {
            listen,
            own,
            members,
            secret: None,
            silence,
            message_limit: 9 << 20,
            append_bytes: 1 << 20,
            waiting_bytes: 64 << 20,
            handshake_limit: Duration::from_secs(2),
            opening_limit: Duration::from_secs(1),
            strangers: 128,
            strangers_of_address: 32,
        }
    }
}
