//! Who is in a group, and how that changes: one step at a time, each a frame of kind 3.
//!
//! A frame holds the whole membership behind its step, so that whoever reads the newest one knows everything. Layout of
//! its payload, big-endian; strings are a u16 length and UTF-8:
//!
//! | off | size | field |
//! |--:|--:|---|
//! | 0 | 2 | version, 1 |
//! | 2 | 1 | step: 1 simple, 2 into a joint configuration, 3 out of it |
//! | 3 | 1 | zero |
//! | 4 | 8 | counts, 2 bytes each: voters, outgoing voters, learners, next learners |
//! | 12 | 2 | count of members |
//! | 14 | 8 each | ids of the configuration, in this order |
//! | … | | members: newest id (8), directory id (16), number of the member that it replaces or 0 (4), member id, address |

use thiserror::Error;

use crate::member::{ReplicaId, replica_id, replica_number};

/// Version of the payload.
const VERSION: u16 = 1;
const HEAD: usize = 14;
/// Members that a group remembers at most, those that were removed among them.
pub const MAX_MEMBERS: usize = 64;
/// A group of fewer voters is none that loses a member and goes on.
const LEAST_VOTERS: usize = 2;

/// Whose votes and copies count.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Configuration {
    /// Voters, ascending.
    pub voters: Vec<ReplicaId>,
    /// Voters of the configuration before, while a change is under way: a majority of these is needed, too.
    pub outgoing: Vec<ReplicaId>,
    /// Replicas that are sent everything and decide nothing.
    pub learners: Vec<ReplicaId>,
    /// Voters that become learners when the change is done. No change of ours makes any.
    pub learners_next: Vec<ReplicaId>,
}

impl Configuration {
    /// Whether two configurations must agree.
    pub fn is_joint(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// Whether a replica is in it, in any role.
    pub fn contains(&self, id: ReplicaId) -> bool {
        self.is_voter(id) || self.learners.contains(&id) || self.learners_next.contains(&id)
    }

    /// Whether a replica's vote counts.
    pub fn is_voter(&self, id: ReplicaId) -> bool {
        self.voters.contains(&id) || self.outgoing.contains(&id)
    }

    /// Whether those for whom `holds` is true are a majority, of both configurations where there are two.
    pub fn has_majority(&self, holds: impl Fn(ReplicaId) -> bool) -> bool {
        [&self.voters, &self.outgoing].into_iter().all(|voters| {
            let holders = voters.iter().filter(|id| holds(**id)).count();
            voters.is_empty() || holders > voters.len() / 2
        })
    }

    /// The same, each list in ascending order.
    #[must_use]
    pub fn sorted(mut self) -> Self {
        for ids in [
            &mut self.voters,
            &mut self.outgoing,
            &mut self.learners,
            &mut self.learners_next,
        ] {
            ids.sort_unstable();
        }
        self
    }

    fn lists(&self) -> [&Vec<ReplicaId>; 4] {
        [
            &self.voters,
            &self.outgoing,
            &self.learners,
            &self.learners_next,
        ]
    }
}

/// A member, as the log remembers it, also after it was removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberRecord {
    /// Its number, with the greatest incarnation that was ever given to it.
    pub id: ReplicaId,
    /// Id of the data directory of that incarnation; zeros for a member that is expected and has not come yet.
    pub directory: [u8; 16],
    /// Number of the member in whose place it becomes a voter; 0 for nobody's.
    pub replaces: u32,
    /// Member id, such as `n3`.
    pub name: String,
    /// `host:port` where it listens for its peers; empty where the topology says it.
    pub address: String,
}

/// What a change does to the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MembershipStep {
    /// Learners come or go.
    Simple = 1,
    /// Voters change: from here on the old and the new ones must agree.
    Joint = 2,
    /// The old ones are asked no more.
    Leave = 3,
}

