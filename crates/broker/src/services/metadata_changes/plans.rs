//! What can be changed, and the ops that a state lacks for it.

use std::sync::Arc;

use tern_requests::{Missing, NewTopic, RequestError, missing_of_group};
use tern_state::{
    BrokerPermission, DEFAULT_TOPIC, DeleteGroup, DeleteTopic, GroupConfig, Op, PutGroup,
    PutPermission, PutTopic, State, TopicConfig,
};

use super::{ChangeCallback, ChangeKey, MetadataChanges, PendingChange, PlanOps};
use crate::clock;
use crate::response_batch::ResponseBatch;

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

    /// Change what clients may do at the group as a whole, as an operator asks: `change` gives the new permission from
    /// the one there is.
    pub fn put_permission(
        self: &Arc<Self>,
        change: impl Fn(BrokerPermission) -> BrokerPermission + Send + 'static,
        then: ChangeCallback,
    ) {
        let plan: PlanOps = Box::new(move |state| {
            let permission = change(state.permission());
            if permission == state.permission() {
                return Ok(Vec::new());
            }
            checked(
                state,
                Op::PutPermission(PutPermission {
                    changed_at_ms: clock::wall_ms(),
                    permission,
                }),
            )
        });
        self.submit(ChangeKey::Permission, plan, then);
    }

    /// Create a topic as a send to it would, with so many queues at most; one of that name stays as it is.
    pub fn use_topic(self: &Arc<Self>, name: Arc<str>, queues: i32, then: ChangeCallback) {
        let new = NewTopic {
            name,
            model: DEFAULT_TOPIC.to_owned(),
            queues,
            unit: false,
        };
        ResponseBatch::at_once(|batch| self.missing(Missing::Topic(new), then, batch));
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

    /// What a request needs and the view does not know.
    pub(crate) fn missing(
        self: &Arc<Self>,
        missing: Missing,
        then: ChangeCallback,
        batch: &mut ResponseBatch,
    ) {
        let name = Arc::clone(missing.name());
        let key = match &missing {
            Missing::Topic(_) | Missing::OwnTopic(_) => ChangeKey::Topic(name),
            Missing::Group(_) => ChangeKey::Group(name),
        };
        let plan: PlanOps = Box::new(move |state| {
            missing
                .ops(state, clock::wall_ms())
                .map_err(|_| RequestError::no_topic(missing.name()))
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
        let plan: PlanOps = Box::new(move |state| {
            Ok(missing_of_group(
                state,
                &name,
                (unit, order),
                clock::wall_ms(),
            ))
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
}

/// An operator's op, if the state lets it in.
fn checked(state: &State, op: Op) -> Result<Vec<Op>, RequestError> {
    state
        .check(&op)
        .map_err(|violation| RequestError::invalid(violation.to_string()))?;
    Ok(vec![op])
}
