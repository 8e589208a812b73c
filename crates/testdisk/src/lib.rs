//! A disk in memory that tells the page cache from the platter, for tests and simulation.
//!
//! A write is seen by everybody at once and is certain only after a sync of its file; a new or changed name, only after
//! a sync of its directory. [`MemoryDisk::power_cut`] decides by a seed which of the uncertain sectors and names
//! survive. [`MemoryDisk::kill`] ends the process alone: everything written stays. After both, old handles answer
//! errors, as a dead process writes no more.
//!
//! Errors are put in by [`MemoryDisk::fail_next`] and [`MemoryDisk::set_free_bytes`], damage by [`MemoryDisk::damage`].
//! [`MemoryDisk::stop_after`] ends the process at a chosen call, so that a test can crash a run at each of its writes.
//! Everything is deterministic: the same calls and seeds give the same bytes.
//!
//! [`ForwardingDisk`] stands before it where a test wants to see, hold up or change calls.

mod contents;
mod disk;
mod file;
mod forwarding;
mod inode;
mod operation;
mod pages;
mod power_cut;

pub use disk::MemoryDisk;
pub use forwarding::{DiskHook, FileHook, ForwardingDisk, ForwardingFile};
pub use operation::Operation;
pub use power_cut::PowerCut;
