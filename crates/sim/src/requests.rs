//! Requests to a simulated replica: the handlers of a broker with the steps around them, and in the place of its threads
//! and sockets the world's order.

use tern_replica::{Outcome, Proposal, StoredRecords};
use tern_requests::{
    Append, Before, ClientRequest, Consistency, Effects, Hold, Missing, NextStep, RequestError,
    RequestHandler, Response, RoleView, Verdict, View, WaitsFor,
};
use tern_state::{CommitOffsets, OffsetCommit, Op};
use tern_wire::Command;
use tern_wire::codes::response;

use crate::bugs::{OuterBug, outer};
use crate::ledger::BrokenPromise;
use crate::serving::MomentOfClocks;
use crate::world::{WhenDecided, World};

/// A request of a client.
pub(crate) struct Request {
    pub command: Command,
    pub waits_for: WaitsFor,
}

/// What a client is told, and where its messages stand if any were stored: the second is for the ledger's eyes only.
pub(crate) type Answer = (Result<Response, RequestError>, Option<StoredRecords>);
/// What a client makes of its answer.
pub(crate) type Reply = Box<dyn FnOnce(&mut World, usize, Answer) -> Result<(), BrokenPromise>>;

impl Request {
    fn as_handlers_see_it(&self) -> ClientRequest<'_> {
        ClientRequest {
            command: &self.command,
            peer: ([127, 0, 0, 1], 40_000).into(),
            connection: 1,
        }
    }
}

/// Has a request judged again as soon as what it waits for is there.
fn judge_again<H: RequestHandler>(request: Request, reply: Reply) -> WhenDecided {
    Box::new(move |world, at, outcome| match outcome {
        Outcome::Confirmed(_) | Outcome::Stored(_) => {
            world.judge::<H>(at, request, Consistency::Linearizable, reply)
        }
        other => {
            let error = world.refusal(at, &other, RequestError::of_condition);
            reply(world, at, (Err(error), None))
        }
    })
}

impl World {
    /// A client's request reaches a replica; a process that is not there says nothing.
    pub(crate) fn serve<H: RequestHandler>(
        &mut self,
        at: usize,
        request: Request,
        reply: Reply,
    ) -> Result<(), BrokenPromise> {
        let Some(running) = self.machines[at].running() else {
            return Ok(());
        };
        if !tern_requests::is_ready(request.waits_for, &running.serving.views) {
            return reply(self, at, (Err(RequestError::not_yet()), None));
        }
        if tern_requests::is_judged_at_once::<H>(request.waits_for) {
            self.judge::<H>(at, request, Consistency::Local, reply)?;
            return self.turn(at);
        }
        let before = self.look(at, Consistency::Local, |view| {
            tern_requests::before::<H>(&request.as_handlers_see_it(), request.waits_for, view)
        });
        match before {
            None => return Ok(()),
            Some(Err(error)) => reply(self, at, (Err(error), None))?,
            Some(Ok(Before::Search)) => {
                self.judge::<H>(at, request, Consistency::Local, reply)?;
            }
            // No commit is collected here: each is proposed when it comes.
            Some(Ok(Before::ReadIndex { .. })) => self.confirm::<H>(at, request, reply),
        }
        self.turn(at)
    }

    fn judge<H: RequestHandler>(
        &mut self,
        at: usize,
        request: Request,
        consistency: Consistency,
        reply: Reply,
    ) -> Result<(), BrokenPromise> {
        let mut effects = Effects::default();
        let step = self.look(at, consistency, |view| {
            let seen = request.as_handlers_see_it();
            tern_requests::judge::<H>(&seen, request.waits_for, view, &mut effects)
        });
        match step {
            None => Ok(()),
            Some(NextStep::Refuse(error)) => reply(self, at, (Err(error), None)),
            Some(NextStep::Confirm) => {
                self.confirm::<H>(at, request, reply);
                Ok(())
            }
            Some(NextStep::Create(missing)) => {
                self.create::<H>(at, request, *missing, reply);
                Ok(())
            }
            Some(NextStep::Act(verdict)) => self.act::<H>(at, request, verdict, reply),
            // A simulated replica reads everything where it is asked.
            Some(NextStep::ReadCold) => {
                let error = RequestError::too_many_cold_reads();
                reply(self, at, (Err(error), None))
            }
        }
    }

    fn act<H: RequestHandler>(
        &mut self,
        at: usize,
        request: Request,
        verdict: Verdict<H::Pending>,
        reply: Reply,
    ) -> Result<(), BrokenPromise> {
        match verdict {
            Verdict::Answer(response) => reply(self, at, (Ok(response), None)),
            Verdict::Propose(append) => {
                self.append::<H>(at, append, reply);
                Ok(())
            }
            Verdict::Commit(queue, offset) => {
                let op = Op::CommitOffsets(CommitOffsets(vec![OffsetCommit {
                    group: queue.group,
                    topic: queue.topic,
                    queue_id: queue.queue_id,
                    offset,
                    explicit: false,
                }]));
                let ticket: WhenDecided = Box::new(move |world, at, outcome| match outcome {
                    Outcome::Stored(stored) => {
                        let response = Response::new(response::SUCCESS);
                        reply(world, at, (Ok(response), Some(stored)))
                    }
                    other => {
                        let error = world.refusal(at, &other, RequestError::of);
                        reply(world, at, (Err(error), None))
                    }
                });
                self.propose(at, Append::op(&op, ()), ticket);
                Ok(())
            }
            // Nobody waits for messages here.
            Verdict::Hold(hold) | Verdict::ReadCold(hold) => self.expire(at, &hold, reply),
            Verdict::ConfirmOrHold(_) if outer() == Some(OuterBug::ViewNotConfirmed) => {
                self.judge::<H>(at, request, Consistency::Linearizable, reply)
            }
            Verdict::ConfirmOrHold(hold) => {
                self.read_index(
                    at,
                    Box::new(move |world, at, outcome| match outcome {
                        Outcome::Confirmed(_) => {
                            world.judge::<H>(at, request, Consistency::Linearizable, reply)
                        }
                        _ => world.expire(at, &hold, reply),
                    }),
                );
                Ok(())
            }
        }
    }

