//! Who a replica is: a member of the topology, and one life of it.

use thiserror::Error;

/// The id that the consensus engine knows: `replica number << 32 | incarnation`, never 0.
///
/// The incarnation counts the lives of a replica with unbroken memory: one that may have forgotten what it
/// acknowledged comes back under a new number, so that an old promise is never broken by it.
pub type ReplicaId = u64;

/// One member of a group, as the topology names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RaftMember {
    /// A letter and a number, unique in its group, for example `n0`.
    pub id: String,
    /// The number in the id plus 1; the broker id of a follower in routes.
    pub number: u32,
    /// `host:port` where the member listens for its peers; empty where it is to say so itself when it comes.
    pub address: String,
}

/// A member id that is not a letter followed by a number.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("member id {id:?} is not a letter followed by a number, such as n0")]
pub struct MemberIdError {
    /// What was given.
    pub id: String,
}

/// The replica number of a member id: the number in it plus 1, so that `n0` is 1.
///
/// # Errors
/// [`MemberIdError`] if the id is not one ASCII letter followed by digits, or the number does not fit.
pub fn member_number(id: &str) -> Result<u32, MemberIdError> {
    let refused = || MemberIdError { id: id.to_owned() };
    let mut characters = id.chars();
    if !characters.next().is_some_and(|c| c.is_ascii_alphabetic()) {
        return Err(refused());
    }
    let digits = characters.as_str();
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(refused());
    }
    digits
        .parse::<u32>()
        .ok()
        .and_then(|number| number.checked_add(1))
        .ok_or_else(refused)
}

/// The engine's id of a replica number in one of its lives.
pub const fn replica_id(number: u32, incarnation: u32) -> ReplicaId {
    (number as u64) << 32 | incarnation as u64
}

/// The replica number inside an engine id.
pub const fn replica_number(id: ReplicaId) -> u32 {
    (id >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_id_is_a_letter_and_a_number() {
        assert_eq!(member_number("n0"), Ok(1));
        assert_eq!(member_number("b17"), Ok(18));
        for bad in ["", "n", "0", "nn0", "n-1", "n4294967295", "n0x", "é0"] {
            assert!(member_number(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_engine_id_holds_number_and_incarnation_and_is_never_zero() {
        assert_eq!(replica_id(1, 1), 0x1_0000_0001);
        assert_eq!(replica_number(replica_id(3, 9)), 3);
    }
}
