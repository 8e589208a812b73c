//! The one place that acts on verdicts.
//!
//! Right after a change of leaders the views are behind the log, and topics and groups may come into being by use. So a
//! leader refuses nothing because of a published view alone: the driver brings the view up to date by ReadIndex, or has
//! created what is missing, and has the request judged once more; what the handler says then stands. Here alone it is
//! known who must lead, which thread a handler runs on, how a pull is parked, what is counted, and how answers leave.

use std::sync::{Arc, Weak};

use tern_net::Connection;
use tern_wire::Command;
use tern_wire::codes::response;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::client_events::ClientEvents;
use super::effects::Effects;
use super::handler::{
    Append, Consistency, Hold, Looked, Missing, NotServed, Reads, RequestHandler, Response,
    Verdict, View, WaitsFor,
};
use super::reply::{Incoming, Reply};
use crate::answers::{Answers, Ticket};
use crate::refused::Refused;
use crate::services::Services;
use crate::services::commits::Place;
use crate::services::creations::Then;
use crate::services::holds::{Held, HoldId};
use crate::services::numbering::Numbering;
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
    Together(&'a mut Answers),
}

/// A parked pull. Weak, because the table that holds it belongs to the driver's services.
struct ParkedPull<P> {
    driver: Weak<Driver>,
    reply: Reply,
    id: HoldId,
    until: Instant,
    hold: Hold<P>,
}

impl<P: Send + 'static> Held for ParkedPull<P> {
    fn wake(self: Box<Self>) {
        if let Some(driver) = self.driver.upgrade() {
            driver.resume(*self);
        }
    }

    fn expire(self: Box<Self>) {
        if let Some(driver) = self.driver.upgrade() {
            let response = (self.hold.expire)(&self.hold.pending, &driver.view(Consistency::Local));
            respond(self.reply, response, Out::Now);
        }
    }
}

impl Driver {
    /// Starts the task that removes clients which have gone silent; it ends with the last user.
    pub fn start(services: &Arc<Services>) -> Arc<Self> {
        Arc::new(Self {
            services: Arc::clone(services),
            numbering: Numbering::new(services.settings.store_host.ip()),
            client_events: ClientEvents::start(services),
            searches: Arc::new(Semaphore::new(SEARCHES)),
        })
    }

    #[cfg(test)]
    pub fn services(&self) -> &Services {
        &self.services
    }

    /// Serves a request. Called on a net thread.
    pub fn serve<H: RequestHandler>(self: &Arc<Self>, incoming: Incoming) {
        match H::READS {
            Reads::Memory | Reads::Files if incoming.waits_for != WaitsFor::ReadIndex => {
                self.judge::<H>(incoming, Consistency::Local, Out::Now);
            }
            _ => self.serve_later::<H>(incoming),
        }
    }

    /// A connection ended: its clients are gone at once.
    pub fn closed(&self, connection: &Connection) {
        self.client_events.closed(connection);
    }

    /// Refuses what can be refused before it waits, then has it wait for ReadIndex or for a free search.
    fn serve_later<H: RequestHandler>(self: &Arc<Self>, incoming: Incoming) {
        let group = match self.check_first::<H>(&incoming) {
            Ok(group) => group,
            Err(refused) => return self.refuse::<H>(incoming.reply, refused, Out::Now),
        };
        if incoming.waits_for != WaitsFor::ReadIndex {
            return self.judge_elsewhere::<H>(incoming, Consistency::Local);
        }
        let ticket = self.judge_when_confirmed::<H>(incoming);
        Answers::at_once(|answers| match group {
            Some(group) => self.services.commits.settle(&group, ticket, answers),
            None => answers.settle(self.services.mailbox.read(ticket)),
        });
    }

