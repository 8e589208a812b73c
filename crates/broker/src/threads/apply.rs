//! Applying: tickets of committed frames are answered, then the frames are walked into views and state, and the pulls
//! that wait for them are woken (L26, L27).
//!
//! The apply thread does that. What is small the thread that has the turn does itself, where the apply thread has
//! nothing to do: waking that for every frame of a lone sender costs more than the frame.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tern_journal::{Level, Logger, RateLimitedLog};
use tern_replica::{
    Applied, Applying, Committed, Fatal, Outcome, RebuildNextOffsets, RebuildOutcome,
};
use tern_requests::Views;

use super::leader::LeaderHandle;
use super::plain::tell;
use crate::channels::batch_queue::{BatchReceiver, BatchSender};
use crate::channels::mailbox::{Input, Mailbox};
use crate::clock;
use crate::events::NodeEvents;
use crate::response_batch::{ResponseBatch, Ticket};
use crate::services::holds::HoldTable;

pub(super) enum ApplyCommand {
    Commit(Committed<Ticket>),
    Rebuild(RebuildNextOffsets),
    /// Something is left to do: a view was found damaged, or views take nothing for now.
    GoOn,
    /// Nobody finds these topics any more: their files go.
    Drop(Vec<u32>),
    Stop,
}

/// How long to wait before views that take nothing more are tried again: the disk may be full.
const BLOCKED_PAUSE: Duration = Duration::from_millis(500);

/// Bytes of frames applied between two looks at the inbox, so that answers never wait for a backlog.
const CHUNK_BYTES: usize = 1 << 20;

static BLOCKED: RateLimitedLog = RateLimitedLog::new(
    Logger::Broker,
    Level::Error,
    "a view cannot be written and waits",
);

/// Bytes behind which views are at most for the thread that has the turn to apply a commit itself.
const SMALL_BYTES: u64 = 32 << 10;

pub(super) struct ApplyThread {
    pub applying: Applying<Ticket>,
    pub views: Arc<Views>,
    pub holds: Arc<HoldTable>,
    pub leader: LeaderHandle,
    pub events: Arc<dyn NodeEvents>,
    pub mailbox: Mailbox,
}

/// The applier, and the way to the thread that has it when there is much to do.
pub(super) struct ApplyShare {
    thread: Mutex<ApplyThread>,
    commands: BatchSender<ApplyCommand>,
    /// Commands that the apply thread has not carried out. Only the thread that has the turn sends any that have to keep
    /// their order, so none is overtaken where this is 0.
    pending: AtomicUsize,
}

impl ApplyShare {
    pub const fn new(thread: ApplyThread, commands: BatchSender<ApplyCommand>) -> Self {
        Self {
            thread: Mutex::new(thread),
            commands,
            pending: AtomicUsize::new(0),
        }
    }

    /// Leave something to the apply thread.
    pub fn tell(&self, command: ApplyCommand) {
        self.pending.fetch_add(1, Ordering::Relaxed);
        tell(&self.commands, command);
    }

    /// More is committed; for the thread that has the turn. `log_end` is the position of the end of the log.
    ///
    /// # Errors
    /// As of the apply thread.
    pub fn commit(&self, committed: Committed<Ticket>, log_end: u64) -> Result<(), Fatal> {
        match self.idle_thread(log_end) {
            None => self.tell(ApplyCommand::Commit(committed)),
            Some(mut thread) => {
                answer(thread.applying.commit(committed, clock::monotonic_ns()));
                let deleted = thread.advance()?;
                if !deleted.is_empty() {
                    self.tell(ApplyCommand::Drop(deleted));
                }
                if thread.applying.has_work() {
                    self.tell(ApplyCommand::GoOn);
                }
            }
        }
        Ok(())
    }

