//! The apply thread: answers the tickets of committed frames, then walks the frames into views and state and
//! wakes the pulls that wait for them (L26, L27).

use std::collections::VecDeque;
use std::sync::Arc;

use crate::answers::{Answers, Ticket};
use crate::delays::DelayBell;
use crate::holds::HoldTable;
use crate::mailbox::{Input, Mailbox};
use crate::node::NodeEvents;
use crate::post::PostBox;
use crate::replica::{Applier, Committed, Fatal, Fold, Folded, Outcome};
use crate::views::Views;

pub(super) enum Step {
    Commit(Committed<Ticket>),
    Fold(Fold),
    Stop,
}

/// Bytes of frames applied between two looks at the inbox, so that answers never wait for a backlog.
const CHUNK_BYTES: usize = 1 << 20;

pub(super) struct Apply {
    pub applier: Applier,
    pub views: Arc<Views>,
    pub holds: Arc<HoldTable>,
    pub delays: DelayBell,
    pub events: Arc<dyn NodeEvents>,
    pub mailbox: Mailbox,
}

/// Runs until told to stop.
pub(super) fn run(mut apply: Apply, steps: &PostBox<Step>) -> Result<(), Fatal> {
    let mut target = 0;
    let mut waiting: VecDeque<(u64, Ticket, Outcome)> = VecDeque::new();
    loop {
        let behind = apply.applier.applied() < target;
        let asked = if behind { steps.take() } else { steps.wait() };
        for step in asked {
            match step {
                Step::Commit(committed) => {
                    target = target.max(committed.index);
                    answer(committed.decided);
                    waiting.extend(committed.at_apply);
                }
                Step::Fold(fold) => apply.fold(fold)?,
                Step::Stop => return Ok(()),
            }
        }
        apply.advance(target)?;
        answer_applied(&mut waiting, apply.applier.applied());
    }
}

impl Apply {
    fn fold(&self, fold: Fold) -> Result<(), Fatal> {
        let numbers = self.applier.fold(fold)?;
        self.mailbox.tell(Input::Folded(Folded {
            term: fold.term,
            upto: fold.upto,
            numbers,
        }));
        Ok(())
    }

    /// One chunk of committed frames, published as a whole before anybody is woken.
    fn advance(&mut self, target: u64) -> Result<(), Fatal> {
        if self.applier.applied() >= target {
            return Ok(());
        }
        let applied = self.applier.apply(target, CHUNK_BYTES)?;
        self.views.publish(
            self.applier.state(),
            self.applier.position(),
            applied.records,
        );
        self.holds.wake(&applied.touched);
        self.delays.ring(self.applier.state(), &applied.touched);
        for topic_id in applied.topics_deleted {
            // Nobody finds the topic any more. Files that cannot be deleted go at the next start.
            let _ = self.views.queues.drop_topic(topic_id);
            self.holds.wake_topic(topic_id);
        }
        if applied.founded || applied.topics_changed {
            let version = self.applier.state().topic_version();
            self.events
                .topics_changed(version.counter, version.changed_at_ms);
        }
        Ok(())
    }
}

fn answer(decided: Vec<(Ticket, Outcome)>) {
    if decided.is_empty() {
        return;
    }
    let mut answers = Answers::default();
    for (ticket, outcome) in decided {
        ticket(outcome, &mut answers);
    }
    answers.flush();
}

/// Tickets do not come in the order of their indexes: a read may ask for less than the op before it.
fn answer_applied(waiting: &mut VecDeque<(u64, Ticket, Outcome)>, applied: u64) {
    if waiting.iter().all(|(index, ..)| *index > applied) {
        return;
    }
    let mut answers = Answers::default();
    for _ in 0..waiting.len() {
        let (index, ticket, outcome) = waiting.pop_front().expect("counted");
        if index <= applied {
            ticket(outcome, &mut answers);
        } else {
            waiting.push_back((index, ticket, outcome));
        }
    }
    answers.flush();
}
