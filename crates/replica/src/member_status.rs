//! What a replica says of itself to its peers, and whom it takes for one: pure, so that the simulator opens its
//! connections by the same rules as the sockets of a process.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;
use tern_log::{DirectoryId, LogReader, RaftState};
use tern_replication::{
    Hello, Membership, PeerMessage, PeerRefusal, Phase, ReplicaId, Role, Status, Timing,
    replica_id, replica_number,
};

use crate::bootstrap::{Bootstrap, BootstrapMessage, BootstrapStage};
use crate::joining::JoinGrant;
use crate::options::Mode;

/// What does not change about a replica.
#[derive(Debug, Clone)]
pub struct MemberIdentity {
    /// Name of the cluster.
    pub cluster: String,
    /// Name of the group.
    pub group: String,
    /// Own member id.
    pub member: String,
    /// Own replica number.
    pub own: u32,
    /// Replica numbers of all members.
    pub members: Vec<u32>,
    /// Checksum of the members' ids and addresses.
    pub digest: u64,
    /// How the group replicates, as a number on the wire.
    pub mode: u8,
    /// Where clients reach it.
    pub client_address: String,
    /// Where peers reach it.
    pub peer_address: String,
    /// Heartbeat and election times.
    pub timing: Timing,
    /// Whether an empty replica joins under a new id; else it is refused, and stops.
    pub joins: bool,
}

/// What a peer has confirmed, of its newest life.
struct PeerMarks {
    number: u32,
    id: AtomicU64,
    /// It has confirmed that to this leader, and the group has committed it: it cannot show less.
    confirmed: AtomicU64,
    /// It has persisted that, committed or not; 0 unless this replica leads.
    matched: AtomicU64,
}

/// How far this replica is with its founding, and what its peers have confirmed to it.
pub struct MemberStatus {
    identity: MemberIdentity,
    phase: Mutex<(Phase, [u8; 16])>,
    /// What the log holds is known, unless the group has been founded only in part: that is read after peers are dialled.
    is_read: AtomicBool,
    /// Replica numbers that the founding waits for.
    awaited: Mutex<Vec<u32>>,
    leads: AtomicBool,
    /// Members that decide nothing: the slaves of a master. Another one may become the master.
    learners: Mutex<Vec<u32>>,
    peers: Vec<PeerMarks>,
    own: AtomicU64,
    /// As it is in force here; none where members do not change.
    membership: Mutex<Option<Membership>>,
    /// Empty replicas that have asked to join, with their directories.
    asked: Mutex<Vec<(u32, DirectoryId)>>,
}

impl MemberStatus {
    /// A replica whose engine may not have started, with what its `raft.state` says. One that is marked as being founded
    /// calls itself empty until its log has been [read](Self::read).
    /// `learners`: of a group that has not been founded.
    pub fn new(identity: MemberIdentity, learners: Vec<u32>, state: Option<&RaftState>) -> Self {
        let remembered = state.map(|state| {
            let learners = state.learners.iter();
            learners.map(|id| replica_number(*id)).collect()
        });
        let phase = match state {
            Some(state) if !state.founding => (Phase::Started, state.group_id),
            _ => (Phase::Empty, [0; 16]),
        };
        let is_read = state.is_none_or(|state| !state.founding);
        let peers = identity.members.iter().map(|number| PeerMarks {
            number: *number,
            id: AtomicU64::new(replica_id(*number, 1)),
            confirmed: AtomicU64::new(0),
            matched: AtomicU64::new(0),
        });
        let own = state.map_or(replica_id(identity.own, 1), |state| state.own_id);
        Self {
            peers: peers.collect(),
            own: AtomicU64::new(own),
            membership: Mutex::new(None),
            asked: Mutex::new(Vec::new()),
            identity,
            phase: Mutex::new(phase),
            is_read: AtomicBool::new(is_read),
            awaited: Mutex::new(Vec::new()),
            leads: AtomicBool::new(false),
            learners: Mutex::new(remembered.unwrap_or(learners)),
        }
    }

    /// What does not change.
    pub fn identity(&self) -> &MemberIdentity {
        &self.identity
    }

    /// Own id in the consensus engine.
    pub fn own(&self) -> ReplicaId {
        self.own.load(Ordering::Relaxed)
    }

