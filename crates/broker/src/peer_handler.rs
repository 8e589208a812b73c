//! What the streams between replicas call: who may connect, and where a message goes.

use std::sync::{Arc, OnceLock, Weak};

use tern_log::{Frame, LogError};
use tern_peers::{MessagePermit, PeerEvents, Peers};
use tern_replica::{DiskReport, MemberStatus};
use tern_replication::{
    FrameSource, Hello, PeerKind, PeerMessage, PeerRefusal, Phase, ThinEntry, replica_id,
};

use crate::channels::mailbox::{Input, Mailbox};
use crate::roles::RoleBoard;
use crate::services::Services;

/// The events of the peer streams.
pub(crate) struct PeerHandler {
    mailbox: Mailbox,
    roles: Arc<RoleBoard>,
    serving: Arc<OnceLock<Arc<Services>>>,
    member_status: Arc<MemberStatus>,
    peers: OnceLock<Weak<Peers>>,
}

impl PeerHandler {
    pub fn new(
        mailbox: Mailbox,
        roles: Arc<RoleBoard>,
        serving: Arc<OnceLock<Arc<Services>>>,
        member_status: Arc<MemberStatus>,
    ) -> Self {
        Self {
            mailbox,
            roles,
            serving,
            member_status,
            peers: OnceLock::new(),
        }
    }

    /// Where answers to bootstrap messages go. Weak, as the streams hold this handler.
    pub fn bind(&self, peers: &Arc<Peers>) {
        let _ = self.peers.set(Arc::downgrade(peers));
    }

    /// A started replica answers the bootstrap messages of those that have not; a bootstrap reads its own mail. What a peer
    /// says of its disk is for the turn.
    fn status_message(&self, message: PeerMessage, room: MessagePermit) {
        let is_report = DiskReport::decode(&message.context).is_some();
        if is_report || self.member_status.phase().0 != Phase::Started {
            self.mailbox.peer(message, room);
            return;
        }
        let log = self.serving.get().map(|services| &services.views.log);
        if let Some(answer) = self.member_status.answer_bootstrap(&message, log)
            && let Some(peers) = self.peers.get().and_then(Weak::upgrade)
        {
            peers.send(vec![answer]);
        }
    }
}

impl PeerEvents for PeerHandler {
    fn hello(&self) -> Hello {
        let services = self.serving.get();
        let log = services.map(|services| {
            let (commit, _) = services.views.state().applied();
            (&services.views.log, commit)
        });
        self.member_status.hello(log)
    }

    fn confirmed(&self, peer: u32) -> u64 {
        self.member_status.confirmed(peer)
    }

    fn judge(&self, theirs: &Hello, confirmed: u64) -> Result<(), PeerRefusal> {
        let log = self.serving.get().map(|services| &services.views.log);
        self.member_status.judge(theirs, confirmed, log)
    }

    fn message(&self, message: PeerMessage, room: MessagePermit) {
        match message.kind {
            PeerKind::Raft => self.mailbox.peer(message, room),
            PeerKind::Status => self.status_message(message, room),
        }
    }

    fn connected(&self, peer: u32, theirs: &Hello) {
        self.roles.learn_address(peer, &theirs.client_address);
        if let Some(last_term) = theirs.shown_term() {
            let connected = Input::Connected(replica_id(peer, 1), last_term);
            self.mailbox.tell(connected);
        }
    }

    fn disconnected(&self, peer: u32) {
        self.mailbox.tell(Input::Unreachable(replica_id(peer, 1)));
    }

    fn gone(&self, peer: u32) {
        self.mailbox.tell(Input::Gone(replica_id(peer, 1)));
    }

    fn refused(&self, peer: u32, by_them: bool, why: PeerRefusal) {
        if by_them && let Some(sentence) = self.member_status.refused(peer, why) {
            self.mailbox.tell(Input::Failed(sentence));
        }
    }

    /// A replica whose log cannot be read gives followers nothing and must not lead them.
    fn damaged(&self, error: LogError) {
        if let Some(services) = self.serving.get() {
            services.views.damage.note(0, &error);
        }
    }
}

impl FrameSource for PeerHandler {
    /// None while this replica does not serve: nothing can have been queued then.
    fn frames(
        &self,
        entries: &[ThinEntry],
        max_bytes: usize,
    ) -> Result<Option<Vec<Frame>>, LogError> {
        match self.serving.get() {
            Some(services) => FrameSource::frames(&services.views.log, entries, max_bytes),
            None => Ok(None),
        }
    }

    fn held_frames(&self, entries: &[ThinEntry], max_bytes: usize) -> Option<Vec<Frame>> {
        let log = &self.serving.get()?.views.log;
        FrameSource::held_frames(log, entries, max_bytes)
    }

    fn is_cold(&self, entries: &[ThinEntry]) -> bool {
        let services = self.serving.get();
        services.is_some_and(|services| FrameSource::is_cold(&services.views.log, entries))
    }
}
