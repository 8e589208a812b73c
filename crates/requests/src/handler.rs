//! What a request handler is: a function from a request and a view to a verdict.
//!
//! A handler checks in RocketMQ's order and says what is to be done. It answers nobody, waits for nothing and starts
//! nothing: a driver does what the verdict says. So a handler is tested without a socket, and runs
//! on whatever thread the driver finds right.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::Guard;
use bytes::Bytes;
use smallvec::{SmallVec, smallvec};
use tern_state::{Op, State};
use tern_wire::codes::response;
use tern_wire::names::NameError;
use tern_wire::{Command, Fields, HeaderError};

use crate::clock::Clocks;
use crate::creation::Missing;
use crate::effects::Effects;
use crate::numbering::Numbering;
use crate::queues::{GroupQueue, QueueKey};
use crate::registry::ClientRegistry;
use crate::request_error::RequestError;
use crate::role_view::RoleView;
use crate::settings::Settings;
use crate::views::Views;
use tern_replica::{AnswerAt, Draft, NearSlaves, SlaveFault, StoredRecords};

/// The handler of one request code, or of several that differ in their header's form.
pub trait RequestHandler: 'static {
    /// The request's header, or what its body is decoded into.
    type Header<'a>;
    /// What the answer needs of the request, kept while the request waits in the log or among the parked pulls.
    type Pending: Send + 'static;

    /// Where the handler may run.
    const READS: Reads = Reads::Memory;

    /// Decodes header or body.
    ///
    /// # Errors
    /// The request is malformed.
    fn decode(command: &Command) -> Result<Self::Header<'_>, RequestError>;

    /// The checks that need not wait: made on the net thread before a request waits for ReadIndex or for a search.
    ///
    /// # Errors
    /// The request is refused, whatever is committed meanwhile.
    fn check(
        _: &Self::Header<'_>,
        _: &ClientRequest<'_>,
        _: &View<'_>,
    ) -> Result<(), RequestError> {
        Ok(())
    }

    /// The consumer group whose offset commits on their way are applied before the request is judged.
    fn reads_offsets_of<'a>(_: &'a Self::Header<'_>) -> Option<&'a str> {
        None
    }

    /// Judges the request. Called again with [`Consistency::Linearizable`] after [`NotServed::StaleView`] or [`NotServed::Missing`],
    /// and with [`View::reads_cold`] after [`NotServed::Cold`].
    ///
    /// # Errors
    /// Why the request is not served as the view stands.
    fn judge(
        header: &Self::Header<'_>,
        request: &ClientRequest<'_>,
        view: &View<'_>,
        effects: &mut Effects,
    ) -> Result<Verdict<Self::Pending>, NotServed>;

    /// The answer to a request whose proposal is committed, and applied if it asked for that.
    fn stored(_: Self::Pending, _: &StoredRecords, _: &View<'_>) -> Response {
        Response::new(response::SUCCESS)
    }

    /// What every refusal of this request carries.
    fn complete_refusal(_: &mut Command) {}
}

/// What a handler reads, which decides about the thread that it runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reads {
    /// Published views and memory: it runs on any thread, the apply thread among them.
    Memory,
    /// Also files of the log: never on the apply thread, and what is old ([`View::reach`]) not on a net thread either.
    Files,
    /// Many places of files: in the pool of blocking threads, a few at a time.
    ManyFiles,
}

/// What a request has to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitsFor {
    /// A place in the log, on the leader: bounded by the log thread's box and the bounds behind it.
    Log,
    /// ReadIndex, on the leader: leadership is confirmed, and what was committed is applied.
    ReadIndex,
    /// Nothing but the published views; perhaps for a message.
    View,
    /// Nothing: memory of this process alone.
    Memory,
}

/// A request as its handler sees it.
pub struct ClientRequest<'a> {
    /// Code, header, body; language and version of the client.
    pub command: &'a Command,
    /// The client's address.
    pub peer: SocketAddr,
    /// Number of the connection that it came by; no other connection of this process has or had it.
    pub connection: u64,
}

/// How well the view is known that a request is judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consistency {
    /// As the apply thread published it last.
    Local,
    /// With everything that was committed when the request came: after ReadIndex.
    Linearizable,
}

