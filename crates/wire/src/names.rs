//! Names of topics and groups. Checked at the edge of every code that carries one: nothing behind has to.

use crate::version;

/// Beginning of a group's retry topic.
pub const RETRY_PREFIX: &str = "%RETRY%";
/// Beginning of a group's dead-letter topic.
pub const DLQ_PREFIX: &str = "%DLQ%";
/// The longest topic.
pub const MAX_TOPIC: usize = 127;
/// The longest group: with [`RETRY_PREFIX`] it is a topic.
pub const MAX_GROUP: usize = 120;
/// The longest retry or dead-letter topic, and the longest group that clients before 5.0 may have.
pub const MAX_LEGACY: usize = 255;

/// Why a name is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// No name.
    #[error("the {kind} is blank")]
    Empty {
        /// `topic` or `group`.
        kind: &'static str,
    },
    /// A name beyond its limit.
    #[error("the {kind} has {have} characters, the limit is {limit}")]
    TooLong {
        /// `topic` or `group`.
        kind: &'static str,
        /// Its characters.
        have: usize,
        /// Characters allowed.
        limit: usize,
    },
    /// A character that is not allowed.
    #[error("the {kind} has a character that is not one of %|a-zA-Z0-9_-: {character:?}")]
    Character {
        /// `topic` or `group`.
        kind: &'static str,
        /// The first such character.
        character: char,
    },
}

/// Is this a topic's name?
///
/// # Errors
/// [`NameError`].
pub fn check_topic(name: &str) -> Result<(), NameError> {
    let of_group = name.starts_with(RETRY_PREFIX) || name.starts_with(DLQ_PREFIX);
    check("topic", name, if of_group { MAX_LEGACY } else { MAX_TOPIC })
}

/// Is this a group's name?
///
/// # Errors
/// [`NameError`].
pub fn check_group(name: &str) -> Result<(), NameError> {
    check("group", name, MAX_GROUP)
}

/// Is this a group's name, coming from a client of this version? Before 5.0 they could be longer.
///
/// # Errors
/// [`NameError`].
pub fn check_group_from(name: &str, client_version: i32) -> Result<(), NameError> {
    check(
        "group",
        name,
        if client_version < version::V5_0_0 {
            MAX_LEGACY
        } else {
            MAX_GROUP
        },
    )
}

/// The topic in which a group's failed messages wait.
pub fn retry_topic(group: &str) -> String {
    [RETRY_PREFIX, group].concat()
}

/// The topic of messages that a group gave up.
pub fn dlq_topic(group: &str) -> String {
    [DLQ_PREFIX, group].concat()
}

fn check(kind: &'static str, name: &str, limit: usize) -> Result<(), NameError> {
    if name.is_empty() {
        return Err(NameError::Empty { kind });
    }
    if name.len() > limit {
        return Err(NameError::TooLong {
            kind,
            have: name.chars().count(),
            limit,
        });
    }
    let allowed = |character: &char| {
        character.is_ascii_alphanumeric() || matches!(character, '%' | '|' | '_' | '-')
    };
    match name.chars().find(|character| !allowed(character)) {
        Some(character) => Err(NameError::Character { kind, character }),
        None => Ok(()),
    }
}
