//! The thread that puts delayed messages into their topics: [`Delays`] with a clock, and a way into the log.
//!
//! It works only while this replica leads, from the moment when a fresh read of that term has shown that everything
//! committed before is applied. It sleeps until the next message is due, or until it is told something.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tern_journal::{Level, Logger, RateLimitedLog};
use tern_state::State;
use tern_state::delay::SCHEDULE_TOPIC;

use crate::answers::Ticket;
use crate::clock;
use crate::mailbox::Mailbox;
use crate::post::{Post, PostBox};
use crate::replica::{
    AnswerAt, DelayProposal, DelayTicket, DelayView, Delays, Outcome, Proposal, Refusal, Touched,
};
use crate::roles::RoleBoard;
use crate::views::Views;

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
pub(crate) enum Note {
    /// This replica leads in a term, and its views show all that was committed before.
    Lead(u64),
    /// It does not lead any more.
    Follow,
    /// Delayed messages were applied.
    Stored,
    /// What became of a batch.
    Decided(DelayTicket, Outcome),
    /// End.
    Stop,
}

/// Tells the thread what happens; cheap to clone.
#[derive(Clone)]
pub(crate) struct DelayBell {
    post: Post<Note>,
    leads: Arc<AtomicBool>,
}

impl DelayBell {
    pub fn new(post: Post<Note>) -> Self {
        Self {
            post,
            leads: Arc::default(),
        }
    }

    /// This replica was elected: begin as soon as a fresh read shows that the views have all that was committed.
    pub fn lead(&self, roles: &Arc<RoleBoard>, mailbox: &Mailbox, term: u64) {
        let (bell, board, again) = (self.clone(), Arc::clone(roles), mailbox.clone());
        let read = mailbox.read(Box::new(move |outcome, _| match outcome {
            Outcome::Confirmed(_) if board.leads_in(term) => {
                bell.leads.store(true, Ordering::Release);
                bell.tell(Note::Lead(term));
            }
            Outcome::Refused(Refusal::Stopping) => {}
            // It took too long; as long as it leads, it has to begin.
            _ if board.leads_in(term) => bell.lead(&board, &again, term),
            _ => {}
        }));
        // A box without a reader belongs to a process that is stopping.
        drop(read);
    }

    /// This replica is not the leader.
    pub fn follow(&self) {
        self.leads.store(false, Ordering::Release);
        self.tell(Note::Follow);
    }

    /// These queues got messages. Called by the apply thread, which also completes the read of [`Self::lead`].
    pub fn ring(&self, state: &State, touched: &Touched) {
        if !self.leads.load(Ordering::Acquire) {
            return;
        }
        let schedule = state.topic(SCHEDULE_TOPIC).map(|topic| topic.id);
        if touched.iter().any(|(topic, _)| Some(*topic) == schedule) {
            self.tell(Note::Stored);
        }
    }

    /// End the thread.
    pub fn stop(&self) {
        self.tell(Note::Stop);
    }

    /// A thread that is gone has reported why.
    fn tell(&self, note: Note) {
        let _ = self.post.send(note);
    }
}

/// What the thread needs.
pub(crate) struct Delaying {
    pub views: Arc<Views>,
    pub roles: Arc<RoleBoard>,
    pub mailbox: Mailbox,
    pub bell: DelayBell,
    pub store_host: SocketAddr,
}

/// Runs until told to stop.
pub(crate) fn run(delaying: &Delaying, notes: &PostBox<Note>) -> Result<(), Infallible> {
    let mut delays = Delays::new();
    loop {
        delays.at(clock::monotonic_ms());
        let told = match delays.idle_ms(clock::wall_ms()) {
            None => notes.wait(),
            Some(idle) => notes.wait_for(Duration::from_millis(idle).min(LONGEST_SLEEP)),
        };
        for note in told {
            match note {
                Note::Lead(term) => delays.begin(term),
                Note::Follow => delays.end(),
                Note::Stored => delays.wake(),
                Note::Decided(ticket, outcome) => delays.decided(ticket, &outcome),
                Note::Stop => return Ok(()),
            }
        }
        delaying.work(&mut delays);
    }
}

impl Delaying {
    fn work(&self, delays: &mut Delays) {
        // News of the next term may stand before the end of the last one.
        if delays.term().is_some_and(|term| !self.roles.leads_in(term)) {
            delays.end();
        }
        let state = self.views.state();
        delays.at(clock::monotonic_ms());
        let work = delays.work(&DelayView {
            state: &state,
            queues: &self.views.queues,
            log: &self.views.log,
            now_ms: clock::wall_ms(),
            store_host: self.store_host,
        });
        drop(state);
        for (topic, queue_offset) in work.dropped {
            DROPPED.log(topic, format_args!("message {queue_offset} of its level"));
        }
        for unread in work.unreadable {
            if let Some(position) = unread.position {
                self.views.damage.note(position, &unread.error);
            }
            UNREADABLE.log(format_args!("level {}", unread.level), unread.error);
        }
        for proposal in work.proposals {
            self.propose(proposal);
        }
    }

    fn propose(&self, proposal: DelayProposal) {
        let (bell, ticket) = (self.bell.clone(), proposal.ticket);
        let answer: Ticket = Box::new(move |outcome, _| bell.tell(Note::Decided(ticket, outcome)));
        let proposal = Proposal {
            drafts: proposal.drafts,
            ops: proposal.ops,
            answer: AnswerAt::Apply,
            ticket: answer,
            received_ns: clock::monotonic_ns(),
        };
        if let Err((_, outcome)) = self.mailbox.propose(proposal) {
            self.bell.tell(Note::Decided(ticket, outcome));
        }
    }
}
