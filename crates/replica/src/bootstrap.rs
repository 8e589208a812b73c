//! How a group begins (L20): nobody founds alone, and nobody begins before all have stored the same first frame.
//!
//! Every member says, again and again until it has started, what it holds ([`BootstrapMessage`]). When the lowest member
//! has heard from **every** other one that it is empty and has the same list of members, it draws the group's
//! id and builds frame 1. Members that hold frame 1 hand it to those that are empty. Who has heard that all
//! others hold it starts; a member that hears of one that has started may start as well, because that one had
//! heard it of all. A crash in between resumes the same founding: the mark `founding` in `raft.state` says so.
//!
//! A slave decides nothing, so it may lose its memory: an empty one takes frame 1 from its started master, and then the
//! rest of the log.
//!
//! An empty member that hears of a started one has lost its memory: it stops, and never votes under its old id. The
//! same must hold where it does not meet the started one first, and two rules see to that, as either alone leaves a way:
//!
//! - frame 1 names the data directories of the members as they were when the group was founded. A directory that was
//!   emptied since has another id, and its member does not take frame 1 from anybody;
//! - frame 1 is handed out only by a member that, since its own process began, has heard every other one below
//!   *started*. What it had heard before it was stopped it has forgotten.

use bytes::Bytes;
use hashbrown::HashMap;
use tern_log::DirectoryId;
use tern_log::planted::{Bug, is_planted};
use tern_replication::{PeerMessage, ReplicaId, replica_id};

/// How far a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum BootstrapStage {
    /// Holds nothing.
    Empty,
    /// Holds frame 1, and does not know yet that all others do.
    Stored,
    /// Its engine runs, or may run.
    Started,
}

/// What a member says about itself while a group is founded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootstrapMessage {
    /// How far it is.
    pub stage: BootstrapStage,
    /// Group id, zeros while empty.
    pub group_id: [u8; 16],
    /// Checksum of the members as its configuration lists them.
    pub members: u64,
    /// Id of its data directory.
    pub directory: DirectoryId,
    /// Frame 1, for a receiver that is empty; else nothing.
    pub frame: Bytes,
}

const BOOTSTRAP: u8 = 1;
const MESSAGE_BYTES: usize = 1 + 1 + 16 + 8 + 16;

impl BootstrapMessage {
    /// Layout: type 1, stage (one byte each), group id (16), members checksum (u64), directory id
    /// (16), frame 1 to the end.
    pub fn encode(&self) -> Bytes {
        let mut out = Vec::with_capacity(MESSAGE_BYTES + self.frame.len());
        out.push(BOOTSTRAP);
        out.push(match self.stage {
            BootstrapStage::Empty => 0,
            BootstrapStage::Stored => 1,
            BootstrapStage::Started => 2,
        });
        out.extend_from_slice(&self.group_id);
        out.extend_from_slice(&self.members.to_be_bytes());
        out.extend_from_slice(&self.directory);
        out.extend_from_slice(&self.frame);
        out.into()
    }

    /// `None` for bytes that are no bootstrap message.
    pub fn decode(bytes: &Bytes) -> Option<Self> {
        if bytes.len() < MESSAGE_BYTES || bytes[0] != BOOTSTRAP {
            return None;
        }
        Some(Self {
            stage: match bytes[1] {
                0 => BootstrapStage::Empty,
                1 => BootstrapStage::Stored,
                2 => BootstrapStage::Started,
                _ => return None,
            },
            group_id: bytes[2..18].try_into().ok()?,
            members: u64::from_be_bytes(bytes[18..26].try_into().ok()?),
            directory: bytes[26..42].try_into().ok()?,
            frame: bytes.slice(MESSAGE_BYTES..),
        })
    }
}

/// What has to be done now.
#[derive(Debug, PartialEq, Eq)]
pub enum BootstrapStep {
    /// Go on waiting.
    Waiting,
    /// Draw a group id, build frame 1, store and sync it with the mark `founding`, then say [`Bootstrap::stored`].
    Found,
    /// Store and sync this frame 1 with the mark `founding`, then say [`Bootstrap::stored`].
    Store {
        /// The group's id.
        group_id: [u8; 16],
        /// Frame 1 as the founder built it.
        frame: Bytes,
        /// The master that gave it to an empty slave; none while the group is founded.
        master: Option<u32>,
    },
    /// Clear the mark, start the engine.
    Start,
    /// This replica's directory is empty, but its group has been founded: it has lost its memory.
    DataLost,
    /// Another group, or another list of members, answers: the sentence says which.
    Contradiction(String),
}

