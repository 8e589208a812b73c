//! How frame 1 reaches the disk, and what a replica begins with.

use std::sync::Arc;

use bytes::Bytes;
use tern_log::planted::{Bug, is_planted};
use tern_log::{Disk, Frame, FrameDraft, Log, LogEnd, LogOptions, RaftState, RaftStateFile};
use tern_replication::{PeerKind, PeerMessage, replica_id, replica_number};
use tern_state::{FoundGroup, GroupFounding, Op};

use crate::bootstrap::{Bootstrap, BootstrapMessage, BootstrapPlan, BootstrapStage, BootstrapStep};
use crate::fatal::Fatal;
use crate::joining::JoinGrant;

/// A member on its way into its group: the bootstrap, with its writes.
pub struct BootstrapDriver {
    bootstrap: Bootstrap,
    plan: BootstrapPlan,
    disk: Arc<dyn Disk>,
    options: LogOptions,
    state_file: RaftStateFile,
    /// The master that has given frame 1 to this slave.
    master: Option<u32>,
}

/// What a step of the bootstrap led to.
pub enum BootstrapProgress {
    /// Go on.
    NotYet,
    /// Frame 1 is stored here, under this group id.
    Holds([u8; 16]),
    /// The group begins: the engine may start with this state.
    Started(Box<(RaftState, RaftStateFile)>),
    /// This replica's directory is empty, but its group has been founded.
    DataLost,
    /// What another member says contradicts this one.
    Contradiction(String),
}

impl BootstrapDriver {
    /// Begin, or go on where a crash interrupted: a marked state without a log counts as empty.
    ///
    /// # Errors
    /// [`Fatal`] if the log of an interrupted founding cannot be read.
    pub fn new(
        plan: BootstrapPlan,
        disk: Arc<dyn Disk>,
        options: LogOptions,
        state_file: RaftStateFile,
        state: Option<&RaftState>,
    ) -> Result<Self, Fatal> {
        let mut bootstrap = Bootstrap::empty(plan.clone());
        let mut master = None;
        if let Some(state) = state {
            let options = LogOptions {
                group_id: state.group_id,
                ..options.clone()
            };
            let (log, _) = Log::open(Arc::clone(&disk), options)?;
            if log.end().index > 0 {
                master = master_of(state);
                let frame = log.reader().frame(1)?;
                bootstrap = Bootstrap::resumed(plan.clone(), state.group_id, frame.bytes);
            }
        }
        Ok(Self {
            bootstrap,
            plan,
            disk,
            options,
            state_file,
            master,
        })
    }

    /// The bootstrap, for its messages and the group id.
    pub fn bootstrap(&mut self) -> &mut Bootstrap {
        &mut self.bootstrap
    }

    /// A group of one member founds itself.
    ///
    /// # Errors
    /// [`Fatal`] if the disk refuses.
    pub fn alone(
        mut self,
        group: GroupFounding,
        group_id: [u8; 16],
    ) -> Result<(RaftState, RaftStateFile), Fatal> {
        if self.bootstrap.group_id() == [0; 16] {
            self.found(group, group_id)?;
        }
        self.start()
    }

    /// A message of another member, which may be one of the bootstrap; as [`Self::hear`].
    ///
    /// # Errors
    /// As [`Self::hear`].
    pub fn receive(
        self,
        message: &PeerMessage,
        group: impl FnOnce() -> (GroupFounding, [u8; 16]),
    ) -> Result<(Option<Self>, BootstrapProgress), Fatal> {
        let received = match message.kind {
            PeerKind::Status => BootstrapMessage::decode(&message.context),
            PeerKind::Raft => None,
        };
        if message.kind == PeerKind::Status
            && let Some(grant) = JoinGrant::decode(&message.context)
        {
            return self.take(grant);
        }
        match received {
            Some(received) => self.hear(replica_number(message.from), &received, group),
            None => Ok((Some(self), BootstrapProgress::NotYet)),
        }
    }

    /// A bootstrap message of another member. `group` and `group_id` are used if it is for this member to found the group.
    ///
    /// # Errors
    /// [`Fatal`] if the disk refuses.
    pub fn hear(
        mut self,
        from: u32,
        message: &BootstrapMessage,
        group: impl FnOnce() -> (GroupFounding, [u8; 16]),
    ) -> Result<(Option<Self>, BootstrapProgress), Fatal> {
        let progress = match self.bootstrap.hear(from, message) {
            BootstrapStep::Waiting => BootstrapProgress::NotYet,
            BootstrapStep::Found => {
                let (group, group_id) = group();
                self.found(group, group_id)?;
                BootstrapProgress::Holds(group_id)
            }
            BootstrapStep::Store {
                frame,
                master: None,
                ..
            } if !self.is_named_in(&frame)? => BootstrapProgress::DataLost,
            BootstrapStep::Store {
                group_id,
                frame,
                master,
            } => {
                self.master = master;
                self.store(group_id, &frame)?;
                BootstrapProgress::Holds(group_id)
            }
            BootstrapStep::Start => {
                let (state, file) = self.start()?;
                return Ok((None, BootstrapProgress::Started(Box::new((state, file)))));
            }
            BootstrapStep::DataLost => BootstrapProgress::DataLost,
            BootstrapStep::Contradiction(sentence) => BootstrapProgress::Contradiction(sentence),
        };
        Ok((Some(self), progress))
    }

