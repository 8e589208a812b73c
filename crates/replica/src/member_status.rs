//! What a replica says of itself to its peers, and whom it takes for one: pure, so that the simulator opens its
//! connections by the same rules as the sockets of a process.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;
use tern_log::{LogReader, RaftState};
use tern_replication::{
    Hello, PeerMessage, PeerRefusal, Phase, ReplicaId, Role, Status, Timing, replica_id,
    replica_number,
};

use crate::bootstrap::{Bootstrap, BootstrapMessage, BootstrapStage};
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
    /// For each member what it has confirmed to this leader and the group has committed: it cannot show less.
    confirmed: Vec<(u32, AtomicU64)>,
    /// For each member what it has persisted, committed or not; 0 unless this replica leads.
    matched: Vec<(u32, AtomicU64)>,
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
        let nothing = || {
            let members = identity.members.iter();
            members.map(|number| (*number, AtomicU64::new(0))).collect()
        };
        Self {
            confirmed: nothing(),
            matched: nothing(),
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
        replica_id(self.identity.own, 1)
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
            let members = self.confirmed.iter().zip(&self.matched);
            for ((number, confirmed), (_, persisted)) in members {
                let index = matched(replica_id(*number, 1));
                persisted.store(index, Ordering::Relaxed);
                confirmed.store(index.min(status.commit), Ordering::Relaxed);
            }
        } else if self.leads.load(Ordering::Relaxed) {
            for (_, index) in self.confirmed.iter().chain(&self.matched) {
                index.store(0, Ordering::Relaxed);
            }
        }
        self.leads.store(leads, Ordering::Release);
    }

    /// What a member cannot show less than; 0 if nothing is known. To be asked **before** it is dialled: what it says is
    /// made after that, so it is no older.
    pub fn confirmed(&self, number: u32) -> u64 {
        let known = self.confirmed.iter().find(|(member, _)| *member == number);
        known.map_or(0, |(_, index)| index.load(Ordering::Relaxed))
    }

    /// Replica numbers of the others, each with the last frame that it has persisted, as of the last turn: those from which
    /// this leader has heard since it leads. Nobody if it does not lead.
    pub fn followers(&self) -> Vec<(u32, u64)> {
        let members = self.matched.iter();
        members
            .map(|(number, index)| (*number, index.load(Ordering::Relaxed)))
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
        } else if theirs.id != replica_id(number, 1) {
            Err(PeerRefusal::ReplacedIncarnation)
        } else if both_founded && theirs.group_id != group_id {
            Err(PeerRefusal::OtherFounding)
        } else if phase == Phase::Started
            && theirs.phase == Phase::Empty
            && !self.is_learner(number)
        {
            Err(PeerRefusal::EmptyReplicaOfFoundedGroup)
        } else if theirs.phase == Phase::Started && theirs.last_index > 0 {
            self.judge_log(theirs, confirmed, log)
        } else {
            Ok(())
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
        if theirs.last_index < confirmed && !is_slave {
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
        };
        MemberStatus::new(identity, Vec::new(), state)
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
