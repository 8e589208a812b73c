//! Members that come, go, take each other's place, and come back without their memory.

use tern_sim::{HistoryPlan, Random, Swarm, World, plant, run_in};

const SECOND: u64 = 1_000_000;

fn seeds() -> u64 {
    std::env::var("TERN_SIM_SEEDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(100)
}

/// A group of three that nobody disturbs, with two machines beside it.
fn settled(seed: u64) -> World {
    plant(None);
    let mut world = World::new(
        seed,
        Some(Swarm {
            change_pause: None,
            ..Swarm::fair().changing()
        }),
    );
    let there = world.run_while(10 * SECOND, |world| !world.is_settled());
    assert!(there.unwrap(), "seed {seed}: no leader after 10 s");
    world.run_until(world.now() + SECOND).unwrap();
    world
}

fn comes_to(world: &mut World, what: &str, holds: impl Fn(&World) -> bool) {
    let came = world.run_while(15 * SECOND, |world| !holds(world));
    assert!(came.unwrap(), "{what}: {}", world.describe());
}

fn voters(world: &World) -> usize {
    let membership = world.membership();
    membership.map_or(0, |m| {
        if m.configuration.is_joint() {
            0
        } else {
            m.configuration.voters.len()
        }
    })
}

#[test]
fn no_promise_is_broken_while_members_change() {
    plant(None);
    let (mut asked, mut rejoined) = (0, 0);
    for seed in 0..seeds() {
        let swarm = Swarm::draw(&mut Random::new(seed)).changing();
        let figures = run_in(HistoryPlan { seed, seconds: 20 }, Some(swarm))
            .unwrap_or_else(|violation| panic!("seed {seed}: {}", violation.0));
        asked += figures
            .faults
            .get("members asked for")
            .copied()
            .unwrap_or(0);
        rejoined += figures.faults.get("rejoined").copied().unwrap_or(0);
    }
    println!("{asked} changes, {rejoined} members came back without their memory");
    assert!(asked > seeds());
}

#[test]
fn three_become_five_and_three_again_and_the_group_serves_meanwhile() {
    for seed in 0..5 {
        let mut world = settled(seed);
        for (newcomer, count) in [(3, 4), (4, 5)] {
            world.add_member(newcomer, None).unwrap();
            comes_to(&mut world, "it comes in", |world| {
                voters(world) == count && world.is_settled_voter(newcomer)
            });
        }
        // The first ones go, the leader among them.
        for (at, count) in [(0, 4), (1, 3)] {
            let before = world.figures().acknowledged;
            world.remove_member(at);
            comes_to(&mut world, "it goes", |world| voters(world) == count);
            world.run_until(world.now() + SECOND).unwrap();
            assert!(world.figures().acknowledged > before + 20, "seed {seed}");
        }
        world.heal().unwrap();
    }
}

#[test]
fn one_takes_the_place_of_another() {
    for seed in 0..5 {
        let mut world = settled(seed);
        world.add_member(3, Some(1)).unwrap();
        comes_to(&mut world, "it takes the place", |world| {
            voters(world) == 3 && world.is_settled_voter(3) && !world.is_settled_voter(1)
        });
        world.heal().unwrap();
    }
}

#[test]
fn an_emptied_member_comes_back_under_a_new_id_and_is_a_voter_when_it_is_whole() {
    for seed in 0..5 {
        let mut world = settled(seed);
        for at in [0, 1, 2, 0] {
            world.kill(at);
            world.wipe(at);
            world.run_until(world.now() + SECOND).unwrap();
            world.start(at).unwrap();
            comes_to(&mut world, "it comes back", |world| {
                voters(world) == 3 && world.is_settled_voter(at)
            });
            world.run_until(world.now() + SECOND).unwrap();
        }
        world.heal().unwrap();
    }
}
