//! What the streams between replicas call: who may connect, and where a message goes.

use std::sync::{Arc, OnceLock, Weak};

use parking_lot::Mutex;
use tern_log::{Frame, RaftState};
use tern_net::peers::{FrameSource, Hello, PeerEvents, PeerRefusal, Peers, Phase};
use tern_replication::{PeerKind, PeerMessage, ReplicaId, ThinEntry, replica_id, replica_number};

use crate::mailbox::{Input, Mailbox};
use crate::node::{Mode, NodeOptions, is_started, members_digest};
use crate::replica::{Founding, Hail, Stage};
use crate::roles::RoleBoard;
use crate::services::Services;
use crate::threads::wiped_sentence;

/// How far this replica is with its founding, and what it says of itself.
pub struct Standing {
    own: ReplicaId,
    cluster: String,
    group: String,
    member: String,
    members: Vec<u32>,
    digest: u64,
    mode: u8,
    client_address: String,
    timing_ms: [u32; 3],
    phase: Mutex<(Phase, [u8; 16])>,
}

impl Standing {
    pub(crate) fn new(options: &NodeOptions, own: u32, state: Option<&RaftState>) -> Self {
        let phase = match state {
            Some(state) if is_started(Some(state)) => (Phase::Started, state.group_id),
            // Until its log has been read, a marked replica counts as empty.
            _ => (Phase::Empty, [0; 16]),
        };
        let timing = options.timing;
        Self {
            own: replica_id(own, 1),
            cluster: options.settings.cluster.clone(),
            group: options.settings.group.clone(),
            member: options.member.clone(),
            members: options.members.iter().map(|member| member.number).collect(),
            digest: members_digest(&options.members),
            mode: match options.mode {
                Mode::MultiMaster => 0,
                Mode::Raft => 3,
            },
            client_address: options.advertise.clone(),
            timing_ms: [
                timing.heartbeat_ticks,
                timing.election_min_ticks,
                timing.election_max_ticks,
            ]
            .map(|ticks| ticks * 10),
            phase: Mutex::new(phase),
        }
    }

    pub(crate) fn enter(&self, phase: Phase, group_id: [u8; 16]) {
        *self.phase.lock() = (phase, group_id);
    }

    /// The phase, and the group's id, zeros while empty.
    pub fn phase(&self) -> (Phase, [u8; 16]) {
        *self.phase.lock()
    }

    /// Own id in the consensus engine.
    pub fn own(&self) -> ReplicaId {
        self.own
    }
}

/// The events of the peer streams.
pub(crate) struct PeerFront {
    mailbox: Mailbox,
    roles: Arc<RoleBoard>,
    serving: Arc<OnceLock<Arc<Services>>>,
    standing: Arc<Standing>,
    peers: OnceLock<Weak<Peers>>,
}

impl PeerFront {
    pub fn new(
        mailbox: Mailbox,
        roles: Arc<RoleBoard>,
        serving: Arc<OnceLock<Arc<Services>>>,
        standing: Arc<Standing>,
    ) -> Self {
        Self {
            mailbox,
            roles,
            serving,
            standing,
            peers: OnceLock::new(),
        }
    }

    /// Where answers to hails go. Weak, as the streams hold this front.
    pub fn bind(&self, peers: &Arc<Peers>) {
        let _ = self.peers.set(Arc::downgrade(peers));
    }

    /// A started replica answers the hails of those that have not; the founding itself reads its own mail.
    fn hailed(&self, message: PeerMessage) {
        let (phase, group_id) = self.standing.phase();
        if phase != Phase::Started {
            self.mailbox.peer(message);
            return;
        }
        let behind =
            Hail::decode(&message.context).is_some_and(|hail| hail.stage != Stage::Started);
        if behind && let Some(peers) = self.peers.get().and_then(Weak::upgrade) {
            let standing = &self.standing;
            let answer =
                Founding::answer_of_started(standing.own, message.from, group_id, standing.digest);
            peers.send(vec![answer]);
        }
    }
}

