//! How fast things go here: how often proposals come, how long the disk takes, how long a commit. What is decided by it
//! changes when and where something is done, never whether.

/// A rate is counted anew after so long.
const COUNT_NS: u64 = 20_000_000;

/// A mean that forgets: each value counts an eighth of what is known.
#[derive(Debug, Clone, Copy, Default)]
struct RecentMean(u64);

impl RecentMean {
    /// Takes a value in; the first one is the mean.
    const fn add(&mut self, value: u64) {
        self.0 = if self.0 == 0 {
            value
        } else {
            self.0 - self.0 / 8 + value / 8
        };
    }
}

/// Recent rates and times of one replica, by the clock of its turns.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    sync: RecentMean,
    commit: RecentMean,
    counting_since_ns: u64,
    counted: u64,
    per_second: u64,
}

impl Pace {
    /// A sync of the log took so long.
    pub const fn synced(&mut self, took_ns: u64) {
        self.sync.add(took_ns);
    }

    /// Mean time of a sync, nanoseconds; 0 if there was none yet.
    pub const fn sync_ns(&self) -> u64 {
        self.sync.0
    }

    /// A frame was committed so long after it was proposed.
    pub const fn committed(&mut self, took_ns: u64) {
        self.commit.add(took_ns);
    }

    /// Mean time from the proposal of a frame to its commit, nanoseconds; 0 if there was none yet.
    pub const fn commit_ns(&self) -> u64 {
        self.commit.0
    }

    /// So many proposals have come. To be called in every turn, as a rate falls while none come.
    pub const fn came(&mut self, proposals: usize, now_ns: u64) {
        self.counted += proposals as u64;
        let counted_for = now_ns.saturating_sub(self.counting_since_ns);
        if counted_for >= COUNT_NS {
            self.per_second = self.counted.saturating_mul(1_000_000_000) / counted_for;
            self.counting_since_ns = now_ns;
            self.counted = 0;
        }
    }

    /// Proposals a second, as last counted.
    pub const fn per_second(&self) -> u64 {
        self.per_second
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_follows_what_is_recent() {
        let mut pace = Pace::default();
        pace.synced(800);
        assert_eq!(pace.sync_ns(), 800, "the first says all that is known");
        pace.synced(8_000);
        assert_eq!(pace.sync_ns(), 1_700);
        for _ in 0..100 {
            pace.synced(800);
        }
        assert!((800..820).contains(&pace.sync_ns()));
    }

    #[test]
    fn a_rate_falls_when_nothing_comes() {
        let mut pace = Pace::default();
        pace.came(0, 1_000_000_000);
        for turn in 1..=20 {
            pace.came(30, 1_000_000_000 + turn * 1_000_000);
        }
        assert_eq!(pace.per_second(), 30_000);
        pace.came(0, 1_120_000_000);
        assert_eq!(pace.per_second(), 0);
    }
}
