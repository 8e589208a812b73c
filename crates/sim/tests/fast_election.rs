//! What a follower does when the process of its leader is gone (`docs/fast-election.md`).

use tern_sim::{Swarm, World, plant};

const SECOND: u64 = 1_000_000;

fn settled(swarm: Swarm, seed: u64) -> World {
    plant(None);
    let mut world = World::new(seed, Some(swarm));
    let there = world.run_while(10 * SECOND, |world| !world.is_settled());
    assert!(there.unwrap(), "seed {seed}: no leader after 10 s");
    world.run_until(world.now() + 2 * SECOND).unwrap();
    world
}

/// Kill the leader; how long the group is without a leader that has committed, microseconds, and terms begun.
fn kill_leader(world: &mut World) -> (u64, u64) {
    let (leader, term, began) = (world.leader().unwrap(), world.term(), world.now());
    world.kill(leader);
    let there = world.run_while(20 * SECOND, |world| !world.is_settled());
    assert!(there.unwrap(), "nobody leads 20 s after a kill");
    let gap = world.now() - began;
    world.start(leader).unwrap();
    world.run_until(world.now() + 2 * SECOND).unwrap();
    (gap, world.term() - term)
}

fn gaps(members: usize, kills: u64) -> Vec<u64> {
    let mut gaps = Vec::new();
    for seed in 0..kills / 4 {
        let swarm = Swarm {
            members,
            ..Swarm::fair()
        };
        let mut world = settled(swarm, seed);
        for _ in 0..4 {
            let (gap, terms) = kill_leader(&mut world);
            assert_eq!(terms, 1, "seed {seed}: one kill is one term");
            gaps.push(gap);
        }
    }
    gaps.sort_unstable();
    gaps
}

fn print(what: &str, gaps: &[u64]) {
    println!(
        "{what}: {} kills, median {} ms, worst {} ms",
        gaps.len(),
        gaps[gaps.len() / 2] / 1000,
        gaps[gaps.len() - 1] / 1000
    );
}

#[test]
fn a_kill_in_fair_weather_costs_one_term_and_far_less_than_the_timeout() {
    let gaps = gaps(3, 100);
    print("3 members", &gaps);
    assert!(gaps[gaps.len() / 2] < 60_000 && gaps[gaps.len() - 1] < 150_000);
}

#[test]
fn five_members_take_turns_as_three_do() {
    let gaps = gaps(5, 40);
    print("5 members", &gaps);
    assert!(gaps[gaps.len() / 2] < 120_000 && gaps[gaps.len() - 1] < 250_000);
}

#[test]
fn turns_that_are_shorter_than_a_round_trip_cost_terms() {
    let terms = |election_slot_ns| {
        let mut terms = 0;
        for seed in 0..25 {
            let swarm = Swarm {
                election_slot_ns,
                members: 5,
                ..Swarm::fair()
            };
            let mut world = settled(swarm, seed);
            for _ in 0..4 {
                terms += kill_leader(&mut world).1;
            }
        }
        terms
    };
    let (in_turns, at_once) = (terms(25_000_000), terms(1));
    println!("100 kills: {in_turns} terms in turns, {at_once} without");
    assert!(in_turns <= 103, "a split is rare");
    assert!(at_once > in_turns + 5, "else the turns are for nothing");
}

#[test]
fn broken_links_of_a_living_leader_change_nothing() {
    for seed in 0..20 {
        let mut world = settled(Swarm::fair(), seed);
        let (leader, term) = (world.leader().unwrap(), world.term());
        let follower = (leader + 1) % 3;
        for _ in 0..100 {
            world.break_link(leader, follower);
            world.break_link(follower, leader);
            world.run_until(world.now() + SECOND / 5).unwrap();
        }
        assert_eq!((world.term(), world.leader()), (term, Some(leader)));
    }
}

#[test]
fn a_follower_that_is_told_wrongly_that_its_leader_is_gone_does_not_unseat_it() {
    for seed in 0..20 {
        let mut world = settled(Swarm::fair(), seed);
        let (leader, term) = (world.leader().unwrap(), world.term());
        let before = world.figures().acknowledged;
        for _ in 0..100 {
            world.tell_gone((leader + 1) % 3, leader);
            world.run_until(world.now() + SECOND / 5).unwrap();
        }
        assert_eq!((world.term(), world.leader()), (term, Some(leader)));
        assert!(world.figures().acknowledged > before + 500, "sends go on");
    }
}

#[test]
fn a_dead_follower_is_not_mistaken_for_a_leader() {
    for seed in 0..20 {
        let mut world = settled(Swarm::fair(), seed);
        let (leader, term) = (world.leader().unwrap(), world.term());
        for step in 0..10 {
            let follower = (leader + 1 + step % 2) % 3;
            world.kill(follower);
            world.run_until(world.now() + SECOND / 2).unwrap();
            world.start(follower).unwrap();
            world.run_until(world.now() + SECOND / 2).unwrap();
        }
        assert_eq!((world.term(), world.leader()), (term, Some(leader)));
    }
}
