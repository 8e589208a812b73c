//! From what waits to proposed frames: when a frame is built, of what, and what keeps it from being built.

use tern_log::{Descriptor, SegmentRoom, fits_frame};
use tern_replication::Role;

use super::{AROUND_CONTENT, Replica};
use crate::fatal::Fatal;
use crate::frame_builder::{BuiltFrame, FrameBounds, FrameBuilder};
use crate::inputs::{Inbox, Outbox};
use crate::next_queue_offsets::NextQueueOffsets;
use crate::proposal::{Bound, Outcome, Proposal, RejectReason};

impl<T> Replica<T> {
    /// How long a turn without new input would find nothing to do, nanoseconds; `None` if until the next tick.
    pub fn idle_for(&self, now_ns: u64) -> Option<u64> {
        match (self.idle_to_build(now_ns), self.campaign_in(now_ns)) {
            (Some(build), Some(campaign)) => Some(build.min(campaign)),
            (one, other) => one.or(other),
        }
    }

    fn idle_to_build(&self, now_ns: u64) -> Option<u64> {
        self.next_offsets.as_ref()?;
        if self.blocked {
            return None;
        }
        let lingering = if self.lingers() { self.linger_ns() } else { 0 };
        // Where nothing waits yet, the commit of the frame that is on its way ends the wait of what comes now, or a tick.
        let oldest = self.waiting.front()?;
        Some((oldest.received_ns + lingering).saturating_sub(now_ns))
    }

    /// How long what waits may gather. A shorter time makes more frames just when cores and disks are busy, and each
    /// frame costs every replica some wake-ups and a sync; a longer one makes a sender pay for a commit that is late.
    fn linger_ns(&self) -> u64 {
        let (least, most) = (self.options.linger_least_ns, self.options.linger_most_ns);
        (2 * self.pace.commit_ns()).clamp(least, most)
    }

    /// Ticks that may be taken together: one, and half a heartbeat's where nobody waits for anything. Half of an idle
    /// replica's CPU was waking up for single ticks; a follower may campaign so much too early.
    pub fn rest_ticks(&self) -> u64 {
        let no_reads = self.reads.is_empty() && self.asked.is_empty();
        let is_quiet = no_reads && self.suspicion.is_none();
        if self.waiting.len() == 0 && self.tickets.frames() == 0 && is_quiet {
            u64::from(self.options.heartbeat_ticks / 2).max(1)
        } else {
            1
        }
    }

    /// While a frame is on its way to a majority, what waits gathers into the next one, until it fills a frame.
    pub fn lingers(&self) -> bool {
        self.next_offsets.is_some()
            && self.tickets.frames() > 0
            && !self.limits().fills_frame(self.waiting.weight())
    }

    fn limits(&self) -> FrameBounds {
        FrameBounds::of_segment(self.options.segment_size)
    }

    /// Proposals beyond the bound are refused before anything is appended.
    pub(super) fn queue(&mut self, proposals: &mut Vec<Proposal<T>>, out: &mut Outbox<T>) {
        let room = self.options.waiting.saturating_sub(self.waiting.len());
        let over = proposals.split_off(room.min(proposals.len()));
        proposals.drain(..).for_each(|p| self.waiting.push(p));
        let refusal = Outcome::Rejected(RejectReason::Busy(Bound::Waiting));
        out.answers
            .extend(over.into_iter().map(|p| (p.ticket, refusal.clone())));
    }

    /// Build frames from what waits and propose them, at most one trip's worth (L8).
    pub(super) fn propose(&mut self, inbox: &Inbox<T>, out: &mut Outbox<T>) -> Result<(), Fatal> {
        if self.engine.status().role != Role::Leader
            || self.is_blocked(inbox.applied_position)
            || self.still_lingers(inbox.now_ns)
        {
            return Ok(());
        }
        let Some(mut next_offsets) = self.next_offsets.take() else {
            return Ok(());
        };
        let frames = self.build(inbox, &mut next_offsets, out)?;
        if self.hand_over(frames, inbox.now_ns, out) {
            self.next_offsets = Some(next_offsets);
        }
        Ok(())
    }