/// A replica that is to become a learner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Newcomer {
    /// Its replica number.
    pub number: u32,
    /// Member id; empty for one that is remembered.
    pub name: String,
    /// Where it listens for its peers; empty for one that is remembered, or that the topology names.
    pub address: String,
    /// Id of its data directory; zeros if it has none yet.
    pub directory: [u8; 16],
    /// Number of the member in whose place it becomes a voter once it is whole; 0 for nobody's.
    pub replaces: u32,
}

/// Why a membership is not changed. Nothing was appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum MembershipRefusal {
    /// This replica does not lead.
    #[error("this replica does not lead")]
    NotLeader,
    /// Leadership is being handed over.
    #[error("leadership is being handed over")]
    Transferring,
    /// Groups of this mode keep their members.
    #[error("only a group in mode raft changes its members")]
    WrongMode,
    /// One change at a time.
    #[error("another change of the members is under way")]
    ChangeUnderWay,
    /// No member has this number.
    #[error("no member has number {0}")]
    UnknownMember(u32),
    /// It is a member already, with the same data directory.
    #[error("number {0} is a member already")]
    AlreadyMember(u32),
    /// The group would have fewer than two voters.
    #[error("fewer than two voters would be left")]
    TooFewVoters,
    /// More than a group remembers.
    #[error("a group remembers 64 members, removed ones among them")]
    TooManyMembers,
    /// The new voters could not commit anything.
    #[error("no majority of the new voters is in reach")]
    NoMajorityInReach,
    /// The log has no room for it at the moment.
    #[error("the log has no room for it")]
    NoRoom,
}

/// Bytes that are no membership.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the payload of a membership frame does not have its layout")]
pub struct MembershipFormatError;

/// A group's membership, and the step that led to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// The step.
    pub step: MembershipStep,
    /// Whose votes count behind it.
    pub configuration: Configuration,
    /// Everybody who ever was a member, by number, ascending.
    pub members: Vec<MemberRecord>,
}

impl Membership {
    /// The membership that a group was founded with: all are voters.
    pub fn founding(mut members: Vec<MemberRecord>) -> Self {
        members.sort_unstable_by_key(|member| member.id);
        let configuration = Configuration {
            voters: members.iter().map(|member| member.id).collect(),
            ..Configuration::default()
        };
        Self {
            step: MembershipStep::Simple,
            configuration,
            members,
        }
    }

    /// What is remembered of a number.
    pub fn member(&self, number: u32) -> Option<&MemberRecord> {
        let is_it = |member: &&MemberRecord| replica_number(member.id) == number;
        self.members.iter().find(is_it)
    }

    /// With a newcomer as a learner. One whose directory is another than before comes under its next incarnation: the
    /// number is never given twice.
    ///
    /// # Errors
    /// [`MembershipRefusal::ChangeUnderWay`], `AlreadyMember`, `UnknownMember` for who is to be replaced,
    /// `TooManyMembers`.
    pub fn add(&self, newcomer: &Newcomer) -> Result<Self, MembershipRefusal> {
        self.check_settled()?;
        let number = newcomer.number;
        let known = self.member(number);
        let is_member = |id| self.configuration.contains(id);
        if known.is_some_and(|known| known.directory == newcomer.directory && is_member(known.id)) {
            return Err(MembershipRefusal::AlreadyMember(number));
        }
        if known.is_none() && self.members.len() >= MAX_MEMBERS {
            return Err(MembershipRefusal::TooManyMembers);
        }
        let mut voters = self.configuration.voters.iter();
        let replaced = newcomer.replaces;
        if replaced != 0 && !voters.any(|id| replica_number(*id) == replaced) {
            return Err(MembershipRefusal::UnknownMember(replaced));
        }
        let mut record = MemberRecord {
            id: replica_id(number, 1),
            directory: newcomer.directory,
            replaces: replaced,
            name: newcomer.name.clone(),
            address: newcomer.address.clone(),
        };
        if let Some(known) = known {
            record.id = known.id + 1;
            // An expected one that has come is still expected in the same place.
            if replaced == 0 && self.configuration.learners.contains(&known.id) {
                record.replaces = known.replaces;
            }
            if record.name.is_empty() {
                record.name.clone_from(&known.name);
            }
            if record.address.is_empty() {
                record.address.clone_from(&known.address);
            }
        }
        let id = record.id;
        let mut members = self.without_record(number);
        members.push(record);
        members.sort_unstable_by_key(|member| member.id);
        let mut learners = self.configuration.learners.clone();
        learners.retain(|learner| replica_number(*learner) != number);
        learners.push(id);
        Ok(self.next(self.configuration.voters.clone(), learners, members))
    }