/// What a founding starts from.
#[derive(Debug, Clone)]
pub struct BootstrapPlan {
    /// Own replica number.
    pub own: u32,
    /// Replica numbers of all members, the own one among them.
    pub members: Vec<u32>,
    /// Those that decide nothing: the slaves of a master. What is not among the members may come later.
    pub learners: Vec<u32>,
    /// Checksum of the members' ids and addresses.
    pub digest: u64,
    /// Id of the own data directory.
    pub directory: DirectoryId,
    /// Whom else to ask: those who came after the founding.
    pub later: Vec<u32>,
    /// Whether it joins a group that has begun, under an id that it is given, instead of stopping.
    pub joins: bool,
}

/// The founding of a group, seen from one member. Pure.
#[derive(Debug)]
pub struct Bootstrap {
    plan: BootstrapPlan,
    stage: BootstrapStage,
    group_id: [u8; 16],
    frame: Bytes,
    /// What the others said last, since this process began.
    heard: HashMap<u32, (BootstrapStage, DirectoryId)>,
    /// Ticks since each other member spoke last; none that never did.
    quiet: HashMap<u32, u32>,
    until_next: u32,
}

/// Ticks of 10 ms between two messages to a member.
const HAIL_EVERY_TICKS: u32 = 5;
/// Ticks after which a member that has not said anything is not there: twenty messages.
const ABSENT_AFTER_TICKS: u32 = 20 * HAIL_EVERY_TICKS;

impl Bootstrap {
    /// A member without anything on disk.
    pub fn empty(plan: BootstrapPlan) -> Self {
        Self {
            plan,
            stage: BootstrapStage::Empty,
            group_id: [0; 16],
            frame: Bytes::new(),
            heard: HashMap::new(),
            quiet: HashMap::new(),
            until_next: 0,
        }
    }

    /// A member that holds frame 1 already: it was stopped in the middle of a founding.
    pub fn resumed(plan: BootstrapPlan, group_id: [u8; 16], frame: Bytes) -> Self {
        Self {
            stage: BootstrapStage::Stored,
            group_id,
            frame,
            ..Self::empty(plan)
        }
    }

    /// Frame 1 is stored and synced here.
    pub fn stored(&mut self, group_id: [u8; 16], frame: Bytes) {
        self.stage = BootstrapStage::Stored;
        self.group_id = group_id;
        self.frame = frame;
        self.until_next = 0;
    }

    /// How far this member is.
    pub fn stage(&self) -> BootstrapStage {
        self.stage
    }

    /// The group's id; zeros while empty.
    pub fn group_id(&self) -> [u8; 16] {
        self.group_id
    }

    /// Id of a member's data directory, as it said last.
    pub fn directory_of(&self, number: u32) -> DirectoryId {
        if number == self.plan.own {
            return self.plan.directory;
        }
        self.heard
            .get(&number)
            .map_or([0; 16], |(_, directory)| *directory)
    }

    /// Members without which this one does not get on: those that are not there; if all are, those that are not yet so
    /// far as it needs them.
    pub fn waiting_for(&self) -> Vec<u32> {
        let absent = |other: &u32| {
            let quiet = self.quiet.get(other);
            quiet.is_none_or(|ticks| *ticks >= ABSENT_AFTER_TICKS)
        };
        let found: Vec<u32> = self.others().filter(absent).collect();
        if !found.is_empty() {
            return found;
        }
        let stage_of = |other: u32| self.heard.get(&other).map(|(stage, _)| *stage);
        let wanted = |other: &u32| match self.stage {
            BootstrapStage::Empty if self.founds() => {
                stage_of(*other) != Some(BootstrapStage::Empty)
            }
            BootstrapStage::Empty => self.plan.members.iter().min() == Some(other),
            _ => stage_of(*other) < Some(BootstrapStage::Stored),
        };
        self.others().filter(wanted).collect()
    }

    /// Time passes: messages go out now and then.
    pub fn tick(&mut self, ticks: u32, out: &mut Vec<PeerMessage>) {
        for quiet in self.quiet.values_mut() {
            *quiet = quiet.saturating_add(ticks);
        }
        self.until_next = self.until_next.saturating_sub(ticks);
        if self.until_next > 0 {
            return;
        }
        self.until_next = HAIL_EVERY_TICKS;
        let others: Vec<u32> = self.others().collect();
        let later = self.plan.later.iter().copied();
        for to in others.into_iter().chain(later) {
            out.push(self.message_to(to));
        }
    }