    /// Frames of what waits; what waited too long is refused on the way.
    fn build(
        &mut self,
        inbox: &Inbox<T>,
        next_offsets: &mut NextQueueOffsets,
        out: &mut Outbox<T>,
    ) -> Result<Vec<BuiltFrame<T>>, Fatal> {
        let term = self.engine.status().term;
        let mut building = FrameBuilder::new(self.log.end(), term, inbox.wall_ms, self.limits());
        while let Some(proposal) = self.waiting.front() {
            if !fits_frame(proposal.weight().0, self.options.segment_size) {
                // Here, as whoever proposes may forget: what no frame can hold must not stop the replica.
                let proposal = self.waiting.pop().expect("looked at above");
                let outcome = Outcome::Rejected(RejectReason::TooLarge);
                out.answers.push((proposal.ticket, outcome));
                continue;
            }
            if !building.has_space(proposal) {
                break;
            }
            let finds_no_room = self.finds_no_room(building.bytes(), proposal);
            if !finds_no_room && !self.can_place(&building, proposal) {
                self.blocked = true;
                break;
            }
            let waited = inbox.now_ns.saturating_sub(proposal.received_ns);
            let proposal = self.waiting.pop().expect("looked at above");
            let refused = if finds_no_room {
                // Here, so that the ops behind it go on.
                self.room.refused();
                Some((proposal.ticket, RejectReason::NoRoom))
            } else if waited > self.options.wait_limit_ns {
                Some((proposal.ticket, RejectReason::Busy(Bound::Waiting)))
            } else {
                building.add(proposal, next_offsets)?
            };
            if let Some((ticket, refusal)) = refused {
                out.answers.push((ticket, Outcome::Rejected(refusal)));
            }
        }
        building.finish()
    }

    /// Propose frames and keep their tickets. False if the engine does not take them: nothing was appended then, and
    /// the numbers that were given out go with the frames.
    fn hand_over(&mut self, frames: Vec<BuiltFrame<T>>, now_ns: u64, out: &mut Outbox<T>) -> bool {
        let Some(first) = frames.first().map(|built| built.frame.header.index) else {
            return true;
        };
        let descriptors: Vec<_> = frames
            .iter()
            .map(|built| Descriptor::from(&built.frame.header))
            .collect();
        if self.engine.propose(first, &descriptors).is_err() {
            self.rebuild_asked = None;
            self.reported_role = None;
            let refusal = self.not_leader();
            let placed = frames.into_iter().flat_map(|built| built.tickets);
            out.answers
                .extend(placed.map(|placed| (placed.ticket, Outcome::Rejected(refusal))));
            return false;
        }
        for built in frames {
            let header = &built.frame.header;
            let key = (header.index, header.term);
            let wait_ns = self.options.ack_timeout_ns;
            self.tickets.insert(key, built.tickets, now_ns, wait_ns);
            self.received_frames.insert(key, built.frame);
        }
        true
    }

    fn is_blocked(&mut self, applied_position: u64) -> bool {
        self.blocked = self.is_transferring() || self.bound(applied_position).is_some();
        self.blocked
    }

    fn still_lingers(&self, now_ns: u64) -> bool {
        let oldest = self.waiting.front().map_or(now_ns, |p| p.received_ns);
        self.lingers() && now_ns.saturating_sub(oldest) < self.linger_ns()
    }

    fn can_place(&self, building: &FrameBuilder<T>, proposal: &Proposal<T>) -> bool {
        let bytes = building.bytes() + proposal.weight().0;
        self.fits(bytes, self.room.kept(proposal.is_op()))
    }

    /// Whether frames with this many bytes of content find a segment, and leave so many; headers and padding are
    /// allowed for.
    fn fits(&self, bytes: usize, kept: u64) -> bool {
        !matches!(
            self.log
                .segment_ready_for(bytes as u64 + AROUND_CONTENT + kept),
            SegmentRoom::NextMissing { .. }
        )
    }

    /// Whether waiting for room is in vain, behind so many bytes of other content.
    pub(super) fn finds_no_room(&self, behind: usize, proposal: &Proposal<T>) -> bool {
        let bytes = behind + proposal.weight().0;
        let kept = self.room.kept(proposal.is_op());
        let is_low = self.room.is_low() && !proposal.is_op();
        is_low || (self.room.is_short() && !self.fits(bytes, kept))
    }

    pub(super) fn bound(&self, applied_position: u64) -> Option<Bound> {
        if self.tickets.frames() >= self.options.uncommitted_frames {
            return Some(Bound::Uncommitted);
        }
        let end = self.log.end().position;
        (end.saturating_sub(applied_position) > self.options.behind_bytes).then_some(Bound::Behind)
    }
}
