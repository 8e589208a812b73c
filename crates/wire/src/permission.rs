//! Permission bits of a topic.

/// The topic's queues have a priority.
pub const PRIORITY: u32 = 8;
/// Consumers may read.
pub const READ: u32 = 4;
/// Producers may write.
pub const WRITE: u32 = 2;
/// New topics may be made in this one's likeness.
pub const INHERIT: u32 = 1;
/// What an ordinary topic has.
pub const READ_WRITE: u32 = READ | WRITE;
