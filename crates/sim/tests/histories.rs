//! Histories from seeds, and the planted bugs that they must show.

use tern_broker::replica::planted;
use tern_sim::{Plan, run};

fn seeds() -> u64 {
    std::env::var("TERN_SIM_SEEDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(100)
}

#[test]
fn no_promise_is_broken_in_any_history() {
    planted::plant(0);
    let mut hours = 0.0;
    let mut acknowledged = 0;
    let mut crashes = 0;
    for seed in 0..seeds() {
        let figures = run(Plan { seed, seconds: 20 })
            .unwrap_or_else(|violation| panic!("seed {seed}: {}", violation.0));
        hours += figures.time as f64 / 3.6e9;
        acknowledged += figures.acknowledged;
        crashes += figures.crashes;
        assert!(figures.acknowledged > 0, "seed {seed} acknowledged nothing");
    }
    println!(
        "{} seeds, {hours:.2} virtual hours, {acknowledged} acknowledged, {crashes} crashes",
        seeds()
    );
}

#[test]
fn a_seed_replays_to_the_same_trace() {
    planted::plant(0);
    for seed in 0..5 {
        let plan = Plan { seed, seconds: 10 };
        assert_eq!(run(plan).unwrap(), run(plan).unwrap(), "seed {seed}");
    }
}

fn is_caught(bug: u32) {
    planted::plant(bug);
    let caught =
        (0..2_000).find_map(|seed| run(Plan { seed, seconds: 20 }).err().map(|v| (seed, v)));
    planted::plant(0);
    let (seed, violation) = caught.expect("no seed shows the bug");
    println!("bug {bug}: seed {seed}: {}", violation.0);
}

#[test]
fn an_ack_before_the_sync_is_caught() {
    is_caught(planted::ACK_BEFORE_SYNC);
}

#[test]
fn an_ack_from_the_leader_alone_is_caught() {
    is_caught(planted::ACK_FROM_LEADER_ALONE);
}

#[test]
fn a_vote_that_was_not_synced_is_caught() {
    is_caught(planted::VOTE_NOT_SYNCED);
}

#[test]
fn code_2_after_an_append_is_caught() {
    is_caught(planted::BUSY_AFTER_APPEND);
}

#[test]
fn delay_progress_apart_from_its_messages_is_caught() {
    is_caught(planted::DELAY_PROGRESS_APART);
}

#[test]
fn an_artefact_with_planted_bugs_carries_their_mark() {
    let own = std::env::current_exe().unwrap();
    let bytes = std::fs::read(own).unwrap();
    let mark = [&b"planted bugs "[..], b"are compiled in."].concat();
    assert!(bytes.windows(mark.len()).any(|window| window == mark));
}
