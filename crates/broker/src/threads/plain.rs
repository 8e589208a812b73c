//! What threads have in common.

use std::fmt::Display;
use std::thread::JoinHandle;

use tern_journal::{Level, Logger, journal};

use crate::channels::batch_queue::BatchSender;

/// A named plain thread.
pub(crate) fn spawn<T: Send + 'static>(
    name: &str,
    body: impl FnOnce() -> T + Send + 'static,
) -> JoinHandle<T> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(body)
        .expect("the system gives a process its few threads")
}

/// A sentence for the log of the process.
pub(super) fn say(level: Level, sentence: impl Display) {
    journal().log(Logger::Broker, level, sentence);
}

/// Send to another thread of the replica. One that is gone has reported why.
pub(super) fn tell<T>(to: &BatchSender<T>, what: T) {
    let _ = to.send(what);
}
