//! The log thread: carries inputs into the turn and effects out of it. It decides nothing itself.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use tern_journal::{Level, Logger, RateLimitedLog};
use tern_peers::{MessagePermit, Peers};
use tern_replica::{
    Committed, DiskRoomChange, Fatal, Inbox, MemberStatus, Outbox, Outcome, Promotion,
    PromotionRefusal, RejectReason, Replica,
};
use tern_replication::{Progress, Role, TICK_MS, replica_number};
use tern_requests::Views;

use super::apply::ApplyCommand;
use super::leader::LeaderHandle;
use super::plain::{say, tell};
use super::{flush, io};
use crate::channels::batch_queue::BatchSender;
use crate::channels::mailbox::{Input, Mailbox, MailboxReceiver};
use crate::clock;
use crate::counters::MessageCounters;
use crate::response_batch::{ResponseBatch, Ticket};
use crate::roles::RoleBoard;

/// Length of a tick, nanoseconds.
const TICK_NS: u64 = TICK_MS as u64 * 1_000_000;

/// Where effects go.
pub(super) struct Outlets {
    pub peers: Option<Arc<Peers>>,
    pub flush: BatchSender<flush::FlushCommand>,
    pub apply: BatchSender<ApplyCommand>,
    pub io: BatchSender<io::IoCommand>,
    pub leader: LeaderHandle,
    pub roles: Arc<RoleBoard>,
    pub mailbox: Mailbox,
    pub member_status: Arc<MemberStatus>,
    pub counters: Arc<MessageCounters>,
    pub views: Arc<Views>,
}

static UNUSABLE: RateLimitedLog = RateLimitedLog::new(
    Logger::Broker,
    Level::Warning,
    "the engine cannot use a message of a peer",
);

/// Runs until told to stop; returns the replica for the last writes of a clean stop.
pub(super) fn run(
    mut replica: Replica<Ticket>,
    mailbox: &MailboxReceiver,
    outlets: &Outlets,
) -> Result<Replica<Ticket>, Fatal> {
    let mut inbox = Inbox::default();
    let mut out = Outbox::default();
    let mut rooms = Vec::new();
    let mut ticked_ns = clock::monotonic_ns();
    let mut end_ns = None;
    loop {
        let now_ns = clock::monotonic_ns();
        let tick = (ticked_ns + replica.rest_ticks() * TICK_NS).saturating_sub(now_ns);
        let wait = replica.idle_for(now_ns).map_or(tick, |idle| idle.min(tick));
        let wait = Duration::from_nanos(wait);
        let inputs = if replica.lingers() {
            mailbox.take_deferring(wait)
        } else {
            mailbox.take(wait)
        };
        let (stop, asked) = sort(inputs, &mut inbox, &mut rooms)?;
        inbox.now_ns = clock::monotonic_ns();
        if let Some(drain) = stop {
            end_ns.get_or_insert(inbox.now_ns + drain.as_nanos() as u64);
        }
        if let Some(end_ns) = end_ns {
            refuse_new(&mut inbox);
            if !replica.has_undecided() || inbox.now_ns >= end_ns {
                replica.flush_rest(&mut out);
                deliver(&mut out, outlets);
                return Ok(replica);
            }
        }
        inbox.wall_ms = clock::wall_ms();
        inbox.ticks = u32::try_from((inbox.now_ns - ticked_ns) / TICK_NS).unwrap_or(u32::MAX);
        ticked_ns += u64::from(inbox.ticks) * TICK_NS;
        inbox.applied_position = outlets.views.applied_position();
        inbox.rotted = outlets.views.damage.is_met();
        replica.step(&mut inbox, &mut out)?;
        // What came in these messages is written now; the streams may bring more.
        rooms.clear();
        outlets
            .member_status
            .progressed(&replica.status(), |peer| replica.matched(peer));
        outlets.roles.see_slaves(replica.near_slaves());
        if out.role.is_some() {
            outlets.member_status.set_learners(replica.learners());
        }
        deliver(&mut out, outlets);
        for (force, sender) in asked.promotions {
            let _ = sender.try_send(replica.promote(force));
        }
        for sender in asked.progress {
            // Who asked may have given up.
            let _ = sender.try_send(replica.progress());
        }
    }
}

/// Who waits for an answer of the turn.
#[derive(Default)]
struct Waiters {
    /// How far the others are.
    progress: Vec<SyncSender<Vec<Progress>>>,
    /// Whether this slave becomes the master, forced or not.
    promotions: Vec<(bool, SyncSender<Result<Promotion, PromotionRefusal>>)>,
}

/// A replica that stops takes nothing new.
fn refuse_new(inbox: &mut Inbox<Ticket>) {
    let proposals = inbox.proposals.drain(..).map(|proposal| proposal.ticket);
    let reads = inbox.reads.drain(..).map(|(ticket, _)| ticket);
    let mut batch = ResponseBatch::default();
    for ticket in proposals.chain(reads) {
        ticket(Outcome::Rejected(RejectReason::Stopping), &mut batch);
    }
    batch.flush();
}

