//! Zeros ahead of the end of the log, while little is written.
//!
//! A segment is reserved, and a block of it counts as unwritten until something is written there: the first sync behind
//! that has the file system record it, which costs a wait of its own. Over blocks that hold zeros already a sync has
//! nothing but data to write. So zeros go in 256 KiB at a time, and one sync in hundreds pays for all of them. Where much
//! is written a block is filled by few syncs, and writing each byte twice costs more than it gives: then zeros are left
//! out.
//!
//! Zeros change nothing of what is read: the segment reads as zero there. So they need no order with frames or syncs,
//! and after a power cut any part of them may be missing. Nothing but speed may rest on [`ZerosAhead`].

use std::ops::Range;

/// Bytes written ahead at a time.
const AHEAD_BYTES: u64 = 256 << 10;
/// A log that grows by so many bytes in less time goes without: 13 MB/s.
const LEAST_NS: u64 = 20_000_000;

/// What is written ahead.
pub static ZEROS: [u8; AHEAD_BYTES as usize] = [0; AHEAD_BYTES as usize];

/// How far zeros stand behind the end of the log, and how fast it grows.
#[derive(Debug, Default)]
pub struct ZerosAhead {
    /// Zeros were written up to here; 0 where nothing is known.
    edge: u64,
    stretch: Option<Stretch>,
}

/// Where and when the measuring of the rate began.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    from: u64,
    since_ns: u64,
}

impl Stretch {
    /// Whether less was written than would make zeros a loss.
    const fn is_slow(self, end: u64, now_ns: u64) -> bool {
        let grown = (end - self.from) / AHEAD_BYTES;
        let least_ns = if grown > 1 {
            grown * LEAST_NS
        } else {
            LEAST_NS
        };
        now_ns.saturating_sub(self.since_ns) >= least_ns
    }

    const fn is_long(self, end: u64) -> bool {
        end - self.from >= AHEAD_BYTES
    }
}

impl ZerosAhead {
    /// Which positions to fill with zeros, now that frames end at `end`: none while there are some ahead, or while the
    /// log grows too fast for them. What is answered counts as written.
    ///
    /// `segment_end` is the end of the segment being written, `now_ns` a monotonic clock.
    pub fn due(&mut self, end: u64, segment_end: u64, now_ns: u64) -> Option<Range<u64>> {
        if end <= self.edge || end >= segment_end {
            return None;
        }
        let is_slow = self
            .stretch
            .is_none_or(|stretch| stretch.is_slow(end, now_ns));
        if is_slow || self.stretch.is_some_and(|stretch| stretch.is_long(end)) {
            self.stretch = Some(Stretch {
                from: end,
                since_ns: now_ns,
            });
        }
        if !is_slow {
            return None;
        }
        self.edge = segment_end.min(end + AHEAD_BYTES);
        Some(end..self.edge)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SEGMENT: u64 = 1 << 20;
    const MS: u64 = 1_000_000;

    #[test]
    fn zeros_reach_256_kib_beyond_the_end_and_are_written_again_only_when_frames_have_passed_them()
    {
        let mut zeros = ZerosAhead::default();
        assert_eq!(zeros.due(4500, SEGMENT, 0), Some(4500..4500 + AHEAD_BYTES));
        for end in [5000, 9000, 4500 + AHEAD_BYTES] {
            assert_eq!(zeros.due(end, SEGMENT, 1000 * MS), None);
        }
        let end = 4501 + AHEAD_BYTES;
        assert_eq!(
            zeros.due(end, SEGMENT, 1000 * MS),
            Some(end..end + AHEAD_BYTES)
        );
    }

    #[test]
    fn zeros_end_with_the_segment_and_begin_anew_in_the_next_one() {
        let mut zeros = ZerosAhead::default();
        assert_eq!(
            zeros.due(SEGMENT - 100, SEGMENT, 0),
            Some(SEGMENT - 100..SEGMENT)
        );
        assert_eq!(zeros.due(SEGMENT, SEGMENT, 100 * MS), None);
        let end = SEGMENT + 5000;
        assert_eq!(
            zeros.due(end, 2 * SEGMENT, 100 * MS),
            Some(end..end + AHEAD_BYTES)
        );
    }

    #[test]
    fn a_log_that_fills_256_kib_in_less_than_20_ms_gets_no_zeros_until_it_is_slower() {
        let mut zeros = ZerosAhead::default();
        let step = AHEAD_BYTES + 8;
        let far = 1 << 30;
        assert!(zeros.due(step, far, 0).is_some());
        assert_eq!(zeros.due(2 * step, far, 19 * MS), None);
        assert_eq!(zeros.due(3 * step, far, 38 * MS), None);
        assert_eq!(zeros.due(3 * step + 8, far, 57 * MS), None);
        assert!(zeros.due(3 * step + 16, far, 58 * MS).is_some());
        assert_eq!(zeros.due(3 * step + 24, far, 1000 * MS), None);
        assert!(zeros.due(5 * step, far, 1000 * MS).is_some());
    }

    #[test]
    fn one_large_frame_after_the_other_is_fast_by_its_bytes_not_by_its_pauses() {
        let mut zeros = ZerosAhead::default();
        let (frame, far) = (1 << 20, 1 << 30);
        assert!(zeros.due(frame, far, 0).is_some());
        assert_eq!(zeros.due(2 * frame, far, 79 * MS), None);
        assert!(zeros.due(3 * frame, far, (79 + 80) * MS).is_some());
    }

    proptest! {
        /// Whatever the sizes and the clock, which may even go back.
        #[test]
        fn zeros_never_lie_below_the_end_nor_beyond_the_segment_nor_twice_over_each_other(
            steps in prop::collection::vec((1_u64..600_000, 0_u64..60), 1..40),
        ) {
            let mut zeros = ZerosAhead::default();
            let (mut end, mut edge) = (4096, 0);
            for (grown, now_ms) in steps {
                end += grown;
                let segment_end = (end / SEGMENT + 1) * SEGMENT;
                if let Some(range) = zeros.due(end, segment_end, now_ms * MS) {
                    prop_assert!(range.start == end && range.start > edge);
                    prop_assert!(range.end > range.start && range.end <= segment_end);
                    prop_assert!(range.end - range.start <= AHEAD_BYTES);
                    edge = range.end;
                }
            }
        }
    }
}