    /// Without a member, in whatever role.
    ///
    /// # Errors
    /// [`MembershipRefusal::ChangeUnderWay`], `UnknownMember`, `TooFewVoters`.
    pub fn remove(&self, number: u32) -> Result<Self, MembershipRefusal> {
        self.check_settled()?;
        let Configuration {
            mut voters,
            mut learners,
            ..
        } = self.configuration.clone();
        let before = (voters.len(), learners.len());
        voters.retain(|id| replica_number(*id) != number);
        learners.retain(|id| replica_number(*id) != number);
        if (voters.len(), learners.len()) == before {
            return Err(MembershipRefusal::UnknownMember(number));
        }
        if voters.len() < before.0.min(LEAST_VOTERS) {
            return Err(MembershipRefusal::TooFewVoters);
        }
        Ok(self.next(voters, learners, self.members.clone()))
    }

    /// With a learner as a voter, in the place of its earlier lives and of the member that it replaces.
    ///
    /// # Errors
    /// [`MembershipRefusal::ChangeUnderWay`], `UnknownMember` if it is no learner.
    pub fn promote(&self, learner: ReplicaId) -> Result<Self, MembershipRefusal> {
        self.check_settled()?;
        let number = replica_number(learner);
        let Configuration {
            mut voters,
            mut learners,
            ..
        } = self.configuration.clone();
        if !learners.contains(&learner) {
            return Err(MembershipRefusal::UnknownMember(number));
        }
        let mut members = self.members.clone();
        let mut replaced = 0;
        for member in &mut members {
            if member.id == learner {
                replaced = std::mem::take(&mut member.replaces);
            }
        }
        learners.retain(|id| *id != learner);
        voters.retain(|id| ![number, replaced].contains(&replica_number(*id)));
        voters.push(learner);
        Ok(self.next(voters, learners, members))
    }

    /// With the new voters alone.
    ///
    /// # Errors
    /// [`MembershipRefusal::ChangeUnderWay`] if there is no joint configuration: none is to be left.
    pub fn leave(&self) -> Result<Self, MembershipRefusal> {
        if !self.configuration.is_joint() {
            return Err(MembershipRefusal::ChangeUnderWay);
        }
        let mut configuration = self.configuration.clone();
        configuration.outgoing.clear();
        let next = std::mem::take(&mut configuration.learners_next);
        configuration.learners.extend(next);
        Ok(Self {
            step: MembershipStep::Leave,
            configuration: configuration.sorted(),
            members: self.members.clone(),
        })
    }

    fn check_settled(&self) -> Result<(), MembershipRefusal> {
        if self.configuration.is_joint() {
            return Err(MembershipRefusal::ChangeUnderWay);
        }
        Ok(())
    }

    fn without_record(&self, number: u32) -> Vec<MemberRecord> {
        let others = self.members.iter();
        let others = others.filter(|member| replica_number(member.id) != number);
        others.cloned().collect()
    }

    /// One learner more or less is a step by itself. Anything else takes the old and the new voters.
    fn next(
        &self,
        voters: Vec<ReplicaId>,
        learners: Vec<ReplicaId>,
        members: Vec<MemberRecord>,
    ) -> Self {
        let before = &self.configuration;
        let same_voters = voters == before.voters;
        let changed = difference(&learners, &before.learners).count()
            + difference(&before.learners, &learners).count();
        let is_simple = same_voters && changed == 1;
        let configuration = Configuration {
            outgoing: if is_simple {
                Vec::new()
            } else {
                before.voters.clone()
            },
            voters,
            learners,
            learners_next: Vec::new(),
        };
        Self {
            step: if is_simple {
                MembershipStep::Simple
            } else {
                MembershipStep::Joint
            },
            configuration: configuration.sorted(),
            members,
        }
    }