    /// It has joined under this id.
    pub fn become_replica(&self, id: ReplicaId) {
        self.own.store(id, Ordering::Relaxed);
    }

    /// This membership is in force here.
    pub fn set_membership(&self, membership: &Membership) {
        for peer in &self.peers {
            let Some(member) = membership.member(peer.number) else {
                continue;
            };
            if peer.id.swap(member.id, Ordering::Relaxed) != member.id {
                peer.confirmed.store(0, Ordering::Relaxed);
                peer.matched.store(0, Ordering::Relaxed);
            }
        }
        *self.membership.lock() = Some(membership.clone());
    }

    /// Empty replicas that have asked to join since this was last asked.
    pub fn take_asked(&self) -> Vec<(u32, DirectoryId)> {
        std::mem::take(&mut *self.asked.lock())
    }

    /// It is so far now.
    pub fn enter(&self, phase: Phase, group_id: [u8; 16]) {
        *self.phase.lock() = (phase, group_id);
        self.is_read.store(true, Ordering::Release);
    }

    /// What its disk holds of a founding that has not ended is known now.
    pub fn read(&self, founding: &Bootstrap) {
        match founding.stage() {
            BootstrapStage::Stored => self.enter(Phase::Founding, founding.group_id()),
            _ => self.enter(Phase::Empty, [0; 16]),
        }
    }

    /// How far it is, and the group's id, zeros while empty.
    pub fn phase(&self) -> (Phase, [u8; 16]) {
        *self.phase.lock()
    }

    /// The founding waits for these members now.
    pub fn await_members(&self, numbers: Vec<u32>) {
        *self.awaited.lock() = numbers;
    }

    /// Members that the founding waits for; none once the group has begun.
    pub fn awaited(&self) -> Vec<u32> {
        match self.phase().0 {
            Phase::Started => Vec::new(),
            _ => self.awaited.lock().clone(),
        }
    }

    /// Another member has become the master.
    pub fn set_learners(&self, learners: Vec<u32>) {
        *self.learners.lock() = learners;
    }

    fn is_learner(&self, number: u32) -> bool {
        self.learners.lock().contains(&number)
    }

    /// After a turn: whether this replica leads, and what its members have confirmed.
    pub fn progressed(&self, status: &Status, matched: impl Fn(ReplicaId) -> u64) {
        let leads = status.role == Role::Leader;
        if leads {
            for peer in &self.peers {
                let index = matched(peer.id.load(Ordering::Relaxed));
                peer.matched.store(index, Ordering::Relaxed);
                let confirmed = index.min(status.commit);
                peer.confirmed.store(confirmed, Ordering::Relaxed);
            }
        } else if self.leads.load(Ordering::Relaxed) {
            for peer in &self.peers {
                peer.confirmed.store(0, Ordering::Relaxed);
                peer.matched.store(0, Ordering::Relaxed);
            }
        }
        self.leads.store(leads, Ordering::Release);
    }

    /// What a member cannot show less than; 0 if nothing is known. To be asked **before** it is dialled: what it says is
    /// made after that, so it is no older.
    pub fn confirmed(&self, number: u32) -> u64 {
        let known = self.peers.iter().find(|peer| peer.number == number);
        known.map_or(0, |peer| peer.confirmed.load(Ordering::Relaxed))
    }

    /// Replica numbers of the others, each with the last frame that it has persisted, as of the last turn: those from which
    /// this leader has heard since it leads. Nobody if it does not lead.
    pub fn followers(&self) -> Vec<(u32, u64)> {
        let peers = self.peers.iter();
        peers
            .map(|peer| (peer.number, peer.matched.load(Ordering::Relaxed)))
            .filter(|(number, index)| *number != self.identity.own && *index > 0)
            .collect()
    }

