//! How the threads of a replica are told things: boxes that are emptied at once, and the one of the log thread.

pub(crate) mod batch_queue;
pub(crate) mod mailbox;
