//! Whether this replica is fit to lead: its disk answers in time, and its log can be read.

use super::Replica;

/// A flush that takes longer makes a leader look for a successor, and keeps a follower from standing.
const SLOW_NS: u64 = 1_000_000_000;
/// A leader without durable progress for so long steps down (D13), and so does one whose successor has not taken over.
const STUCK_NS: u64 = 2_000_000_000;

impl<T> Replica<T> {
    /// Whether damage was met in the log since the start.
    pub fn has_rotted(&self) -> bool {
        self.health.rotted
    }

    /// Hand leadership over while this replica is not fit for it. It goes on following and voting: its log is as long as
    /// it says, and what it holds was durable.
    pub(super) fn heed_health(&mut self, rotted: bool) {
        self.health.rotted |= rotted | self.engine.take_unreadable();
        let oldest = self.unsynced.front().map_or(self.now_ns, |f| f.since_ns);
        let unsynced = self.now_ns.saturating_sub(oldest);
        let is_fit = !self.health.rotted && unsynced <= SLOW_NS;
        if self.is_master_of_slaves() {
            // Nobody could take its place, so it leads whatever its disk does; but not before it knows that it may.
            let may = self.knows_that_it_is_master();
            self.engine.may_stand(may);
            if may && self.engine.status().role == tern_replication::Role::Follower {
                self.engine.campaign();
            }
            return;
        }
        self.engine.may_stand(is_fit);
        let leads = self.engine.status().role == tern_replication::Role::Leader;
        if is_fit || !leads {
            self.health.handing_over_ns = None;
            return;
        }
        if self.health.handing_over_ns.is_none()
            && let Some(to) = self.engine.successor()
        {
            self.engine.transfer(to);
        }
        let since = *self.health.handing_over_ns.get_or_insert(self.now_ns);
        if unsynced > STUCK_NS || self.now_ns.saturating_sub(since) > STUCK_NS {
            self.engine.step_down();
        }
    }
}
