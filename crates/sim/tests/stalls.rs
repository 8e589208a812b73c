//! What a turn that waits for its own flush costs when the disk takes its time.

use tern_replica::DiskCondition;
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

/// Syncs that take at least so long, microseconds: 20 a second.
const SLOW: u64 = 50_000;

#[test]
fn a_leader_whose_disk_is_slow_hands_over_and_may_lead_again_when_it_is_well() {
    for seed in 0..8 {
        let mut world = settled(seed, 0);
        let (slow, term) = (world.leader().unwrap(), world.term());
        world.slow_down(slow, 30 * SECOND, SLOW);
        let handed = world.run_while(8 * SECOND, |world| {
            world.leader().is_none_or(|now| now == slow) || !world.is_settled()
        });
        assert!(handed.unwrap(), "seed {seed}: {}", world.describe());
        assert_eq!(world.term(), term + 1, "seed {seed}: one transfer");
        let next = world.leader();
        // It is asked to lead, and does not: the one that asks goes on.
        world.hand_over(slow);
        world.run_until(world.now() + 10 * SECOND).unwrap();
        assert_eq!(
            (world.leader(), world.term()),
            (next, term + 1),
            "seed {seed}"
        );
        assert_eq!(world.disk_condition(slow), Some(DiskCondition::Slow));
        world.slow_down(slow, 0, 0);
        world.run_until(world.now() + 15 * SECOND).unwrap();
        assert_eq!(world.disk_condition(slow), Some(DiskCondition::Well));
        world.hand_over(slow);
        let back = world.run_while(3 * SECOND, |world| world.leader() != Some(slow));
        assert!(back.unwrap(), "seed {seed}: {}", world.describe());
    }
}

#[test]
fn disks_that_are_all_slow_or_all_but_one_move_no_leader() {
    for seed in 0..4 {
        for slow in [2, 3] {
            let mut world = settled(seed, 0);
            let (leader, term) = (world.leader().unwrap(), world.term());
            for step in 0..slow {
                world.slow_down((leader + step) % 3, 30 * SECOND, SLOW);
            }
            world.run_until(world.now() + 30 * SECOND).unwrap();
            assert_eq!(
                (world.leader(), world.term()),
                (Some(leader), term),
                "seed {seed}: {slow} are slow"
            );
        }
    }
}

#[test]
fn a_replica_whose_disk_is_slow_or_has_just_hung_leaves_the_next_term_to_the_other_if_that_can_win()
{
    let mut by_the_well = 0;
    for seed in 0..8 {
        for hangs in [true, false] {
            let mut world = settled(seed, 0);
            let leader = world.leader().unwrap();
            let (sick, well) = ((leader + 1) % 3, (leader + 2) % 3);
            if hangs {
                world.hang(sick, 3 * SECOND / 2);
                world.run_until(world.now() + 2 * SECOND).unwrap();
            } else {
                world.slow_down(sick, 30 * SECOND, SLOW);
                world.run_until(world.now() + 8 * SECOND).unwrap();
            }
            let condition = world.disk_condition(sick);
            assert_ne!(
                condition,
                Some(DiskCondition::Well),
                "seed {seed}, hangs: {hangs}"
            );
            world.kill(leader);
            let killed = world.now();
            let led = world.run_while(5 * SECOND, |world| world.leader().is_none());
            assert!(led.unwrap(), "seed {seed}: {}", world.describe());
            // It may have what the other has not: then nobody else can be elected.
            let waited = world.now() - killed > SECOND;
            assert!(
                world.leader() == Some(well) || waited,
                "seed {seed}, hangs: {hangs}"
            );
            by_the_well += u32::from(world.leader() == Some(well));
        }
    }
    assert!(by_the_well >= 12, "{by_the_well} of 16");
}

#[test]
fn where_the_disks_of_all_others_hang_somebody_leads_when_they_are_back() {
    for seed in 0..8 {
        let mut world = settled(seed, 0);
        let leader = world.leader().unwrap();
        world.hang((leader + 1) % 3, 2 * SECOND);
        world.hang((leader + 2) % 3, 2 * SECOND);
        world.run_until(world.now() + SECOND).unwrap();
        world.kill(leader);
        let led = world.run_while(8 * SECOND, |world| {
            world.leader().is_none_or(|now| now == leader)
        });
        assert!(led.unwrap(), "seed {seed}: {}", world.describe());
    }
}