/// What a handler judges by.
pub struct View<'a> {
    /// What this process chose for itself.
    pub settings: &'a Settings,
    /// Committed past.
    pub views: &'a Views,
    /// Connected clients.
    pub clients: &'a ClientRegistry,
    /// Unique ids, and queues for messages that name none.
    pub numbering: &'a Numbering,
    /// The clocks of this process.
    pub clock: &'a dyn Clocks,
    /// This replica's role.
    pub role: Guard<Arc<RoleView>>,
    /// The state that the views show.
    pub state: Guard<Arc<State>>,
    /// How well it is known.
    pub consistency: Consistency,
    /// This replica has handed over and is going: no pull is parked any more.
    pub is_leaving: bool,
    /// Slaves that consumers far behind can be sent to.
    pub near_slaves: NearSlaves,
    /// Whether old messages are read here, which takes a disk: on a thread whose others may wait.
    pub reads_cold: bool,
}

impl View<'_> {
    /// Whether this replica leads its group.
    pub fn leads(&self) -> bool {
        self.role.leads()
    }

    /// Whether what stands at a position of the log is read here.
    pub fn reads(&self, position: u64) -> bool {
        self.reads_cold || !self.views.log.is_cold(position)
    }

    /// To be asked before a message is read that a request leads to.
    ///
    /// # Errors
    /// [`NotServed::Cold`]: it is old, and not read here.
    pub fn reach(&self, position: u64) -> Result<(), NotServed> {
        if self.reads(position) {
            Ok(())
        } else {
            Err(NotServed::Cold)
        }
    }
}

/// What is to be done for a request.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "it is moved once; a box would cost every pull an allocation"
)]
pub enum Verdict<P> {
    /// The answer.
    Answer(Response),
    /// Append this; the answer follows when it is decided.
    Propose(Append<P>),
    /// Commit a consumer's offset. A client that waits for the answer means the value as it is; otherwise the commit is
    /// collected with others and may only raise the offset.
    Commit(GroupQueue, u64),
    /// There is nothing yet.
    Hold(Hold<P>),
    /// There are old messages: resume it where those are read.
    ReadCold(Hold<P>),
    /// Judge again after ReadIndex: what the view shows must not decide. Hold it if this replica cannot confirm that
    /// it leads.
    ConfirmOrHold(Hold<P>),
}

/// What is appended for a request.
#[derive(Debug)]
pub struct Append<P> {
    /// Records without their places.
    pub drafts: SmallVec<[Draft; 1]>,
    /// Encoded ops.
    pub ops: Bytes,
    /// When the request is answered.
    pub answer: AnswerAt,
    /// Bytes of records that count as put; none if these are no client's messages.
    pub counted_bytes: Option<u64>,
    /// What the answer needs of the request.
    pub pending: P,
}

impl<P> Append<P> {
    /// One op, answered when it is applied.
    pub fn op(op: &Op, pending: P) -> Self {
        Self::ops(std::slice::from_ref(op), pending)
    }

    /// Ops that are applied together, answered then.
    pub fn ops(ops: &[Op], pending: P) -> Self {
        let mut block = Vec::new();
        for op in ops {
            op.encode(&mut block);
        }
        Self {
            drafts: SmallVec::new(),
            ops: Bytes::from(block),
            answer: AnswerAt::Apply,
            counted_bytes: None,
            pending,
        }
    }

    /// A client's messages, answered when they are committed.
    pub fn messages(draft: Draft, pending: P) -> Self {
        Self {
            counted_bytes: Some(draft.bytes.len() as u64),
            drafts: smallvec![draft],
            ops: Bytes::new(),
            answer: AnswerAt::Commit,
            pending,
        }
    }
}

/// A pull that waits for messages of a queue.
pub struct Hold<P> {
    /// The queue.
    pub queue: QueueKey,
    /// For how long it may wait.
    pub wait: Option<Duration>,
    /// The end of the queue, before it was looked at.
    pub end: u64,
    /// The pull.
    pub pending: P,
    /// Looks again, when the queue has got messages.
    pub resume: fn(P, &View<'_>, &mut Effects) -> Result<Looked<P>, RequestError>,
    /// The answer when the time is over.
    pub expire: fn(&P, &View<'_>) -> Response,
}

/// What a look at a queue comes to.
#[expect(
    clippy::large_enum_variant,
    reason = "it is moved once; a box would cost every pull an allocation"
)]
pub enum Looked<P> {
    /// The answer.
    Found(Response),
    /// There is nothing yet.
    Nothing(Hold<P>),
    /// What is there is old: look again where old messages are read ([`View::reads_cold`]).
    Cold(Hold<P>),
}

