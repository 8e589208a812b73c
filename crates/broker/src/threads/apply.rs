//! The apply thread: answers the tickets of committed frames, then walks the frames into views and state and
//! wakes the pulls that wait for them (L26, L27).

use std::sync::Arc;
use std::time::Duration;

use tern_journal::{Level, Logger, RateLimitedLog};
use tern_replica::{
    Applied, Applying, Committed, Fatal, Outcome, RebuildNextOffsets, RebuildOutcome,
};
use tern_requests::Views;

use super::leader::LeaderHandle;
use crate::channels::batch_queue::BatchReceiver;
use crate::channels::mailbox::{Input, Mailbox};
use crate::clock;
use crate::events::NodeEvents;
use crate::response_batch::{ResponseBatch, Ticket};
use crate::services::holds::HoldTable;

pub(super) enum ApplyCommand {
    Commit(Committed<Ticket>),
    Rebuild(RebuildNextOffsets),
    /// A view was found damaged.
    Mend,
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

pub(super) struct ApplyThread {
    pub applying: Applying<Ticket>,
    pub views: Arc<Views>,
    pub holds: Arc<HoldTable>,
    pub leader: LeaderHandle,
    pub events: Arc<dyn NodeEvents>,
    pub mailbox: Mailbox,
}

/// Runs until told to stop.
pub(super) fn run(
    mut apply: ApplyThread,
    steps: &BatchReceiver<ApplyCommand>,
) -> Result<(), Fatal> {
    loop {
        let asked = match (apply.applying.has_work(), apply.applying.is_blocked()) {
            (true, false) => steps.take(),
            (true, true) => steps.wait_for(BLOCKED_PAUSE),
            (false, _) => steps.wait(),
        };
        for step in asked {
            match step {
                ApplyCommand::Commit(committed) => {
                    answer(apply.applying.commit(committed, clock::monotonic_ns()));
                }
                ApplyCommand::Rebuild(rebuild) => match apply.applying.rebuild(rebuild)? {
                    RebuildOutcome::Rebuilt(next) => apply.mailbox.tell(Input::NextOffsets(next)),
                    RebuildOutcome::Damaged(error) => apply.views.damage.note(0, &error),
                    RebuildOutcome::Overtaken => {}
                },
                ApplyCommand::Mend => {}
                ApplyCommand::Stop => return Ok(()),
            }
        }
        let advanced = apply.applying.advance(CHUNK_BYTES, clock::monotonic_ns())?;
        if let Some(applied) = advanced.applied {
            apply.publish(applied);
        }
        answer(advanced.answers);
    }
}

impl ApplyThread {
    /// One chunk of committed frames, published as a whole before anybody is woken.
    fn publish(&mut self, applied: Applied) {
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
        for topic_id in applied.topics_deleted {
            // Nobody finds the topic any more. Files that cannot be deleted go at the next start.
            let _ = self.views.queues.drop_topic(topic_id);
            self.holds.wake_topic(topic_id);
        }
        // Before that nobody was shown any topics.
        let replayed = !had_replayed && self.views.have_replayed();
        if applied.founded || applied.topics_changed || replayed {
            let version = done.state().topic_version();
            self.events
                .topics_changed(version.counter, version.changed_at_ms);
        }
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
