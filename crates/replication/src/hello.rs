//! What a replica says of itself before anything else.
//!
//! Layout, big-endian; strings are a u16 length and UTF-8:
//! cluster, group, group id (16), member, id (u64), phase (u8), members digest (u64), mode (u8), last index,
//! last term, commit index, commit term (u64 each), header CRC at the commit index, feature level, heartbeat, least and greatest election
//! timeout (u32 each, ms), client address, peers' address (strings).

use thiserror::Error;

use crate::member::ReplicaId;

/// How far a replica is with the founding of its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Holds nothing.
    Empty = 0,
    /// Holds the first frame.
    Founding = 1,
    /// Its engine runs.
    Started = 2,
}

/// What a replica says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// Name of the cluster.
    pub cluster: String,
    /// Name of the group.
    pub group: String,
    /// The group's id, zeros while empty.
    pub group_id: [u8; 16],
    /// Member id.
    pub member: String,
    /// Engine id: replica number and incarnation.
    pub id: ReplicaId,
    /// How far its founding is.
    pub phase: Phase,
    /// Checksum of the members it knows.
    pub members_digest: u64,
    /// How its group replicates.
    pub mode: u8,
    /// Last index of its log.
    pub last_index: u64,
    /// Term at that index.
    pub last_term: u64,
    /// Greatest index that it knows to be committed.
    pub commit_index: u64,
    /// Term at that index.
    pub commit_term: u64,
    /// CRC of the frame header at that index: equal wherever index and term are.
    pub commit_crc: u32,
    /// Newest behaviour that it understands.
    pub feature_level: u32,
    /// Its heartbeat interval, ms.
    pub heartbeat_ms: u32,
    /// Its least election timeout, ms.
    pub election_min_ms: u32,
    /// Its greatest election timeout, ms.
    pub election_max_ms: u32,
    /// Where its clients reach it.
    pub client_address: String,
    /// Where its peers reach it: whom nobody has listed is dialled there.
    pub peer_address: String,
}

/// Why a peer was not connected. One byte on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PeerRefusal {
    /// It does not speak this protocol, or another version of it.
    #[error("it speaks another version of the peers' protocol")]
    Protocol,
    /// Another cluster's member.
    #[error("it belongs to another cluster")]
    UnknownCluster,
    /// Another group's member.
    #[error("it belongs to another group")]
    UnknownGroup,
    /// No member of the group.
    #[error("it is no member of the group")]
    UnknownMember,
    /// It replicates in another mode.
    #[error("its group has another mode")]
    WrongMode,
    /// The lists of members differ.
    #[error("it lists other members of the group; give all nodes the same topology")]
    MembersDiffer,
    /// The group ids differ.
    #[error("its data directory belongs to another founding of the group")]
    OtherFounding,
    /// It has lost its memory.
    #[error("its data directory is empty although its group was founded with it")]
    EmptyReplicaOfFoundedGroup,
    /// A newer life of this replica exists.
    #[error("it has been replaced by a newer incarnation")]
    ReplacedIncarnation,
    /// It shows less than it had confirmed.
    #[error("it shows less than it had confirmed")]
    ShowsLessThanConfirmed,
    /// Its log and a leader's differ at the same index and term.
    #[error(
        "its log differs from its leader's at an index and term that both have; one of the two is damaged or from elsewhere"
    )]
    DiffersFromLeader,
    /// Its log and ours differ at the same index and term.
    #[error("its log and ours differ at an index and term that both have")]
    Differs,
    /// It was taken out of the group.
    #[error("it was removed from the group")]
    Removed,
    /// It does not know the cluster secret.
    #[error("it does not know the cluster secret")]
    NotAuthenticated,
}

impl PeerRefusal {
    const ALL: [Self; 14] = [
        Self::Protocol,
        Self::UnknownCluster,
        Self::UnknownGroup,
        Self::UnknownMember,
        Self::WrongMode,
        Self::MembersDiffer,
        Self::OtherFounding,
        Self::EmptyReplicaOfFoundedGroup,
        Self::ReplacedIncarnation,
        Self::ShowsLessThanConfirmed,
        Self::NotAuthenticated,
        Self::DiffersFromLeader,
        Self::Differs,
        Self::Removed,
    ];

    /// The byte on the wire; 0 means accepted.
    pub fn byte(self) -> u8 {
        Self::ALL
            .iter()
            .position(|refusal| *refusal == self)
            .map_or(0, |at| at as u8 + 1)
    }

