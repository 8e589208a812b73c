//! An error of a disk ends its process at once, is never tried again, and the others go on (D4, R2).

use tern_sim::{OuterBug, PlantedBug, Swarm, World, plant};
use tern_testdisk::Operation;

const SECOND: u64 = 1_000_000;
/// Read-only file system, full disk.
const EROFS: i32 = 30;
const ENOSPC: i32 = 28;

fn group(seed: u64) -> World {
    let swarm = Swarm {
        send_pause: 10_000,
        elsewhere: 0,
        segment_size: 512 << 10,
        ..Swarm::fair()
    };
    World::new(seed, Some(swarm))
}

/// A group that has a leader and takes messages.
fn settled(seed: u64) -> World {
    let mut world = group(seed);
    let there = world.run_while(10 * SECOND, |world| !world.is_settled());
    assert!(there.unwrap(), "seed {seed}: no leader after 10 s");
    world.run_until(world.now() + SECOND / 2).unwrap();
    world
}

/// The call fails that comes after so many others: whether it came within the time. Then its process has ended and
/// not tried it again, the others go on, and it comes back.
fn ends_and_the_others_go_on(
    world: &mut World,
    at: usize,
    call: (Operation, &str),
    (skip, errno): (u64, Option<i32>),
    time: u64,
) -> bool {
    let which = format!("{call:?} {skip} of node {at}");
    world.fail_disk(at, call, skip, errno);
    if !world
        .run_while(time, |world| world.disk_stops() == 0)
        .expect(&which)
    {
        return false;
    }
    assert_eq!(world.disk_retries(at), Some(0), "{which}: tried again");
    let before = world.figures().acknowledged;
    let goes_on = world.run_while(10 * SECOND, |world| {
        world.figures().acknowledged < before + 20 || !world.is_settled()
    });
    assert!(goes_on.expect(&which), "{which}: {}", world.describe());
    let back = world.run_while(10 * SECOND, |world| {
        !world.takes_part(at) || !world.is_settled()
    });
    assert!(back.expect(&which), "{which}: {}", world.describe());
    assert_eq!(world.disk_stops(), 1, "{which}: {}", world.describe());
    true
}

/// Every call of this kind that a running leader or follower makes within the time; answers how many there were.
fn every_call_of_a_running_group(call: (Operation, &str), time: u64) -> u64 {
    let mut ended = 0;
    for leads in [true, false] {
        for skip in 0.. {
            let mut world = settled(skip);
            let leader = world.leader().expect("settled");
            let at = if leads { leader } else { (leader + 1) % 3 };
            if !ends_and_the_others_go_on(&mut world, at, call, (skip, None), time) {
                break;
            }
            ended += 1;
        }
    }
    println!("{call:?}: {ended} processes ended");
    ended
}

#[test]
fn a_write_of_the_log_that_fails_ends_the_process_and_the_others_go_on() {
    plant(None);
    assert!(every_call_of_a_running_group((Operation::Write, "/log/"), SECOND / 4) > 20);
}

#[test]
fn a_sync_of_the_log_that_fails_ends_the_process_and_the_others_go_on() {
    plant(None);
    assert!(every_call_of_a_running_group((Operation::Sync, "/log/"), SECOND / 4) > 20);
}

#[test]
fn a_write_or_sync_of_the_durable_position_that_fails_ends_the_process_and_the_others_go_on() {
    plant(None);
    assert!(every_call_of_a_running_group((Operation::Write, "flushed.pos"), SECOND / 4) > 20);
    assert!(every_call_of_a_running_group((Operation::Sync, "flushed.pos"), 3 * SECOND) >= 4);
}

#[test]
fn a_write_or_sync_of_term_and_vote_that_fails_ends_the_process_and_the_others_go_on() {
    plant(None);
    let mut ended = 0;
    for operation in [Operation::Write, Operation::Sync] {
        for at in 0..3 {
            // From the founding on, through the first election.
            for skip in 0.. {
                let mut world = group(skip);
                let call = (operation, "raft.state");
                if !ends_and_the_others_go_on(&mut world, at, call, (skip, None), 4 * SECOND) {
                    break;
                }
                ended += 1;
            }
        }
    }
    println!("{ended} processes ended");
    assert!(ended >= 24, "{ended}");
}

#[test]
fn names_of_segments_that_cannot_be_made_durable_end_the_process() {
    plant(None);
    let call = (Operation::SyncDirectory, "/log");
    assert!(every_call_of_a_running_group(call, 8 * SECOND) >= 2);
}

#[test]
fn a_read_only_file_system_and_a_write_without_room_end_the_process_as_any_other_error() {
    plant(None);
    for errno in [EROFS, ENOSPC] {
        for (operation, path) in [
            (Operation::Write, "/log/"),
            (Operation::Write, "flushed.pos"),
            (Operation::Sync, "/log/"),
            (Operation::Allocate, "/log/"),
        ] {
            if (operation, errno) == (Operation::Allocate, ENOSPC) {
                // Met where nothing is lost: sends are refused (O5).
                continue;
            }
            let mut world = settled(errno as u64);
            let at = world.leader().expect("settled");
            let plan = (0, Some(errno));
            let met =
                ends_and_the_others_go_on(&mut world, at, (operation, path), plan, 5 * SECOND);
            assert!(met, "{operation:?} of {path} with {errno}");
        }
    }
}

#[test]
fn a_sync_that_is_tried_again_is_not_taken_for_an_end() {
    plant(Some(PlantedBug::Outer(OuterBug::SyncRetried)));
    let mut world = settled(1);
    let at = world.leader().expect("settled");
    world.fail_disk(at, (Operation::Sync, "/log/"), 0, None);
    let ended = world.run_while(2 * SECOND, |world| world.disk_stops() == 0);
    plant(None);
    // Acknowledged without being on its platter, or simply gone on.
    assert!(!ended.unwrap_or(false));
}
