//! What a turn that waits for its own flush costs when the disk takes its time.

use tern_sim::{Swarm, World, plant};

const MINUTE: u64 = 60_000_000;
const SECOND: u64 = 1_000_000;

/// A group on quick disks, some percent of whose syncs take 20 to 300 ms.
fn settled(seed: u64, slow_syncs: u64) -> World {
    plant(None);
    let swarm = Swarm {
        slow_syncs,
        send_pause: 4_000,
        body: 100,
        ..Swarm::fair()
    };
    let mut world = World::new(seed, Some(swarm));
    let there = world.run_while(10 * SECOND, |world| !world.is_settled());
    assert!(there.unwrap(), "seed {seed}: no leader after 10 s");
    world.run_until(world.now() + 2 * SECOND).unwrap();
    world
}

/// Minutes of virtual time; two hundred hours where somebody has the time (`TERN_SIM_MINUTES=12000`).
fn minutes() -> u64 {
    let text = std::env::var("TERN_SIM_MINUTES").ok();
    text.and_then(|text| text.parse().ok()).unwrap_or(20)
}

#[test]
fn syncs_that_stall_now_and_then_cost_no_election() {
    let (mut waits, mut taken_over) = (0, 0);
    for seed in 0..minutes() {
        let mut world = settled(seed, 1);
        let (leader, term) = (world.leader(), world.term());
        world.run_until(world.now() + MINUTE).unwrap();
        assert_eq!(
            (world.leader(), world.term()),
            (leader, term),
            "seed {seed}"
        );
        waits += world.figures().waits_for_flush;
        taken_over += world.figures().turns_taken_over;
    }
    println!(
        "{} minutes: {waits} turns waited for their flush, {taken_over} were taken over",
        minutes()
    );
    assert!(waits > 1_000 * minutes() && taken_over > minutes());
}

#[test]
fn a_disk_that_hangs_for_a_second_costs_no_election_and_one_that_hangs_for_longer_is_led_no_more() {
    for seed in 0..20 {
        let mut world = settled(seed, 0);
        let (leader, term) = (world.leader().unwrap(), world.term());
        world.hang(leader, 9 * SECOND / 10);
        world.run_until(world.now() + 3 * SECOND).unwrap();
        assert_eq!(
            (world.leader(), world.term()),
            (Some(leader), term),
            "seed {seed}"
        );
        world.hang(leader, 5 * SECOND);
        let handed = world.run_while(3 * SECOND, |world| {
            world.leader().is_none_or(|now| now == leader) || !world.is_settled()
        });
        assert!(handed.unwrap(), "seed {seed}: {}", world.describe());
    }
}

#[test]
fn a_follower_whose_disk_hangs_for_a_second_answers_heartbeats_meanwhile() {
    for seed in 0..20 {
        let mut world = settled(seed, 0);
        let (leader, term) = (world.leader().unwrap(), world.term());
        for round in 0..3 {
            // Both followers: a leader that hears of neither for an election timeout steps down.
            world.hang((leader + 1) % 3, SECOND);
            world.hang((leader + 2) % 3, SECOND);
            world.run_until(world.now() + 3 * SECOND).unwrap();
            let seen = (world.leader(), world.term());
            assert_eq!(seen, (Some(leader), term), "seed {seed}, round {round}");
        }
    }
}
