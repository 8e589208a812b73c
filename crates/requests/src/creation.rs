//! What comes into being by use: the topic of a send, and what the group of a consumer lacks.

use std::sync::Arc;

use tern_state::{GroupConfig, Op, PutGroup, PutTopic, State, TopicConfig};

/// What a request brings into being.
#[derive(Debug)]
pub enum Missing {
    /// The topic of a send.
    Topic(NewTopic),
    /// A topic of the system's own making.
    OwnTopic(TopicConfig),
    /// A group of consumers.
    Group(Arc<str>),
}

/// The fields of a send that decide about a new topic.
#[derive(Debug, Clone)]
pub struct NewTopic {
    /// The topic.
    pub name: Arc<str>,
    /// The topic that it is made like.
    pub model: String,
    /// Queues that the producer asks for.
    pub queues: i32,
    /// Whether the topic belongs to a unit.
    pub unit: bool,
}

impl NewTopic {
    /// The op that creates it; none if it exists.
    ///
    /// # Errors
    /// Topics do not come into being like this one.
    pub fn op(&self, state: &State, changed_at_ms: u64) -> Result<Option<Op>, NotCreated> {
        if state.topic(&self.name).is_some() {
            return Ok(None);
        }
        let config =
            tern_state::auto_create(state, &self.name, &self.model, self.queues, self.unit)
                .map_err(|_| NotCreated)?;
        Ok(Some(Op::PutTopic(PutTopic {
            changed_at_ms,
            config,
        })))
    }
}

/// The topic may not come into being by use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotCreated;

impl Missing {
    /// The topic or group.
    pub fn name(&self) -> &Arc<str> {
        match self {
            Self::Topic(NewTopic { name, .. })
            | Self::OwnTopic(TopicConfig { name, .. })
            | Self::Group(name) => name,
        }
    }

    /// The ops that a state lacks for it.
    ///
    /// # Errors
    /// It may not come into being by use.
    pub fn ops(&self, state: &State, changed_at_ms: u64) -> Result<Vec<Op>, NotCreated> {
        match self {
            Self::Topic(new) => Ok(new.op(state, changed_at_ms)?.into_iter().collect()),
            Self::OwnTopic(config) if state.topic(&config.name).is_some() => Ok(Vec::new()),
            Self::OwnTopic(config) => Ok(vec![Op::PutTopic(PutTopic {
                changed_at_ms,
                config: config.clone(),
            })]),
            Self::Group(name) => Ok(missing_of_group(state, name, (false, false), changed_at_ms)),
        }
    }
}

/// The ops that a consumer's group lacks: the group itself, and the topic for what it could not consume. `unit` is its
/// unit mode, `order` whether it subscribes to an ordered topic.
pub fn missing_of_group(
    state: &State,
    name: &str,
    (unit, order): (bool, bool),
    changed_at_ms: u64,
) -> Vec<Op> {
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