    fn idle_thread(&self, log_end: u64) -> Option<MutexGuard<'_, ApplyThread>> {
        if self.pending.load(Ordering::Acquire) > 0 {
            return None;
        }
        self.thread.try_lock().filter(|thread| {
            let is_small = log_end.saturating_sub(thread.views.applied_position()) <= SMALL_BYTES;
            is_small && !thread.applying.has_work()
        })
    }

    /// The body of the apply thread. Runs until told to stop.
    pub fn run(&self, commands: &BatchReceiver<ApplyCommand>) -> Result<(), Fatal> {
        let (mut has_work, mut is_blocked) = (false, false);
        loop {
            let asked = match (has_work, is_blocked) {
                (true, false) => commands.take(),
                (true, true) => commands.wait_for(BLOCKED_PAUSE),
                (false, _) => commands.wait(),
            };
            let mut thread = self.thread.lock();
            let count = asked.len();
            for command in asked {
                if !thread.carry_out(command)? {
                    return Ok(());
                }
            }
            let deleted = thread.advance()?;
            thread.drop_files(deleted);
            (has_work, is_blocked) = (thread.applying.has_work(), thread.applying.is_blocked());
            self.pending.fetch_sub(count, Ordering::Release);
        }
    }
}

impl ApplyThread {
    /// False if it was told to stop.
    fn carry_out(&mut self, command: ApplyCommand) -> Result<bool, Fatal> {
        match command {
            ApplyCommand::Commit(committed) => {
                answer(self.applying.commit(committed, clock::monotonic_ns()));
            }
            ApplyCommand::Rebuild(rebuild) => match self.applying.rebuild(rebuild)? {
                RebuildOutcome::Rebuilt(next) => self.mailbox.tell(Input::NextOffsets(next)),
                RebuildOutcome::Damaged(error) => self.views.damage.note(0, &error),
                RebuildOutcome::Overtaken => {}
            },
            ApplyCommand::Drop(topics) => self.drop_files(topics),
            ApplyCommand::GoOn => {}
            ApplyCommand::Stop => return Ok(false),
        }
        Ok(true)
    }

    /// Apply a stretch of what is committed, and answer what waited for it. Gives the topics whose files may go.
    fn advance(&mut self) -> Result<Vec<u32>, Fatal> {
        let advanced = self.applying.advance(CHUNK_BYTES, clock::monotonic_ns())?;
        let deleted = advanced.applied.map(|applied| self.publish(applied));
        answer(advanced.answers);
        Ok(deleted.unwrap_or_default())
    }

    /// Takes as long as it takes. Files that cannot be deleted go at the next start.
    fn drop_files(&self, topics: Vec<u32>) {
        for topic_id in topics {
            let _ = self.views.queues.drop_topic(topic_id);
        }
    }

    /// One chunk of committed frames, published as a whole before anybody is woken. Gives the topics that were deleted.
    fn publish(&mut self, applied: Applied) -> Vec<u32> {
        if let Some(error) = &applied.blocked {
            let position = self.applying.applier().position();
            self.views.damage.note(position, error);
            if !error.is_damage() {
                BLOCKED.log("consume queues", error);
            }
        }
        let done = self.applying.applier();
        let had_replayed = self.views.have_replayed();
        self.views
            .publish(done.state(), done.position(), applied.records);
        self.holds.wake(&applied.touched);
        self.leader.applied(done.state(), &applied.touched);
        for topic_id in &applied.topics_deleted {
            self.holds.wake_topic(*topic_id);
        }
        // Before that nobody was shown any topics.
        let replayed = !had_replayed && self.views.have_replayed();
        if applied.founded || applied.topics_changed || replayed {
            let version = done.state().topic_version();
            self.events
                .topics_changed(version.counter, version.changed_at_ms);
        }
        applied.topics_deleted
    }
}

fn answer(decided: Vec<(Ticket, Outcome)>) {
    if decided.is_empty() {
        return;
    }
    let mut batch = ResponseBatch::default();
    for (ticket, outcome) in decided {
        ticket(outcome, &mut batch);
    }
    batch.flush();
}
