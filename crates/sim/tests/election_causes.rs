//! What a new leader says of why it stood.

use tern_replica::ElectionCause;
use tern_sim::{Swarm, SwarmMode, World, plant};

const SECOND: u64 = 1_000_000;

fn settled(mode: SwarmMode, seed: u64) -> World {
    plant(None);
    let mut world = World::new(seed, Some(Swarm::fair().in_mode(mode)));
    settle(&mut world);
    world
}

fn settle(world: &mut World) {
    let there = world.run_while(20 * SECOND, |world| !world.is_settled());
    assert!(there.unwrap(), "nobody leads: {}", world.describe());
    world.run_until(world.now() + SECOND).unwrap();
}

#[test]
fn a_raft_leader_tells_a_start_a_death_a_silence_and_a_transfer_apart() {
    for seed in 0..20 {
        let mut world = settled(SwarmMode::Raft, seed);
        assert_eq!(world.election_cause(), Some(ElectionCause::Started));

        let first = world.leader().unwrap();
        world.kill(first);
        world.run_until(world.now() + 2 * SECOND).unwrap();
        assert_eq!(world.election_cause(), Some(ElectionCause::LeaderGone));
        world.start(first).unwrap();
        settle(&mut world);

        let to = (world.leader().unwrap() + 1) % 3;
        world.hand_over(to);
        world.run_until(world.now() + SECOND).unwrap();
        let now = (world.leader(), world.election_cause());
        assert_eq!(now, (Some(to), Some(ElectionCause::HandedOver)));

        for other in [(to + 1) % 3, (to + 2) % 3] {
            world.cut(to, other);
            world.cut(other, to);
        }
        let changed = world.run_while(5 * SECOND, |world| world.leader() == Some(to));
        assert!(changed.unwrap());
        world.run_until(world.now() + SECOND).unwrap();
        assert_eq!(world.election_cause(), Some(ElectionCause::LeaderSilent));
        world.mend();
        settle(&mut world);
        assert_eq!(world.election_cause(), Some(ElectionCause::LeaderSilent));
    }
}

#[test]
fn a_former_slave_tells_a_promotion_from_a_hand_over() {
    let mut world = settled(SwarmMode::AsyncSlave, 1);
    assert_eq!(world.election_cause(), Some(ElectionCause::Started));
    world.hand_over(1);
    settle(&mut world);
    let now = (world.leader(), world.election_cause());
    assert_eq!(now, (Some(1), Some(ElectionCause::HandedOver)));

    let mut world = settled(SwarmMode::AsyncSlave, 2);
    world.kill(0);
    world.run_until(world.now() + SECOND).unwrap();
    world.promote(1).unwrap();
    world.run_until(world.now() + SECOND).unwrap();
    let now = (world.leader(), world.election_cause());
    assert_eq!(now, (Some(1), Some(ElectionCause::Promoted)));
}
