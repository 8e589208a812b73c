//! Whether this replica is fit to lead: its disk answers in time, and its log can be read.

use tern_replication::{MessageKind, PeerKind, PeerMessage, Role, TICK_MS};

use super::Replica;
use crate::disk_health::{DiskCondition, HANGS_NS};
use crate::inputs::{Inbox, Outbox};

/// A leader without durable progress for so long steps down (D13), and so does one whose successor has not taken over.
const STUCK_NS: u64 = 2_000_000_000;
const TICK_NS: u64 = TICK_MS as u64 * 1_000_000;

impl<T> Replica<T> {
    /// Whether damage was met in the log since the start.
    pub fn has_rotted(&self) -> bool {
        self.health.rotted
    }

    /// How its disk is, beside those of the others.
    pub fn disk_condition(&self) -> DiskCondition {
        self.disk.condition()
    }

    /// Hand leadership over while this replica is not fit for it. It goes on following and voting: its log is as long as
    /// it says, and what it holds was durable.
    pub(super) fn heed_health(&mut self, inbox: &mut Inbox<T>, out: &mut Outbox<T>) {
        self.health.rotted |= std::mem::take(&mut inbox.rotted) | self.engine.take_unreadable();
        let unsynced = self.unsynced_ns();
        if self.is_master_of_slaves() {
            // Nobody could take its place, so it leads whatever its disk does; but not before it knows that it may.
            let may = self.knows_that_it_is_master();
            self.engine.may_stand(may);
            if may && self.engine.status().role == Role::Follower {
                self.engine.campaign();
            }
            return;
        }
        self.look_at_disks(unsynced, inbox.ticks, out);
        let may_stand = !self.health.rotted && self.disk_may_stand(unsynced);
        self.engine.may_stand(may_stand);
        let must_go = self.health.rotted || unsynced > HANGS_NS;
        if self.engine.status().role != Role::Leader {
            self.health.handing_over_ns = None;
        } else if must_go {
            self.hand_over_or_step_down(unsynced);
        } else {
            self.health.handing_over_ns = None;
            if self.disk.asks_to_be_relieved(self.now_ns) {
                self.hand_over_to_the_well();
            }
        }
    }

    /// Whether its disk keeps it from standing. It does not where a flush has come back and nobody leads for long: what it
    /// has may be more than the others have, and then only this replica can be elected.
    fn disk_may_stand(&self, unsynced: u64) -> bool {
        let alone_ns = self.now_ns.saturating_sub(self.health.led_ns);
        let longest_ns = u64::from(self.options.leader_catch_up_ticks) * TICK_NS;
        self.disk.condition() == DiskCondition::Well
            || (unsynced <= HANGS_NS && alone_ns > longest_ns)
    }

    /// What only a leader sends has come.
    pub(super) fn hears_leader(&mut self, message: &PeerMessage) {
        let leads = matches!(
            message.message,
            MessageKind::Heartbeat | MessageKind::Append | MessageKind::Snapshot
        );
        if leads && message.term >= self.engine.status().term {
            self.health.led_ns = self.now_ns;
        }
    }

    /// How long the oldest flush has been waited for.
    fn unsynced_ns(&self) -> u64 {
        let oldest = self.unsynced.front().map_or(self.now_ns, |f| f.since_ns);
        self.now_ns.saturating_sub(oldest)
    }

    fn hand_over_or_step_down(&mut self, unsynced: u64) {
        if self.health.handing_over_ns.is_none() {
            self.hand_over_to_the_well();
        }
        let since = *self.health.handing_over_ns.get_or_insert(self.now_ns);
        if unsynced > STUCK_NS || self.now_ns.saturating_sub(since) > STUCK_NS {
            self.engine.step_down();
        }
    }

    fn hand_over_to_the_well(&mut self) {
        let (followers, voters) = (self.engine.progress(), &self.state.voters);
        if let Some(to) = self.disk.successor(&followers, voters, self.now_ns) {
            self.engine.transfer(to);
        }
    }

    /// At each tick, or at once where the disk hangs: what is known of the disks, and what the others are told.
    fn look_at_disks(&mut self, unsynced: u64, ticks: u32, out: &mut Outbox<T>) {
        let voters = self.state.voters.len();
        if (ticks == 0 && unsynced <= HANGS_NS) || voters < 2 {
            return;
        }
        let change = self.disk.look(unsynced, voters / 2 + 1, self.now_ns);
        out.disk = change.or(out.disk);
        if let Some(word) = self.disk.word(self.now_ns) {
            let own = self.state.own_id;
            let others = self.state.voters.iter().filter(|voter| **voter != own);
            let told = others.map(|peer| PeerMessage::status(own, *peer, word.clone()));
            out.messages.extend(told);
        }
    }

    /// A status message that a started replica is given is a word of a peer's disk.
    pub(super) fn hears_of_disk(&mut self, message: &PeerMessage) -> bool {
        if message.kind == PeerKind::Status {
            self.disk.heard(message.from, &message.context, self.now_ns);
        }
        message.kind == PeerKind::Status
    }
}
