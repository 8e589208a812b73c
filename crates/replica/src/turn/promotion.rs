//! How a group of a master and slaves gets another master: by hand, never by itself.
//!
//! **Handing over**: the master takes nothing new, waits until the slave has everything, durably remembers the slave as
//! the master, and tells it so. Nothing can be lost, and there are never two: the old one has stepped back before the
//! new one hears of it.
//!
//! **Promotion** of a slave whose master is gone: an operator decides, because what the master alone had is not here.
//! The promoted one begins in a later era of terms, as its master's starts count terms, too. Whoever hears of a master with a
//! greater term than the own one follows it: it forgets what it had committed by itself, and at its next start cuts off
//! what the new master does not have. What is cut off is set aside in a file.

use tern_replication::{MessageKind, PeerMessage, ReplicaId, Role, replica_number};

use super::Replica;
use super::leadership::{Promotion, PromotionRefusal};
use crate::elections::ElectionCause;
use crate::fatal::Fatal;
use crate::inputs::{Outbox, SetAside};

/// A promoted slave begins in the next era of so many terms, at a place of its own in it: a master that starts again and
/// again does not come there, and two slaves that were promoted beside each other never lead in one term.
const ERA_TERMS: u64 = 1 << 20;
/// Terms of one master within an era.
const MASTER_TERMS: u64 = 1 << 14;
const MASTERS: u64 = ERA_TERMS / MASTER_TERMS;

/// The term in which a replica begins that was promoted when this one was known.
fn promoted_term(known: u64, master: ReplicaId) -> u64 {
    let place = u64::from(replica_number(master)) % MASTERS;
    (known / ERA_TERMS + 1) * ERA_TERMS + place * MASTER_TERMS
}

/// Who leads in a term, by the place of that in its era; 0 in the first era, whose terms belong to nobody.
const fn master_of(term: u64) -> u32 {
    (term % ERA_TERMS / MASTER_TERMS) as u32
}
/// How long a master that starts waits for its slaves to show themselves.
const MEETING_NS: u64 = 1_000_000_000;
/// A slave that has not got everything after so long does not take over; the master goes on.
const HANDING_OVER_NS: u64 = 5_000_000_000;

impl<T> Replica<T> {
    /// Become the master instead of one that is gone; begins with the next turns. `force` accepts that what the master
    /// alone had is lost.
    ///
    /// # Errors
    /// [`PromotionRefusal`]: nothing has changed.
    pub fn promote(&mut self, force: bool) -> Result<Promotion, PromotionRefusal> {
        if !self.is_slave() {
            return Err(PromotionRefusal::NoSlave);
        }
        if self.engine.status().leader != 0 {
            return Err(PromotionRefusal::MasterLives);
        }
        if !force {
            return Err(PromotionRefusal::MayLose);
        }
        self.is_promoted = true;
        self.elections.stands(ElectionCause::Promoted, 0);
        let end = self.log.end();
        Ok(Promotion {
            last_index: end.index,
            stored_ms: end.store_timestamp_ms,
        })
    }

    /// Replica numbers of the slaves.
    pub fn learners(&self) -> Vec<u32> {
        let learners = self.state.learners.iter().filter(|_| self.has_slaves());
        learners.map(|slave| replica_number(*slave)).collect()
    }

    /// Hand leadership to another replica.
    pub(super) fn transfer(&mut self, to: ReplicaId) {
        let leads = self.engine.status().role == Role::Leader;
        if !self.has_slaves() {
            self.engine.transfer(to);
        } else if leads && self.state.learners.contains(&to) && self.handing_to.is_none() {
            self.handing_to = Some((to, self.now_ns));
        }
    }

    /// Whether leadership is being handed over; nothing is appended meanwhile.
    pub(super) fn is_transferring(&self) -> bool {
        self.handing_to.is_some() || self.engine.transferring()
    }

