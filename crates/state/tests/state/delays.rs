//! Progress of the delay levels.

use tern_state::delay::{LEVELS, SCHEDULE_TOPIC, level_queue};
use tern_state::{ApplyError, DelayProgress, Op, State};

use crate::support::{apply, fill, shop};

fn progress(level: u16, from: u64, to: u64) -> Op {
    Op::DelayProgress(DelayProgress { level, from, to })
}

fn delayed(level: u16, messages: u64) -> State {
    let mut state = shop();
    fill(&mut state, SCHEDULE_TOPIC, level_queue(level), messages);
    state
}

#[test]
fn progress_moves_one_level_and_shows_in_the_hash() {
    let mut state = delayed(3, 5);
    let before = state.table_sums();
    apply(&mut state, &[progress(3, 0, 2), progress(3, 2, 5)]).expect("one after the other");
    assert_eq!(state.delay_progress(3), 5);
    assert!(
        (0..=LEVELS + 1)
            .filter(|level| *level != 3)
            .all(|level| state.delay_progress(level) == 0)
    );
    assert_ne!(state.table_sums().delays, before.delays);
    assert_eq!(state.table_sums(), state.recomputed_sums());
}

#[test]
fn progress_sees_the_messages_of_its_own_frame() {
    let mut state = shop();
    fill(&mut state, SCHEDULE_TOPIC, level_queue(1), 1);
    assert_eq!(state.check(&progress(1, 0, 1)), Ok(()));
}

#[test]
fn progress_that_repeats_falls_or_goes_past_the_end_stops_the_replica() {
    let mut state = delayed(1, 4);
    apply(&mut state, &[progress(1, 0, 3)]).expect("there are 4");
    for (from, to) in [(0, 3), (2, 4), (4, 4), (3, 2), (3, 5)] {
        let violation = ApplyError::DelayProgress {
            level: 1,
            stands: 3,
            end: 4,
            from,
            to,
        };
        assert_eq!(state.check(&progress(1, from, to)), Err(violation.clone()));
        let mut state = state.clone();
        assert_eq!(apply(&mut state, &[progress(1, from, to)]), Err(violation));
    }
    for level in [0, LEVELS + 1] {
        assert_eq!(
            state.check(&progress(level, 0, 0)),
            Err(ApplyError::DelayLevel { level })
        );
    }
}
