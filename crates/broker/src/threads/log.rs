//! What a thread does that has the turn: it carries inputs in and effects out, and decides nothing itself.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use tern_journal::{Level, Logger, RateLimitedLog};
use tern_peers::{MessagePermit, Peers};
use tern_replica::{
    Committed, DiskCondition, DiskRoomChange, Durable, Fatal, FlushRequest, Inbox, MemberStatus,
    Outbox, Outcome, Promotion, PromotionRefusal, RejectReason, Replica,
};
use tern_replication::{Persisted, Progress, Role, TICK_MS, replica_number};
use tern_requests::Views;

use super::apply::{ApplyCommand, ApplyShare};
use super::io;
use super::leader::LeaderHandle;
use super::plain::{say, tell};
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
    pub flush: BatchSender<FlushCommand>,
    pub apply: Arc<ApplyShare>,
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

/// The turn of a replica, with what feeds it and where its effects go. One thread has it at a time.
pub(super) struct Turn {
    replica: Replica<Ticket>,
    mailbox: MailboxReceiver,
    outlets: Outlets,
    inbox: Inbox<Ticket>,
    out: Outbox<Ticket>,
    rooms: Vec<MessagePermit>,
    ticked_ns: u64,
    /// When it ends even if something is undecided.
    end_ns: Option<u64>,
    /// The newest work whose flush was handed over and is not over.
    handed_over: Option<Persisted>,
}

/// For the thread that has not the turn.
pub(super) enum FlushCommand {
    Sync(FlushRequest),
    /// A turn waits for its flush.
    Watch,
    Stop,
}

/// What is to be done after a turn.
pub(super) enum AfterTurn {
    /// The next one, when something comes.
    Next,
    /// This flush, and then the next one.
    Flush(FlushRequest),
    /// Nothing; it was the last one.
    Stop,
}

impl Turn {
    pub fn new(replica: Replica<Ticket>, mailbox: MailboxReceiver, outlets: Outlets) -> Self {
        Self {
            replica,
            mailbox,
            outlets,
            inbox: Inbox::default(),
            out: Outbox::default(),
            rooms: Vec::new(),
            ticked_ns: clock::monotonic_ns(),
            end_ns: None,
            handed_over: None,
        }
    }

    /// The replica, for the last writes of a clean stop.
    pub fn into_replica(self) -> Replica<Ticket> {
        self.replica
    }

    /// A flush that the turn has waited for is over.
    pub fn flushed(&mut self, durable: Durable) {
        self.inbox.durable = Some(durable);
    }

    /// Wait for inputs, take the turn, and carry out all of it but a flush that it waits for.
    pub fn take(&mut self) -> Result<AfterTurn, Fatal> {
        let inputs = self.wait();
        let asked = sort(inputs, &mut self.inbox, &mut self.rooms)?;
        let (replica, inbox, out) = (&mut self.replica, &mut self.inbox, &mut self.out);
        inbox.now_ns = clock::monotonic_ns();
        if let Some(drain) = asked.stop {
            self.end_ns
                .get_or_insert(inbox.now_ns + drain.as_nanos() as u64);
        }
        if let Some(end_ns) = self.end_ns {
            refuse_new(inbox);
            if !replica.has_undecided() || inbox.now_ns >= end_ns {
                replica.flush_rest(out);
                let flush = out.flush.take();
                deliver(out, replica.log().end().position, &self.outlets)?;
                self.hand_over(flush);
                return Ok(AfterTurn::Stop);
            }
        }
        if let Some(durable) = inbox.durable {
            self.handed_over
                .take_if(|newest| *newest <= durable.number());
        }
        inbox.wall_ms = clock::wall_ms();
        inbox.ticks = u32::try_from((inbox.now_ns - self.ticked_ns) / TICK_NS).unwrap_or(u32::MAX);
        self.ticked_ns += u64::from(inbox.ticks) * TICK_NS;
        inbox.applied_position = self.outlets.views.applied_position();
        inbox.rotted = self.outlets.views.damage.is_met();
        replica.step(inbox, out)?;
        // What came in these messages is written now; the streams may bring more.
        self.rooms.clear();
        let outlets = &self.outlets;
        outlets
            .member_status
            .progressed(&replica.status(), |peer| replica.matched(peer));
        outlets.roles.see_slaves(replica.near_slaves());
        if out.role.is_some() {
            outlets.member_status.set_learners(replica.learners());
        }
        let flush = out.flush.take();
        // One that was handed over and is not over would have to be waited for, too.
        let waits = std::mem::take(&mut out.waits_for_flush) && self.handed_over.is_none();
        if !waits {
            self.hand_over(flush);
        }
        let log_end = self.replica.log().end().position;
        deliver(&mut self.out, log_end, &self.outlets)?;
        for (force, sender) in asked.promotions {
            let _ = sender.try_send(self.replica.promote(force));
        }
        for sender in asked.progress {
            // Who asked may have given up.
            let _ = sender.try_send(self.replica.progress());
        }
        Ok(flush
            .filter(|_| waits)
            .map_or(AfterTurn::Next, AfterTurn::Flush))
    }