    /// The group whose offset commits have to be applied first, if the request reads some.
    fn check_first<H: RequestHandler>(
        &self,
        incoming: &Incoming,
    ) -> Result<Option<String>, Refused> {
        let view = self.view(Consistency::Local);
        check_leads(incoming.waits_for, &view)?;
        let header = H::decode(&incoming.command)?;
        H::check(&header, &incoming.request(), &view)?;
        Ok(H::reads_offsets_of(&header).map(str::to_owned))
    }

    fn view(&self, consistency: Consistency) -> View<'_> {
        let services = &self.services;
        View {
            settings: &services.settings,
            views: &services.views,
            clients: &services.clients,
            numbering: &self.numbering,
            role: services.roles.view(),
            state: services.views.state(),
            consistency,
            is_leaving: services.holds.is_closed(),
        }
    }

    fn judge<H: RequestHandler>(
        self: &Arc<Self>,
        incoming: Incoming,
        consistency: Consistency,
        out: Out<'_>,
    ) {
        let mut effects = Effects::default();
        let (verdict, leads) = {
            let view = self.view(consistency);
            let verdict = check_leads(incoming.waits_for, &view)
                .and_then(|()| H::decode(&incoming.command))
                .map_err(NotServed::from)
                .and_then(|header| H::judge(&header, &incoming.request(), &view, &mut effects));
            (verdict, view.leads())
        };
        self.bring_about(effects, &incoming.reply);
        match verdict {
            Ok(verdict) => self.act::<H>(incoming, verdict, out),
            // A replica that does not lead cannot confirm its view, and creates nothing.
            Err(halt) if consistency == Consistency::Linearizable || !leads => {
                self.refuse::<H>(incoming.reply, halt.refused(), out);
            }
            Err(NotServed::Rejected(refused)) => self.refuse::<H>(incoming.reply, refused, out),
            Err(NotServed::StaleView(_)) => {
                let ticket = self.judge_when_confirmed::<H>(incoming);
                out.batch(|answers| answers.settle(self.services.mailbox.read(ticket)));
            }
            Err(NotServed::Missing(missing, _)) => {
                out.batch(|answers| self.create::<H>(incoming, *missing, answers));
            }
        }
    }

    fn act<H: RequestHandler>(
        self: &Arc<Self>,
        incoming: Incoming,
        verdict: Verdict<H::Pending>,
        out: Out<'_>,
    ) {
        match verdict {
            Verdict::Answer(response) => respond(incoming.reply, response, out),
            Verdict::Propose(append) => {
                out.batch(|answers| self.propose::<H>(incoming, append, answers));
            }
            Verdict::Commit(place, offset) => {
                out.batch(|answers| self.commit::<H>(incoming.reply, place, offset, answers));
            }
            Verdict::Hold(hold) => self.hold(incoming.reply, hold, None),
            Verdict::ConfirmOrHold(hold) => self.confirm_or_hold::<H>(incoming, hold, out),
        }
    }

    /// Has a request judged again with all that was committed until now.
    fn judge_when_confirmed<H: RequestHandler>(self: &Arc<Self>, incoming: Incoming) -> Ticket {
        let this = Arc::clone(self);
        Box::new(move |outcome, answers| match outcome {
            Outcome::Confirmed(_) | Outcome::Stored(_) => this.judge_again::<H>(incoming, answers),
            other => {
                let refused = Refused::of_condition(&other, &this.services.roles);
                this.refuse::<H>(incoming.reply, refused, Out::Together(answers));
            }
        })
    }

    fn create<H: RequestHandler>(
        self: &Arc<Self>,
        incoming: Incoming,
        missing: Missing,
        answers: &mut Answers,
    ) {
        let this = Arc::clone(self);
        let then: Then = Box::new(move |created, answers| match created {
            Ok(()) => this.judge_again::<H>(incoming, answers),
            Err(refused) => {
                this.refuse::<H>(incoming.reply, refused, Out::Together(answers));
            }
        });
        let creations = &self.services.creations;
        match missing {
            Missing::Topic(new) => creations.topic(new, then, answers),
            Missing::OwnTopic(config) => creations.missing_topic(config, then, answers),
            Missing::Group(name) => creations.group(name, (false, false), then, answers),
        }
    }

    /// Called on the apply thread, which must not wait for a disk.
    fn judge_again<H: RequestHandler>(self: &Arc<Self>, incoming: Incoming, answers: &mut Answers) {
        match H::READS {
            Reads::Memory => {
                let out = Out::Together(answers);
                self.judge::<H>(incoming, Consistency::Linearizable, out);
            }
            Reads::Files | Reads::ManyFiles => {
                self.judge_elsewhere::<H>(incoming, Consistency::Linearizable);
            }
        }
    }

    fn judge_elsewhere<H: RequestHandler>(
        self: &Arc<Self>,
        incoming: Incoming,
        consistency: Consistency,
    ) {
        let this = Arc::clone(self);
        self.services.runtime.spawn(async move {
            if H::READS == Reads::Files {
                return this.judge::<H>(incoming, consistency, Out::Now);
            }
            let Ok(turn) = Arc::clone(&this.searches).acquire_owned().await else {
                return;
            };
            let runtime = this.services.runtime.clone();
            runtime.spawn_blocking(move || {
                if incoming.reply.is_awaited() {
                    this.judge::<H>(incoming, consistency, Out::Now);
                }
                drop(turn);
            });
        });
    }

    fn propose<H: RequestHandler>(
        self: &Arc<Self>,
        incoming: Incoming,
        append: Append<H::Pending>,
        answers: &mut Answers,
    ) {
        // The request's body goes here: the records are a copy of it.
        let Incoming {
            reply, received_ns, ..
        } = incoming;
        let Append {
            drafts,
            ops,
            answer,
            counted_bytes,
            pending,
        } = append;
        let this = Arc::clone(self);
        let ticket: Ticket = Box::new(move |outcome, answers| {
            this.decided::<H>(&outcome, reply, pending, counted_bytes, answers);
        });
        let proposal = Proposal {
            drafts,
            ops,
            answer,
            ticket,
            received_ns,
        };
        answers.settle(self.services.mailbox.propose(proposal));
    }

    fn decided<H: RequestHandler>(
        self: &Arc<Self>,
        outcome: &Outcome,
        reply: Reply,
        pending: H::Pending,
        counted_bytes: Option<u64>,
        answers: &mut Answers,
    ) {
        let counters = &self.services.counters;
        match outcome {
            Outcome::Stored(stored) => {
                if let Some(bytes) = counted_bytes {
                    counters.put(stored.physical_offsets.len(), bytes);
                }
                if reply.is_awaited() {
                    let response = H::stored(pending, stored, &self.view(Consistency::Local));
                    respond(reply, response, Out::Together(answers));
                }
            }
            other => {
                if counted_bytes.is_some() {
                    counters.put_failed();
                }
                let refused = Refused::of(other, &self.services.roles);
                self.refuse::<H>(reply, refused, Out::Together(answers));
            }
        }
    }

    fn commit<H: RequestHandler>(
        self: &Arc<Self>,
        reply: Reply,
        place: Place,
        offset: u64,
        answers: &mut Answers,
    ) {
        let commits = &self.services.commits;
        if reply.is_one_way() {
            return commits.add(&place, offset);
        }
        let this = Arc::clone(self);
        let ticket: Ticket = Box::new(move |outcome, answers| {
            let out = Out::Together(answers);
            match outcome {
                Outcome::Stored(_) => respond(reply, Response::new(response::SUCCESS), out),
                other => {
                    let refused = Refused::of(&other, &this.services.roles);
                    this.refuse::<H>(reply, refused, out);
                }
            }
        });
        commits.set(place, offset, ticket, answers);
    }

    /// A deposed leader must not send a consumer elsewhere by what its view shows, so without ReadIndex the pull waits.
    fn confirm_or_hold<H: RequestHandler>(
        self: &Arc<Self>,
        incoming: Incoming,
        hold: Hold<H::Pending>,
        out: Out<'_>,
    ) {
        let this = Arc::clone(self);
        let ticket: Ticket = Box::new(move |outcome, _| {
            let runtime = this.services.runtime.clone();
            runtime.spawn(async move {
                match outcome {
                    Outcome::Confirmed(_) => {
                        this.judge::<H>(incoming, Consistency::Linearizable, Out::Now);
                    }
                    _ => this.hold(incoming.reply, hold, None),
                }
            });
        });
        out.batch(|answers| answers.settle(self.services.mailbox.read(ticket)));
    }

    /// Parks a pull, if it may wait. `parked` is its name and its deadline, if it was parked before.
    pub(super) fn hold<P: Send + 'static>(
        self: &Arc<Self>,
        mut reply: Reply,
        hold: Hold<P>,
        parked: Option<(HoldId, Instant)>,
    ) {
        if !reply.is_awaited() {
            return;
        }
        let (holds, views) = (&self.services.holds, &self.services.views);
        let first = || Some((holds.next_id(), Instant::now() + hold.wait?));
        let Some((id, until)) = parked.or_else(first) else {
            let response = (hold.expire)(&hold.pending, &self.view(Consistency::Local));
            return respond(reply, response, Out::Now);
        };
        let (queue, end) = (hold.queue, hold.end);
        reply.park();
        let parked = ParkedPull {
            driver: Arc::downgrade(self),
            reply,
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
            reply,
            id,
            until,
            hold,
            ..
        } = parked;
        if !reply.is_awaited() {
            return;
        }
        let mut effects = Effects::default();
        let looked = (hold.resume)(hold.pending, &self.view(Consistency::Local), &mut effects);
        self.bring_about(effects, &reply);
        match looked {
            Ok(Looked::Found(response)) => respond(reply, response, Out::Now),
            Ok(Looked::Nothing(hold)) => self.hold(reply, hold, Some((id, until))),
            Err(refused) => refuse(reply, refused, |_| {}, Out::Now),
        }
    }

    fn bring_about(&self, effects: Effects, reply: &Reply) {
        let services = &self.services;
        if let Some((place, offset)) = effects.commit {
            services.commits.add(&place, offset);
        }
        if effects.found_none {
            services.counters.missed();
        }
        if let Some((messages, bytes)) = effects.taken {
            services.counters.got(messages, bytes);
        }
        if let Some(heartbeat) = effects.heartbeat {
            self.client_events.heartbeat(*heartbeat, reply.connection());
        }
        self.client_events.notify(&effects.changed_groups);
    }

    #[expect(clippy::unused_self, reason = "reads as the other verdicts do")]
    fn refuse<H: RequestHandler>(&self, reply: Reply, refused: Refused, out: Out<'_>) {
        refuse(reply, refused, H::complete_refusal, out);
    }
}

impl Out<'_> {
    fn batch<T>(self, collect: impl FnOnce(&mut Answers) -> T) -> T {
        match self {
            Self::Now => Answers::at_once(collect),
            Self::Together(answers) => collect(answers),
        }
    }
}

fn check_leads(waits_for: WaitsFor, view: &View<'_>) -> Result<(), Refused> {
    match waits_for {
        WaitsFor::Log | WaitsFor::ReadIndex if !view.leads() => {
            Err(Refused::not_leader(&view.role))
        }
        _ => Ok(()),
    }
}

fn respond(reply: Reply, response: Response, out: Out<'_>) {
    let answer = reply.answer(response);
    send(reply, answer, out);
}

fn refuse(reply: Reply, refused: Refused, complete: fn(&mut Command), out: Out<'_>) {
    if reply.is_one_way() {
        return;
    }
    let mut answer = reply.command(refused.code);
    complete(&mut answer);
    refused.write(&mut answer);
    send(reply, answer, out);
}

fn send(reply: Reply, answer: Command, out: Out<'_>) {
    match out {
        Out::Now => reply.send(answer),
        Out::Together(answers) => reply.add(&answer, answers),
    }
}
