//! The thread that runs what only a leader does: [`LeaderTasks`] with the clocks, and a way into the log.
//!
//! It works only while this replica leads, from the moment when ReadIndex of that term has shown that everything
//! committed before is applied. It sleeps until the first task has something to do, or until it is told something.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tern_journal::{Level, Logger, RateLimitedLog};
use tern_replica::{
    AnswerAt, LeaderTasks, Outcome, Proposal, TaskNotice, TaskProposal, TaskTicket, TaskTime,
    TaskView, TouchedQueues,
};
use tern_requests::Views;
use tern_state::State;

use crate::channels::batch_queue::{BatchReceiver, BatchSender, batch_queue};
use crate::channels::mailbox::Mailbox;
use crate::clock;
use crate::response_batch::Ticket;
use crate::roles::{RoleBoard, confirm_leadership};

/// The wall clock may be set while the thread sleeps: it looks again after so long, and sees what a wrong clock stored.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);

static DROPPED: RateLimitedLog = RateLimitedLog::new(
    Logger::Broker,
    Level::Warning,
    "due message left out: its topic does not exist any more",
);
static UNREADABLE: RateLimitedLog = RateLimitedLog::new(
    Logger::Broker,
    Level::Error,
    "delay level cannot be read and waits",
);

/// What the thread is told.
enum LeaderEvent {
    /// This replica leads in a term, and its views show all that was committed before.
    Lead(u64),
    /// It does not lead any more.
    Follow,
    /// Messages were applied in topics of the tasks.
    Stored,
    /// What became of a proposal.
    Decided(TaskTicket, Outcome),
    /// End.
    Stop,
}

/// Tells the thread what happens; cheap to clone.
#[derive(Clone)]
pub(crate) struct LeaderHandle {
    sender: BatchSender<LeaderEvent>,
    leads: Arc<AtomicBool>,
    topics: Arc<[&'static str]>,
}

/// What the thread needs.
pub(crate) struct LeaderThread {
    tasks: LeaderTasks,
    events: BatchReceiver<LeaderEvent>,
    pub handle: LeaderHandle,
    pub views: Arc<Views>,
    pub roles: Arc<RoleBoard>,
    pub mailbox: Mailbox,
    pub store_host: SocketAddr,
}

impl LeaderHandle {
    /// This replica was elected. ReadIndex shows when the views have all that was committed before: then its leadership
    /// is announced, and the tasks begin.
    pub fn lead(&self, roles: &Arc<RoleBoard>, mailbox: &Mailbox, term: u64) {
        let handle = self.clone();
        let begin = move |term| {
            handle.leads.store(true, Ordering::Release);
            handle.tell(LeaderEvent::Lead(term));
        };
        confirm_leadership(roles, mailbox, term, begin);
    }

    /// This replica is not the leader.
    pub fn follow(&self) {
        self.leads.store(false, Ordering::Release);
        self.tell(LeaderEvent::Follow);
    }

    /// These queues got messages. Called by the apply thread, which also completes the read of [`Self::lead`].
    pub fn applied(&self, state: &State, touched: &TouchedQueues) {
        if !self.leads.load(Ordering::Acquire) {
            return;
        }
        let ids = self.topics.iter();
        let ids = ids.filter_map(|topic| state.topic(topic).map(|topic| topic.id));
        let is_touched = |id| touched.iter().any(|(topic, _)| *topic == id);
        if ids.into_iter().any(is_touched) {
            self.tell(LeaderEvent::Stored);
        }
    }

    /// End the thread.
    pub fn stop(&self) {
        self.tell(LeaderEvent::Stop);
    }

    /// A thread that is gone has reported why.
    fn tell(&self, event: LeaderEvent) {
        let _ = self.sender.send(event);
    }
}

impl LeaderThread {
    pub fn new(
        tasks: LeaderTasks,
        views: Arc<Views>,
        roles: Arc<RoleBoard>,
        mailbox: Mailbox,
        store_host: SocketAddr,
    ) -> Self {
        let (sender, events) = batch_queue();
        let handle = LeaderHandle {
            sender,
            leads: Arc::default(),
            topics: tasks.topics().into(),
        };
        Self {
            tasks,
            events,
            handle,
            views,
            roles,
            mailbox,
            store_host,
        }
    }

    /// Runs until told to stop.
    pub fn run(mut self) -> Result<(), Infallible> {
        loop {
            let told = match self.tasks.idle_ms(now()) {
                None => self.events.wait(),
                Some(idle) => self
                    .events
                    .wait_for(Duration::from_millis(idle).min(LONGEST_SLEEP)),
            };
            for event in told {
                match event {
                    LeaderEvent::Lead(term) => self.tasks.begin(term),
                    LeaderEvent::Follow => self.tasks.end(),
                    LeaderEvent::Stored => self.tasks.wake(),
                    LeaderEvent::Decided(ticket, outcome) => self.tasks.decided(ticket, &outcome),
                    LeaderEvent::Stop => return Ok(()),
                }
            }
            self.work();
        }
    }

    fn work(&mut self) {
        // The beginning of the next term may be told before the end of the last one.
        if self
            .tasks
            .term()
            .is_some_and(|term| !self.roles.leads_in(term))
        {
            self.tasks.end();
        }
        let state = self.views.state();
        let work = self.tasks.work(&TaskView {
            state: &state,
            queues: &self.views.queues,
            log: &self.views.log,
            now: now(),
            store_host: self.store_host,
        });
        drop(state);
        for notice in work.notices {
            self.say(notice);
        }
        for proposal in work.proposals {
            self.propose(proposal);
        }
    }

    fn say(&self, notice: TaskNotice) {
        match notice {
            TaskNotice::Dropped {
                topic,
                queue_offset,
            } => DROPPED.log(topic, format_args!("message {queue_offset} of its level")),
            TaskNotice::Unreadable {
                level,
                position,
                error,
            } => {
                if let Some(position) = position {
                    self.views.damage.note(position, &error);
                }
                UNREADABLE.log(format_args!("level {level}"), error);
            }
        }
    }

    fn propose(&self, proposal: TaskProposal) {
        let (handle, ticket) = (self.handle.clone(), proposal.ticket);
        let answer: Ticket =
            Box::new(move |outcome, _| handle.tell(LeaderEvent::Decided(ticket, outcome)));
        let proposal = Proposal {
            drafts: proposal.drafts,
            ops: proposal.ops,
            answer: AnswerAt::Apply,
            ticket: answer,
            received_ns: clock::monotonic_ns(),
        };
        if let Err((_, outcome)) = self.mailbox.propose(proposal) {
            self.handle.tell(LeaderEvent::Decided(ticket, outcome));
        }
    }
}

fn now() -> TaskTime {
    TaskTime {
        wall_ms: clock::wall_ms(),
        monotonic_ms: clock::monotonic_ms(),
    }
}
