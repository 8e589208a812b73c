//! One place that decides how a replica ends: asked to, or by an error that it must not live on with.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tern_journal::Level;

use super::plain::{say, spawn};
use crate::events::NodeEvents;

/// How long the control plane has for a last word after a fatal error (D4: exit within a second).
const EXIT_AFTER: Duration = Duration::from_millis(900);

/// Shared by the threads of one replica.
pub(crate) struct FatalErrorHandler {
    events: Arc<dyn NodeEvents>,
    stopping: AtomicBool,
    failed: AtomicBool,
}

impl FatalErrorHandler {
    pub fn new(events: Arc<dyn NodeEvents>) -> Self {
        Self {
            events,
            stopping: AtomicBool::new(false),
            failed: AtomicBool::new(false),
        }
    }

    /// From here on, threads that end do so because they were asked to.
    pub fn begin(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// Run a thread's body; an error or a panic in it stops the replica.
    pub fn run<E: std::fmt::Display>(&self, thread: &str, body: impl FnOnce() -> Result<(), E>) {
        match catch_unwind(AssertUnwindSafe(body)) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => self.fail(&error.to_string()),
            Err(panic) => {
                let words = panic
                    .downcast_ref::<String>()
                    .map(String::as_str)
                    .or_else(|| panic.downcast_ref::<&str>().copied())
                    .unwrap_or("no message");
                self.fail(&format!("thread {thread} panicked: {words}"));
            }
        }
    }

    /// Report once, then end the process: carrying on over a broken invariant or a failed sync would be worse.
    pub fn fail(&self, sentence: &str) {
        if self.failed.swap(true, Ordering::AcqRel) {
            return;
        }
        say(
            Level::Critical,
            format_args!("this replica stops: {sentence}"),
        );
        self.events.stopped(sentence);
        spawn("last-word", || {
            std::thread::sleep(EXIT_AFTER);
            std::process::exit(1);
        });
    }
}
