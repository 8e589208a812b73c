//! Answers to what will not be done; nothing of it was appended, but for what is undecided for too long.

use tern_replication::Role;

use super::Replica;
use crate::inputs::Outbox;
use crate::proposal::{Bound, Outcome, RejectReason};
use tern_log::planted::{Bug, is_planted};

impl<T> Replica<T> {
    /// Answer what will not be done: not the leader, waited too long, no room, undecided for too long.
    pub(super) fn refuse(&mut self, now_ns: u64, applied_position: u64, out: &mut Outbox<T>) {
        out.answers
            .extend(self.tickets.expire(now_ns, self.committed_alone()));
        if self.engine.status().role == Role::Leader {
            self.handed_over_ns = self.is_transferring().then_some(now_ns);
            self.refuse_waiting(now_ns, applied_position, out);
            self.refuse_reads(now_ns, out);
        } else if !self.knows_successor_soon(now_ns) {
            self.handed_over_ns = None;
            self.refuse_all(out);
        }
    }

    /// Leadership was handed over a moment ago, and who has it now is about to say so: a refusal that names the new leader
    /// lets a client go there at once, one that names nobody makes it hunt.
    fn knows_successor_soon(&self, now_ns: u64) -> bool {
        let waited = |since| now_ns.saturating_sub(since);
        let since = self.handed_over_ns;
        self.engine.status().leader == 0
            && since.is_some_and(|since| waited(since) < self.options.wait_limit_ns)
    }

    pub(super) fn not_leader(&self) -> RejectReason {
        let status = self.engine.status();
        RejectReason::NotLeader {
            // A leader refuses so while it hands over: who comes back here would be refused again.
            leader: match status.role {
                Role::Leader => 0,
                _ => status.leader,
            },
            term: status.term,
        }
    }

    /// A replica that does not lead keeps nothing.
    fn refuse_all(&mut self, out: &mut Outbox<T>) {
        if is_planted(Bug::BusyAfterAppend) {
            let busy = Outcome::Rejected(RejectReason::Busy(Bound::Waiting));
            let expired = self.tickets.expire(u64::MAX, 0);
            out.answers.extend(
                expired
                    .into_iter()
                    .map(|(ticket, _)| (ticket, busy.clone())),
            );
        }
        let refusal = self.not_leader();
        let reads = self.asked.drain(..).flat_map(|(_, reads)| reads);
        let tickets = reads.chain(self.reads.drain(..)).map(|(ticket, _)| ticket);
        let waiting = std::iter::from_fn(|| self.waiting.pop()).map(|proposal| proposal.ticket);
        out.answers.extend(
            tickets
                .chain(waiting)
                .map(|ticket| (ticket, Outcome::Rejected(refusal))),
        );
    }

    /// Proposals in their order, as long as the oldest waited too long or finds no room.
    fn refuse_waiting(&mut self, now_ns: u64, applied_position: u64, out: &mut Outbox<T>) {
        while let Some(oldest) = self.waiting.front() {
            let waited = now_ns.saturating_sub(oldest.received_ns);
            let refusal = if self.finds_no_room(0, oldest) {
                self.room.refused();
                RejectReason::NoRoom
            } else if waited <= self.options.wait_limit_ns {
                return;
            } else if self.is_transferring() {
                self.not_leader()
            } else {
                RejectReason::Busy(self.bound(applied_position).unwrap_or(Bound::Waiting))
            };
            let proposal = self.waiting.pop().expect("looked at above");
            out.answers
                .push((proposal.ticket, Outcome::Rejected(refusal)));
        }
    }

    fn refuse_reads(&mut self, now_ns: u64, out: &mut Outbox<T>) {
        let limit_ns = self.options.ack_timeout_ns;
        let overdue = |received: u64| now_ns.saturating_sub(received) > limit_ns;
        let busy = |ticket: T| {
            (
                ticket,
                Outcome::Rejected(RejectReason::Busy(Bound::Waiting)),
            )
        };
        while self.reads.front().is_some_and(|(_, at)| overdue(*at)) {
            let (ticket, _) = self.reads.pop_front().expect("looked at above");
            out.answers.push(busy(ticket));
        }
        while let Some((_, reads)) = self.asked.first()
            && reads.first().is_some_and(|(_, at)| overdue(*at))
        {
            let (_, reads) = self.asked.remove(0);
            out.answers
                .extend(reads.into_iter().map(|(ticket, _)| busy(ticket)));
        }
    }
}