    /// A handover goes on, ends, or is given up.
    pub(super) fn hand_over_in_time(&mut self, out: &mut Outbox<T>) -> Result<(), Fatal> {
        let Some((to, since_ns)) = self.handing_to else {
            return Ok(());
        };
        if self.now_ns.saturating_sub(since_ns) > HANDING_OVER_NS {
            self.handing_to = None;
            return Ok(());
        }
        let end = self.log.end().index;
        let is_settled = self.unsynced.is_empty() && self.committed == end;
        let has_all = self.engine.matched(to) >= end && self.tickets.frames() == 0;
        if !is_settled || !has_all {
            return Ok(());
        }
        let (own, term) = (self.state.own_id, self.engine.status().term);
        // The new master first, and durably: who hears of it may begin at once.
        self.be_led_by(to, term, true)?;
        let mut message = PeerMessage::raft(MessageKind::TimeoutNow, own, to);
        message.term = term;
        out.messages.push(message);
        self.handing_to = None;
        self.restart_engine()
    }

    /// A slave that was told to becomes the master, once nothing of the old one is on its way to the disk.
    pub(super) fn promote_in_time(&mut self) -> Result<(), Fatal> {
        if !self.is_promoted || !self.unsynced.is_empty() {
            return Ok(());
        }
        self.is_promoted = false;
        let (own, term) = (self.state.own_id, self.engine.status().term);
        let term = promoted_term(term.max(self.state.term), own);
        self.be_led_by(own, term, false)?;
        self.restart_engine()?;
        self.engine.campaign();
        self.elections.stands_in(self.engine.status().term);
        Ok(())
    }

    /// Whether this replica remembers to be the master of slaves.
    pub(super) fn is_master_of_slaves(&self) -> bool {
        self.has_slaves() && self.state.voters == [self.state.own_id]
    }

    /// Whether no slave can have been promoted without its knowledge: all have shown themselves since the start, or are
    /// not there. Who was promoted shows a greater term.
    pub(super) fn knows_that_it_is_master(&mut self) -> bool {
        let since = *self.started_ns.get_or_insert(self.now_ns);
        let met = |slave| self.slaves_met.contains(slave);
        self.state.learners.iter().all(met) || self.now_ns.saturating_sub(since) >= MEETING_NS
    }

    /// A peer was connected.
    ///
    /// # Errors
    /// [`Fatal::Superseded`] if it has a frame of a later master.
    pub(super) fn meet(&mut self, peer: ReplicaId, last_term: u64) -> Result<(), Fatal> {
        self.heard_of(peer);
        if !self.is_master_of_slaves() {
            return Ok(());
        }
        if !self.slaves_met.contains(&peer) {
            self.slaves_met.push(peer);
        }
        // It may be a slave that has followed another one.
        let mut members = self.state.learners.iter().copied();
        let master = members.find(|member| replica_number(*member) == master_of(last_term));
        match master {
            Some(master) if last_term > self.engine.status().term => {
                Err(self.be_superseded(master, last_term)?)
            }
            _ => Ok(()),
        }
    }

    /// Who has handed over, and hears of no master, tells the new one again: the first word may not have been heard. An
    /// ordinary slave never does, as its master may have handed over to it.
    pub(super) fn remind_master(&mut self, ticks: u32, out: &mut Outbox<T>) {
        let status = self.engine.status();
        if !self.is_slave() || !self.state.handed_over || status.leader != 0 {
            self.unled_ticks = 0;
            return;
        }
        self.unled_ticks = self.unled_ticks.saturating_add(ticks);
        if self.unled_ticks < self.options.heartbeat_ticks {
            return;
        }
        self.unled_ticks = 0;
        let (own, masters) = (self.state.own_id, self.state.voters.iter());
        out.messages.extend(masters.map(|master| {
            let mut message = PeerMessage::raft(MessageKind::TimeoutNow, own, *master);
            message.term = status.term;
            message
        }));
    }

