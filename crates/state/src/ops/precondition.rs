//! What a leader must know of an op when it appends it.

use std::sync::Arc;

/// What must hold of the log's end where an op is appended, and what holds behind the op.
///
/// A request is drafted against a published view, and waits for its turn while the log goes on. A
/// record of a topic that is gone by then, or progress from where a delay level no longer stands,
/// would stop every replica; so the leader that appends keeps these facts itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Precondition {
    /// Topics that exist from here on.
    Topics(Vec<Arc<str>>),
    /// A topic that is gone from here on.
    Deleted(Arc<str>),
    /// A delay level that must stand at `from`, and stands at `to` from here on.
    Delay {
        /// Delay level, from 1.
        level: u16,
        /// Where it must stand.
        from: u64,
        /// Where it stands afterwards.
        to: u64,
    },
}
