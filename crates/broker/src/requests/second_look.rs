//! The second look: what becomes of a request that the published view halts.
//!
//! Right after a change of leaders the views are behind the log, and topics and groups may come into being by use. So a
//! leader refuses nothing because of a published view alone: it brings the view up to date or creates what is missing,
//! and what it finds then stands. This is the one place that knows the way; a family says how it judges and refuses.

use std::sync::Arc;

use tern_replica::Outcome;
use tern_state::TopicConfig;
use tern_wire::HeaderError;
use tern_wire::names::NameError;

use crate::answers::{Answers, Ticket};
use crate::channels::mailbox::Mailbox;
use crate::refused::Refused;
use crate::roles::RoleBoard;
use crate::services::Services;
use crate::services::creations::{Creations, NewTopic, Then};
use crate::settings::Settings;

/// Why a request is not served as the view of the state stands.
#[derive(Debug)]
pub(super) enum Halt {
    /// Whatever the view says.
    Refused(Refused),
    /// Because of the view. It may be behind: to be said only after a fresh read.
    Doubt(Refused),
    /// The view does not know what the request needs and what may come into being by use.
    Missing(Box<Missing>, Refused),
}

/// What a request brings into being.
#[derive(Debug)]
pub(super) enum Missing {
    /// The topic of a send.
    Topic(NewTopic),
    /// A topic of the system's own making.
    OwnTopic(TopicConfig),
    /// A group of consumers.
    Group(Arc<str>),
}

/// How well the view is known that a request is judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sight {
    /// As last published by the apply thread.
    Published,
    /// With everything that was committed when the request came.
    Fresh,
}

impl Halt {
    /// A topic that the view does not know and that this request may bring into being.
    pub fn missing_topic(missing: Missing, name: &str) -> Self {
        Self::Missing(Box::new(missing), Refused::no_topic(name))
    }

    /// A group that the view does not know: created where groups come into being by use.
    pub fn no_group(settings: &Settings, name: &str) -> Self {
        let refused = Refused::no_group(name);
        if settings.creates_group(name) {
            Self::Missing(Box::new(Missing::Group(Arc::from(name))), refused)
        } else {
            Self::Doubt(refused)
        }
    }

    /// The refusal, if there is no second look.
    pub fn refused(self) -> Refused {
        match self {
            Self::Refused(refused) | Self::Doubt(refused) | Self::Missing(_, refused) => refused,
        }
    }
}

impl From<Refused> for Halt {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl From<HeaderError> for Halt {
    fn from(error: HeaderError) -> Self {
        Self::Refused(error.into())
    }
}

impl From<NameError> for Halt {
    fn from(error: NameError) -> Self {
        Self::Refused(error.into())
    }
}

/// A family of requests that are judged by the view of the state.
pub(super) trait Judge: Send + Sync + Sized + 'static {
    /// A request while it waits for its second look.
    type Request: Send + 'static;

    /// Judge a request by a fresh view. Called on the thread that applies frames: who reads files, or may, goes
    /// elsewhere first.
    fn judge_again(self: Arc<Self>, request: Self::Request, answers: &mut Answers);

    /// Tell the sender.
    fn refuse(request: Self::Request, refused: Refused, answers: &mut Answers);
}

/// What a second look takes.
pub(super) struct SecondLook {
    roles: Arc<RoleBoard>,
    mailbox: Mailbox,
    creations: Arc<Creations>,
}

impl SecondLook {
    pub fn new(services: &Services) -> Self {
        Self {
            roles: Arc::clone(&services.roles),
            mailbox: services.mailbox.clone(),
            creations: Arc::clone(&services.creations),
        }
    }

    /// Refuse a request that a leader halted, or look at it once more.
    pub fn halted<J: Judge>(
        &self,
        judge: &Arc<J>,
        request: J::Request,
        (halt, sight): (Halt, Sight),
        answers: &mut Answers,
    ) {
        match (halt, sight) {
            (Halt::Doubt(_), Sight::Published) => self.look_again(judge, request, answers),
            (Halt::Missing(missing, _), Sight::Published) => {
                self.create(judge, request, *missing, answers);
            }
            (halt, _) => J::refuse(request, halt.refused(), answers),
        }
    }

    /// Bring the view up to date, then judge again.
    pub fn look_again<J: Judge>(&self, judge: &Arc<J>, request: J::Request, answers: &mut Answers) {
        let (judge, roles) = (Arc::clone(judge), Arc::clone(&self.roles));
        let ticket: Ticket = Box::new(move |outcome, answers| match outcome {
            Outcome::Confirmed(_) => judge.judge_again(request, answers),
            other => J::refuse(request, Refused::of_condition(&other, &roles), answers),
        });
        answers.settle(self.mailbox.read(ticket));
    }

    /// Create what is missing, then judge again.
    pub fn create<J: Judge>(
        &self,
        judge: &Arc<J>,
        request: J::Request,
        missing: Missing,
        answers: &mut Answers,
    ) {
        let judge = Arc::clone(judge);
        let then: Then = Box::new(move |created, answers| match created {
            Ok(()) => judge.judge_again(request, answers),
            Err(refused) => J::refuse(request, refused, answers),
        });
        match missing {
            Missing::Topic(new) => self.creations.topic(new, then, answers),
            Missing::OwnTopic(config) => self.creations.missing_topic(config, then, answers),
            Missing::Group(name) => self.creations.group(name, (false, false), then, answers),
        }
    }
}
