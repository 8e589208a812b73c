//! Groups of a master and a slave: what each mode promises, what it may lose, and how a slave comes back.

use tern_replica::PromotionRefusal;
use tern_sim::{HistoryPlan, Swarm, SwarmMode, World, plant, run_mode};

const SECOND: u64 = 1_000_000;
const MODES: [SwarmMode; 2] = [SwarmMode::AsyncSlave, SwarmMode::SyncDoubleWrite];
const MASTER: usize = 0;
const SLAVE: usize = 1;

fn settled(mode: SwarmMode, seed: u64) -> World {
    plant(None);
    let mut world = World::new(seed, Some(Swarm::fair().in_mode(mode)));
    let there = world.run_while(10 * SECOND, |world| !world.is_settled());
    assert!(there.unwrap(), "seed {seed}: no master after 10 s");
    world.run_until(world.now() + 2 * SECOND).unwrap();
    world
}

#[test]
fn no_promise_of_a_master_and_its_slave_is_broken_in_any_history() {
    plant(None);
    for mode in MODES {
        let (mut acknowledged, mut alone) = (0, 0);
        for seed in 0..60 {
            let figures = run_mode(HistoryPlan { seed, seconds: 20 }, mode)
                .unwrap_or_else(|violation| panic!("{mode:?}, seed {seed}: {}", violation.0));
            acknowledged += figures.acknowledged;
            alone += figures.on_master_alone;
        }
        println!("{mode:?}: {acknowledged} acknowledged, {alone} on the master alone");
        assert!(acknowledged > 0);
        assert_eq!(alone > 0, mode == SwarmMode::SyncDoubleWrite);
    }
}

#[test]
fn the_master_leads_whatever_becomes_of_its_slave_and_the_slave_never() {
    for mode in MODES {
        let mut world = settled(mode, 1);
        world.kill(SLAVE);
        world.run_until(world.now() + 2 * SECOND).unwrap();
        assert_eq!(world.leader(), Some(MASTER));
        world.start(SLAVE).unwrap();
        world.run_until(world.now() + SECOND).unwrap();
        world.kill(MASTER);
        world.run_until(world.now() + 5 * SECOND).unwrap();
        assert_eq!(world.leader(), None);
        world.start(MASTER).unwrap();
        world.heal().unwrap();
        assert_eq!(world.leader(), Some(MASTER));
    }
}

#[test]
fn without_a_slave_double_write_stores_and_never_says_success() {
    let mut world = settled(SwarmMode::SyncDoubleWrite, 2);
    let before = world.figures().clone();
    assert!(before.acknowledged > 20 && before.on_master_alone == 0);
    world.kill(SLAVE);
    // What the slave had confirmed before it was gone may still be on its way.
    world.run_until(world.now() + SECOND).unwrap();
    let gone = world.figures().clone();
    world.run_until(world.now() + 3 * SECOND).unwrap();
    let alone = world.figures().clone();
    assert_eq!(alone.acknowledged, gone.acknowledged);
    assert!(alone.on_master_alone > gone.on_master_alone + 50);
    world.start(SLAVE).unwrap();
    world.run_until(world.now() + 3 * SECOND).unwrap();
    assert!(world.figures().acknowledged > alone.acknowledged + 50);
    world.heal().unwrap();
}

#[test]
fn without_a_slave_an_asynchronous_master_goes_on_as_before() {
    let mut world = settled(SwarmMode::AsyncSlave, 2);
    world.kill(SLAVE);
    let before = world.figures().acknowledged;
    world.run_until(world.now() + 2 * SECOND).unwrap();
    assert!(world.figures().acknowledged > before + 50);
}

#[test]
fn a_slave_has_what_its_master_had_up_to_an_end_of_its_own_and_no_more() {
    for seed in 0..20 {
        let mut world = settled(SwarmMode::AsyncSlave, seed);
        let master = world.headers(MASTER);
        world.kill(MASTER);
        world.run_until(world.now() + SECOND).unwrap();
        let slave = world.headers(SLAVE);
        assert!(slave.len() <= master.len());
        assert_eq!(slave[..], master[..slave.len()], "seed {seed}");
        // In fair weather it is a few frames behind.
        assert!(slave.len() + 20 > master.len(), "seed {seed}");
    }
}

