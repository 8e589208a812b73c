//! Pulls: 11, 361.
//!
//! Every replica serves what is committed here. Only the leader commits the offset that rides on a pull, creates an
//! unknown group, and corrects an offset outside of its queue (21), and this only after ReadIndex: a view that is
//! behind must not send a consumer back.

mod admission;
mod answering;

use tern_wire::Command;
use tern_wire::codes::response;
use tern_wire::headers::PullRequest;

use super::effects::Effects;
use super::handler::{
    ClientRequest, Consistency, Hold, Looked, NotServed, Reads, RequestHandler, Verdict, View,
};
use super::reading::scan;
use crate::request_error::RequestError;
use admission::{Pull, admit};
use answering::{answer_empty, answer_messages, correction, nothing, unreadable};

/// Answers consumers that ask for messages: at once if there are any, otherwise when one arrives.
pub struct PullHandler;

impl RequestHandler for PullHandler {
    type Header<'a> = PullRequest<'a>;
    type Pending = Pull;

    const READS: Reads = Reads::Files;

    fn decode(command: &Command) -> Result<Self::Header<'_>, RequestError> {
        Ok(PullRequest::decode(&command.fields)?)
    }

    fn judge(
        header: &Self::Header<'_>,
        request: &ClientRequest<'_>,
        view: &View<'_>,
        effects: &mut Effects,
    ) -> Result<Verdict<Pull>, NotServed> {
        match admit(header, request.command.version, view, effects) {
            Ok(pull) => Ok(begin(pull, view, effects)?),
            // A follower cannot make ReadIndex. It may be behind, just after a start by all of its log: the leader knows.
            Err(NotServed::StaleView(_) | NotServed::Missing(..)) if !view.leads() => {
                Err(RequestError::not_leader(&view.role).into())
            }
            Err(not_served) => Err(not_served),
        }
    }
}

/// First look: inside the queue, at its end, or outside of it.
fn begin(
    pull: Pull,
    view: &View<'_>,
    effects: &mut Effects,
) -> Result<Verdict<Pull>, RequestError> {
    let (min, max) = view.views.queues.range(pull.queue.0, pull.queue.1);
    let is_inside = u64::try_from(pull.begin).is_ok_and(|begin| (min..=max).contains(&begin));
    if is_inside {
        return Ok(look(pull, true, view, effects)?.into());
    }
    if !view.leads() {
        return Ok(Verdict::Hold(pull.hold(max)));
    }
    if view.consistency == Consistency::Local {
        return Ok(Verdict::ConfirmOrHold(pull.hold(max)));
    }
    let (remark, next) = correction(pull.begin, min, max);
    let answer = answer_empty(&pull, response::PULL_OFFSET_MOVED, remark, next, view);
    Ok(Verdict::Answer(answer))
}

/// A parked pull looks again.
fn resume(
    pull: Pull,
    view: &View<'_>,
    effects: &mut Effects,
) -> Result<Looked<Pull>, RequestError> {
    if view.state.topic_by_id(pull.queue.0).is_none() && !view.is_leaving {
        return Err(RequestError::no_topic(&pull.topic));
    }
    look(pull, false, view, effects)
}

/// Messages, or a place among the parked pulls.
fn look(
    mut pull: Pull,
    is_first: bool,
    view: &View<'_>,
    effects: &mut Effects,
) -> Result<Looked<Pull>, RequestError> {
    // This replica is going, and another leads: its consumers shall not wait until the connection breaks.
    if view.is_leaving {
        return Err(RequestError::not_leader(&view.role));
    }
    let queues = &view.views.queues;
    // Read before the look: a message that comes in between is behind this end, and wakes the pull.
    let bounds = queues.bounds(pull.queue.0, pull.queue.1);
    let end = bounds.max;
    let reads_here = |position: Option<u64>| position.is_none_or(|position| view.reads(position));
    // Of a message that is surely old not even the queue's entry is read here.
    if !reads_here(bounds.latest_position(pull.next)) {
        return Ok(Looked::Cold(pull.hold(end)));
    }
    let mut found = scan(queues, pull.queue, pull.next, &pull.filter, pull.most)
        .map_err(|error| unreadable(&error))?;
    let first = found.entries.first();
    if !reads_here(first.map(|first| first.entry.physical_offset)) {
        return Ok(Looked::Cold(pull.hold(end)));
    }
    let has_moved = found.next != pull.next;
    pull.next = found.next;
    pull.looked_at = found.last_position.or(pull.looked_at);
    if !found.entries.is_empty() {
        return answer_messages(&pull, &mut found, view, effects).map(Looked::Found);
    }
    effects.found_none = true;
    if has_moved && (is_first || pull.next < end) {
        Ok(Looked::Found(nothing(&pull, view)))
    } else {
        Ok(Looked::Nothing(pull.hold(end)))
    }
}

impl Pull {
    /// Waits for messages behind the queue's end, as it was before the look.
    fn hold(self, end: u64) -> Hold<Self> {
        Hold {
            queue: self.queue,
            wait: self.wait,
            end,
            pending: self,
            resume,
            expire: nothing,
        }
    }
}
