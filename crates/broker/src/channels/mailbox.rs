//! The log thread's only way in: one bounded box for everything that goes into a turn.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;
use tern_log::Space;
use tern_peers::MessagePermit;
use tern_replica::{
    Bound, Durable, Outcome, PreparedSegment, Promotion, PromotionRefusal, Proposal,
    RebuiltNextOffsets, RejectReason,
};
use tern_replication::{PeerMessage, PeerStream, Progress, ReplicaId};
use tokio::runtime::Handle;
use tokio::sync::Notify;

use crate::channels::batch_queue::{BatchReceiver, BatchSender, batch_queue};
use crate::response_batch::Ticket;

/// Proposals that wait for the log thread at most; above, code 2 before anything is appended.
const WAITING_LIMIT: usize = 10_000;
/// So many proposals end any deferral: with 1 KiB each they fill a frame (L8).
const FRAME_OF_PROPOSALS: usize = 256;

/// One input of a turn.
pub(crate) enum Input {
    Propose(Proposal<Ticket>),
    Read(Ticket, u64),
    /// Its room is given back when the replica has been stepped: until then its stream may have to wait.
    Peer(PeerMessage, MessagePermit),
    Durable(Durable),
    NextOffsets(RebuiltNextOffsets),
    Segment(PreparedSegment),
    /// What a look at the disk showed; none if the disk does not tell.
    Space(Option<Space>),
    Unreachable(ReplicaId),
    /// A peer was connected; the term of its last frame.
    Connected(ReplicaId, u64),
    /// A peer's process is gone. It comes behind everything that the peer had sent.
    Gone(ReplicaId),
    Transfer(ReplicaId),
    /// Become the master, forced or not; somebody waits for the answer.
    Promote(bool, SyncSender<Result<Promotion, PromotionRefusal>>),
    /// Somebody waits to be told how far the others are.
    Progress(SyncSender<Vec<Progress>>),
    /// Another thread met an error after which the replica must stop.
    Failed(String),
    /// Take nothing new; end when everything appended is decided, or after this time.
    Stop(Duration),
}

/// Sends into the box; cheap to clone.
#[derive(Clone)]
pub struct Mailbox {
    sender: BatchSender<Input>,
    proposals: Arc<AtomicUsize>,
    /// Wakes the task that wakes the log thread; without one, the sender does.
    wake_task: Option<Arc<Notify>>,
}

/// The log thread's end.
pub(crate) struct MailboxReceiver {
    inputs: BatchReceiver<Input>,
    /// Taken out of the box and not yet asked for.
    kept: RefCell<VecDeque<Input>>,
    proposals: Arc<AtomicUsize>,
}

impl Mailbox {
    pub(crate) fn new() -> (Self, MailboxReceiver) {
        let (sender, inputs) = batch_queue();
        let proposals = Arc::default();
        let mailbox = Self {
            sender,
            proposals: Arc::clone(&proposals),
            wake_task: None,
        };
        let end = MailboxReceiver {
            inputs,
            kept: RefCell::default(),
            proposals,
        };
        (mailbox, end)
    }

    /// Let the net threads wake the log thread once for all requests and peer messages that their sockets had at a
    /// time. A wake-up a message costs more than the message: the woken thread takes the core from the net thread,
    /// and finds one message.
    pub(crate) fn with_wake_task(mut self, runtime: &Handle) -> Self {
        let wake_task = Arc::new(Notify::new());
        runtime.spawn(notify_after_ready_tasks(
            self.sender.clone(),
            Arc::clone(&wake_task),
        ));
        self.wake_task = Some(wake_task);
        self
    }

    /// Hand in a proposal. Its ticket comes back with the outcome if it is refused here.
    ///
    /// # Errors
    /// The ticket and the refusal, if the box is full or the log thread is gone: nothing was appended.
    pub fn propose(&self, proposal: Proposal<Ticket>) -> Result<(), (Ticket, Outcome)> {
        if self.proposals.fetch_add(1, Ordering::Relaxed) >= WAITING_LIMIT {
            self.proposals.fetch_sub(1, Ordering::Relaxed);
            let refusal = RejectReason::Busy(Bound::Waiting);
            return Err((proposal.ticket, Outcome::Rejected(refusal)));
        }
        match self.push_via_wake_task(Input::Propose(proposal), BatchSender::push_deferrable) {
            Err(Input::Propose(proposal)) => {
                Err((proposal.ticket, Outcome::Rejected(RejectReason::Stopping)))
            }
            _ => Ok(()),
        }
    }