    /// What this replica says, with the marks of its log if that has been read. `commit` is an index it has applied.
    pub fn hello(&self, log: Option<(&LogReader, u64)>) -> Hello {
        let identity = &self.identity;
        let (phase, group_id) = self.phase();
        let [heartbeat_ms, election_min_ms, election_max_ms] = [
            identity.timing.heartbeat_ticks,
            identity.timing.election_min_ticks,
            identity.timing.election_max_ticks,
        ]
        .map(|ticks| ticks * 10);
        let mark = |index: u64| {
            let header = log.and_then(|(log, _)| log.header(index).ok());
            header.map_or((0, 0, 0), |header| (index, header.term, header.header_crc))
        };
        let (last_index, last_term, _) = mark(log.map_or(0, |(log, _)| log.end().index));
        let (commit_index, commit_term, commit_crc) = mark(log.map_or(0, |(_, commit)| commit));
        Hello {
            cluster: identity.cluster.clone(),
            group: identity.group.clone(),
            group_id,
            member: identity.member.clone(),
            id: self.own(),
            phase,
            members_digest: identity.digest,
            mode: identity.mode,
            last_index,
            last_term,
            commit_index,
            commit_term,
            commit_crc,
            feature_level: tern_state::FEATURE_LEVEL,
            heartbeat_ms,
            election_min_ms,
            election_max_ms,
            client_address: identity.client_address.clone(),
            peer_address: identity.peer_address.clone(),
        }
    }

    /// Whether a peer that says this of itself is one. `confirmed` is what [`Self::confirmed`] answered before it was
    /// asked, 0 where it spoke first.
    ///
    /// # Errors
    /// The refusal, which the peer is told.
    pub fn judge(
        &self,
        theirs: &Hello,
        confirmed: u64,
        log: Option<&LogReader>,
    ) -> Result<(), PeerRefusal> {
        let identity = &self.identity;
        let (phase, group_id) = self.phase();
        let both_founded = phase != Phase::Empty && theirs.phase != Phase::Empty;
        let number = replica_number(theirs.id);
        if theirs.cluster != identity.cluster {
            Err(PeerRefusal::UnknownCluster)
        } else if theirs.group != identity.group {
            Err(PeerRefusal::UnknownGroup)
        } else if !identity.members.contains(&number) {
            Err(PeerRefusal::UnknownMember)
        } else if kind_of_mode(theirs.mode) != kind_of_mode(identity.mode) {
            Err(PeerRefusal::WrongMode)
        } else if theirs.members_digest != identity.digest {
            Err(PeerRefusal::MembersDiffer)
        } else if let Some(refusal) = self.judge_life(theirs) {
            Err(refusal)
        } else if both_founded && theirs.group_id != group_id {
            Err(PeerRefusal::OtherFounding)
        } else if phase == Phase::Started
            && theirs.phase == Phase::Empty
            && !self.is_learner(number)
            && !identity.joins
        {
            Err(PeerRefusal::EmptyReplicaOfFoundedGroup)
        } else if theirs.phase == Phase::Started && theirs.last_index > 0 {
            self.judge_log(theirs, confirmed, log)
        } else {
            Ok(())
        }
    }

    /// Whether a peer is out of the group for good. An id is never given again, so whoever knows that it was taken out, or
    /// that its number came in a later life, is right, however old that knowledge is. A leader says so all the same, and
    /// nobody else: while others have not heard that the step is committed, they may need the peer's vote to find a leader.
    /// Who is empty has no id yet.
    fn judge_life(&self, theirs: &Hello) -> Option<PeerRefusal> {
        let number = replica_number(theirs.id);
        if theirs.phase == Phase::Empty && self.identity.joins {
            return None;
        }
        let membership = self.membership.lock();
        let Some(membership) = &*membership else {
            // Nothing is known where this replica has no memory itself.
            let is_known = self.identity.joins || theirs.id == replica_id(number, 1);
            return (!is_known).then_some(PeerRefusal::ReplacedIncarnation);
        };
        let newest = membership.member(number)?.id;
        if !self.leads.load(Ordering::Acquire)
            || newest < theirs.id
            || membership.configuration.contains(theirs.id)
        {
            None
        } else if newest == theirs.id {
            Some(PeerRefusal::Removed)
        } else {
            Some(PeerRefusal::ReplacedIncarnation)
        }
    }

