//! Store timestamps as the log shows them: whether they fell.
//!
//! A store timestamp that lies too far ahead of the leader's clock is not kept up (`tern_log::MAX_AHEAD_MS`): the next
//! one is the clock's, and a search by time meets messages that lie ahead of those behind them. An operator is told.

use std::sync::atomic::{AtomicU64, Ordering};

use tern_journal::{Level, Logger, RateLimitedLog};

static FELL: RateLimitedLog =
    RateLimitedLog::new(Logger::Broker, Level::Warning, "store timestamps fell");

/// Counts falls; fed by the thread that applies, in the order of the log.
#[derive(Default)]
pub struct StampWatch {
    newest_ms: AtomicU64,
    falls: AtomicU64,
}

impl StampWatch {
    /// The newest frame that was applied has this timestamp.
    pub fn note(&self, stamp_ms: u64) {
        let before_ms = self.newest_ms.swap(stamp_ms, Ordering::Relaxed);
        if stamp_ms < before_ms {
            self.falls.fetch_add(1, Ordering::Relaxed);
            let by_ms = before_ms - stamp_ms;
            FELL.log(
                format_args!("by {by_ms} ms"),
                "clocks of replicas that led differ by more than a minute; correct them",
            );
        }
    }

    /// How often they fell since the start, a replay of the log included.
    pub fn falls(&self) -> u64 {
        self.falls.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fall_is_counted_once() {
        let watch = StampWatch::default();
        for stamp_ms in [10, 10, 12, 90_000, 15, 15, 16, 90_000, 3] {
            watch.note(stamp_ms);
        }
        assert_eq!(watch.falls(), 2);
    }
}
