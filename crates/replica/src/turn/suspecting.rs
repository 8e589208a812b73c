//! Sooner than the time-out: what a follower does when the process of its leader is gone (`docs/fast-election.md`).
//!
//! It forgets the leader, so that it gives its pre-vote to others, and after a short pause asks for theirs. The
//! survivors take slots, by a rule that needs no message: both know leader and term. Safety does not depend on any of
//! this: votes, their syncs and the comparison of logs are the engine's, and a leader that lives after all, or a follower
//! that hears it, grants nothing.

use tern_replication::{MessageKind, PeerMessage, ReplicaId, Role};

use super::Replica;
use super::leadership::Suspicion;
use crate::elections::ElectionCause;

/// Campaigns before the ordinary time-out is left to decide.
const TRIES: u32 = 8;
/// The pause before the first slot, and the spread within a slot, are so much of a slot.
const SLOT_PARTS: u64 = 5;

impl<T> Replica<T> {
    /// The process of a peer is gone. Anybody but the leader is not missed.
    pub(super) fn suspect(&mut self, peer: ReplicaId) {
        if !self.engine.forget_leader(peer) {
            return;
        }
        let term = self.engine.status().term;
        let mut survivors: Vec<_> = self.state.voters.iter().filter(|v| **v != peer).collect();
        survivors.sort_unstable();
        let Some(own) = survivors.iter().position(|v| **v == self.state.own_id) else {
            return;
        };
        let survivors = survivors.len() as u64;
        let rank = (own as u64 + term) % survivors;
        let slot = self.options.election_slot_ns;
        let pause = slot / SLOT_PARTS + rank * slot + self.spread(term);
        self.suspicion = Some(Suspicion {
            term,
            survivors,
            campaign_ns: self.now_ns + pause,
            tries: 0,
        });
    }

    /// Another replica asks for a vote. If only this one can win, as its log is longer, it asks at once: the other one
    /// gets a rejection that decides nothing while the third is dead. Else the other one has the slot.
    pub(super) fn make_way(&mut self, message: &PeerMessage) {
        let asks = matches!(message.message, MessageKind::PreVote | MessageKind::Vote);
        if !asks || self.suspicion.is_none() {
            return;
        }
        let end = self.log.end();
        let is_longer = (end.term, end.index) > (message.log_term, message.index);
        let (now_ns, round) = (self.now_ns, self.round_ns());
        if let Some(suspicion) = &mut self.suspicion {
            suspicion.campaign_ns = if is_longer { now_ns } else { now_ns + round };
        }
    }

    /// Campaign when it is this replica's slot; stop when a leader is known or another term has begun.
    pub(super) fn heed_suspicion(&mut self) {
        let Some(suspicion) = self.suspicion else {
            return;
        };
        let status = self.engine.status();
        // A vote that was asked for is a term of its own, and never repeated early: it may wait for a slow disk.
        let is_over = status.leader != 0
            || status.term != suspicion.term
            || status.role == Role::Leader
            || suspicion.tries >= TRIES;
        if is_over {
            self.suspicion = None;
            return;
        }
        if self.now_ns < suspicion.campaign_ns {
            return;
        }
        let again_ns = self.now_ns + self.round_ns();
        self.engine.campaign();
        // It asks beforehand, in the term that there is.
        self.elections
            .stands(ElectionCause::LeaderGone, status.term + 1);
        self.suspicion = Some(Suspicion {
            campaign_ns: again_ns,
            tries: suspicion.tries + 1,
            ..suspicion
        });
    }

    /// How long until it is this replica's slot; `None` if it waits for none.
    pub(super) fn campaign_in(&self, now_ns: u64) -> Option<u64> {
        let suspicion = self.suspicion.as_ref()?;
        Some(suspicion.campaign_ns.saturating_sub(now_ns))
    }

    /// One slot of every survivor.
    fn round_ns(&self) -> u64 {
        let survivors = self.suspicion.map_or(1, |suspicion| suspicion.survivors);
        let tries = self.suspicion.map_or(0, |suspicion| suspicion.tries);
        survivors * self.options.election_slot_ns + self.spread(u64::from(tries))
    }

    /// A part of a slot that differs from replica to replica, from the seed.
    fn spread(&self, salt: u64) -> u64 {
        let mut mixed = self.options.seed ^ self.state.own_id.rotate_left(17) ^ salt;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % (self.options.election_slot_ns / SLOT_PARTS).max(1)
    }
}
