//! Log lines about what peers do wrong: at most one a second of each kind, so that an attack cannot fill a disk.

use std::fmt::Display;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::journal::{Level, Logger, journal};

/// One kind of line. Made once, as a static; counts every call, writes what its rate allows.
#[derive(Debug)]
pub struct RateLimitedLog {
    logger: Logger,
    level: Level,
    kind: &'static str,
    total: AtomicU64,
    written: Mutex<Written>,
}

#[derive(Debug)]
struct Written {
    last: Option<Instant>,
    suppressed: u64,
}

const INTERVAL: Duration = Duration::from_secs(1);

impl RateLimitedLog {
    /// A kind of line; `kind` opens each one.
    pub const fn new(logger: Logger, level: Level, kind: &'static str) -> Self {
        let written = Mutex::new(Written {
            last: None,
            suppressed: 0,
        });
        Self {
            logger,
            level,
            kind,
            total: AtomicU64::new(0),
            written,
        }
    }

    /// How often it was logged, written or not.
    pub fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    /// Logs that `peer` did `what`, in the journal of the process.
    pub fn log(&self, peer: impl Display, what: impl Display) {
        self.total.fetch_add(1, Ordering::Relaxed);
        if let Some(suppressed) = self.admit(Instant::now()) {
            let more = match suppressed {
                0 => String::new(),
                count => format!(" ({count} more of this kind not shown)"),
            };
            let line = format_args!("{}: {peer}: {what}{more}", self.kind);
            journal().log(self.logger, self.level, line);
        }
    }

    /// Whether a line may be written now, and how many were not since the last one.
    fn admit(&self, now: Instant) -> Option<u64> {
        let mut written = self.written.lock();
        match written.last {
            Some(last) if now.saturating_duration_since(last) < INTERVAL => {
                written.suppressed += 1;
                None
            }
            _ => {
                written.last = Some(now);
                Some(std::mem::take(&mut written.suppressed))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_a_second_and_the_next_one_tells_how_many_were_left_out() {
        let log = RateLimitedLog::new(Logger::Net, Level::Warning, "test");
        let start = Instant::now();
        assert_eq!(log.admit(start), Some(0));
        assert_eq!(log.admit(start + Duration::from_millis(1)), None);
        assert_eq!(log.admit(start + Duration::from_millis(999)), None);
        assert_eq!(log.admit(start + Duration::from_secs(1)), Some(2));
        assert_eq!(log.admit(start + Duration::from_secs(3)), Some(0));
    }
}
