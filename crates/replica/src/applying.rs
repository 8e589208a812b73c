//! The apply thread's part of a replica: whom it answers, and when (L26, L27).

use std::collections::VecDeque;

use tern_log::planted::{Bug, is_planted};

use crate::apply::{Applied, Applier};
use crate::fatal::Fatal;
use crate::inputs::{Committed, RebuildNextOffsets, RebuildOutcome, RebuiltNextOffsets};
use crate::proposal::{Bound, Outcome, RejectReason};

/// So long a committed request, or a confirmed read, waits for the views, nanoseconds: then its client has given it up, and
/// what it holds is given back. Views wait for a disk without room, or one that does not give the log back.
const PATIENCE_NS: u64 = 3_000_000_000;

/// Committed frames on their way into the views, and the tickets that wait for them.
pub struct Applying<T> {
    applier: Applier,
    target: u64,
    waiting: VecDeque<WaitingTicket<T>>,
    is_blocked: bool,
}

/// A ticket that is answered when its frame is applied.
struct WaitingTicket<T> {
    index: u64,
    ticket: T,
    outcome: Outcome,
    since_ns: u64,
}

impl<T> WaitingTicket<T> {
    /// The answer when the wait was too long: a read was not made, and what is committed will have its effect.
    fn timed_out(self) -> (T, Outcome) {
        let outcome = match self.outcome {
            Outcome::Confirmed(_) => Outcome::Rejected(RejectReason::Busy(Bound::Behind)),
            _ => Outcome::Unknown,
        };
        (self.ticket, outcome)
    }
}

/// What a stretch of applied frames led to: to be published in this order, views first, answers after.
pub struct Advanced<T> {
    /// What changed, if frames were applied.
    pub applied: Option<Applied>,
    /// Tickets whose index is applied now.
    pub answers: Vec<(T, Outcome)>,
}

impl<T> Applying<T> {
    /// Begin with these views.
    pub const fn new(applier: Applier) -> Self {
        Self {
            applier,
            target: 0,
            waiting: VecDeque::new(),
            is_blocked: false,
        }
    }

    /// State and position of the views.
    pub const fn applier(&self) -> &Applier {
        &self.applier
    }

    /// Whether committed frames are not applied yet.
    pub fn is_behind(&self) -> bool {
        self.applier.applied() < self.target
    }

    /// Whether there is something to apply, or a damaged view to write again.
    pub fn has_work(&self) -> bool {
        self.is_behind() || self.applier.mends()
    }

    /// Whether the views took nothing more when they were last asked: try again after a pause.
    pub const fn is_blocked(&self) -> bool {
        self.is_blocked
    }

    /// More is committed. The tickets that come back are decided and are answered at once, before anything is applied.
    /// `now_ns` is the caller's monotonic clock.
    #[must_use = "producers wait for these answers"]
    pub fn commit(&mut self, committed: Committed<T>, now_ns: u64) -> Vec<(T, Outcome)> {
        self.target = self.target.max(committed.index);
        let at_apply = committed.at_apply.into_iter();
        self.waiting
            .extend(at_apply.map(|(index, ticket, outcome)| WaitingTicket {
                index,
                ticket,
                outcome,
                since_ns: now_ns,
            }));
        committed.decided
    }

    /// What a new leader counts on from.
    ///
    /// # Errors
    /// [`Fatal`] if a frame contradicts itself.
    pub fn rebuild(&self, rebuild: RebuildNextOffsets) -> Result<RebuildOutcome, Fatal> {
        let counted = if is_planted(Bug::FoldFromCommit) {
            self.applier.rebuild_behind(self.target, rebuild)
        } else {
            self.applier.rebuild(rebuild)
        };
        match counted {
            Ok(next_offsets) => Ok(RebuildOutcome::Rebuilt(RebuiltNextOffsets {
                term: rebuild.term,
                next_offsets,
            })),
            // Asked before anything is called damage: a file that is cut while it is read shows anything.
            Err(Fatal::Log(_)) if self.applier.is_cut(rebuild) => Ok(RebuildOutcome::Overtaken),
            Err(Fatal::Log(error)) if error.is_damage() => Ok(RebuildOutcome::Damaged(error)),
            Err(fatal) => Err(fatal),
        }
    }

    /// Apply a stretch of about `max_bytes`, so that decided tickets never wait for a backlog of views. `now_ns` is the
    /// caller's monotonic clock.
    ///
    /// # Errors
    /// [`Fatal`] if a frame contradicts the state: the replica stops.
    pub fn advance(&mut self, max_bytes: usize, now_ns: u64) -> Result<Advanced<T>, Fatal> {
        let before = self.applier.applied();
        let applied = if self.has_work() {
            Some(self.applier.apply(self.target, max_bytes)?)
        } else {
            None
        };
        let blocked = applied
            .as_ref()
            .and_then(|applied| applied.blocked.as_ref());
        self.is_blocked = blocked.is_some() && self.applier.applied() == before;
        Ok(Advanced {
            applied,
            answers: self.answers(now_ns),
        })
    }

    /// Tickets do not come in the order of their indexes: a read may ask for less than the op before it. They come in the
    /// order of time.
    fn answers(&mut self, now_ns: u64) -> Vec<(T, Outcome)> {
        let applied = self.applier.applied();
        let is_over =
            |waiting: &WaitingTicket<T>| now_ns.saturating_sub(waiting.since_ns) > PATIENCE_NS;
        let mut answers = Vec::new();
        if self.waiting.iter().any(|waiting| waiting.index <= applied) {
            let (ready, waiting) = std::mem::take(&mut self.waiting)
                .into_iter()
                .partition::<VecDeque<_>, _>(|waiting| waiting.index <= applied);
            self.waiting = waiting;
            answers.extend(ready.into_iter().map(|one| (one.ticket, one.outcome)));
        }
        while self.waiting.front().is_some_and(is_over) {
            answers.extend(self.waiting.pop_front().map(WaitingTicket::timed_out));
        }
        answers
    }
}