/// Inputs by kind. How long to drain, if it is time to stop, and who asked about the others.
fn sort(
    inputs: VecDeque<Input>,
    inbox: &mut Inbox<Ticket>,
    rooms: &mut Vec<MessagePermit>,
) -> Result<(Option<Duration>, Waiters), Fatal> {
    let (mut stop, mut asked) = (None, Waiters::default());
    for input in inputs {
        match input {
            Input::Propose(proposal) => inbox.proposals.push(proposal),
            Input::Read(ticket, received_ns) => inbox.reads.push((ticket, received_ns)),
            Input::Peer(message, room) => {
                inbox.peers.push(message);
                rooms.push(room);
            }
            Input::Durable(durable) => inbox.durable = Some(durable),
            Input::NextOffsets(rebuilt) => inbox.rebuilt = Some(rebuilt),
            Input::Segment(segment) => inbox.segments.push(segment),
            Input::Space(space) => inbox.space = Some(space),
            Input::Unreachable(peer) => inbox.unreachable.push(peer),
            Input::Connected(peer, last_term) => inbox.connected.push((peer, last_term)),
            Input::Gone(peer) => inbox.gone.push((inbox.peers.len(), peer)),
            Input::Transfer(to) => inbox.transfer = Some(to),
            Input::Failed(sentence) => return Err(Fatal::MayNotServe(sentence)),
            Input::Progress(sender) => asked.progress.push(sender),
            Input::Promote(force, sender) => asked.promotions.push((force, sender)),
            Input::Stop(drain) => stop = Some(drain),
        }
    }
    Ok((stop, asked))
}

fn deliver(out: &mut Outbox<Ticket>, outlets: &Outlets) {
    if !out.messages.is_empty()
        && let Some(peers) = &outlets.peers
    {
        peers.send(std::mem::take(&mut out.messages));
    }
    out.messages.clear();
    for (peer, why) in out.unusable.drain(..) {
        outlets.counters.peer_message_unusable();
        UNUSABLE.log(format_args!("member {}", replica_number(peer)), why);
    }
    if let Some(flush) = out.flush.take() {
        tell(&outlets.flush, flush::FlushCommand::Sync(flush));
    }
    if let Some(role) = out.role.take() {
        outlets.roles.changed(role);
        if role.role == Role::Leader {
            outlets
                .leader
                .lead(&outlets.roles, &outlets.mailbox, role.term);
        } else {
            outlets.leader.follow();
        }
    }
    if let Some(aside) = out.set_aside.take() {
        say(
            Level::Warning,
            format_args!(
                "{} messages that the master does not have were set aside before they were cut off the log (frames {} to \
                 {}): {}",
                aside.messages,
                aside.first_index,
                aside.last_index,
                aside.file.display()
            ),
        );
    }
    if let Some(rebuild) = out.rebuild.take() {
        tell(&outlets.apply, ApplyCommand::Rebuild(rebuild));
    }
    if let Some(commit) = out.commit.take() {
        tell(&outlets.apply, ApplyCommand::Commit(commit));
    }
    if let Some(base) = out.prepare_segment.take() {
        tell(&outlets.io, io::IoCommand::Prepare(base));
    }
    if std::mem::take(&mut out.look_at_disk) {
        tell(&outlets.io, io::IoCommand::Look);
    }
    if let Some(change) = out.room.take() {
        say(level_of(change), change.sentence());
    }
    answer(std::mem::take(&mut out.answers), outlets);
}

/// How much a change of room matters to an operator.
const fn level_of(change: DiskRoomChange) -> Level {
    match change {
        DiskRoomChange::Gone => Level::Error,
        DiskRoomChange::Back => Level::Info,
    }
}

/// Refusals leave from here; confirmed reads wait for the views.
fn answer(tickets: Vec<(Ticket, Outcome)>, outlets: &Outlets) {
    if tickets.is_empty() {
        return;
    }
    let mut batch = ResponseBatch::default();
    for (ticket, outcome) in tickets {
        if let Outcome::Confirmed(index) = outcome {
            let read = Committed {
                index: 0,
                decided: Vec::new(),
                at_apply: vec![(index, ticket, outcome)],
            };
            tell(&outlets.apply, ApplyCommand::Commit(read));
        } else {
            ticket(outcome, &mut batch);
        }
    }
    batch.flush();
}

#[cfg(test)]
mod tests {
    use tern_replication::{MessageKind, PeerMessage, replica_id};

    use super::*;

    #[test]
    fn a_peer_that_is_gone_keeps_its_place_behind_the_messages_that_came_before() {
        let (gone, other) = (replica_id(2, 1), replica_id(3, 1));
        let from = |peer| {
            let message = PeerMessage::raft(MessageKind::Append, peer, replica_id(1, 1));
            Input::Peer(message, MessagePermit::none())
        };
        let inputs = [from(gone), from(other), Input::Gone(gone), from(other)];
        let (mut inbox, mut rooms) = (Inbox::default(), Vec::new());
        let stop = sort(inputs.into(), &mut inbox, &mut rooms).unwrap();
        assert!(stop.0.is_none());
        assert_eq!((inbox.peers.len(), rooms.len()), (3, 3));
        assert_eq!(inbox.gone, [(2, gone)]);
    }
}
