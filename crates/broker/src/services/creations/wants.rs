//! What can be wanted, and the ops that a state lacks for it.

use std::sync::Arc;

use tern_state::{
    DEFAULT_TOPIC, DeleteGroup, DeleteTopic, GroupConfig, Op, PutGroup, PutTopic, State,
    TopicConfig,
};

use super::{Creations, Make, Subject, Then, Want};
use crate::answers::Answers;
use crate::clock;
use crate::refused::Refused;

/// The fields of a send that decide about a new topic.
#[derive(Debug, Clone)]
pub(crate) struct NewTopic {
    pub name: Arc<str>,
    pub model: String,
    pub queues: i32,
    pub unit: bool,
}

impl Creations {
    /// Create a topic or change it, as an operator asks.
    pub fn put_topic(self: &Arc<Self>, config: TopicConfig, then: Then) {
        let subject = Subject::Topic(Arc::clone(&config.name));
        let make: Make = Box::new(move |state| {
            if state
                .topic(&config.name)
                .is_some_and(|topic| topic.config == config)
            {
                return Ok(Vec::new());
            }
            checked(
                state,
                Op::PutTopic(PutTopic {
                    changed_at_ms: clock::wall_ms(),
                    config: config.clone(),
                }),
            )
        });
        self.ask(subject, make, then);
    }

    /// Create a topic as a send to it would, with so many queues at most; one of that name stays as it is.
    pub fn use_topic(self: &Arc<Self>, name: Arc<str>, queues: i32, then: Then) {
        let new = NewTopic {
            name,
            model: DEFAULT_TOPIC.to_owned(),
            queues,
            unit: false,
        };
        Answers::at_once(|answers| self.topic(new, then, answers));
    }

    /// Create a subscription group or change it, as an operator asks.
    pub fn put_group(self: &Arc<Self>, config: GroupConfig, then: Then) {
        let subject = Subject::Group(Arc::clone(&config.name));
        let make: Make = Box::new(move |state| {
            if state.group(&config.name) == Some(&config) {
                return Ok(Vec::new());
            }
            checked(
                state,
                Op::PutGroup(PutGroup {
                    changed_at_ms: clock::wall_ms(),
                    config: config.clone(),
                }),
            )
        });
        self.ask(subject, make, then);
    }

    /// Delete a topic, its messages and what groups committed there. None of that name is a success.
    pub fn delete_topic(self: &Arc<Self>, name: Arc<str>, then: Then) {
        let subject = Subject::Topic(Arc::clone(&name));
        let make: Make = Box::new(move |state| {
            if state.topic(&name).is_none() {
                return Ok(Vec::new());
            }
            checked(
                state,
                Op::DeleteTopic(DeleteTopic {
                    changed_at_ms: clock::wall_ms(),
                    name: Arc::clone(&name),
                }),
            )
        });
        self.ask(subject, make, then);
    }

    /// Delete a subscription group, with `clean_offsets` also what it committed. None of that name is a success.
    pub fn delete_group(self: &Arc<Self>, name: Arc<str>, clean_offsets: bool, then: Then) {
        let subject = Subject::Group(Arc::clone(&name));
        let make: Make = Box::new(move |state| {
            let cleans = clean_offsets && state.offsets_of_group(&name).next().is_some();
            if state.group(&name).is_none() && !cleans {
                return Ok(Vec::new());
            }
            checked(
                state,
                Op::DeleteGroup(DeleteGroup {
                    changed_at_ms: clock::wall_ms(),
                    name: Arc::clone(&name),
                    clean_offsets,
                }),
            )
        });
        self.ask(subject, make, then);
    }

    /// A send to a topic that the view does not know.
    pub(crate) fn topic(self: &Arc<Self>, new: NewTopic, then: Then, answers: &mut Answers) {
        let subject = Subject::Topic(Arc::clone(&new.name));
        let make: Make = Box::new(move |state| {
            if state.topic(&new.name).is_some() {
                return Ok(Vec::new());
            }
            let config =
                tern_state::auto_create(state, &new.name, &new.model, new.queues, new.unit)
                    .map_err(|_| Refused::no_topic(&new.name))?;
            Ok(vec![Op::PutTopic(PutTopic {
                changed_at_ms: clock::wall_ms(),
                config,
            })])
        });
        self.want(
            subject,
            Want {
                make,
                then,
                is_request: false,
            },
            answers,
        );
    }

    /// A topic of the system's own making that the view does not know.
    pub(crate) fn missing_topic(
        self: &Arc<Self>,
        config: TopicConfig,
        then: Then,
        answers: &mut Answers,
    ) {
        let subject = Subject::Topic(Arc::clone(&config.name));
        let make: Make = Box::new(move |state| {
            if state.topic(&config.name).is_some() {
                return Ok(Vec::new());
            }
            Ok(vec![Op::PutTopic(PutTopic {
                changed_at_ms: clock::wall_ms(),
                config: config.clone(),
            })])
        });
        let want = Want {
            make,
            then,
            is_request: false,
        };
        self.want(subject, want, answers);
    }

    /// A consumer of a group of which the view lacks the group or its retry topic. `unit` is its unit mode, `order`
    /// whether it subscribes to an ordered topic.
    pub(crate) fn group(
        self: &Arc<Self>,
        name: Arc<str>,
        (unit, order): (bool, bool),
        then: Then,
        answers: &mut Answers,
    ) {
        let subject = Subject::Group(Arc::clone(&name));
        let make: Make = Box::new(move |state| Ok(missing_of_group(state, &name, unit, order)));
        self.want(
            subject,
            Want {
                make,
                then,
                is_request: false,
            },
            answers,
        );
    }
}

/// An operator's op, if the state lets it in.
fn checked(state: &State, op: Op) -> Result<Vec<Op>, Refused> {
    state
        .check(&op)
        .map_err(|violation| Refused::invalid(violation.to_string()))?;
    Ok(vec![op])
}

/// The ops that a consumer's group lacks: the group itself, and the topic for what it could not consume.
pub(crate) fn missing_of_group(state: &State, name: &str, unit: bool, order: bool) -> Vec<Op> {
    let changed_at_ms = clock::wall_ms();
    let mut ops = Vec::new();
    let new;
    let group = if let Some(group) = state.group(name) {
        group
    } else {
        new = GroupConfig::new(name);
        ops.push(Op::PutGroup(PutGroup {
            changed_at_ms,
            config: new.clone(),
        }));
        &new
    };
    if has_retry_topic(state, group) {
        return ops;
    }
    ops.push(Op::PutTopic(PutTopic {
        changed_at_ms,
        config: tern_state::retry_topic(group, unit, order),
    }));
    ops
}

/// Whether a group has all that it needs. Names too long for a retry topic do without one.
fn has_retry_topic(state: &State, group: &GroupConfig) -> bool {
    let name = tern_state::retry_topic_name(&group.name);
    group.retry_queue_nums <= 0
        || name.len() > tern_wire::names::MAX_LEGACY
        || state.topic(&name).is_some()
}