    /// Join under the id that was given to this directory; one for another directory, or for a replica that holds
    /// something, is passed over.
    fn take(mut self, grant: JoinGrant) -> Result<(Option<Self>, BootstrapProgress), Fatal> {
        let is_empty = self.bootstrap.stage() == BootstrapStage::Empty;
        let is_own = replica_number(grant.id) == self.plan.own;
        if !self.plan.joins || !is_empty || !is_own || grant.directory != self.plan.directory {
            return Ok((Some(self), BootstrapProgress::NotYet));
        }
        let state = joined_state(&grant)?;
        // The log first: what a crash leaves in between is a replica that asks again, and is told the same.
        let mut log = self.open_log(grant.group_id)?;
        if log.end().index == 0 {
            log.append(&[Frame::parse(grant.frame)?])?;
            log.syncer().sync(log.end().position)?;
        }
        self.state_file.store(&state)?;
        let started = Box::new((state, self.state_file));
        Ok((None, BootstrapProgress::Started(started)))
    }

    fn open_log(&self, group_id: [u8; 16]) -> Result<Log, Fatal> {
        let options = LogOptions {
            group_id,
            ..self.options.clone()
        };
        Ok(Log::open(Arc::clone(&self.disk), options)?.0)
    }

    /// Whether frame 1 names the data directory of this member: one that was emptied since has another id.
    fn is_named_in(&self, frame: &Bytes) -> Result<bool, Fatal> {
        if is_planted(Bug::FrameOneToAnyone) {
            return Ok(true);
        }
        let group = founding_in(frame)?;
        if self.plan.learners.contains(&self.plan.own) {
            // A slave may come with an empty directory: it has promised nothing.
            return Ok(true);
        }
        let own = replica_id(self.plan.own, 1);
        let mut named = group.members.iter().zip(&group.directories);
        Ok(named.any(|(member, directory)| {
            member.replica_id == own && *directory == self.plan.directory
        }))
    }

    fn found(&mut self, mut group: GroupFounding, group_id: [u8; 16]) -> Result<(), Fatal> {
        let numbers = group.members.iter().map(|m| replica_number(m.replica_id));
        group.directories = numbers.map(|n| self.bootstrap.directory_of(n)).collect();
        let now_ms = group.founded_at_ms;
        let mut draft = FrameDraft::default();
        Op::FoundGroup(FoundGroup(group)).encode(&mut draft.metadata);
        let frame = draft.seal(&LogEnd::default(), 1, now_ms, self.options.segment_size)?;
        self.store(group_id, &frame.bytes)
    }

    /// The mark first, then the log: a crash in between leaves a marked and empty log, which is an empty member.
    fn store(&mut self, group_id: [u8; 16], frame: &Bytes) -> Result<(), Fatal> {
        self.state_file.store(&self.state(group_id, true))?;
        let mut log = self.open_log(group_id)?;
        log.append(&[Frame::parse(frame.clone())?])?;
        log.syncer().sync(log.end().position)?;
        self.bootstrap.stored(group_id, frame.clone());
        Ok(())
    }

    fn start(mut self) -> Result<(RaftState, RaftStateFile), Fatal> {
        let state = self.state(self.bootstrap.group_id(), false);
        self.state_file.store(&state)?;
        Ok((state, self.state_file))
    }

    fn state(&self, group_id: [u8; 16], founding: bool) -> RaftState {
        let mut learners = self.plan.learners.clone();
        if let Some(master) = self.master {
            let others = self.plan.members.iter().filter(|number| **number != master);
            learners = others.copied().collect();
        }
        let id = |number: &u32| replica_id(*number, 1);
        let decide = |number: &&u32| !learners.contains(number);
        let voters = self.plan.members.iter().filter(decide);
        RaftState {
            group_id,
            own_id: replica_id(self.plan.own, 1),
            term: 1,
            vote: 0,
            commit: 1,
            membership_index: 1,
            voters: voters.map(id).collect(),
            learners: learners.iter().map(id).collect(),
            founding,
            ..RaftState::default()
        }
    }
}

/// What frame 1 says of its group.
fn founding_in(frame: &Bytes) -> Result<GroupFounding, Fatal> {
    let frame = Frame::parse(frame.clone())?;
    let ops = Op::decode_all(frame.ops())
        .map_err(|error| Fatal::MayNotServe(format!("frame 1 cannot be read: {error}")))?;
    match ops.into_iter().next() {
        Some(Op::FoundGroup(FoundGroup(group))) => Ok(group),
        _ => Err(Fatal::MayNotServe("frame 1 founds no group".to_owned())),
    }
}

/// What a replica begins with that joins: the members as they were when the group was founded, and what came of them
/// is in the log. It is not among them, so it neither stands nor is asked for votes before it is whole.
fn joined_state(grant: &JoinGrant) -> Result<RaftState, Fatal> {
    let group = founding_in(&grant.frame)?;
    let founders = group.members.iter();
    let earlier = founders
        .clone()
        .find(|member| replica_number(member.replica_id) == replica_number(grant.id));
    Ok(RaftState {
        group_id: grant.group_id,
        own_id: match earlier {
            Some(member) if is_planted(Bug::OldIdKept) => member.replica_id,
            _ => grant.id,
        },
        term: 1,
        commit: 1,
        membership_index: 1,
        voters: founders.map(|member| member.replica_id).collect(),
        ..RaftState::default()
    })
}

/// The master of a group with slaves, as a replica remembers it.
fn master_of(state: &RaftState) -> Option<u32> {
    let master = state.voters.first().filter(|_| !state.learners.is_empty());
    master.map(|id| replica_number(*id))
}