    /// A started peer whose log has been read. One that has not read it yet says 0 and is judged by its appends.
    fn judge_log(
        &self,
        theirs: &Hello,
        confirmed: u64,
        log: Option<&LogReader>,
    ) -> Result<(), PeerRefusal> {
        // A slave has promised nothing, and is asked anew.
        let is_slave = self.is_learner(replica_number(theirs.id));
        let mut known = self.peers.iter();
        let is_known = known.any(|peer| peer.id.load(Ordering::Relaxed) == theirs.id);
        if theirs.last_index < confirmed && is_known && !is_slave {
            return Err(PeerRefusal::ShowsLessThanConfirmed);
        }
        let own = log.and_then(|log| log.header(theirs.commit_index).ok());
        let differs = own.is_some_and(|own| {
            own.term == theirs.commit_term && own.header_crc != theirs.commit_crc
        });
        match (differs, self.leads.load(Ordering::Acquire)) {
            (false, _) => Ok(()),
            (true, true) => Err(PeerRefusal::DiffersFromLeader),
            (true, false) => Err(PeerRefusal::Differs),
        }
    }

    /// What a refusal by a peer means for this replica: a sentence if it must stop.
    pub fn refused(&self, peer: u32, why: PeerRefusal) -> Option<String> {
        let MemberIdentity { group, member, .. } = &self.identity;
        match why {
            // Peers are dialled while a log that was being founded is still read: it called itself empty meanwhile.
            PeerRefusal::EmptyReplicaOfFoundedGroup
                if self.is_read.load(Ordering::Acquire) && self.phase().0 == Phase::Empty =>
            {
                Some(data_lost_sentence(group, member))
            }
            PeerRefusal::ShowsLessThanConfirmed => Some(format!(
                "{group}/{member} shows less than it had confirmed to its leader (member {peer}): its data directory is an \
                 old copy, or its disk lost what it had synced. A replica that lost its memory may not vote again under \
                 its old id. Rejoining is not there yet; put the newest state of its directory back"
            )),
            PeerRefusal::OtherFounding
            | PeerRefusal::ReplacedIncarnation
            | PeerRefusal::Removed
            | PeerRefusal::MembersDiffer
            | PeerRefusal::DiffersFromLeader => Some(format!(
                "member {peer} of group {group} refuses this replica: {why}"
            )),
            _ => None,
        }
    }

    /// The answer of a started replica to the bootstrap message of one that has not: it lets the other start, or shows it
    /// that it was emptied; an empty slave is given frame 1, if this one leads and its log can be read. None where this
    /// one has not started, and the bootstrap itself reads the mail, or nothing is to be said.
    pub fn answer_bootstrap(
        &self,
        message: &PeerMessage,
        log: Option<&LogReader>,
    ) -> Option<PeerMessage> {
        let (phase, group_id) = self.phase();
        let received = BootstrapMessage::decode(&message.context)?;
        if phase != Phase::Started || received.stage == BootstrapStage::Started {
            return None;
        }
        if received.stage == BootstrapStage::Empty && self.identity.joins {
            return self.answer_empty(message.from, received.directory, log);
        }
        let is_empty_slave = received.stage == BootstrapStage::Empty
            && self.is_learner(replica_number(message.from))
            && self.leads.load(Ordering::Acquire);
        let first = log
            .filter(|_| is_empty_slave)
            .and_then(|log| log.frame(1).ok());
        Some(Bootstrap::answer_of_started(
            self.own(),
            message.from,
            group_id,
            self.identity.digest,
            first.map(|frame| frame.bytes).unwrap_or_default(),
        ))
    }
}

impl MemberStatus {
    /// What an empty replica is told: the id that it joins under, once its directory has one; till then its wish is
    /// noted.
    fn answer_empty(
        &self,
        from: ReplicaId,
        directory: DirectoryId,
        log: Option<&LogReader>,
    ) -> Option<PeerMessage> {
        let number = replica_number(from);
        let membership = self.membership.lock();
        let member = membership.as_ref()?.member(number);
        let granted = member.filter(|member| {
            let is_in = membership
                .as_ref()
                .is_some_and(|m| m.configuration.contains(member.id));
            member.directory == directory && is_in
        });
        let Some(member) = granted else {
            let mut asked = self.asked.lock();
            if !asked.iter().any(|(known, _)| *known == number) {
                asked.push((number, directory));
            }
            return None;
        };
        let grant = JoinGrant {
            group_id: self.phase().1,
            directory,
            id: member.id,
            frame: log?.frame(1).ok()?.bytes,
        };
        Some(grant.message(self.own(), from))
    }
}

