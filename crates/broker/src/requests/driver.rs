//! The one place that acts on verdicts.
//!
//! `tern-requests` says what the next step of a request is; here alone it is known how the step is done: which thread a
//! handler runs on, how a pull is parked, what is counted, and how answers leave.

use std::sync::{Arc, Weak};

use tern_net::Connection;
use tern_requests::{
    Append, Before, Consistency, Effects, GroupQueue, Hold, Looked, Missing, NextStep, Numbering,
    Reads, RequestError, RequestHandler, Response, Verdict, View, before, is_judged_at_once, judge,
};
use tern_wire::Command;
use tern_wire::codes::response;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::client_events::ClientEvents;
use super::context::{RequestContext, Responder};
use crate::clock::{self, MachineClock};
use crate::response_batch::{ResponseBatch, Ticket};
use crate::services::Services;
use crate::services::cold_lane::ColdRead;
use crate::services::holds::{HeldRequest, HoldId};
use crate::services::metadata_changes::ChangeCallback;
use tern_replica::{Outcome, Proposal};

/// Requests that read many places of files, at a time.
const SEARCHES: usize = 2;

/// Has requests judged and does what the verdicts say.
pub(crate) struct Driver {
    services: Arc<Services>,
    numbering: Numbering,
    client_events: Arc<ClientEvents>,
    searches: Arc<Semaphore>,
}

/// How an answer leaves.
enum Out<'a> {
    /// By itself: the caller has no others.
    Now,
    /// Together with others, at the end of the caller's batch.
    Together(&'a mut ResponseBatch),
}

/// A parked pull. Weak, because the table that holds it belongs to the driver's services.
struct ParkedPull<P> {
    driver: Weak<Driver>,
    responder: Responder,
    id: HoldId,
    until: Instant,
    hold: Hold<P>,
}

impl<P: Send + 'static> HeldRequest for ParkedPull<P> {
    fn wake(self: Box<Self>) {
        if let Some(driver) = self.driver.upgrade() {
            driver.resume(*self);
        }
    }

    fn expire(self: Box<Self>) {
        if let Some(driver) = self.driver.upgrade() {
            let response = (self.hold.expire)(&self.hold.pending, &driver.view(Consistency::Local));
            respond(self.responder, response, Out::Now);
        }
    }
}

/// A request that goes on where old messages are read. Weak as above.
struct ColdRequest<F> {
    driver: Weak<Driver>,
    responder: Responder,
    complete_refusal: fn(&mut Command),
    go_on: F,
}

impl<F: FnOnce(&Arc<Driver>, Responder) + Send + 'static> ColdRead for ColdRequest<F> {
    fn read(self: Box<Self>) {
        if let Some(driver) = self.driver.upgrade() {
            (self.go_on)(&driver, self.responder);
        }
    }

    fn refuse(self: Box<Self>) {
        let error = RequestError::too_many_cold_reads();
        refuse_with(self.responder, error, self.complete_refusal, Out::Now);
    }
}

impl Driver {
    /// Starts the task that removes clients which have gone silent; it ends with the last user.
    pub fn start(services: &Arc<Services>) -> Arc<Self> {
        Arc::new(Self {
            services: Arc::clone(services),
            numbering: Numbering::new(
                services.settings.store_host.ip(),
                std::process::id(),
                clock::monotonic_ns() as u32,
            ),
            client_events: ClientEvents::start(services),
            searches: Arc::new(Semaphore::new(SEARCHES)),
        })
    }

    #[cfg(test)]
    pub fn services(&self) -> &Services {
        &self.services
    }

    /// Serves a request. Called on a net thread.
    pub fn serve<H: RequestHandler>(self: &Arc<Self>, context: RequestContext) {
        if is_judged_at_once::<H>(context.waits_for) {
            self.judge::<H>(context, Consistency::Local, Out::Now);
        } else {
            self.serve_later::<H>(context);
        }
    }

    /// A connection ended: its clients are gone at once.
    pub fn closed(&self, connection: &Connection) {
        self.client_events.closed(connection);
    }

    /// Refuses what can be refused before it waits, then has it wait for ReadIndex or for a free search.
    fn serve_later<H: RequestHandler>(self: &Arc<Self>, context: RequestContext) {
        let view = self.view(Consistency::Local);
        let before = before::<H>(&context.request(), context.waits_for, &view);
        drop(view);
        match before {
            Err(error) => refuse::<H>(context.responder, error, Out::Now),
            Ok(Before::Search) => self.judge_elsewhere::<H>(context, Consistency::Local),
            Ok(Before::ReadIndex { offsets_of }) => {
                let ticket = self.judge_when_confirmed::<H>(context);
                ResponseBatch::at_once(|batch| match offsets_of {
                    Some(group) => self.services.offset_manager.settle(&group, ticket, batch),
                    None => batch.settle(self.services.mailbox.read(ticket)),
                });
            }
        }
    }

