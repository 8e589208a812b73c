//! How far a member is behind its leader, by the leader's own account.

use tern_log::{LogError, LogReader};

/// What a member lacks of its leader's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lag {
    /// Frames.
    pub frames: u64,
    /// Bytes of the log, from the first frame that it lacks.
    pub bytes: u64,
    /// For how long it has lacked something: the age of the first frame that it lacks. An idle group has no lag, however
    /// old its last message is; a member that is away lags only once there is something that it does not get.
    pub ms: u64,
}

impl Lag {
    /// What a member lacks that has persisted everything up to an index. Reads the log if that was long ago.
    /// `wall_ms` is the leader's clock, by which frames are stamped.
    ///
    /// # Errors
    /// As of [`LogReader::header`].
    pub fn behind(log: &LogReader, persisted: u64, wall_ms: u64) -> Result<Self, LogError> {
        let end = log.end();
        if persisted >= end.index {
            return Ok(Self::default());
        }
        let lacking = log.header(persisted + 1)?;
        Ok(Self {
            frames: end.index - persisted,
            bytes: end.position.saturating_sub(lacking.position),
            ms: wall_ms.saturating_sub(lacking.store_timestamp_ms),
        })
    }
}

/// A member as its leader sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Follower {
    /// Its replica number.
    pub number: u32,
    /// Where clients reach it, if it has said so.
    pub address: Option<String>,
    /// The last frame that it has persisted.
    pub last_index: u64,
    /// What it lacks.
    pub lag: Lag,
}

#[cfg(test)]
mod tests {
    use super::*;
    use tern_requests::testing::ViewBench;

    #[test]
    fn a_member_lags_since_the_first_frame_that_it_lacks_and_not_at_all_when_it_has_everything() {
        let mut bench = ViewBench::new();
        let log = bench.views.log.clone();
        for clock_ms in [10_000, 11_000, 12_000] {
            bench.set_clock(clock_ms);
            bench.commit_message("BenchmarkTest", 0, "", b"m");
        }
        let end = log.end().index;
        let lag = |persisted| Lag::behind(&log, persisted, 15_000).expect("it can be read");
        assert_eq!(
            [end, end + 1].map(lag),
            [Lag::default(); 2],
            "the last message is 3 s old"
        );
        let (one, two) = (lag(end - 1), lag(end - 2));
        assert_eq!((one.frames, one.ms), (1, 3_000));
        assert_eq!((two.frames, two.ms), (2, 4_000));
        assert_eq!(two.bytes, 2 * one.bytes);
        assert_eq!(
            Lag::behind(&log, end - 1, 7).expect("read").ms,
            0,
            "a clock was set back"
        );
    }
}