#[test]
fn a_forced_promotion_loses_what_the_master_alone_had_and_that_is_set_aside_when_it_comes_back() {
    let (mut lost, mut kept) = (0, 0);
    for seed in 0..30 {
        let mut world = settled(SwarmMode::AsyncSlave, seed);
        // The slave falls behind, and is there again just before its master is gone.
        world.cut(MASTER, SLAVE);
        world.run_until(world.now() + SECOND / 5).unwrap();
        let master = world.headers(MASTER);
        world.kill(MASTER);
        world.mend();
        world.run_until(world.now() + SECOND).unwrap();
        assert_eq!(
            world.ask_promotion(SLAVE),
            Err(PromotionRefusal::MayLose),
            "nobody loses by accident"
        );
        let slave = world.headers(SLAVE);
        let missing = world.promote(SLAVE).unwrap();
        world.run_until(world.now() + SECOND).unwrap();
        assert_eq!(world.leader(), Some(SLAVE), "seed {seed}");
        let before = world.figures().acknowledged;
        world.start(MASTER).unwrap();
        // It stops when it hears of its successor, and is started again.
        world.run_until(world.now() + 5 * SECOND).unwrap();
        let back = world.run_while(10 * SECOND, |world| !world.takes_part(MASTER));
        assert!(back.unwrap(), "seed {seed}: it did not come back");
        world.run_until(world.now() + SECOND).unwrap();
        assert_eq!(world.leader(), Some(SLAVE), "seed {seed}");
        assert!(world.figures().acknowledged > before + 50, "seed {seed}");
        assert!(master.len() >= slave.len());
        let aside = world.set_aside(MASTER);
        assert!(
            aside >= missing,
            "seed {seed}: {missing} lost, {aside} set aside"
        );
        lost += missing;
        kept += aside;
        let (one, other) = (world.headers(MASTER), world.headers(SLAVE));
        let common = one.len().min(other.len());
        assert_eq!(
            one[..common],
            other[..common],
            "seed {seed}: the old master follows"
        );
    }
    println!("{lost} acknowledged messages lost, {kept} set aside");
    assert!(lost > 20, "the slave was behind");
}

#[test]
fn a_master_that_hands_over_loses_nothing_and_follows_at_once() {
    for mode in MODES {
        for seed in 0..20 {
            let mut world = settled(mode, seed);
            let before = world.figures().acknowledged;
            world.hand_over(SLAVE);
            let done = world.run_while(5 * SECOND, |world| world.leader() != Some(SLAVE));
            assert!(done.unwrap(), "{mode:?}, seed {seed}: it did not take over");
            world.run_until(world.now() + 2 * SECOND).unwrap();
            assert!(
                world.figures().acknowledged > before + 20,
                "{mode:?}, seed {seed}"
            );
            assert!(world.takes_part(MASTER) && world.set_aside(MASTER) == 0);
            // And back again.
            world.hand_over(MASTER);
            let back = world.run_while(5 * SECOND, |world| world.leader() != Some(MASTER));
            assert!(
                back.unwrap(),
                "{mode:?}, seed {seed}: it did not take over again"
            );
            world.run_until(world.now() + SECOND).unwrap();
            world.heal().unwrap();
        }
    }
}

#[test]
fn all_slaves_follow_the_one_that_was_promoted_and_so_does_the_old_master() {
    const OTHER: usize = 2;
    for seed in 0..10 {
        plant(None);
        let swarm = Swarm {
            members: 3,
            ..Swarm::fair().in_mode(SwarmMode::AsyncSlave)
        };
        let mut world = World::new(seed, Some(swarm));
        let there = world.run_while(10 * SECOND, |world| !world.is_settled());
        assert!(there.unwrap());
        world.run_until(world.now() + SECOND).unwrap();
        world.kill(MASTER);
        world.run_until(world.now() + SECOND).unwrap();
        world.promote(SLAVE).unwrap();
        world.run_until(world.now() + 3 * SECOND).unwrap();
        world.start(MASTER).unwrap();
        let follow = |world: &World| {
            let all = [MASTER, SLAVE, OTHER].map(|at| world.takes_part(at));
            all != [true; 3] || !world.is_settled() || world.leader() != Some(SLAVE)
        };
        let settled = world.run_while(30 * SECOND, follow);
        assert!(settled.unwrap(), "seed {seed}: not all follow");
        world.run_until(world.now() + 2 * SECOND).unwrap();
        let (first, second) = (world.headers(MASTER), world.headers(OTHER));
        assert!(first.len().abs_diff(second.len()) < 20, "seed {seed}");
    }
}