    /// Whether this member was there when its group was to be founded.
    fn is_founder(&self) -> bool {
        self.plan.members.contains(&self.plan.own)
    }

    /// The answer of a started member to a message from one that has not: it lets the other start, or shows it
    /// that it was wiped. `frame` is frame 1 for an empty slave, else nothing.
    pub fn answer_of_started(
        own: ReplicaId,
        to: ReplicaId,
        group_id: [u8; 16],
        members: u64,
        frame: Bytes,
    ) -> PeerMessage {
        let message = BootstrapMessage {
            stage: BootstrapStage::Started,
            group_id,
            members,
            directory: [0; 16],
            frame,
        };
        PeerMessage::status(own, to, message.encode())
    }

    /// A message arrived.
    pub fn hear(&mut self, from: u32, message: &BootstrapMessage) -> BootstrapStep {
        if !self.plan.members.contains(&from) || from == self.plan.own || !self.is_founder() {
            return BootstrapStep::Waiting;
        }
        self.quiet.insert(from, 0);
        if message.members != self.plan.digest {
            return BootstrapStep::Contradiction(format!(
                "member {from} lists other members of this group than this node does; give all nodes the same topology"
            ));
        }
        if self.stage == BootstrapStage::Empty && message.stage == BootstrapStage::Started {
            return self.meet_started(from, message);
        }
        if self.stage != BootstrapStage::Empty
            && message.stage != BootstrapStage::Empty
            && message.group_id != self.group_id
        {
            return BootstrapStep::Contradiction(format!(
                "member {from} belongs to another founding of this group; one of the two data directories is from elsewhere"
            ));
        }
        if let Some((stage, _)) = self.heard.get(&from)
            && *stage > message.stage
            && !self.plan.learners.contains(&from)
        {
            // It held frame 1 and is empty now. It is not given the frame again: it may have voted.
            return BootstrapStep::Waiting;
        }
        self.heard.insert(from, (message.stage, message.directory));
        self.decide(message)
    }

    /// Empty, and the group has begun. A master gives frame 1 to its slaves alone, and knows who they are.
    fn meet_started(&self, from: u32, message: &BootstrapMessage) -> BootstrapStep {
        if !message.frame.is_empty() {
            return BootstrapStep::Store {
                group_id: message.group_id,
                frame: message.frame.clone(),
                master: Some(from),
            };
        }
        if self.plan.learners.contains(&self.plan.own) || self.plan.joins {
            return BootstrapStep::Waiting;
        }
        BootstrapStep::DataLost
    }

    fn decide(&self, message: &BootstrapMessage) -> BootstrapStep {
        match self.stage {
            BootstrapStage::Empty
                if message.stage == BootstrapStage::Stored && !message.frame.is_empty() =>
            {
                BootstrapStep::Store {
                    group_id: message.group_id,
                    frame: message.frame.clone(),
                    master: None,
                }
            }
            BootstrapStage::Empty
                if self.founds() && self.heard_all(|stage| stage == BootstrapStage::Empty) =>
            {
                BootstrapStep::Found
            }
            BootstrapStage::Stored
                if message.stage == BootstrapStage::Started
                    || self.heard_all(|stage| stage >= BootstrapStage::Stored) =>
            {
                BootstrapStep::Start
            }
            _ => BootstrapStep::Waiting,
        }
    }

    fn founds(&self) -> bool {
        self.plan.members.iter().min() == Some(&self.plan.own)
    }

    fn heard_all(&self, wanted: impl Fn(BootstrapStage) -> bool) -> bool {
        self.others().all(|other| {
            self.heard
                .get(&other)
                .is_some_and(|(stage, _)| wanted(*stage))
        })
    }

    fn others(&self) -> impl Iterator<Item = u32> {
        let own = self.plan.own;
        self.plan.members.iter().copied().filter(move |n| *n != own)
    }

    /// Nobody can have started: else an empty member may be one that has voted and forgotten it. A slave never has.
    fn may_hand_out(&self, to: u32) -> bool {
        self.plan.learners.contains(&to)
            || self.heard_all(|stage| stage < BootstrapStage::Started)
            || is_planted(Bug::FrameOneToAnyone)
    }