impl<P> From<Looked<P>> for Verdict<P> {
    fn from(looked: Looked<P>) -> Self {
        match looked {
            Looked::Found(response) => Self::Answer(response),
            Looked::Nothing(hold) => Self::Hold(hold),
            Looked::Cold(hold) => Self::ReadCold(hold),
        }
    }
}

impl<P: std::fmt::Debug> std::fmt::Debug for Hold<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hold")
            .field("queue", &self.queue)
            .field("wait", &self.wait)
            .field("end", &self.end)
            .field("pending", &self.pending)
            .finish_non_exhaustive()
    }
}

/// Why a request is not served as the view stands.
#[derive(Debug)]
pub enum NotServed {
    /// Whatever the view says.
    Rejected(RequestError),
    /// Because of the view, which may be behind: right after a change of leaders it is behind the log. A leader says it
    /// only after ReadIndex.
    StaleView(RequestError),
    /// The view does not know what the request needs and what may come into being by use: it is created first.
    Missing(Box<Missing>, RequestError),
    /// It reads old messages: judge it again, by a view as good, where those are read ([`View::reads_cold`]).
    Cold,
}

impl NotServed {
    /// A topic that the view does not know and that this request may bring into being.
    pub fn missing_topic(missing: Missing, name: &str) -> Self {
        Self::Missing(Box::new(missing), RequestError::no_topic(name))
    }

    /// A group that the view does not know: created where groups come into being by use.
    pub fn no_group(settings: &Settings, name: &str) -> Self {
        let error = RequestError::no_group(name);
        if settings.creates_group(name) {
            Self::Missing(Box::new(Missing::Group(Arc::from(name))), error)
        } else {
            Self::StaleView(error)
        }
    }

    /// The refusal, whatever could be done about it.
    pub fn into_error(self) -> RequestError {
        match self {
            Self::Rejected(error) | Self::StaleView(error) | Self::Missing(_, error) => error,
            Self::Cold => RequestError::too_many_cold_reads(),
        }
    }
}

impl From<RequestError> for NotServed {
    fn from(error: RequestError) -> Self {
        Self::Rejected(error)
    }
}

impl From<HeaderError> for NotServed {
    fn from(error: HeaderError) -> Self {
        Self::Rejected(error.into())
    }
}

impl From<NameError> for NotServed {
    fn from(error: NameError) -> Self {
        Self::Rejected(error.into())
    }
}

/// An answer, before it is written in the form that the request came in.
#[derive(Debug)]
pub struct Response {
    /// Response code, [`tern_wire::codes::response`].
    pub code: i32,
    /// For people.
    pub remark: Option<Cow<'static, str>>,
    /// Fields of the header.
    pub fields: Fields,
    /// The body.
    pub body: Bytes,
}

impl Response {
    /// An answer without fields and body.
    pub fn new(code: i32) -> Self {
        Self::with_fields(code, Fields::default())
    }

    /// An answer with these fields.
    pub fn with_fields(code: i32, fields: Fields) -> Self {
        Self {
            code,
            remark: None,
            fields,
            body: Bytes::new(),
        }
    }

    /// An answer with this body.
    #[must_use]
    pub fn with_body(self, body: impl Into<Bytes>) -> Self {
        Self {
            body: body.into(),
            ..self
        }
    }

    /// With a fault, the same of a message that no slave has confirmed: the fields say where it is.
    // Every send passes it, nearly always without a fault: a call would move the answer twice.
    #[inline]
    #[must_use]
    pub fn but(self, fault: Option<SlaveFault>) -> Self {
        let Some(fault) = fault else { return self };
        let RequestError { code, remark, .. } = RequestError::on_master_alone(fault);
        Self { code, ..self }.with_remark(remark)
    }

    /// An answer with this remark.
    #[must_use]
    pub fn with_remark(self, remark: impl Into<Cow<'static, str>>) -> Self {
        Self {
            remark: Some(remark.into()),
            ..self
        }
    }
}