    /// Ask for a read under confirmed leadership; the ticket is called when everything that was committed
    /// before is applied ([`Outcome::Confirmed`]), or with a refusal.
    ///
    /// # Errors
    /// As [`Self::propose`].
    pub fn read(&self, ticket: Ticket) -> Result<(), (Ticket, Outcome)> {
        let input = Input::Read(ticket, crate::clock::monotonic_ns());
        match self.sender.send(input) {
            Err(Input::Read(ticket, _)) => Err((ticket, Outcome::Rejected(RejectReason::Stopping))),
            _ => Ok(()),
        }
    }

    /// Hand leadership to another replica, if this one leads.
    pub fn transfer(&self, to: ReplicaId) {
        self.tell(Input::Transfer(to));
    }

    /// Make this slave the master; none if the log thread did not answer within `limit`.
    pub fn promote(
        &self,
        force: bool,
        limit: Duration,
    ) -> Option<Result<Promotion, PromotionRefusal>> {
        let (sender, receiver) = sync_channel(1);
        self.tell(Input::Promote(force, sender));
        receiver.recv_timeout(limit).ok()
    }

    /// How far the others are, after the next turn; empty if this replica does not lead, or has no turn within `limit`.
    pub fn progress(&self, limit: Duration) -> Vec<Progress> {
        let (sender, receiver) = sync_channel(1);
        self.tell(Input::Progress(sender));
        receiver.recv_timeout(limit).unwrap_or_default()
    }

    /// Bounded by the rooms of the peers' streams.
    pub(crate) fn peer(&self, message: PeerMessage, room: MessagePermit) {
        if message.stream() == PeerStream::Control {
            // The task that wakes waits behind all that clients have sent; elections do not.
            return self.tell(Input::Peer(message, room));
        }
        let _ = self.push_via_wake_task(Input::Peer(message, room), BatchSender::push_no_wake);
    }

    #[expect(
        clippy::result_large_err,
        reason = "the caller gets back what it handed in"
    )]
    fn push_via_wake_task(
        &self,
        input: Input,
        push: fn(&BatchSender<Input>, Input) -> Result<bool, Input>,
    ) -> Result<(), Input> {
        if push(&self.sender, input)? {
            match &self.wake_task {
                Some(wake_task) => wake_task.notify_one(),
                None => {
                    self.sender.notify();
                }
            }
        }
        Ok(())
    }

    /// Everything else. A box without a reader belongs to a process that is stopping.
    pub(crate) fn tell(&self, input: Input) {
        let _ = self.sender.send(input);
    }
}

/// Wakes the reader for what was pushed without a wake-up, after the tasks that were ready have run: yielding puts this task behind them,
/// and the runtime looks after at most its event interval of 61 tasks.
async fn notify_after_ready_tasks(sender: BatchSender<Input>, wake_task: Arc<Notify>) {
    loop {
        wake_task.notified().await;
        tokio::task::yield_now().await;
        if !sender.notify() {
            return;
        }
    }
}

impl MailboxReceiver {
    /// All that waits, after waiting for the first of it no longer than `limit`.
    pub fn take(&self, limit: Duration) -> VecDeque<Input> {
        self.take_by(|inputs| inputs.wait_for(limit))
    }

    /// As [`Self::take`], but new proposals alone do not end the wait unless they fill a frame.
    pub fn take_deferring(&self, limit: Duration) -> VecDeque<Input> {
        self.take_by(|inputs| inputs.wait_deferring(limit, FRAME_OF_PROPOSALS))
    }

    fn take_by(
        &self,
        wait: impl FnOnce(&BatchReceiver<Input>) -> VecDeque<Input>,
    ) -> VecDeque<Input> {
        let mut inputs = self.kept.take();
        if inputs.is_empty() {
            inputs = wait(&self.inputs);
            for input in &inputs {
                self.taken(input);
            }
        }
        inputs
    }

    /// One input, or `None` after `limit`.
    pub fn next(&self, limit: Duration) -> Option<Input> {
        let mut inputs = self.take(limit);
        let first = inputs.pop_front();
        self.kept.replace(inputs);
        first
    }

    /// Keep the counts of what waits.
    fn taken(&self, input: &Input) {
        if matches!(input, Input::Propose(_)) {
            self.proposals.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