    /// The payload of the frame.
    ///
    /// # Panics
    /// If a name or an address is longer than 64 KiB: the configuration is checked long before.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEAD + 64 * self.members.len());
        out.extend_from_slice(&VERSION.to_be_bytes());
        out.extend_from_slice(&[self.step as u8, 0]);
        for ids in self.configuration.lists() {
            out.extend_from_slice(&(ids.len() as u16).to_be_bytes());
        }
        out.extend_from_slice(&(self.members.len() as u16).to_be_bytes());
        for id in self.configuration.lists().into_iter().flatten() {
            out.extend_from_slice(&id.to_be_bytes());
        }
        for member in &self.members {
            out.extend_from_slice(&member.id.to_be_bytes());
            out.extend_from_slice(&member.directory);
            out.extend_from_slice(&member.replaces.to_be_bytes());
            for text in [&member.name, &member.address] {
                let length = u16::try_from(text.len()).expect("names are short");
                out.extend_from_slice(&length.to_be_bytes());
                out.extend_from_slice(text.as_bytes());
            }
        }
        out
    }

    /// The membership of a payload.
    ///
    /// # Errors
    /// [`MembershipFormatError`] for any other bytes, more or fewer ones among them.
    pub fn decode(bytes: &[u8]) -> Result<Self, MembershipFormatError> {
        let mut rest = Rest(bytes);
        if rest.number::<2>()? != u64::from(VERSION) {
            return Err(MembershipFormatError);
        }
        let step = match rest.number::<2>()?.to_be_bytes()[6..] {
            [1, 0] => MembershipStep::Simple,
            [2, 0] => MembershipStep::Joint,
            [3, 0] => MembershipStep::Leave,
            _ => return Err(MembershipFormatError),
        };
        let mut counts = [0; 4];
        for count in &mut counts {
            *count = rest.number::<2>()?;
        }
        let members = rest.number::<2>()?;
        let mut lists = [const { Vec::new() }; 4];
        for (ids, count) in lists.iter_mut().zip(counts) {
            for _ in 0..count {
                ids.push(rest.number::<8>()?);
            }
        }
        let [voters, outgoing, learners, learners_next] = lists;
        let members: Result<Vec<_>, _> = (0..members).map(|_| rest.member()).collect();
        let membership = Self {
            step,
            configuration: Configuration {
                voters,
                outgoing,
                learners,
                learners_next,
            },
            members: members?,
        };
        if rest.0.is_empty() {
            Ok(membership)
        } else {
            Err(MembershipFormatError)
        }
    }
}

/// Ids of one list that are not in the other.
pub(crate) fn difference<'a>(
    of: &'a [ReplicaId],
    without: &'a [ReplicaId],
) -> impl Iterator<Item = ReplicaId> + 'a {
    of.iter().copied().filter(|id| !without.contains(id))
}

/// Bytes that have not been read.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], MembershipFormatError> {
        let (taken, rest) = self
            .0
            .split_at_checked(length)
            .ok_or(MembershipFormatError)?;
        self.0 = rest;
        Ok(taken)
    }

    fn number<const N: usize>(&mut self) -> Result<u64, MembershipFormatError> {
        let bytes = self.take(N)?;
        Ok(bytes
            .iter()
            .fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn text(&mut self) -> Result<String, MembershipFormatError> {
        let length = self.number::<2>()? as usize;
        let text = std::str::from_utf8(self.take(length)?);
        text.map(str::to_owned).map_err(|_| MembershipFormatError)
    }

    fn member(&mut self) -> Result<MemberRecord, MembershipFormatError> {
        Ok(MemberRecord {
            id: self.number::<8>()?,
            directory: self
                .take(16)?
                .try_into()
                .map_err(|_| MembershipFormatError)?,
            replaces: self.number::<4>()? as u32,
            name: self.text()?,
            address: self.text()?,
        })
    }
}