/// Modes that differ in what a master tells its senders alone are of one kind: a slave does the same in both.
const fn kind_of_mode(mode: u8) -> u8 {
    if mode == Mode::SyncDoubleWrite.number() {
        Mode::AsyncSlave.number()
    } else {
        mode
    }
}

/// What an operator reads when a replica comes back with an empty directory.
pub fn data_lost_sentence(group: &str, member: &str) -> String {
    format!(
        "the data directory of {group}/{member} is empty, but its group was founded with it: a replica that lost its \
         memory may not vote again under its old id. Rejoining is not there yet; put its directory back"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member_status(state: Option<&RaftState>) -> MemberStatus {
        let identity = MemberIdentity {
            cluster: "c".to_owned(),
            group: "g".to_owned(),
            member: "n0".to_owned(),
            own: 1,
            members: vec![1, 2, 3],
            digest: 0,
            mode: 3,
            client_address: "127.0.0.1:10911".to_owned(),
            peer_address: "127.0.0.1:10912".to_owned(),
            timing: Timing {
                heartbeat_ticks: 10,
                election_min_ticks: 30,
                election_max_ticks: 60,
            },
            joins: false,
        };
        MemberStatus::new(identity, Vec::new(), state)
    }

    #[test]
    fn a_leader_alone_tells_a_member_that_it_was_taken_out() {
        use tern_replication::{MemberRecord, Newcomer};
        let record = |number| MemberRecord {
            id: replica_id(number, 1),
            directory: [number as u8; 16],
            replaces: 0,
            name: String::new(),
            address: String::new(),
        };
        let three = Membership::founding((1..=3).map(record).collect());
        let two = three.remove(3).unwrap();
        let again = Newcomer {
            number: 3,
            name: String::new(),
            address: String::new(),
            directory: [9; 16],
            replaces: 0,
        };
        let peer = Hello {
            id: replica_id(3, 1),
            phase: Phase::Started,
            ..member_status(None).hello(None)
        };
        let told_by = |membership: &Membership, role| {
            let judge = member_status(None);
            judge.set_membership(membership);
            let status = Status {
                role,
                term: 2,
                leader: 0,
                commit: 1,
                settled: true,
            };
            judge.progressed(&status, |_| 0);
            judge.judge(&peer, 0, None)
        };
        // In the joint configuration it is still asked.
        assert_eq!(told_by(&two, Role::Leader), Ok(()));
        let two = two.leave().unwrap();
        assert_eq!(told_by(&two, Role::Leader), Err(PeerRefusal::Removed));
        assert_eq!(told_by(&two, Role::Follower), Ok(()));
        let again = two.add(&again).unwrap();
        let replaced = Err(PeerRefusal::ReplacedIncarnation);
        assert_eq!(told_by(&again, Role::Leader), replaced);
        assert_eq!(told_by(&again, Role::Follower), Ok(()));
        // A later life than the one that this replica knows of is no business of it.
        assert_eq!(told_by(&three, Role::Leader), Ok(()));
    }

    fn is_told_that_it_was_emptied(member_status: &MemberStatus) -> bool {
        member_status
            .refused(2, PeerRefusal::EmptyReplicaOfFoundedGroup)
            .is_some()
    }

    #[test]
    fn a_member_stopped_while_its_group_was_founded_is_not_called_emptied_before_its_log_is_read() {
        let state = RaftState {
            founding: true,
            ..RaftState::default()
        };
        let member_status = member_status(Some(&state));
        assert!(!is_told_that_it_was_emptied(&member_status));
        member_status.enter(Phase::Founding, [7; 16]);
        assert!(!is_told_that_it_was_emptied(&member_status));
        member_status.enter(Phase::Empty, [0; 16]);
        assert!(
            is_told_that_it_was_emptied(&member_status),
            "it held nothing"
        );
    }

    #[test]
    fn a_member_without_any_state_is_told_that_it_was_emptied() {
        assert!(is_told_that_it_was_emptied(&member_status(None)));
    }
}
