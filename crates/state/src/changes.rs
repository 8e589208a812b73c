//! What applying ops tells those who carry the state.

use std::sync::Arc;

/// What one metadata block changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// The group was founded: every table is new.
    pub founded: bool,
    /// Topics that were created or got another configuration, in order.
    pub topics: Vec<Arc<str>>,
    /// What clients may do at the group as a whole was changed.
    pub permission: bool,
    /// Subscription groups that were created or got another configuration, in order.
    pub groups: Vec<Arc<str>>,
    /// Topics that were deleted, with their ids, in order.
    pub topics_deleted: Vec<(Arc<str>, u32)>,
    /// Subscription groups that were deleted, in order.
    pub groups_deleted: Vec<Arc<str>>,
    /// Offset commits that were taken, also those that changed nothing.
    pub offsets_taken: usize,
    /// Offset commits that were ignored: they would lower a value without the explicit flag, or
    /// name a topic, a queue or a group that does not exist.
    pub offsets_ignored: usize,
}
