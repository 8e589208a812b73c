//! Errors after which a replica stops.

use tern_log::LogError;
use thiserror::Error;

/// An error after which the replica must stop (`docs/consensus.md`).
#[derive(Debug, Error)]
pub enum Fatal {
    /// The log could not be written, or contradicts what the group says.
    #[error("log: {0}")]
    Log(#[from] LogError),
    /// Applying a committed frame contradicted the state.
    #[error("state: {0}")]
    State(String),
    /// This replica may not take part, or cannot begin: a whole sentence for a person.
    #[error("{0}")]
    MayNotServe(String),
    /// Another master was promoted: this replica follows it, from its next start on.
    #[error("{0}")]
    Superseded(String),
    /// The consensus engine is in a state it must not be in.
    #[error("consensus: {0}")]
    Consensus(String),
}