    /// Whether a message comes from a master that this replica does not follow: an older one, which is not heard; or from
    /// the own master, which hands over.
    ///
    /// # Errors
    /// [`Fatal::Superseded`] if it is a newer one.
    pub(super) fn is_of_another_master(&mut self, message: &PeerMessage) -> Result<bool, Fatal> {
        if !self.has_slaves() {
            return Ok(false);
        }
        let is_masters_own = self.state.voters.contains(&message.from);
        match message.message {
            MessageKind::TimeoutNow => {
                // One of an earlier term was overtaken: leadership has been here since, and was given back.
                let is_of_now = message.term >= self.engine.status().term;
                if is_masters_own && is_of_now && self.is_slave() {
                    self.is_promoted = true;
                    self.elections.stands(ElectionCause::HandedOver, 0);
                }
                Ok(true)
            }
            MessageKind::Append | MessageKind::Heartbeat | MessageKind::Snapshot
                if !is_masters_own =>
            {
                if message.term > self.engine.status().term {
                    return Err(self.be_superseded(message.from, message.term)?);
                }
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Remember the new master; the answer is what ends this process.
    fn be_superseded(&mut self, master: ReplicaId, term: u64) -> Result<Fatal, Fatal> {
        self.state.commit = 1;
        self.state.superseded = true;
        self.be_led_by(master, term, false)?;
        Ok(Fatal::Superseded(format!(
            "member {} has been promoted to master of this group in term {term}; this replica follows it when it is \
             started again, and sets aside what it alone has",
            replica_number(master),
        )))
    }

    /// Remember, durably, who is the master, and whether that is so because this replica has handed over to it.
    fn be_led_by(&mut self, master: ReplicaId, term: u64, handed_over: bool) -> Result<(), Fatal> {
        let members = self.state.voters.iter().chain(&self.state.learners);
        let others = members.copied().filter(|member| *member != master);
        self.state.learners = others.collect();
        self.state.voters = vec![master];
        self.state.term = term;
        self.state.vote = 0;
        self.state.handed_over = handed_over;
        self.store_state()
    }

    /// Go on over the same log in another role.
    fn restart_engine(&mut self) -> Result<(), Fatal> {
        let Some(maker) = self.engine_maker else {
            return Err(Fatal::Consensus(
                "this replica cannot change its role".to_owned(),
            ));
        };
        let commit = self.floor.max(self.committed).min(self.log.end().index);
        self.engine = maker.engine(&self.state, &self.log, commit)?;
        self.received_frames.clear();
        self.unsynced.clear();
        self.reported_role = None;
        Ok(())
    }

    /// Once a master has said what is committed here, that is known again.
    pub(super) fn follows_again(&mut self) {
        // Kept in memory alone until the next store: a start before that forgets once more, which costs nothing.
        if self.state.superseded && self.committed > 1 {
            self.state.superseded = false;
            self.state.commit = 1;
        }
    }

    /// Keep the messages of frames that are about to be cut off, if this is a slave: nobody else may have them.
    pub(super) fn set_aside(&mut self, first: u64, out: &mut Outbox<T>) -> Result<(), Fatal> {
        if !self.is_slave() {
            return Ok(());
        }
        let end = self.log.end();
        let (mut records, mut messages, mut next) = (Vec::new(), 0, first);
        while next <= end.index {
            let frames = self.log.reader().frames(next, 1 << 20)?;
            let Some(last) = frames.last() else { break };
            next = last.header.index + 1;
            for frame in &frames {
                records.extend_from_slice(frame.records());
                messages += u64::from(frame.header.message_count);
            }
        }
        if messages == 0 {
            return Ok(());
        }
        let name = format!("term-{}-frames-{first}-{}.records", end.term, end.index);
        let file = self.log.set_aside(&name, &records)?;
        out.set_aside = Some(SetAside {
            file,
            messages,
            first_index: first,
            last_index: end.index,
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tern_replication::replica_id;

    #[test]
    fn promoted_terms_name_their_master_and_never_meet() {
        let [first, second] = [replica_id(2, 1), replica_id(3, 1)];
        for known in [1, 7, ERA_TERMS - 1, ERA_TERMS, 5 * ERA_TERMS + 40_000] {
            let (one, other) = (promoted_term(known, first), promoted_term(known, second));
            assert!(one > known && other > known);
            assert_eq!((master_of(one), master_of(other)), (2, 3));
            // Ten thousand starts later they still are what they were.
            assert_eq!((master_of(one + 10_000), master_of(other + 10_000)), (2, 3));
        }
        assert_eq!(master_of(9_000), 0, "a master that was founded as one");
    }
}
