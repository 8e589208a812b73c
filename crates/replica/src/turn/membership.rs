//! How the members of a group change, one step at a time (L13, L38, L52).
//!
//! A step is a frame, and takes effect here when it is committed and durable. Before anything leaves that this replica
//! says while it knows that, `raft.state` says it, too: a voter that forgets a change which the frames behind it rest on
//! would count votes of a group that is no more.
//!
//! A leader does the rest by itself, from what is in the log, so that any leader goes on where another one ended: it
//! leaves a joint configuration, and makes a voter of a learner that has everything.

use tern_log::planted::{Bug, is_planted};
use tern_log::{FrameDraft, FrameKind};
use tern_replication::{Membership, MembershipRefusal, MembershipStep, Newcomer, ReplicaId, Role};

use super::Replica;
use super::leadership::LearnerMark;
use crate::fatal::Fatal;
use crate::inputs::{Inbox, Outbox};
use crate::proposal::{AnswerAt, MembershipRequest, Outcome, RejectReason, StoredRecords};
use crate::tickets::PendingTicket;

/// A learner has everything that its leader had so long ago.
const WHOLE_WITHIN_NS: u64 = 100_000_000;

impl<T> Replica<T> {
    /// Who is in the group, as far as is in force here.
    pub fn membership(&self) -> &Membership {
        &self.membership
    }

    /// Index of the frame that made the membership.
    pub fn membership_index(&self) -> u64 {
        self.membership_index
    }

    /// Own id, incarnation included.
    pub fn own_id(&self) -> ReplicaId {
        self.state.own_id
    }

    /// The memberships that a work named, which take effect now.
    pub(super) fn take_memberships(&mut self, named: &[u64]) -> Result<Vec<Membership>, Fatal> {
        let mut taken = Vec::with_capacity(named.len());
        for index in named {
            let membership = self.coming.remove(index).ok_or_else(|| {
                Fatal::Consensus(format!(
                    "frame {index} changes the members, and is not known"
                ))
            })?;
            taken.push(membership);
        }
        Ok(taken)
    }

    /// They are in force, and `raft.state` says so before anything leaves that follows from them: the engine names a change
    /// only when its frame is durable here, and what a turn says leaves behind the turn.
    pub(super) fn adopt(
        &mut self,
        named: &[u64],
        memberships: Vec<Membership>,
        out: &mut Outbox<T>,
    ) -> Result<(), Fatal> {
        let (Some(index), Some(last)) = (named.last(), memberships.into_iter().next_back()) else {
            return Ok(());
        };
        self.membership = last;
        self.membership_index = *index;
        self.learner_marks.clear();
        out.membership_changed = true;
        let configuration = self.membership.configuration.clone();
        self.state.voters = configuration.voters;
        self.state.outgoing = configuration.outgoing;
        self.state.learners = configuration.learners;
        self.state.learners_next = configuration.learners_next;
        self.state.membership_index = *index;
        self.state.commit = self.state.commit.max(*index);
        if is_planted(Bug::MembershipNotStored) {
            return Ok(());
        }
        self.store_state()
    }

    /// Frames that change the members and are in the log now.
    pub(super) fn note_memberships(&mut self, frames: &[tern_log::Frame]) -> Result<(), Fatal> {
        let changes = frames.iter();
        for frame in changes.filter(|frame| frame.header.kind == FrameKind::Membership) {
            let index = frame.header.index;
            let membership = Membership::decode(frame.metadata())
                .map_err(|error| Fatal::Consensus(format!("frame {index}: {error}")))?;
            self.coming.insert(index, membership);
        }
        Ok(())
    }

    /// Whether a frame was built for a change of which the engine has made an empty entry: another one was under way.
    pub(super) fn was_refused(&self, key: (u64, u64), is: FrameKind, built: FrameKind) -> bool {
        let was_proposed = self.proposed_membership == Some(key);
        was_proposed && is == FrameKind::NoOp && built == FrameKind::Membership
    }

    /// Requests of operators, then what a leader does by itself.
    pub(super) fn change_members(
        &mut self,
        inbox: &mut Inbox<T>,
        out: &mut Outbox<T>,
    ) -> Result<(), Fatal> {
        for (ticket, request) in std::mem::take(&mut inbox.membership) {
            let changed = match self.plan(&request) {
                Ok(next) => self.append_membership(&next, inbox.wall_ms, out)?,
                Err(refusal) => Err(refusal),
            };
            match changed {
                Ok(key) => {
                    let tickets = vec![PendingTicket {
                        ticket,
                        answer: AnswerAt::Commit,
                        stored: StoredRecords {
                            index: key.0,
                            ..StoredRecords::default()
                        },
                    }];
                    let wait_ns = self.options.ack_timeout_ns;
                    self.tickets.insert(key, tickets, self.now_ns, wait_ns);
                }
                Err(refusal) => {
                    let refusal = RejectReason::Membership(refusal);
                    out.answers.push((ticket, Outcome::Rejected(refusal)));
                }
            }
        }
        let joins = std::mem::take(&mut inbox.joins);
        if self.may_change().is_err() {
            return Ok(());
        }
        let next = if self.membership.configuration.is_joint() {
            self.leaving()
        } else if let Some(next) = self.joining(&joins) {
            Some(next)
        } else {
            self.promoting()
        };
        if let Some(next) = next {
            // What is refused now is tried again in a later turn.
            let _ = self.append_membership(&next, inbox.wall_ms, out)?;
        }
        Ok(())
    }

