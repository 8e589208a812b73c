//! A clean stop is said only of a log that is flushed.

mod solitary;

use solitary::Solitary;
use tern_testdisk::Operation;

const TOPIC: &str = "TBW102";

fn written() -> Solitary {
    let mut solitary = Solitary::new();
    solitary.settle();
    solitary.hand_in(1, TOPIC, b"m");
    solitary.turn(1_000);
    solitary
}

#[test]
fn what_was_written_and_synced_can_be_stopped() {
    let mut solitary = written();
    solitary.sync();
    solitary.stop().expect("flushed");
}

#[test]
fn what_was_written_and_not_synced_is_no_clean_stop() {
    written().stop().expect_err("not flushed");
}

#[test]
fn after_a_sync_that_failed_there_is_no_clean_stop() {
    let mut solitary = written();
    solitary.disk.fail_next(Operation::Sync, "/log/");
    solitary.try_sync().expect_err("the disk");
    solitary.stop().expect_err("what was written may be lost");
}