impl PeerEvents for PeerFront {
    fn hello(&self) -> Hello {
        let standing = &self.standing;
        let (phase, group_id) = standing.phase();
        let [heartbeat_ms, election_min_ms, election_max_ms] = standing.timing_ms;
        let (last_index, last_term, commit_index, commit_term) = self.log_marks();
        Hello {
            cluster: standing.cluster.clone(),
            group: standing.group.clone(),
            group_id,
            member: standing.member.clone(),
            id: standing.own,
            phase,
            members_digest: standing.digest,
            mode: standing.mode,
            last_index,
            last_term,
            commit_index,
            commit_term,
            feature_level: tern_state::FEATURE_LEVEL,
            heartbeat_ms,
            election_min_ms,
            election_max_ms,
            client_address: standing.client_address.clone(),
        }
    }

    fn judge(&self, theirs: &Hello) -> Result<(), PeerRefusal> {
        let standing = &self.standing;
        let (phase, group_id) = standing.phase();
        let both_founded = phase != Phase::Empty && theirs.phase != Phase::Empty;
        if theirs.cluster != standing.cluster {
            Err(PeerRefusal::UnknownCluster)
        } else if theirs.group != standing.group {
            Err(PeerRefusal::UnknownGroup)
        } else if !standing.members.contains(&replica_number(theirs.id)) {
            Err(PeerRefusal::UnknownMember)
        } else if theirs.mode != standing.mode {
            Err(PeerRefusal::WrongMode)
        } else if theirs.members_digest != standing.digest {
            Err(PeerRefusal::MembersDiffer)
        } else if theirs.id != replica_id(replica_number(theirs.id), 1) {
            Err(PeerRefusal::ReplacedIncarnation)
        } else if both_founded && theirs.group_id != group_id {
            Err(PeerRefusal::OtherFounding)
        } else if phase == Phase::Started && theirs.phase == Phase::Empty {
            Err(PeerRefusal::EmptyReplicaOfFoundedGroup)
        } else {
            Ok(())
        }
    }

    fn message(&self, message: PeerMessage) {
        match message.kind {
            PeerKind::Raft => self.mailbox.peer(message),
            PeerKind::Status => self.hailed(message),
        }
    }

    fn connected(&self, peer: u32, theirs: &Hello) {
        self.roles.learn_address(peer, &theirs.client_address);
    }

    fn disconnected(&self, peer: u32) {
        self.mailbox.tell(Input::Unreachable(replica_id(peer, 1)));
    }

    fn refused(&self, peer: u32, by_them: bool, why: PeerRefusal) {
        if !by_them {
            return;
        }
        let standing = &self.standing;
        match why {
            PeerRefusal::EmptyReplicaOfFoundedGroup if standing.phase().0 == Phase::Empty => {
                let sentence = wiped_sentence(&standing.group, &standing.member);
                self.mailbox.tell(Input::Failed(sentence));
            }
            PeerRefusal::OtherFounding
            | PeerRefusal::ReplacedIncarnation
            | PeerRefusal::MembersDiffer => {
                self.mailbox.tell(Input::Failed(format!(
                    "member {peer} of group {} refuses this replica: {why}",
                    standing.group
                )));
            }
            _ => {}
        }
    }
}

impl PeerFront {
    fn log_marks(&self) -> (u64, u64, u64, u64) {
        let Some(services) = self.serving.get() else {
            return (0, 0, 0, 0);
        };
        let log = &services.views.log;
        let last_index = log.end().index;
        let last_term = log.header(last_index).map_or(0, |header| header.term);
        let (commit_index, commit_term) = services.views.state().applied();
        (last_index, last_term, commit_index, commit_term)
    }
}

impl FrameSource for PeerFront {
    fn frames(&self, entries: &[ThinEntry], max_bytes: usize) -> Option<Vec<Frame>> {
        let first = entries.first()?;
        let log = &self.serving.get()?.views.log;
        let mut frames = log.frames(first.index, max_bytes).ok()?;
        frames.truncate(entries.len());
        let same = |(frame, entry): (&Frame, &ThinEntry)| {
            frame.header.index == entry.index && frame.header.term == entry.term
        };
        let fitting = frames
            .iter()
            .zip(entries)
            .take_while(|pair| same(*pair))
            .count();
        frames.truncate(fitting);
        (!frames.is_empty()).then_some(frames)
    }
}
