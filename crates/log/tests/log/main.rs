//! What the log promises, on the disk in memory and, where it matters, on the real one.

mod appending;
mod cold;
mod crashes;
mod damage;
mod directory;
mod formats;
mod keys;
mod queues;
mod raft_state;
mod reading;
mod records;
mod seal;
mod steps;
mod support;
mod truncation;
mod zeros;