#[test]
fn a_slave_that_has_not_heard_that_it_was_handed_over_to_is_told_again() {
    for seed in 0..20 {
        let mut world = settled(SwarmMode::AsyncSlave, seed);
        world.hand_over(SLAVE);
        let stepped_back = world.run_while(5 * SECOND, |world| world.leader() == Some(MASTER));
        assert!(stepped_back.unwrap());
        // What was on its way to the slave is lost with its process.
        world.kill(SLAVE);
        world.run_until(world.now() + SECOND).unwrap();
        world.start(SLAVE).unwrap();
        let leads = world.run_while(5 * SECOND, |world| world.leader() != Some(SLAVE));
        assert!(
            leads.unwrap(),
            "seed {seed}: nobody leads: {}",
            world.describe()
        );
        world.heal().unwrap();
    }
}

#[test]
fn a_word_of_an_earlier_handover_makes_nobody_the_master_again() {
    for mode in MODES {
        let mut world = settled(mode, 3);
        let earlier = world.term();
        for target in [SLAVE, MASTER] {
            world.hand_over(target);
            let done = world.run_while(5 * SECOND, |world| world.leader() != Some(target));
            assert!(done.unwrap(), "{mode:?}: {target} did not take over");
            world.run_until(world.now() + SECOND).unwrap();
        }
        let term = world.term();
        assert!(term > earlier);
        world.deliver_hand_over(MASTER, SLAVE, earlier);
        world.run_until(world.now() + SECOND).unwrap();
        assert_eq!((world.leader(), world.term()), (Some(MASTER), term));
        world.heal().unwrap();
    }
}

#[test]
fn a_slave_is_not_promoted_beside_a_master_that_lives() {
    let mut world = settled(SwarmMode::AsyncSlave, 4);
    assert_eq!(world.promote(SLAVE), Err(PromotionRefusal::MasterLives));
    assert_eq!(world.promote(MASTER), Err(PromotionRefusal::NoSlave));
}

#[test]
fn a_former_master_with_an_empty_disk_takes_everything_from_its_successor() {
    let mut world = settled(SwarmMode::AsyncSlave, 5);
    world.kill(MASTER);
    world.run_until(world.now() + SECOND).unwrap();
    world.promote(SLAVE).unwrap();
    world.run_until(world.now() + SECOND).unwrap();
    world.wipe(MASTER);
    world.start(MASTER).unwrap();
    let back = world.run_while(10 * SECOND, |world| {
        !world.takes_part(MASTER) || world.headers(MASTER).len() < world.headers(SLAVE).len()
    });
    assert!(back.unwrap(), "it did not catch up");
}

#[test]
fn a_slave_whose_disk_was_replaced_takes_everything_from_its_master() {
    for mode in MODES {
        for seed in 0..5 {
            let mut world = settled(mode, seed);
            world.kill(SLAVE);
            world.wipe(SLAVE);
            world.run_until(world.now() + SECOND).unwrap();
            world.start(SLAVE).unwrap();
            let back = world.run_while(10 * SECOND, |world| {
                !world.takes_part(SLAVE) || world.headers(SLAVE).len() < world.headers(MASTER).len()
            });
            assert!(back.unwrap(), "{mode:?}, seed {seed}: it did not catch up");
            world.heal().unwrap();
        }
    }
}

#[test]
fn a_master_whose_disk_was_emptied_does_not_lead_what_its_slave_has() {
    let mut world = settled(SwarmMode::AsyncSlave, 3);
    let had = world.headers(SLAVE).len();
    world.kill(MASTER);
    world.wipe(MASTER);
    world.start(MASTER).unwrap();
    world.run_until(world.now() + 3 * SECOND).unwrap();
    assert!(!world.takes_part(MASTER), "it has lost its memory");
    assert!(world.headers(SLAVE).len() >= had);
}