    /// Has a request judged again with all that was committed until now.
    fn confirm<H: RequestHandler>(&mut self, at: usize, request: Request, reply: Reply) {
        self.read_index(at, judge_again::<H>(request, reply));
    }

    /// As the broker: ReadIndex, a look at what is missing then, one op for it, and the request once more.
    fn create<H: RequestHandler>(
        &mut self,
        at: usize,
        request: Request,
        missing: Missing,
        reply: Reply,
    ) {
        let then: WhenDecided = Box::new(move |world, at, outcome| {
            let Outcome::Confirmed(_) = outcome else {
                return judge_again::<H>(request, reply)(world, at, outcome);
            };
            let wall_ms = world.wall_ms(at);
            let ops = world.look(at, Consistency::Linearizable, |view| {
                missing.ops(&view.state, wall_ms)
            });
            match ops {
                None => Ok(()),
                Some(Err(_)) => reply(
                    world,
                    at,
                    (Err(RequestError::no_topic(missing.name())), None),
                ),
                Some(Ok(ops)) if ops.is_empty() => {
                    world.judge::<H>(at, request, Consistency::Linearizable, reply)
                }
                Some(Ok(ops)) => {
                    world.propose(at, Append::ops(&ops, ()), judge_again::<H>(request, reply));
                    Ok(())
                }
            }
        });
        self.read_index(at, then);
    }

    fn append<H: RequestHandler>(&mut self, at: usize, append: Append<H::Pending>, reply: Reply) {
        let Append {
            drafts,
            ops,
            answer,
            counted_bytes,
            pending,
        } = append;
        let parts = Append {
            drafts,
            ops,
            answer,
            counted_bytes,
            pending: (),
        };
        let ticket: WhenDecided = Box::new(move |world, at, outcome| {
            let Some((stored, fault)) = outcome.stored() else {
                let error = world.refusal(at, &outcome, RequestError::of);
                return reply(world, at, (Err(error), None));
            };
            let response = world.look(at, Consistency::Local, |view| {
                H::stored(pending, stored, view).but(fault)
            });
            match response {
                Some(response) => reply(world, at, (Ok(response), Some(stored.clone()))),
                None => Ok(()),
            }
        });
        self.propose(at, parts, ticket);
    }

    fn expire<P>(&mut self, at: usize, hold: &Hold<P>, reply: Reply) -> Result<(), BrokenPromise> {
        let response = self.look(at, Consistency::Local, |view| {
            (hold.expire)(&hold.pending, view)
        });
        match response {
            Some(response) => reply(self, at, (Ok(response), None)),
            None => Ok(()),
        }
    }

    /// Something that a handler does with the view of a replica; none if there is no running one.
    fn look<R>(
        &mut self,
        at: usize,
        consistency: Consistency,
        look: impl FnOnce(&View<'_>) -> R,
    ) -> Option<R> {
        let (now_ns, wall_ms) = (self.clock_ns(at), self.wall_ms(at));
        let running = self.machines[at].any_running()?;
        let clock = MomentOfClocks {
            monotonic_ms: now_ns / 1_000_000,
            wall_ms,
        };
        let near = running.replica.near_slaves();
        let view = running
            .serving
            .view(running.role(), &clock, consistency, near);
        Some(look(&view))
    }

    fn refusal(
        &self,
        at: usize,
        outcome: &Outcome,
        of: fn(&Outcome, &RoleView) -> RequestError,
    ) -> RequestError {
        match self.machines[at].any_running() {
            Some(running) => of(outcome, &running.role()),
            None => RequestError::not_yet(),
        }
    }

    fn ticket(&mut self, then: WhenDecided) -> u64 {
        self.next_ticket += 1;
        self.waiting.insert(self.next_ticket, then);
        self.next_ticket
    }

    fn read_index(&mut self, at: usize, then: WhenDecided) {
        let ticket = self.ticket(then);
        let now_ns = self.clock_ns(at);
        if let Some(running) = self.machines[at].running() {
            running.inbox.reads.push((ticket, now_ns));
        }
    }

    /// Something is to be appended for a client or an operator.
    pub(crate) fn propose(&mut self, at: usize, parts: Append<()>, then: WhenDecided) {
        let ticket = self.ticket(then);
        let received_ns = self.clock_ns(at);
        if let Some(running) = self.machines[at].running() {
            running.inbox.proposals.push(Proposal {
                drafts: parts.drafts,
                ops: parts.ops,
                answer: parts.answer,
                ticket,
                received_ns,
            });
        }
    }

    /// The outcome of a client's proposal or read: each is told once.
    pub(crate) fn decided(
        &mut self,
        at: usize,
        ticket: u64,
        outcome: Outcome,
    ) -> Result<(), BrokenPromise> {
        match self.waiting.remove(&ticket) {
            Some(then) => then(self, at, outcome),
            None => Err(BrokenPromise(format!(
                "ticket {ticket:x} was answered twice"
            ))),
        }
    }
}
