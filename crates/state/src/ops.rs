//! Ops, one file each: number, bytes, what must hold, what applying it does.
//!
//! A new op is a file here, its `mod` line, and its row in the list below: [`Op`] and all that
//! depends on which op it is follow from the row. The order of the rows means nothing.

mod block;
mod body;
mod commit_offsets;
mod delay_progress;
mod delete_group;
mod delete_topic;
mod found_group;
mod lock_queues;
mod precondition;
mod put_group;
mod put_permission;
mod put_topic;
mod queue_list;
mod registry;
mod unlock_queues;

pub use commit_offsets::OffsetCommit;
pub use precondition::Precondition;

registry::ops! {
    /// Found the group; the first op of every log.
    found_group::FoundGroup,
    /// Create a topic or change its configuration.
    put_topic::PutTopic,
    /// Create a subscription group or change its configuration.
    put_group::PutGroup,
    /// A delta of consumer offsets.
    commit_offsets::CommitOffsets,
    /// Messages of a delay level were put into their topics.
    delay_progress::DelayProgress,
    /// Lock queues for a client, or renew its locks.
    lock_queues::LockQueues,
    /// Give up the locks that a client holds.
    unlock_queues::UnlockQueues,
    /// Delete a topic with all that belongs to it.
    delete_topic::DeleteTopic,
    /// Delete a subscription group and its locks.
    delete_group::DeleteGroup,
    /// Change what clients may do at the group as a whole.
    put_permission::PutPermission,
}
