//! What a request brings about besides its answer. The driver carries it out before it acts on the verdict.

use std::sync::Arc;

use crate::queues::GroupQueue;

/// Nothing in most cases, and then it costs nothing.
#[derive(Debug, Default)]
pub struct Effects {
    /// The offset that rides on a pull.
    pub commit: Option<(GroupQueue, u64)>,
    /// A look of a pull found no messages.
    pub found_none: bool,
    /// Messages that the answer takes, and bytes of their records.
    pub taken: Option<(usize, usize)>,
    /// Consumer groups whose members changed.
    pub changed_groups: Vec<Arc<str>>,
    /// What a heartbeat brings about.
    pub heartbeat: Option<Box<HeartbeatEffects>>,
}

/// What follows from a heartbeat.
#[derive(Debug, Default)]
pub struct HeartbeatEffects {
    /// Groups whose members subscribe differently, each with a sentence.
    pub disputes: Vec<(Arc<str>, String)>,
    /// Groups that the state lacks, or lacks a part of.
    pub missing_groups: Vec<MissingGroup>,
    /// Entries beyond the bounds of the registry.
    pub left_out: usize,
}

/// A group that a heartbeat brings into being.
#[derive(Debug)]
pub struct MissingGroup {
    /// The group.
    pub name: Arc<str>,
    /// Its unit mode.
    pub unit: bool,
    /// Whether it subscribes to an ordered topic.
    pub order: bool,
}
