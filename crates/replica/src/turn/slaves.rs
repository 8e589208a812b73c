//! Masters and slaves: a master is the only voter of its group, slaves are its learners. What a sender is told in
//! synchronous double write, and how slaves are known to be there.
//!
//! The commit is the master's own: consumers of the master read a message before a slave has it, as in RocketMQ. The
//! promise to the sender waits for the slave, and is never broken in silence: without a slave the answer is 11, and
//! after the time for an acknowledgement 12.

use tern_log::planted::{Bug, is_planted};
use tern_replication::{ReplicaId, Role};

use super::Replica;
use crate::inputs::Outbox;
use crate::near_slaves::NearSlaves;
use crate::options::Acknowledgement;

/// Frames behind which the place of a slave is not looked up: it is then not far behind.
const NEAR_FRAMES: u64 = 64;

impl<T> Replica<T> {
    /// Whether this replica is a slave: it follows, and is never asked for a vote.
    pub fn is_slave(&self) -> bool {
        self.has_slaves() && self.state.learners.contains(&self.state.own_id)
    }

    /// Whether the learners of this group are the slaves of a master.
    pub(super) fn has_slaves(&self) -> bool {
        self.options.has_slaves && !self.state.learners.is_empty()
    }

    /// Whether it may answer by what it has while its master is gone: not before it has followed a master that was
    /// promoted, as it has forgotten what is committed.
    pub fn answers_alone(&self) -> bool {
        self.is_slave() && !self.state.superseded
    }

    /// Whether senders wait for a slave.
    pub(super) fn double_writes(&self) -> bool {
        self.options.acknowledgement == Acknowledgement::SlaveToo
            && self.engine.status().role == Role::Leader
            && self.has_slaves()
            && !is_planted(Bug::SlaveNotAwaited)
    }

    /// Up to where messages are on the master, if that is not enough for their senders; else 0.
    pub(super) fn committed_alone(&self) -> u64 {
        if self.double_writes() {
            self.committed
        } else {
            0
        }
    }

    /// Something came from a peer.
    pub(super) fn heard_of(&mut self, peer: ReplicaId) {
        if !self.peers_in_reach.contains(&peer) {
            self.peers_in_reach.push(peer);
        }
    }

    /// A connection is lost. A slave that is without its master says so at once; a master does not count on that slave.
    pub(super) fn lost(&mut self, peer: ReplicaId) {
        self.peers_in_reach.retain(|known| *known != peer);
        if self.is_slave() {
            self.engine.forget_leader(peer);
        }
    }

    /// Up to where a sender may be told that its message is stored, of what is committed.
    pub(super) fn acknowledgeable(&self, commit: u64) -> u64 {
        if !self.double_writes() {
            return commit;
        }
        let matched = self
            .state
            .learners
            .iter()
            .map(|slave| self.engine.matched(*slave));
        matched.max().unwrap_or(0).min(commit)
    }

    /// Slaves' answers make no work for the engine, so this is asked in every turn.
    pub(super) fn acknowledge(&mut self, out: &mut Outbox<T>) {
        if !self.double_writes() {
            return;
        }
        let upto = self.acknowledgeable(self.committed);
        if self.waits_for_one_upto(upto) {
            self.decide(upto, true, out);
        }
        if self.waits_for_one_upto(self.committed) && !self.has_slave() {
            self.decide(self.committed, false, out);
        }
    }

    fn waits_for_one_upto(&self, index: u64) -> bool {
        self.tickets.first().is_some_and(|first| first <= index)
    }

    /// Whether a slave is there that can be expected to confirm in time.
    fn has_slave(&self) -> bool {
        let reach = self.peers_in_reach.iter();
        let slaves = reach.filter(|peer| self.state.learners.contains(peer));
        slaves.into_iter().any(|slave| !self.is_far_behind(*slave))
    }

    /// The slaves that consumers can be sent to. Asked after every turn, so what it costs is a look into memory: a slave
    /// whose place has no descriptor there any more counts as far behind.
    pub fn near_slaves(&self) -> NearSlaves {
        let mut near = NearSlaves::default();
        let status = self.engine.status();
        if !self.has_slaves() {
            return near;
        }
        if status.role == Role::Leader {
            for slave in &self.state.learners {
                if self.peers_in_reach.contains(slave) && self.is_near(*slave) {
                    near.add(*slave, self.state.own_id);
                }
            }
        } else if self.is_slave() {
            near.add(self.state.own_id, status.leader);
        }
        near
    }

    fn is_near(&self, slave: ReplicaId) -> bool {
        let (end, matched) = (self.log.end(), self.engine.matched(slave));
        if matched + NEAR_FRAMES >= end.index {
            return true;
        }
        let place = self.log.reader().descriptor(matched + 1);
        place.is_some_and(|next| end.position - next.position <= self.options.slave_behind_bytes)
    }

    fn is_far_behind(&self, slave: ReplicaId) -> bool {
        let (end, matched) = (self.log.end(), self.engine.matched(slave));
        if matched + NEAR_FRAMES >= end.index {
            return false;
        }
        // A frame that cannot be read says nothing about the slave.
        let position = self
            .log
            .header(matched.max(1))
            .map(|header| header.position);
        position.is_ok_and(|at| end.position.saturating_sub(at) > self.options.slave_behind_bytes)
    }
}