    fn wait(&self) -> VecDeque<Input> {
        let now_ns = clock::monotonic_ns();
        let tick = (self.ticked_ns + self.replica.rest_ticks() * TICK_NS).saturating_sub(now_ns);
        let wait = if self.inbox.durable.is_some() {
            0
        } else {
            let idle = self.replica.idle_for(now_ns);
            idle.map_or(tick, |idle| idle.min(tick))
        };
        let wait = Duration::from_nanos(wait);
        if self.replica.lingers() {
            self.mailbox.take_deferring(wait)
        } else {
            self.mailbox.take(wait)
        }
    }

    /// Leave a flush to the thread that has not the turn.
    pub fn hand_over(&mut self, flush: Option<FlushRequest>) {
        if let Some(flush) = flush {
            self.handed_over = Some(flush.number);
            tell(&self.outlets.flush, FlushCommand::Sync(flush));
        }
    }
}

/// What is asked of the turn itself.
#[derive(Default)]
struct Asked {
    /// To end when everything that is appended is decided, or after this time.
    stop: Option<Duration>,
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

/// Inputs by kind.
fn sort(
    inputs: VecDeque<Input>,
    inbox: &mut Inbox<Ticket>,
    rooms: &mut Vec<MessagePermit>,
) -> Result<Asked, Fatal> {
    let mut asked = Asked::default();
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
            Input::Stop(drain) => asked.stop = Some(drain),
        }
    }
    Ok(asked)
}

fn deliver(out: &mut Outbox<Ticket>, log_end: u64, outlets: &Outlets) -> Result<(), Fatal> {
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
        outlets.apply.tell(ApplyCommand::Rebuild(rebuild));
    }
    if let Some(commit) = out.commit.take() {
        outlets.apply.commit(commit, log_end)?;
    }
    if let Some(need) = out.prepare_segment.take() {
        tell(&outlets.io, io::IoCommand::Prepare(need));
    }
    if std::mem::take(&mut out.look_at_disk) {
        tell(&outlets.io, io::IoCommand::Look);
    }
    if let Some(change) = out.disk.take() {
        outlets.roles.see_disk(change.now);
        say(level_of_disk(change.now), change.sentence());
    }
    if let Some(change) = out.room.take() {
        say(level_of(change), change.sentence());
    }
    answer(std::mem::take(&mut out.answers), log_end, outlets)
}

/// How much a change of room matters to an operator.
const fn level_of(change: DiskRoomChange) -> Level {
    match change {
        DiskRoomChange::Gone => Level::Error,
        DiskRoomChange::Back => Level::Info,
    }
}

/// How much it matters to an operator how the disk is.
const fn level_of_disk(now: DiskCondition) -> Level {
    match now {
        DiskCondition::Well => Level::Info,
        DiskCondition::Slow | DiskCondition::Hangs => Level::Error,
    }
}

/// Refusals leave from here; confirmed reads wait for the views.
fn answer(tickets: Vec<(Ticket, Outcome)>, log_end: u64, outlets: &Outlets) -> Result<(), Fatal> {
    if tickets.is_empty() {
        return Ok(());
    }
    let mut batch = ResponseBatch::default();
    for (ticket, outcome) in tickets {
        if let Outcome::Confirmed(index) = outcome {
            let read = Committed {
                index: 0,
                decided: Vec::new(),
                at_apply: vec![(index, ticket, outcome)],
            };
            outlets.apply.commit(read, log_end)?;
        } else {
            ticket(outcome, &mut batch);
        }
    }
    batch.flush();
    Ok(())
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
        let asked = sort(inputs.into(), &mut inbox, &mut rooms).unwrap();
        assert!(asked.stop.is_none());
        assert_eq!((inbox.peers.len(), rooms.len()), (3, 3));
        assert_eq!(inbox.gone, [(2, gone)]);
    }
}
