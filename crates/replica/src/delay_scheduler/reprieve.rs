//! How long a message may wait that no right clock has stamped.

use tern_state::delay::DELAYS_MS;

/// What stands in a level's queue behind such a message, with it: it goes when it has waited for as long as the level
/// says, by the monotonic clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reprieve {
    /// End of the queue when the message was seen: what stands before it was stored by then.
    end: u64,
    over_ms: u64,
}

impl Reprieve {
    /// The message was seen now, by the monotonic clock.
    pub fn begin(level: u16, end: u64, monotonic_ms: u64) -> Self {
        Self {
            end,
            over_ms: monotonic_ms + delay_of(level),
        }
    }

    /// Behind the last message that it is for.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Whether it is for the message at this offset, and for those behind it perhaps.
    pub fn covers(&self, queue_offset: u64) -> bool {
        queue_offset < self.end
    }

    /// Whether all have waited long enough.
    pub fn is_over(&self, monotonic_ms: u64) -> bool {
        self.left_ms(monotonic_ms) == 0
    }

    /// How long they still wait, ms.
    pub fn left_ms(&self, monotonic_ms: u64) -> u64 {
        self.over_ms.saturating_sub(monotonic_ms)
    }
}

/// Whether a message of a level that is due then cannot have been stored until now, if the clock is right.
pub(super) fn is_beyond(level: u16, due_ms: u64, now_ms: u64) -> bool {
    due_ms > now_ms.saturating_add(delay_of(level))
}

fn delay_of(level: u16) -> u64 {
    DELAYS_MS[usize::from(level) - 1]
}

#[cfg(test)]
mod tests {
    use crate::delay_scheduler::tests::{Leader, REAL, leading, put, work};
    use crate::testing::LogBench;
    use crate::{Outcome, StoredRecords};

    const YEAR_MS: u64 = 31_536_000_000;
    /// The wall clock of the tests below, when the monotonic one stands at 0.
    const NOW_MS: u64 = 1_800_000_000_000;

    /// A replica that leads, whose clock was ahead, or behind, while it stored one message; one before and one after
    /// it were stored by the right clock.
    fn after_a_jump(level: u16, clock_ms: u64) -> (LogBench, Leader) {
        let (mut bench, leader) = (LogBench::new(), leading());
        for (clock_ms, body) in [(NOW_MS, &b"1"[..]), (clock_ms, b"2"), (NOW_MS, b"3")] {
            bench.clock_ms = Some(clock_ms);
            put(&mut bench, level, REAL, body);
        }
        (bench, leader)
    }

    /// How many messages are put when both clocks have gone on for so long.
    fn put_after(leader: &mut Leader, bench: &mut LogBench, passed_ms: u64) -> usize {
        leader.monotonic_ms = passed_ms;
        let mut count = 0;
        loop {
            let mut work = work(leader, bench, NOW_MS + passed_ms);
            let Some(proposal) = work.proposals.pop() else {
                return count;
            };
            bench.commit_proposal(&proposal.drafts, &proposal.ops);
            let stored = Outcome::Stored(StoredRecords::default());
            leader.tasks.decided(proposal.ticket, &stored);
            count += proposal
                .drafts
                .iter()
                .map(|draft| draft.sizes.len())
                .sum::<usize>();
        }
    }

    #[test]
    fn a_message_from_a_clock_a_year_ahead_holds_nothing_back_for_longer_than_its_level() {
        for (level, delay_ms) in [(1, 1_000), (3, 10_000), (18, 7_200_000)] {
            let (mut bench, mut leader) = after_a_jump(level, NOW_MS + YEAR_MS);
            assert_eq!(put_after(&mut leader, &mut bench, delay_ms - 1), 0);
            // The right one goes at its time; then the wrong one is seen, and waits for the level's delay from there.
            assert_eq!(put_after(&mut leader, &mut bench, delay_ms), 1);
            assert_eq!(leader.idle_ms(NOW_MS + delay_ms), Some(delay_ms));
            assert_eq!(put_after(&mut leader, &mut bench, 2 * delay_ms - 1), 0);
            assert_eq!(put_after(&mut leader, &mut bench, 2 * delay_ms), 2);
        }
    }

    #[test]
    fn what_is_stored_behind_such_a_message_later_still_waits_for_its_time() {
        let (mut bench, mut leader) = after_a_jump(3, NOW_MS + YEAR_MS);
        assert_eq!(put_after(&mut leader, &mut bench, 10_000), 1);
        bench.clock_ms = Some(NOW_MS + 15_000);
        put(&mut bench, 3, REAL, b"4");
        assert_eq!(put_after(&mut leader, &mut bench, 20_000), 2);
        assert_eq!(put_after(&mut leader, &mut bench, 24_999), 0);
        assert_eq!(put_after(&mut leader, &mut bench, 25_000), 1);
    }

    #[test]
    fn each_of_two_moments_of_a_wrong_clock_is_waited_for_once() {
        let (mut bench, mut leader) = after_a_jump(1, NOW_MS + YEAR_MS);
        assert_eq!(put_after(&mut leader, &mut bench, 1_000), 1);
        bench.clock_ms = Some(NOW_MS + YEAR_MS);
        put(&mut bench, 1, REAL, b"4");
        assert_eq!(put_after(&mut leader, &mut bench, 2_000), 2);
        assert_eq!(put_after(&mut leader, &mut bench, 2_999), 0);
        assert_eq!(put_after(&mut leader, &mut bench, 3_000), 1);
    }

    #[test]
    fn a_new_leader_sees_for_itself_that_a_clock_was_wrong() {
        let (mut bench, mut leader) = after_a_jump(1, NOW_MS + YEAR_MS);
        assert_eq!(put_after(&mut leader, &mut bench, 1_000), 1);
        leader.tasks.begin(2);
        assert_eq!(put_after(&mut leader, &mut bench, 1_500), 0);
        assert_eq!(put_after(&mut leader, &mut bench, 2_499), 0);
        assert_eq!(put_after(&mut leader, &mut bench, 2_500), 2);
    }

    #[test]
    fn a_clock_that_was_behind_for_a_moment_loses_nothing() {
        let (mut bench, mut leader) = after_a_jump(3, NOW_MS - 3_600_000);
        assert_eq!(put_after(&mut leader, &mut bench, 9_999), 0);
        assert_eq!(put_after(&mut leader, &mut bench, 10_000), 3);
    }

    /// The clock of the leader goes back while messages wait that it stored before.
    #[test]
    fn a_clock_that_goes_back_holds_what_waits_for_no_longer_than_its_level() {
        let (bench, mut leader) = after_a_jump(3, NOW_MS);
        assert!(work(&mut leader, &bench, NOW_MS).proposals.is_empty());
        let back_ms = NOW_MS - 3_600_000;
        leader.monotonic_ms = 4_000;
        assert!(work(&mut leader, &bench, back_ms).proposals.is_empty());
        assert_eq!(leader.idle_ms(back_ms), Some(10_000));
        leader.monotonic_ms = 13_999;
        assert!(
            work(&mut leader, &bench, back_ms + 9_999)
                .proposals
                .is_empty()
        );
        leader.monotonic_ms = 14_000;
        let found = work(&mut leader, &bench, back_ms + 10_000);
        assert_eq!(found.proposals[0].drafts[0].sizes.len(), 3);
    }
}
