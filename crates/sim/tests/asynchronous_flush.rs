//! Asynchronous flush: what is acknowledged before it is on the disk, and what a power cut takes of that.

mod solitary;

use std::path::PathBuf;
use std::sync::Arc;

use solitary::Solitary;
use tern_log::{BootMark, Disk, Log, LogOptions, RaftStateFile, StopRecord};
use tern_replica::{Flush, Outcome, TurnOptions};
use tern_testdisk::{MemoryDisk, PowerCut};

const MILLISECOND: u64 = 1_000_000;
const TOPIC: &str = "TBW102";

fn flushing_every_half_second() -> Solitary {
    let mut solitary = Solitary::with(TurnOptions {
        flush: Flush::EVERY_HALF_SECOND,
        ..TurnOptions::default()
    });
    solitary.settle();
    solitary
}

/// Sends so many messages, one frame each, with no flush in between; all are acknowledged.
fn send(solitary: &mut Solitary, messages: std::ops::Range<u64>) {
    for ticket in messages {
        solitary.hand_in(ticket, TOPIC, format!("message {ticket}").as_bytes());
        solitary.turn(MILLISECOND);
        let answers = solitary.answers();
        assert!(
            matches!(answers[..], [(answered, Outcome::Stored(_))] if answered == ticket),
            "{answers:?}"
        );
    }
}

/// How many frames a start finds, and that none of them was changed.
fn frames_found(disk: &MemoryDisk) -> u64 {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let directory = PathBuf::from("/replica");
    let (_, state) = RaftStateFile::load(Arc::clone(&disk), &directory).unwrap();
    let mark = BootMark {
        boot_id: [9; 16],
        device: 1,
        mount_id: 1,
    };
    let stops = StopRecord::new(Arc::clone(&disk), &directory, Some(mark));
    let options = LogOptions {
        stop: stops.last_stop().unwrap(),
        ..LogOptions::new(&directory, state.expect("it was founded").group_id)
    };
    let (log, recovery) = Log::open(disk, options).expect("nothing looks like rot");
    assert!(recovery.commit <= log.end().index, "no mark passes the log");
    log.end().index
}

#[test]
fn a_kill_takes_nothing_that_was_acknowledged_before_its_flush() {
    let mut solitary = flushing_every_half_second();
    send(&mut solitary, 1..100);
    assert_eq!(frames_found(&solitary.disk.fork()), solitary.last_index());
}

#[test]
fn a_power_cut_takes_a_suffix_that_is_no_older_than_the_last_flush() {
    let mut shortest = u64::MAX;
    for seed in 0..200 {
        let mut solitary = flushing_every_half_second();
        send(&mut solitary, 1..100);
        solitary.turn(500 * MILLISECOND);
        solitary.sync();
        solitary.turn(MILLISECOND);
        let flushed = solitary.last_index();
        send(&mut solitary, 100..200);
        let end = solitary.last_index();
        solitary.disk.power_cut(PowerCut {
            seed,
            tears_sectors: false,
        });
        let found = frames_found(&solitary.disk);
        assert!(
            (flushed..=end).contains(&found),
            "seed {seed}: {flushed} to {end}, found {found}"
        );
        shortest = shortest.min(found - flushed);
    }
    assert!(shortest < 20, "a cut takes something at times");
}

#[test]
fn a_flush_follows_half_a_second_after_a_write_that_nobody_follows() {
    let mut solitary = flushing_every_half_second();
    send(&mut solitary, 1..2);
    solitary.sync();
    send(&mut solitary, 2..40);
    assert!(!solitary.wants_flush());
    for _ in 0..60 {
        solitary.turn(10 * MILLISECOND);
    }
    assert!(solitary.wants_flush());
}
