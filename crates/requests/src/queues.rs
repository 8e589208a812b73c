//! How a queue is named inside of a broker group.

use std::sync::Arc;

/// A queue: topic id and queue id.
pub type QueueKey = (u32, u32);

/// One queue of one consumer group.
#[derive(Debug, Clone)]
pub struct GroupQueue {
    /// The consumer group.
    pub group: Arc<str>,
    /// The topic's name.
    pub topic: Arc<str>,
    /// Its id, which tells it from one of the same name that was deleted.
    pub topic_id: u32,
    /// The queue.
    pub queue_id: u32,
}
