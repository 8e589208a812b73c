//! Topics that come into being because somebody uses them.

use crate::group::GroupConfig;
use crate::state::State;
use crate::system::{DEFAULT_TOPIC, RETRY_PREFIX};
use crate::topic::{MAX_QUEUES, TopicConfig, perm, sys_flag};

/// Why a send to an unknown topic does not create it. Nothing was appended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AutoCreateError {
    /// There is no topic to model the new one on. Answer 17.
    #[error("topic {topic} does not exist, and neither does its model {model}")]
    NoModel {
        /// The unknown topic.
        topic: String,
        /// The topic named by the producer as the model.
        model: String,
    },
    /// The model exists and does not allow copies. Answer 17.
    #[error("topic {topic} does not exist, and {model} may not be its model")]
    NotInheritable {
        /// The unknown topic.
        topic: String,
        /// The topic named by the producer as the model.
        model: String,
    },
}

/// The configuration under which a send to an unknown topic creates it.
///
/// `name` is checked by the caller and unknown in `state`. `default_topic` and
/// `requested_queue_nums` are the fields of the send request. A producer that asks for no queues
/// gets a topic without queues, as in `RocketMQ`; it never gets more than the model has. `unit` is
/// the request's unit mode.
///
/// # Errors
/// The topic must be created by an administrator first.
///
/// Source: `RocketMQ` 5.x, `TopicConfigManager#createTopicInSendMessageMethod`.
pub fn auto_create(
    state: &State,
    name: &str,
    default_topic: &str,
    requested_queue_nums: i32,
    unit: bool,
) -> Result<TopicConfig, AutoCreateError> {
    let refused = match model(state, name, default_topic) {
        Ok(model) => {
            let queues = requested_queue_nums
                .max(0)
                .unsigned_abs()
                .min(model.write_queues);
            return Ok(TopicConfig {
                multi_tag: model.multi_tag,
                sys_flag: unit_flag(name, unit),
                ..TopicConfig::new(name, queues, model.perm & !perm::INHERIT)
            });
        }
        Err(refused) => refused,
    };
    if name.starts_with(RETRY_PREFIX) {
        return Ok(TopicConfig {
            sys_flag: unit_flag(name, unit),
            ..TopicConfig::new(name, 1, perm::READ | perm::WRITE)
        });
    }
    Err(refused)
}

fn model<'a>(
    state: &'a State,
    name: &str,
    default_topic: &str,
) -> Result<&'a TopicConfig, AutoCreateError> {
    let names = || (name.to_owned(), default_topic.to_owned());
    let Some(topic) = state.topic(default_topic) else {
        let (topic, model) = names();
        return Err(AutoCreateError::NoModel { topic, model });
    };
    let switched_off = default_topic == DEFAULT_TOPIC
        && !state
            .settings()
            .is_some_and(|group| group.auto_create_topic);
    if switched_off || topic.config.perm & perm::INHERIT == 0 {
        let (topic, model) = names();
        return Err(AutoCreateError::NotInheritable { topic, model });
    }
    Ok(&topic.config)
}

/// Name of a group's retry topic.
pub fn retry_topic_name(group: &str) -> String {
    format!("{RETRY_PREFIX}{group}")
}

/// The retry topic that a consumer's heartbeat creates. `unit` is the consumer's unit mode, `order`
/// is true if the group subscribes to an ordered topic.
pub fn retry_topic(group: &GroupConfig, unit: bool, order: bool) -> TopicConfig {
    let name = retry_topic_name(&group.name);
    let queues = group.retry_queue_nums.max(0).unsigned_abs().min(MAX_QUEUES);
    TopicConfig {
        order,
        sys_flag: unit_flag(&name, unit),
        ..TopicConfig::new(&name, queues, perm::READ | perm::WRITE)
    }
}

fn unit_flag(name: &str, unit: bool) -> u32 {
    match (unit, name.starts_with(RETRY_PREFIX)) {
        (false, _) => 0,
        (true, false) => sys_flag::UNIT,
        (true, true) => sys_flag::UNIT_SUB,
    }
}
