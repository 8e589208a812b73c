//! A planted bug around the delay levels of a leader: the messages of a batch and the level's progress stand in
//! different frames.

use std::collections::BTreeMap;

use bytes::Bytes;
use smallvec::SmallVec;
use tern_replica::{LeaderTask, Outcome, TaskTime, TaskView, TaskWork};

use crate::bugs::{OuterBug, outer};

/// The task inside, and progress that is held back from the frame of its messages; nothing without the bug.
pub struct ProgressApart<T> {
    task: T,
    /// By level; the messages are under way.
    withheld: BTreeMap<u16, Bytes>,
    /// By level; the messages are stored.
    owed: BTreeMap<u16, Bytes>,
}

impl<T: LeaderTask> ProgressApart<T> {
    /// Around this task.
    pub fn new(task: T) -> Self {
        Self {
            task,
            withheld: BTreeMap::new(),
            owed: BTreeMap::new(),
        }
    }
}

impl<T: LeaderTask> LeaderTask for ProgressApart<T> {
    fn topics(&self) -> &[&'static str] {
        self.task.topics()
    }

    fn begin(&mut self) {
        self.withheld.clear();
        self.owed.clear();
        self.task.begin();
    }

    fn wake(&mut self) {
        self.task.wake();
    }

    fn work(&mut self, view: &TaskView<'_>, work: &mut TaskWork) {
        for (level, progress) in std::mem::take(&mut self.owed) {
            work.propose(level, SmallVec::new(), progress);
        }
        let before = work.proposals.len();
        self.task.work(view, work);
        if outer() != Some(OuterBug::DelayProgressApart) {
            return;
        }
        for proposal in &mut work.proposals[before..] {
            if !proposal.drafts.is_empty() {
                let progress = std::mem::take(&mut proposal.ops);
                self.withheld.insert(proposal.ticket.number, progress);
            }
        }
    }

    fn decided(&mut self, level: u16, outcome: &Outcome) {
        match (self.withheld.remove(&level), outcome) {
            (Some(progress), Outcome::Stored(_)) => {
                self.owed.insert(level, progress);
            }
            _ => self.task.decided(level, outcome),
        }
    }

    fn idle_ms(&self, now: TaskTime) -> Option<u64> {
        if self.owed.is_empty() {
            self.task.idle_ms(now)
        } else {
            Some(0)
        }
    }
}