    fn plan(&self, request: &MembershipRequest) -> Result<Membership, MembershipRefusal> {
        self.may_change()?;
        let next = match request {
            MembershipRequest::Add(newcomer) => self.membership.add(newcomer)?,
            MembershipRequest::Remove(number) => self.membership.remove(*number)?,
        };
        self.check_reach(next)
    }

    /// Whether this replica may append a step: it leads, has committed something in its term, and no step is under way.
    fn may_change(&self) -> Result<(), MembershipRefusal> {
        let status = self.engine.status();
        if self.has_slaves() {
            return Err(MembershipRefusal::WrongMode);
        }
        if status.role != Role::Leader {
            return Err(MembershipRefusal::NotLeader);
        }
        if self.is_transferring() {
            return Err(MembershipRefusal::Transferring);
        }
        let looks_away = is_planted(Bug::ChangeNotAwaited) || is_planted(Bug::TwoChangesAtOnce);
        let under_way = self.engine.changes_membership() && !looks_away;
        if !status.settled || under_way {
            return Err(MembershipRefusal::ChangeUnderWay);
        }
        Ok(())
    }

    fn check_reach(&self, next: Membership) -> Result<Membership, MembershipRefusal> {
        let own = self.state.own_id;
        let in_reach = |id| id == own || self.peers_in_reach.contains(&id);
        if next.configuration.has_majority(in_reach) {
            Ok(next)
        } else {
            Err(MembershipRefusal::NoMajorityInReach)
        }
    }

    /// The step out of a joint configuration. A leader that will be no voter behind it hands over first, once: if nobody
    /// takes over, it takes the step, and leads no more when that is in force.
    fn leaving(&mut self) -> Option<Membership> {
        if is_planted(Bug::JointLeftByNobody)
            && self.entered_joint_in != Some(self.engine.status().term)
        {
            return None;
        }
        let stays = self
            .membership
            .configuration
            .voters
            .contains(&self.state.own_id);
        let has_tried = self.handed_over_for == self.membership_index;
        if !stays
            && !has_tried
            && let Some(successor) = self.engine.successor()
        {
            self.handed_over_for = self.membership_index;
            self.engine.transfer(successor);
            return None;
        }
        self.membership.leave().ok()
    }

    /// The step that gives an empty replica its next id, if it is a member or expected. It asks again until it has one.
    fn joining(&self, joins: &[(u32, [u8; 16])]) -> Option<Membership> {
        joins.iter().find_map(|(number, directory)| {
            let known = self.membership.member(*number)?;
            let is_member = self.membership.configuration.contains(known.id);
            let newcomer = Newcomer {
                number: *number,
                name: String::new(),
                address: String::new(),
                directory: *directory,
                replaces: 0,
            };
            let next = self.membership.add(&newcomer).ok().filter(|_| is_member)?;
            self.check_reach(next).ok()
        })
    }

    /// The step that makes a voter of a learner that is whole, if there is one.
    fn promoting(&mut self) -> Option<Membership> {
        let learners = self.membership.configuration.learners.clone();
        let whole = learners
            .into_iter()
            .find(|learner| self.is_whole(*learner))?;
        let next = self.membership.promote(whole).ok()?;
        self.check_reach(next).ok()
    }

    /// Whether a learner is there and has confirmed what this leader had a moment ago (L38).
    fn is_whole(&mut self, learner: ReplicaId) -> bool {
        let record = self.membership.members.iter().find(|m| m.id == learner);
        let has_come = record.is_some_and(|record| record.directory != [0; 16]);
        if !has_come || !self.peers_in_reach.contains(&learner) {
            return false;
        }
        let (end, matched) = (self.log.end().index, self.engine.matched(learner));
        if matched >= end {
            return true;
        }
        let now_ns = self.now_ns;
        let mark = self.learner_marks.iter().find(|m| m.learner == learner);
        if let Some(mark) = mark
            && now_ns.saturating_sub(mark.since_ns) <= WHOLE_WITHIN_NS
        {
            return matched >= mark.index;
        }
        self.learner_marks.retain(|mark| mark.learner != learner);
        self.learner_marks.push(LearnerMark {
            learner,
            index: end,
            since_ns: now_ns,
        });
        false
    }

    /// Append a step by itself, and carry out what comes of it: index and term of its frame.
    fn append_membership(
        &mut self,
        next: &Membership,
        wall_ms: u64,
        out: &mut Outbox<T>,
    ) -> Result<Result<(u64, u64), MembershipRefusal>, Fatal> {
        let (end, term) = (self.log.end(), self.engine.status().term);
        let draft = FrameDraft {
            kind: FrameKind::Membership,
            metadata: next.encode(),
            ..FrameDraft::default()
        };
        let frame = draft.seal(&end, term, wall_ms, self.options.segment_size)?;
        if !self.make_room_upto(frame.header.position)? {
            return Ok(Err(MembershipRefusal::NoRoom));
        }
        let key = (frame.header.index, term);
        if self.engine.propose_membership(key.0, next).is_err() {
            return Ok(Err(MembershipRefusal::NotLeader));
        }
        self.received_frames.insert(key, frame);
        self.proposed_membership = Some(key);
        self.drain_ready(out)?;
        self.proposed_membership = None;
        self.received_frames.remove(&key);
        if next.step == MembershipStep::Joint {
            self.entered_joint_in = Some(term);
        }
        let is_appended = self.log.reader().is_membership(key.0);
        Ok(if is_appended {
            Ok(key)
        } else {
            Err(MembershipRefusal::ChangeUnderWay)
        })
    }
}