    fn message_to(&self, to: u32) -> PeerMessage {
        let is_empty = matches!(self.heard.get(&to), Some((BootstrapStage::Empty, _)));
        let needs_frame = self.stage == BootstrapStage::Stored && is_empty && self.may_hand_out(to);
        let message = BootstrapMessage {
            stage: self.stage,
            group_id: self.group_id,
            members: self.plan.digest,
            directory: self.plan.directory,
            frame: if needs_frame {
                self.frame.clone()
            } else {
                Bytes::new()
            },
        };
        PeerMessage::status(
            replica_id(self.plan.own, 1),
            replica_id(to, 1),
            message.encode(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;
    use tern_replication::replica_number;

    const GROUP: [u8; 16] = [7; 16];

    fn plan(own: u32) -> BootstrapPlan {
        BootstrapPlan {
            own,
            members: vec![1, 2, 3],
            learners: Vec::new(),
            digest: 42,
            directory: [own as u8; 16],
            later: Vec::new(),
            joins: false,
        }
    }

    /// Three members over a lossy network: `lost` says which message is dropped.
    fn found(mut lost: impl FnMut(usize) -> bool) -> Vec<bool> {
        let mut members: Vec<Bootstrap> = (1..=3).map(|own| Bootstrap::empty(plan(own))).collect();
        let mut started = vec![false; 3];
        let mut sent = 0;
        for _ in 0..200 {
            let mut wire = VecDeque::new();
            for (at, member) in members.iter_mut().enumerate() {
                let mut out = Vec::new();
                if !started[at] {
                    member.tick(5, &mut out);
                }
                wire.extend(out);
            }
            while let Some(message) = wire.pop_front() {
                sent += 1;
                if lost(sent) {
                    continue;
                }
                let to = replica_number(message.to) as usize - 1;
                let from = replica_number(message.from);
                if started[to] {
                    if !started[from as usize - 1] {
                        wire.push_back(Bootstrap::answer_of_started(
                            message.to,
                            message.from,
                            GROUP,
                            42,
                            Bytes::new(),
                        ));
                    }
                    continue;
                }
                let message = BootstrapMessage::decode(&message.context).unwrap();
                match members[to].hear(from, &message) {
                    BootstrapStep::Waiting => {}
                    BootstrapStep::Found => {
                        assert_eq!(to, 0, "only the lowest member founds");
                        members[to].stored(GROUP, Bytes::from_static(b"frame 1"));
                    }
                    BootstrapStep::Store {
                        group_id, frame, ..
                    } => {
                        members[to].stored(group_id, frame);
                    }
                    BootstrapStep::Start => {
                        assert!(
                            members.iter().all(|m| m.stage() >= BootstrapStage::Stored),
                            "nobody starts before all have stored"
                        );
                        started[to] = true;
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
        started
    }

    #[test]
    fn three_empty_members_found_one_group() {
        assert_eq!(found(|_| false), [true, true, true]);
    }

    #[test]
    fn a_founding_survives_lost_messages() {
        for seed in 0..50_usize {
            let started = found(|n| (n * 7919 + seed * 104_729) % 10 < 4);
            assert_eq!(started, [true, true, true], "seed {seed}");
        }
    }

    #[test]
    fn nobody_founds_while_one_member_is_silent() {
        let mut first = Bootstrap::empty(plan(1));
        let empty = BootstrapMessage {
            stage: BootstrapStage::Empty,
            group_id: [0; 16],
            members: 42,
            directory: [2; 16],
            frame: Bytes::new(),
        };
        assert_eq!(first.hear(2, &empty), BootstrapStep::Waiting);
        assert_eq!(first.hear(2, &empty), BootstrapStep::Waiting);
        assert_eq!(first.hear(3, &empty), BootstrapStep::Found);
    }

    #[test]
    fn a_founding_names_the_members_that_it_waits_for() {
        let mut first = Bootstrap::empty(plan(1));
        let mut out = Vec::new();
        let message = |stage| BootstrapMessage {
            stage,
            group_id: [0; 16],
            members: 42,
            directory: [2; 16],
            frame: Bytes::new(),
        };
        assert_eq!(first.waiting_for(), [2, 3]);
        first.hear(2, &message(BootstrapStage::Empty));
        assert_eq!(first.waiting_for(), [3]);
        // One that has gone again is waited for anew, though the founding remembers what it said.
        first.tick(ABSENT_AFTER_TICKS, &mut out);
        assert_eq!(first.waiting_for(), [2, 3]);
        first.hear(2, &message(BootstrapStage::Empty));
        first.hear(3, &message(BootstrapStage::Empty));
        first.stored(GROUP, Bytes::from_static(b"frame 1"));
        assert_eq!(first.waiting_for(), [2, 3], "both have to store it");
        first.hear(
            2,
            &BootstrapMessage {
                group_id: GROUP,
                ..message(BootstrapStage::Stored)
            },
        );
        assert_eq!(first.waiting_for(), [3]);

        let mut second = Bootstrap::empty(plan(2));
        second.hear(1, &message(BootstrapStage::Empty));
        second.hear(3, &message(BootstrapStage::Empty));
        assert_eq!(second.waiting_for(), [1], "the lowest founds");
    }

    #[test]
    fn an_empty_member_of_a_founded_group_learns_that_it_was_wiped() {
        let mut wiped = Bootstrap::empty(plan(2));
        let started = BootstrapMessage {
            stage: BootstrapStage::Started,
            group_id: GROUP,
            members: 42,
            directory: [2; 16],
            frame: Bytes::new(),
        };
        assert_eq!(wiped.hear(1, &started), BootstrapStep::DataLost);
    }

    /// What member 3, stopped in the middle of a founding and started again, hands to member 2.
    fn handed_to_the_empty(first: Option<BootstrapStage>) -> Bytes {
        let mut resumed = Bootstrap::resumed(plan(3), GROUP, Bytes::from_static(b"frame 1"));
        let message = |stage| BootstrapMessage {
            stage,
            group_id: if stage == BootstrapStage::Empty {
                [0; 16]
            } else {
                GROUP
            },
            members: 42,
            directory: [2; 16],
            frame: Bytes::new(),
        };
        resumed.hear(2, &message(BootstrapStage::Empty));
        if let Some(stage) = first {
            resumed.hear(1, &message(stage));
        }
        let mut out = Vec::new();
        resumed.tick(5, &mut out);
        let to_second = out.iter().find(|m| replica_number(m.to) == 2).unwrap();
        BootstrapMessage::decode(&to_second.context).unwrap().frame
    }

    #[test]
    fn a_resumed_member_hands_frame_one_out_only_after_it_has_heard_all_others_below_started() {
        assert!(handed_to_the_empty(None).is_empty());
        assert!(handed_to_the_empty(Some(BootstrapStage::Started)).is_empty());
        assert_eq!(
            handed_to_the_empty(Some(BootstrapStage::Stored)).as_ref(),
            b"frame 1"
        );
        assert_eq!(
            handed_to_the_empty(Some(BootstrapStage::Empty)).as_ref(),
            b"frame 1"
        );
    }

    #[test]
    fn a_member_that_lost_frame_one_is_not_given_it_again() {
        let mut holder = Bootstrap::resumed(plan(1), GROUP, Bytes::from_static(b"frame 1"));
        let stored = BootstrapMessage {
            stage: BootstrapStage::Stored,
            group_id: GROUP,
            members: 42,
            directory: [2; 16],
            frame: Bytes::new(),
        };
        let empty = BootstrapMessage {
            stage: BootstrapStage::Empty,
            group_id: [0; 16],
            ..stored.clone()
        };
        assert_eq!(holder.hear(2, &stored), BootstrapStep::Waiting);
        assert_eq!(holder.hear(2, &empty), BootstrapStep::Waiting);
        let mut out = Vec::new();
        holder.tick(5, &mut out);
        let again = BootstrapMessage::decode(&out[0].context).unwrap();
        assert!(again.frame.is_empty());
    }

    #[test]
    fn another_list_of_members_is_named_as_a_contradiction() {
        let mut first = Bootstrap::empty(plan(1));
        let other = BootstrapMessage {
            stage: BootstrapStage::Empty,
            group_id: [0; 16],
            members: 43,
            directory: [2; 16],
            frame: Bytes::new(),
        };
        assert!(matches!(
            first.hear(2, &other),
            BootstrapStep::Contradiction(_)
        ));
    }

    #[test]
    fn arbitrary_bytes_are_no_bootstrap_message() {
        for len in 0..60 {
            let bytes = Bytes::from(vec![0xff; len]);
            assert_eq!(BootstrapMessage::decode(&bytes), None);
        }
    }
}
