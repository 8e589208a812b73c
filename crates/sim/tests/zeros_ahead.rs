//! Zeros ahead of the end of the log, as a turn writes them by its own clock.

mod solitary;

use std::collections::BTreeSet;
use std::path::Path;

use solitary::Solitary;
use tern_log::Disk;
use tern_testdisk::MemoryDisk;

const MICROSECOND: u64 = 1_000;
const MILLISECOND: u64 = 1_000_000;
const SENDS: u64 = 300;

/// Up to where the first segment was written to, zeros included, by pages.
fn written_upto(disk: &MemoryDisk) -> u64 {
    let path = Path::new("/replica/log/00000000000000000000");
    let file = disk.open(path).expect("the first segment");
    let mut end = 0;
    while let Some(page) = file.next_data(end).expect("readable") {
        end = page + 4096;
    }
    end
}

/// How often one of many messages of 4 KiB moves the end of what was written; so long are turns apart.
fn moves(later_ns: u64) -> usize {
    let mut solitary = Solitary::new();
    solitary.settle();
    let mut ends = BTreeSet::new();
    for ticket in 1..=SENDS {
        solitary.hand_in(ticket, "TBW102", &[b'x'; 4 << 10]);
        solitary.turn(later_ns);
        solitary.sync();
        solitary.turn(0);
        ends.insert(written_upto(&solitary.disk));
    }
    assert!(solitary.last_index() >= SENDS);
    ends.len()
}

#[test]
fn a_replica_that_writes_little_writes_ahead_256_kib_at_a_time() {
    let few = moves(5 * MILLISECOND);
    assert!((4..=6).contains(&few), "{few}");
}

#[test]
fn a_replica_that_writes_much_writes_nothing_ahead() {
    let many = moves(50 * MICROSECOND);
    assert!(many > 200, "{many}");
}