    fn view(&self, consistency: Consistency) -> View<'_> {
        let services = &self.services;
        View {
            settings: &services.settings,
            views: &services.views,
            clients: &services.clients,
            numbering: &self.numbering,
            clock: &MachineClock,
            role: services.roles.view(),
            state: services.views.state(),
            consistency,
            is_leaving: services.holds.is_closed(),
            near_slaves: services.roles.near_slaves(),
            reads_cold: false,
        }
    }

    fn judge<H: RequestHandler>(
        self: &Arc<Self>,
        context: RequestContext,
        consistency: Consistency,
        out: Out<'_>,
    ) {
        self.judge_by::<H>(context, self.view(consistency), out);
    }

    fn judge_by<H: RequestHandler>(
        self: &Arc<Self>,
        context: RequestContext,
        view: View<'_>,
        out: Out<'_>,
    ) {
        let consistency = view.consistency;
        let mut effects = Effects::default();
        let step = judge::<H>(&context.request(), context.waits_for, &view, &mut effects);
        drop(view);
        self.bring_about(effects, &context.responder);
        match step {
            NextStep::Act(verdict) => self.act::<H>(context, verdict, out),
            NextStep::Refuse(error) => refuse::<H>(context.responder, error, out),
            NextStep::Confirm => {
                let ticket = self.judge_when_confirmed::<H>(context);
                out.batch(|batch| batch.settle(self.services.mailbox.read(ticket)));
            }
            NextStep::Create(missing) => {
                out.batch(|batch| self.create::<H>(context, *missing, batch));
            }
            NextStep::ReadCold => self.judge_cold::<H>(context, consistency),
        }
    }

    /// Has a request judged again where old messages are read.
    fn judge_cold<H: RequestHandler>(
        self: &Arc<Self>,
        context: RequestContext,
        consistency: Consistency,
    ) {
        let RequestContext {
            command,
            responder,
            received_ns,
            waits_for,
        } = context;
        self.go_on_cold(responder, H::complete_refusal, move |driver, responder| {
            let context = RequestContext {
                command,
                responder,
                received_ns,
                waits_for,
            };
            let view = View {
                reads_cold: true,
                ..driver.view(consistency)
            };
            driver.judge_by::<H>(context, view, Out::Now);
        });
    }

    /// Has a request go on in its turn where old messages are read, or refuses it.
    fn go_on_cold(
        self: &Arc<Self>,
        responder: Responder,
        complete_refusal: fn(&mut Command),
        go_on: impl FnOnce(&Arc<Self>, Responder) + Send + 'static,
    ) {
        self.services.cold_lane.add(Box::new(ColdRequest {
            driver: Arc::downgrade(self),
            responder,
            complete_refusal,
            go_on,
        }));
    }

    fn act<H: RequestHandler>(
        self: &Arc<Self>,
        context: RequestContext,
        verdict: Verdict<H::Pending>,
        out: Out<'_>,
    ) {
        match verdict {
            Verdict::Answer(response) => respond(context.responder, response, out),
            Verdict::Propose(append) => {
                out.batch(|batch| self.propose::<H>(context, append, batch));
            }
            Verdict::Commit(queue, offset) => {
                out.batch(|batch| self.commit::<H>(context.responder, queue, offset, batch));
            }
            Verdict::Hold(hold) => self.hold(context.responder, hold, None),
            Verdict::ReadCold(hold) => self.read_cold(context.responder, hold, None),
            Verdict::ConfirmOrHold(hold) => self.confirm_or_hold::<H>(context, hold, out),
        }
    }

    /// Has a request judged again with all that was committed until now.
    fn judge_when_confirmed<H: RequestHandler>(
        self: &Arc<Self>,
        context: RequestContext,
    ) -> Ticket {
        let this = Arc::clone(self);
        Box::new(move |outcome, batch| match outcome {
            Outcome::Confirmed(_) | Outcome::Stored(_) => this.judge_again::<H>(context, batch),
            other => {
                let error = RequestError::of_condition(&other, &this.services.roles.view());
                refuse::<H>(context.responder, error, Out::Together(batch));
            }
        })
    }

    fn create<H: RequestHandler>(
        self: &Arc<Self>,
        context: RequestContext,
        missing: Missing,
        batch: &mut ResponseBatch,
    ) {
        let this = Arc::clone(self);
        let then: ChangeCallback = Box::new(move |created, batch| match created {
            Ok(()) => this.judge_again::<H>(context, batch),
            Err(error) => {
                refuse::<H>(context.responder, error, Out::Together(batch));
            }
        });
        self.services.metadata_changes.missing(missing, then, batch);
    }

    /// Called on the apply thread, which must not wait for a disk.
    fn judge_again<H: RequestHandler>(
        self: &Arc<Self>,
        context: RequestContext,
        batch: &mut ResponseBatch,
    ) {
        match H::READS {
            Reads::Memory => {
                let out = Out::Together(batch);
                self.judge::<H>(context, Consistency::Linearizable, out);
            }
            Reads::Files | Reads::ManyFiles => {
                self.judge_elsewhere::<H>(context, Consistency::Linearizable);
            }
        }
    }

    fn judge_elsewhere<H: RequestHandler>(
        self: &Arc<Self>,
        context: RequestContext,
        consistency: Consistency,
    ) {
        let this = Arc::clone(self);
        self.services.runtime.spawn(async move {
            if H::READS == Reads::Files {
                return this.judge::<H>(context, consistency, Out::Now);
            }
            let Ok(turn) = Arc::clone(&this.searches).acquire_owned().await else {
                return;
            };
            let runtime = this.services.runtime.clone();
            runtime.spawn_blocking(move || {
                if context.responder.is_awaited() {
                    this.judge::<H>(context, consistency, Out::Now);
                }
                drop(turn);
            });
        });
    }

    fn propose<H: RequestHandler>(
        self: &Arc<Self>,
        context: RequestContext,
        append: Append<H::Pending>,
        batch: &mut ResponseBatch,
    ) {
        // The request's body goes here: the records are a copy of it.
        let RequestContext {
            responder,
            received_ns,
            ..
        } = context;
        let Append {
            drafts,
            ops,
            answer,
            counted_bytes,
            pending,
        } = append;
        let this = Arc::clone(self);
        let ticket: Ticket = Box::new(move |outcome, batch| {
            this.decided::<H>(&outcome, responder, pending, counted_bytes, batch);
        });
        let proposal = Proposal {
            drafts,
            ops,
            answer,
            ticket,
            received_ns,
        };
        batch.settle(self.services.mailbox.propose(proposal));
    }

    fn decided<H: RequestHandler>(
        self: &Arc<Self>,
        outcome: &Outcome,
        responder: Responder,
        pending: H::Pending,
        counted_bytes: Option<u64>,
        batch: &mut ResponseBatch,
    ) {
        let counters = &self.services.counters;
        let Some((stored, fault)) = outcome.stored() else {
            if counted_bytes.is_some() {
                counters.put_failed();
            }
            let error = RequestError::of(outcome, &self.services.roles.view());
            return refuse::<H>(responder, error, Out::Together(batch));
        };
        if let Some(bytes) = counted_bytes {
            counters.put(stored.physical_offsets.len(), bytes);
        }
        if responder.is_awaited() {
            let response = H::stored(pending, stored, &self.view(Consistency::Local));
            respond(responder, response.but(fault), Out::Together(batch));
        }
    }

    fn commit<H: RequestHandler>(
        self: &Arc<Self>,
        responder: Responder,
        queue: GroupQueue,
        offset: u64,
        batch: &mut ResponseBatch,
    ) {
        let offset_manager = &self.services.offset_manager;
        if responder.is_one_way() {
            return offset_manager.add(&queue, offset);
        }
        let this = Arc::clone(self);
        let ticket: Ticket = Box::new(move |outcome, batch| {
            let out = Out::Together(batch);
            match outcome {
                Outcome::Stored(_) => respond(responder, Response::new(response::SUCCESS), out),
                other => {
                    let error = RequestError::of(&other, &this.services.roles.view());
                    refuse::<H>(responder, error, out);
                }
            }
        });
        offset_manager.set(queue, offset, ticket, batch);
    }

    /// A deposed leader must not send a consumer elsewhere by what its view shows, so without ReadIndex the pull waits.
    fn confirm_or_hold<H: RequestHandler>(
        self: &Arc<Self>,
        context: RequestContext,
        hold: Hold<H::Pending>,
        out: Out<'_>,
    ) {
        let this = Arc::clone(self);
        let ticket: Ticket = Box::new(move |outcome, _| {
            let runtime = this.services.runtime.clone();
            runtime.spawn(async move {
                match outcome {
                    Outcome::Confirmed(_) => {
                        this.judge::<H>(context, Consistency::Linearizable, Out::Now);
                    }
                    _ => this.hold(context.responder, hold, None),
                }
            });
        });
        out.batch(|batch| batch.settle(self.services.mailbox.read(ticket)));
    }

    /// Parks a pull, if it may wait. `parked` is its name and its deadline, if it was parked before.
    pub(super) fn hold<P: Send + 'static>(
        self: &Arc<Self>,
        mut responder: Responder,
        hold: Hold<P>,
        parked: Option<(HoldId, Instant)>,
    ) {
        if !responder.is_awaited() {
            return;
        }
        let (holds, views) = (&self.services.holds, &self.services.views);
        let first = || Some((holds.next_id(), Instant::now() + hold.wait?));
        let Some((id, until)) = parked.or_else(first) else {
            let response = (hold.expire)(&hold.pending, &self.view(Consistency::Local));
            return respond(responder, response, Out::Now);
        };
        let (queue, end) = (hold.queue, hold.end);
        responder.park();
        let parked = ParkedPull {
            driver: Arc::downgrade(self),
            responder,
            id,
            until,
            hold,
        };
        holds.park(id, queue, until, Box::new(parked));
        // A message that came between the look and the parking has woken nobody, nor has a deletion.
        if (views.queues.range(queue.0, queue.1).1 > end
            || views.state().topic_by_id(queue.0).is_none()
            || holds.is_closed())
            && let Some(parked) = holds.take(id)
        {
            self.services.runtime.spawn(async move { parked.wake() });
        }
    }

    fn resume<P: Send + 'static>(self: &Arc<Self>, parked: ParkedPull<P>) {
        let ParkedPull {
            responder,
            id,
            until,
            hold,
            ..
        } = parked;
        self.look_again(responder, hold, Some((id, until)), false);
    }

    /// Has a pull look again, here or where old messages are read.
    fn look_again<P: Send + 'static>(
        self: &Arc<Self>,
        responder: Responder,
        hold: Hold<P>,
        parked: Option<(HoldId, Instant)>,
        reads_cold: bool,
    ) {
        if !responder.is_awaited() {
            return;
        }
        let mut effects = Effects::default();
        let view = View {
            reads_cold,
            ..self.view(Consistency::Local)
        };
        let looked = (hold.resume)(hold.pending, &view, &mut effects);
        drop(view);
        self.bring_about(effects, &responder);
        match looked {
            Ok(Looked::Found(response)) => respond(responder, response, Out::Now),
            Ok(Looked::Nothing(hold)) => self.hold(responder, hold, parked),
            Ok(Looked::Cold(hold)) => self.read_cold(responder, hold, parked),
            Err(error) => refuse_with(responder, error, |_| {}, Out::Now),
        }
    }

    fn read_cold<P: Send + 'static>(
        self: &Arc<Self>,
        responder: Responder,
        hold: Hold<P>,
        parked: Option<(HoldId, Instant)>,
    ) {
        self.go_on_cold(
            responder,
            |_| {},
            move |driver, responder| {
                driver.services.counters.read_cold();
                driver.look_again(responder, hold, parked, true);
            },
        );
    }

    fn bring_about(&self, effects: Effects, responder: &Responder) {
        let services = &self.services;
        if let Some((queue, offset)) = effects.commit {
            services.offset_manager.add(&queue, offset);
        }
        if effects.found_none {
            services.counters.missed();
        }
        if let Some((messages, bytes)) = effects.taken {
            services.counters.got(messages, bytes);
        }
        if let Some(heartbeat) = effects.heartbeat {
            self.client_events
                .heartbeat(*heartbeat, responder.connection());
        }
        self.client_events.notify(&effects.changed_groups);
    }
}

impl Out<'_> {
    fn batch<T>(self, collect: impl FnOnce(&mut ResponseBatch) -> T) -> T {
        match self {
            Self::Now => ResponseBatch::at_once(collect),
            Self::Together(batch) => collect(batch),
        }
    }
}

fn respond(responder: Responder, response: Response, out: Out<'_>) {
    let answer = responder.answer(response);
    send(responder, answer, out);
}

fn refuse<H: RequestHandler>(responder: Responder, error: RequestError, out: Out<'_>) {
    refuse_with(responder, error, H::complete_refusal, out);
}

fn refuse_with(
    responder: Responder,
    error: RequestError,
    complete: fn(&mut Command),
    out: Out<'_>,
) {
    if responder.is_one_way() {
        return;
    }
    let mut answer = responder.command(error.code);
    complete(&mut answer);
    error.write(&mut answer);
    send(responder, answer, out);
}

fn send(responder: Responder, answer: Command, out: Out<'_>) {
    match out {
        Out::Now => responder.send(answer),
        Out::Together(batch) => responder.add(&answer, batch),
    }
}
