//! Log lines of the engine on their way to the program's own logging.
//!
//! Every crate of the engine may write one: [`journal`] takes it and never waits; [`RateLimitedLog`] is for what a peer
//! can cause again and again. The [`Signal`] wakes an event loop that reads, here and wherever else it reads from us.

mod journal;
mod rate_limited_log;
mod signal;

pub use journal::{Journal, JournalRecord, Level, Logger, journal};
pub use rate_limited_log::RateLimitedLog;
pub use signal::Signal;