    /// `Ok(())` for 0; an unknown byte counts as another protocol.
    ///
    /// # Errors
    /// The refusal that the byte stands for.
    pub fn of_byte(byte: u8) -> Result<(), Self> {
        match byte.checked_sub(1) {
            None => Ok(()),
            Some(at) => Err(Self::ALL
                .get(usize::from(at))
                .copied()
                .unwrap_or(Self::Protocol)),
        }
    }
}

impl Hello {
    /// Term of its last frame; none if it has not read its log yet, and says nothing of it.
    pub fn shown_term(&self) -> Option<u64> {
        let is_reading = self.phase == Phase::Started && self.last_index == 0;
        (!is_reading).then_some(self.last_term)
    }

    /// The bytes on the wire. Names and addresses are shorter than 64 KiB.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(160);
        let string = |out: &mut Vec<u8>, text: &str| {
            let len = u16::try_from(text.len()).expect("names are short");
            out.extend_from_slice(&len.to_be_bytes());
            out.extend_from_slice(text.as_bytes());
        };
        string(&mut out, &self.cluster);
        string(&mut out, &self.group);
        out.extend_from_slice(&self.group_id);
        string(&mut out, &self.member);
        out.extend_from_slice(&self.id.to_be_bytes());
        out.push(self.phase as u8);
        out.extend_from_slice(&self.members_digest.to_be_bytes());
        out.push(self.mode);
        for value in [
            self.last_index,
            self.last_term,
            self.commit_index,
            self.commit_term,
        ] {
            out.extend_from_slice(&value.to_be_bytes());
        }
        for value in [
            self.commit_crc,
            self.feature_level,
            self.heartbeat_ms,
            self.election_min_ms,
            self.election_max_ms,
        ] {
            out.extend_from_slice(&value.to_be_bytes());
        }
        string(&mut out, &self.client_address);
        string(&mut out, &self.peer_address);
        out
    }

    /// `None` for bytes that are no hello, or have something behind it.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut from = HelloReader(bytes);
        let hello = Self {
            cluster: from.string()?,
            group: from.string()?,
            group_id: from.array()?,
            member: from.string()?,
            id: from.u64()?,
            phase: match from.array::<1>()? {
                [0] => Phase::Empty,
                [1] => Phase::Founding,
                [2] => Phase::Started,
                _ => return None,
            },
            members_digest: from.u64()?,
            mode: from.array::<1>()?[0],
            last_index: from.u64()?,
            last_term: from.u64()?,
            commit_index: from.u64()?,
            commit_term: from.u64()?,
            commit_crc: from.u32()?,
            feature_level: from.u32()?,
            heartbeat_ms: from.u32()?,
            election_min_ms: from.u32()?,
            election_max_ms: from.u32()?,
            client_address: from.string()?,
            peer_address: from.string()?,
        };
        from.0.is_empty().then_some(hello)
    }
}

struct HelloReader<'a>(&'a [u8]);

impl HelloReader<'_> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*array)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    fn string(&mut self) -> Option<String> {
        let len = usize::from(u16::from_be_bytes(self.array()?));
        let (text, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        std::str::from_utf8(text).ok().map(str::to_owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(number: u32) -> Hello {
        Hello {
            cluster: "c".to_owned(),
            group: "g".to_owned(),
            group_id: [7; 16],
            member: format!("n{}", number - 1),
            id: u64::from(number) << 32 | 1,
            phase: Phase::Started,
            members_digest: 99,
            mode: 3,
            last_index: 10,
            last_term: 2,
            commit_index: 9,
            commit_term: 2,
            commit_crc: 77,
            feature_level: 1,
            heartbeat_ms: 100,
            election_min_ms: 300,
            election_max_ms: 600,
            client_address: "127.0.0.1:10911".to_owned(),
            peer_address: "127.0.0.1:10912".to_owned(),
        }
    }

    #[test]
    fn a_hello_survives_the_round_trip_and_no_cut_of_it_passes() {
        let bytes = hello(2).encode();
        assert_eq!(Hello::decode(&bytes), Some(hello(2)));
        for len in 0..bytes.len() {
            assert_eq!(Hello::decode(&bytes[..len]), None, "{len} bytes");
        }
        let mut longer = bytes;
        longer.push(0);
        assert_eq!(Hello::decode(&longer), None);
    }

    #[test]
    fn every_refusal_has_a_byte_of_its_own() {
        for refusal in PeerRefusal::ALL {
            assert_eq!(PeerRefusal::of_byte(refusal.byte()), Err(refusal));
        }
        assert_eq!(PeerRefusal::of_byte(0), Ok(()));
        assert_eq!(PeerRefusal::of_byte(200), Err(PeerRefusal::Protocol));
    }
}
