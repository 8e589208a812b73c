//! What can be changed, and the ops that a state lacks for it.

use std::sync::Arc;

use tern_state::{
    DEFAULT_TOPIC, DeleteGroup, DeleteTopic, GroupConfig, Op, PutGroup, PutTopic, State,
    TopicConfig,
};

use super::{ChangeCallback, ChangeKey, MetadataChanges, PendingChange, PlanOps};
use crate::clock;
use crate::request_error::RequestError;
use crate::response_batch::ResponseBatch;

/// The fields of a send that decide about a new topic.
#[derive(Debug, Clone)]
pub(crate) struct NewTopic {
    pub name: Arc<str>,
    pub model: String,
    pub queues: i32,
    pub unit: bool,
}

impl MetadataChanges {
    /// Create a topic or change it, as an operator asks.
    pub fn put_topic(self: &Arc<Self>, config: TopicConfig, then: ChangeCallback) {
        let key = ChangeKey::Topic(Arc::clone(&config.name));
        let plan: PlanOps = Box::new(move |state| {
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
        self.submit(key, plan, then);
    }

    /// Create a topic as a send to it would, with so many queues at most; one of that name stays as it is.
    pub fn use_topic(self: &Arc<Self>, name: Arc<str>, queues: i32, then: ChangeCallback) {
        let new = NewTopic {
            name,
            model: DEFAULT_TOPIC.to_owned(),
            queues,
            unit: false,
        };
        ResponseBatch::at_once(|batch| self.topic(new, then, batch));
    }

    /// Create a subscription group or change it, as an operator asks.
    pub fn put_group(self: &Arc<Self>, config: GroupConfig, then: ChangeCallback) {
        let key = ChangeKey::Group(Arc::clone(&config.name));
        let plan: PlanOps = Box::new(move |state| {
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
        self.submit(key, plan, then);
    }

    /// Delete a topic, its messages and what groups committed there. None of that name is a success.
    pub fn delete_topic(self: &Arc<Self>, name: Arc<str>, then: ChangeCallback) {
        let key = ChangeKey::Topic(Arc::clone(&name));
        let plan: PlanOps = Box::new(move |state| {
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
        self.submit(key, plan, then);
    }

    /// Delete a subscription group, with `clean_offsets` also what it committed. None of that name is a success.
    pub fn delete_group(
        self: &Arc<Self>,
        name: Arc<str>,
        clean_offsets: bool,
        then: ChangeCallback,
    ) {
        let key = ChangeKey::Group(Arc::clone(&name));
        let plan: PlanOps = Box::new(move |state| {
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
        self.submit(key, plan, then);
    }

    /// A send to a topic that the view does not know.
    pub(crate) fn topic(
        self: &Arc<Self>,
        new: NewTopic,
        then: ChangeCallback,
        batch: &mut ResponseBatch,
    ) {
        let key = ChangeKey::Topic(Arc::clone(&new.name));
        let plan: PlanOps = Box::new(move |state| {
            if state.topic(&new.name).is_some() {
                return Ok(Vec::new());
            }
            let config =
                tern_state::auto_create(state, &new.name, &new.model, new.queues, new.unit)
                    .map_err(|_| RequestError::no_topic(&new.name))?;
            Ok(vec![Op::PutTopic(PutTopic {
                changed_at_ms: clock::wall_ms(),
                config,
            })])
        });
        self.enqueue(
            key,
            PendingChange {
                plan,
                then,
                is_request: false,
            },
            batch,
        );
    }

    /// A topic of the system's own making that the view does not know.
    pub(crate) fn missing_topic(
        self: &Arc<Self>,
        config: TopicConfig,
        then: ChangeCallback,
        batch: &mut ResponseBatch,
    ) {
        let key = ChangeKey::Topic(Arc::clone(&config.name));
        let plan: PlanOps = Box::new(move |state| {
            if state.topic(&config.name).is_some() {
                return Ok(Vec::new());
            }
            Ok(vec![Op::PutTopic(PutTopic {
                changed_at_ms: clock::wall_ms(),
                config: config.clone(),
            })])
        });
        let change = PendingChange {
            plan,
            then,
            is_request: false,
        };
        self.enqueue(key, change, batch);
    }

    /// A consumer of a group of which the view lacks the group or its retry topic. `unit` is its unit mode, `order`
    /// whether it subscribes to an ordered topic.
    pub(crate) fn group(
        self: &Arc<Self>,
        name: Arc<str>,
        (unit, order): (bool, bool),
        then: ChangeCallback,
        batch: &mut ResponseBatch,
    ) {
        let key = ChangeKey::Group(Arc::clone(&name));
        let plan: PlanOps = Box::new(move |state| Ok(missing_of_group(state, &name, unit, order)));
        self.enqueue(
            key,
            PendingChange {
                plan,
                then,
                is_request: false,
            },
            batch,
        );
    }
}

/// An operator's op, if the state lets it in.
fn checked(state: &State, op: Op) -> Result<Vec<Op>, RequestError> {
    state
        .check(&op)
        .map_err(|violation| RequestError::invalid(violation.to_string()))?;
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
