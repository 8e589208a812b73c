//! How a replica without memory comes into a group that has begun (L21): it asks, and is given an id that nobody had.
//!
//! Who is empty says so to everybody, with the id of its data directory. The leader has a learner with the next incarnation
//! of that number committed, and names it to the directory that it is for. Whoever sees it in force hands it out, again
//! and again the same, together with frame 1; then the log comes as it comes to every follower.

use bytes::Bytes;
use tern_log::DirectoryId;
use tern_replication::{PeerMessage, ReplicaId};

const JOIN: u8 = 3;
const HEAD: usize = 1 + 16 + 16 + 8;

/// What an empty replica is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinGrant {
    /// The group's id.
    pub group_id: [u8; 16],
    /// The data directory that it is for.
    pub directory: DirectoryId,
    /// The id under which that directory joins.
    pub id: ReplicaId,
    /// Frame 1.
    pub frame: Bytes,
}

impl JoinGrant {
    /// Layout, big-endian: type 3 (1), group id (16), directory id (16), replica id (8), frame 1 to the end.
    pub fn encode(&self) -> Bytes {
        let mut out = Vec::with_capacity(HEAD + self.frame.len());
        out.push(JOIN);
        out.extend_from_slice(&self.group_id);
        out.extend_from_slice(&self.directory);
        out.extend_from_slice(&self.id.to_be_bytes());
        out.extend_from_slice(&self.frame);
        out.into()
    }

    /// `None` for bytes that are no grant.
    pub fn decode(bytes: &Bytes) -> Option<Self> {
        if bytes.len() <= HEAD || bytes[0] != JOIN {
            return None;
        }
        Some(Self {
            group_id: bytes[1..17].try_into().ok()?,
            directory: bytes[17..33].try_into().ok()?,
            id: u64::from_be_bytes(bytes[33..HEAD].try_into().ok()?),
            frame: bytes.slice(HEAD..),
        })
    }

    /// As a message of a started replica to the one that has asked.
    pub fn message(&self, own: ReplicaId, to: ReplicaId) -> PeerMessage {
        PeerMessage::status(own, to, self.encode())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk_report::DiskReport;

    #[test]
    fn a_grant_survives_the_round_trip_and_nothing_else_is_one() {
        let grant = JoinGrant {
            group_id: [1; 16],
            directory: [9; 16],
            id: 2 << 32 | 3,
            frame: Bytes::from_static(b"frame 1"),
        };
        let bytes = grant.encode();
        assert_eq!(JoinGrant::decode(&bytes), Some(grant));
        for length in 0..=HEAD {
            assert_eq!(JoinGrant::decode(&bytes.slice(..length)), None);
        }
        // The other status messages begin with another byte, whatever comes behind.
        assert_eq!(DiskReport::decode(&bytes), None);
        let mut other = bytes.to_vec();
        other[0] = 1;
        assert_eq!(JoinGrant::decode(&other.into()), None);
    }
}
