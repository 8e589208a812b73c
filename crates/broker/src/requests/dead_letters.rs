//! The topics of messages that are not tried again.

use tern_state::{TopicConfig, perm};
use tern_wire::names::DLQ_PREFIX;

/// Name of a group's topic of dead letters.
pub(super) fn dead_letter_name(group: &str) -> String {
    format!("{DLQ_PREFIX}{group}")
}

/// A group's topic of dead letters, as it comes into being.
pub(super) fn dead_letter_topic(name: &str) -> TopicConfig {
    TopicConfig::new(name, 1, perm::READ | perm::WRITE)
}
