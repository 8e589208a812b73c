//! The apply thread's part of a replica: whom it answers, and when (L26, L27).

use std::collections::VecDeque;

use tern_log::planted::{Bug, is_planted};

use super::apply::{Applied, Applier};
use super::inputs::{Committed, Fold, FoldEnd, Folded, Outcome};
use super::turn::Fatal;

/// Committed frames on their way into the views, and the tickets that wait for them.
pub struct Applying<T> {
    applier: Applier,
    target: u64,
    waiting: VecDeque<(u64, T, Outcome)>,
    is_blocked: bool,
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
    #[must_use = "producers wait for these answers"]
    pub fn commit(&mut self, committed: Committed<T>) -> Vec<(T, Outcome)> {
        self.target = self.target.max(committed.index);
        self.waiting.extend(committed.at_apply);
        committed.decided
    }

    /// What a new leader counts on from.
    ///
    /// # Errors
    /// [`Fatal`] if a frame contradicts itself.
    pub fn fold(&self, fold: Fold) -> Result<FoldEnd, Fatal> {
        let folded = if is_planted(Bug::FoldFromCommit) {
            self.applier.fold_behind(self.target, fold)
        } else {
            self.applier.fold(fold)
        };
        match folded {
            Ok(numbers) => Ok(FoldEnd::Folded(Folded {
                term: fold.term,
                numbers,
            })),
            // Asked before anything is called damage: a file that is cut while it is read shows anything.
            Err(Fatal::Log(_)) if self.applier.is_cut(fold) => Ok(FoldEnd::Overtaken),
            Err(Fatal::Log(error)) if error.is_damage() => Ok(FoldEnd::Damaged(error)),
            Err(fatal) => Err(fatal),
        }
    }

    /// Apply a stretch of about `max_bytes`, so that decided tickets never wait for a backlog of views.
    ///
    /// # Errors
    /// [`Fatal`] if a frame contradicts the state: the replica stops.
    pub fn advance(&mut self, max_bytes: usize) -> Result<Advanced<T>, Fatal> {
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
            answers: self.applied_tickets(),
        })
    }

    /// Tickets do not come in the order of their indexes: a read may ask for less than the op before it.
    fn applied_tickets(&mut self) -> Vec<(T, Outcome)> {
        let applied = self.applier.applied();
        if self.waiting.iter().all(|(index, ..)| *index > applied) {
            return Vec::new();
        }
        let (ready, waiting) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition::<VecDeque<_>, _>(|(index, ..)| *index <= applied);
        self.waiting = waiting;
        let ready = ready.into_iter();
        ready
            .map(|(_, ticket, outcome)| (ticket, outcome))
            .collect()
    }
}
