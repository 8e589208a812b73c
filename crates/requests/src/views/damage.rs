//! Damage of the log that was met while reading, by whoever met it first.
//!
//! Readers only say so and answer an error; what follows for the replica is decided by its turn, which looks at
//! [`DamageLog::is_met`].

use std::collections::BTreeSet;

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tern_journal::{Level, Logger, RateLimitedLog};
use tern_log::{Fault, LogError};

/// Places that are remembered; a disk that is gone altogether has more.
const LIMIT: usize = 1_024;

static ROT: RateLimitedLog = RateLimitedLog::new(
    Logger::Broker,
    Level::Error,
    "damage of the log was met while reading",
);

static WRONG: RateLimitedLog = RateLimitedLog::new(
    Logger::Broker,
    Level::Error,
    "a queue names another message than stands there, and the log is right",
);

/// What was met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetDamage {
    /// Where the damaged frame starts; where the bytes stand if the disk does not give them back.
    pub position: u64,
    /// Index of the frame, 0 if it is not known.
    pub index: u64,
    /// What is wrong.
    pub fault: Fault,
}

/// Says damage once a position, counts positions, and keeps the first.
#[derive(Debug, Default)]
pub struct DamageLog {
    met: Mutex<Met>,
    /// Asked at each turn.
    is_met: AtomicBool,
}

#[derive(Debug, Default)]
struct Met {
    first: Option<MetDamage>,
    positions: BTreeSet<u64>,
}

impl DamageLog {
    /// Damage was met.
    pub fn report(&self, damage: MetDamage) {
        self.is_met.store(true, Ordering::Release);
        let is_new = {
            let mut met = self.met.lock();
            met.first.get_or_insert(damage);
            met.positions.len() < LIMIT && met.positions.insert(damage.position)
        };
        if is_new {
            let MetDamage {
                position,
                index,
                fault,
            } = damage;
            ROT.log(
                format_args!("position {position} (frame {index})"),
                format_args!("{fault}; messages there are not served"),
            );
        }
    }

    /// The same if a read failed because of damage; `position` is where it began to read.
    pub fn note(&self, position: u64, error: &LogError) {
        match error {
            LogError::Rotted {
                position,
                index,
                fault,
            } => self.report(MetDamage {
                position: *position,
                index: *index,
                fault: *fault,
            }),
            LogError::Io { doing: "read", .. } => self.report(MetDamage {
                position,
                index: 0,
                fault: Fault::Unreadable,
            }),
            LogError::WrongEntry { position } => {
                WRONG.log(
                    format_args!("position {position}"),
                    "restart this replica to rebuild it",
                );
            }
            _ => {}
        }
    }

    /// Whether damage was met: this replica must not lead.
    pub fn is_met(&self) -> bool {
        self.is_met.load(Ordering::Acquire)
    }

    /// The first that was met.
    pub fn first(&self) -> Option<MetDamage> {
        self.met.lock().first
    }

    /// Number of damaged positions, up to 1,024.
    pub fn count(&self) -> u64 {
        self.met.lock().positions.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    fn rot(position: u64) -> LogError {
        LogError::Rotted {
            position,
            index: 7,
            fault: Fault::PayloadCrc,
        }
    }

    #[test]
    fn a_place_counts_once_and_the_first_stays() {
        let damage = DamageLog::default();
        assert_eq!((damage.first(), damage.count()), (None, 0));
        for position in [4096, 8192, 4096] {
            damage.note(0, &rot(position));
        }
        let first = damage.first().expect("damage");
        assert_eq!((first.position, first.index, damage.count()), (4096, 7, 2));
        for position in 0..2 * LIMIT as u64 {
            damage.note(0, &rot(position));
        }
        assert_eq!(
            (damage.first(), damage.count()),
            (Some(first), LIMIT as u64)
        );
    }

    #[test]
    fn a_disk_that_does_not_give_bytes_back_is_damage_and_other_errors_are_none() {
        let damage = DamageLog::default();
        for error in [
            LogError::WrongEntry { position: 5 },
            LogError::NotStored {
                position: 5,
                length: 1,
                first: 0,
                end: 4,
            },
            LogError::Failed,
        ] {
            damage.note(5, &error);
        }
        assert_eq!(damage.count(), 0);
        let unreadable = LogError::Io {
            doing: "read",
            path: "/data/log/0".into(),
            source: io::Error::from_raw_os_error(5),
        };
        damage.note(5, &unreadable);
        let fault = damage.first().map(|first| (first.position, first.fault));
        assert_eq!(fault, Some((5, Fault::Unreadable)));
    }
}
