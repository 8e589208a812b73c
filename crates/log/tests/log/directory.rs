//! Whose directory it is, and how the replica stopped.

use std::path::Path;
use std::sync::Arc;

use tern_log::{
    BootMark, DirectoryLock, Disk, LogError, RealDisk, StopKind, StopRecord, claim_directory,
};
use tern_testdisk::MemoryDisk;

use crate::support::{DIRECTORY, disks};

#[test]
fn a_directory_can_be_held_once() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let held = DirectoryLock::acquire(&RealDisk, directory.path()).expect("free");
    let second = DirectoryLock::acquire(&RealDisk, directory.path());
    assert!(matches!(second, Err(LogError::Locked { .. })));
    drop(held);
    DirectoryLock::acquire(&RealDisk, directory.path()).expect("free again");
}

#[test]
fn a_directory_belongs_to_the_node_that_claimed_it_first() {
    for (disk, directory, _guard) in disks() {
        claim_directory(&*disk, &directory, "main/group-a/n0", [7; 16]).expect("nobody's");
        claim_directory(&*disk, &directory, "main/group-a/n0", [7; 16]).expect("its own");
        match claim_directory(&*disk, &directory, "main/group-a/n1", [7; 16]) {
            Err(LogError::OtherNode {
                found, expected, ..
            }) => {
                assert_eq!(
                    (&found[..], &expected[..]),
                    ("main/group-a/n0", "main/group-a/n1")
                );
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_damaged_identity_is_not_taken_for_a_new_directory() {
    let disk = MemoryDisk::new();
    let directory = Path::new(DIRECTORY);
    claim_directory(&disk, directory, "main/group-a/n0", [7; 16]).expect("nobody's");
    for offset in [2, 20, 32] {
        let damaged = disk.fork();
        damaged
            .damage(&directory.join("identity"), offset, 1)
            .expect("identity");
        let refused = claim_directory(&damaged, directory, "main/group-a/n0", [7; 16]);
        assert!(
            matches!(refused, Err(LogError::IdentityUnreadable { .. })),
            "{offset}: {refused:?}"
        );
    }
    for name in ["", "two\nlines", &"x".repeat(600)] {
        let refused = claim_directory(&disk, directory, name, [7; 16]);
        assert!(matches!(refused, Err(LogError::BadSetting { .. })));
    }
}

#[test]
fn a_claim_that_a_process_did_not_end_is_made_durable_by_the_next_one() {
    for last in 1..12 {
        for seed in 0..16 {
            let disk = MemoryDisk::new();
            disk.stop_after(last);
            let _ = claim_directory(&disk, Path::new(DIRECTORY), "main/group-a/n0", [1; 16]);
            disk.kill();
            let said = claim_directory(&disk, Path::new(DIRECTORY), "main/group-a/n0", [2; 16]);
            let said = said.expect("its own, or nobody's");
            disk.crash(seed);
            let again = claim_directory(&disk, Path::new(DIRECTORY), "main/group-a/n0", [3; 16]);
            assert_eq!(again.expect("its own"), said, "call {last}, seed {seed}");
        }
    }
}

#[test]
fn a_claim_is_durable() {
    let disk = MemoryDisk::new();
    claim_directory(&disk, Path::new(DIRECTORY), "main/group-a/n0", [7; 16]).expect("nobody's");
    for seed in 0..32 {
        let disk = disk.fork();
        disk.crash(seed);
        let other = claim_directory(&disk, Path::new(DIRECTORY), "main/group-a/n1", [7; 16]);
        assert!(matches!(other, Err(LogError::OtherNode { .. })), "{seed}");
    }
}

fn mark(boot: u8) -> BootMark {
    BootMark {
        boot_id: [boot; 16],
        device: 5,
        mount_id: 6,
    }
}

fn record(disk: &MemoryDisk, now: Option<BootMark>) -> StopRecord {
    StopRecord::new(Arc::new(disk.clone()), DIRECTORY, now)
}

#[test]
fn the_kind_of_the_last_stop_is_told_by_mark_and_file() {
    let disk = MemoryDisk::new();
    disk.create_dir(Path::new(DIRECTORY)).expect("a directory");
    let first = record(&disk, Some(mark(1)));
    assert_eq!(
        first.last_stop().expect("readable"),
        StopKind::PowerCutPossible,
        "nothing is known"
    );
    first.started().expect("a healthy disk");
    assert_eq!(
        record(&disk, Some(mark(1))).last_stop().expect("readable"),
        StopKind::ProcessDied
    );
    assert_eq!(
        record(&disk, Some(mark(2))).last_stop().expect("readable"),
        StopKind::PowerCutPossible
    );
    assert_eq!(
        record(&disk, None).last_stop().expect("readable"),
        StopKind::PowerCutPossible
    );
    first.stopped_cleanly().expect("a healthy disk");
    assert_eq!(
        record(&disk, Some(mark(2))).last_stop().expect("readable"),
        StopKind::Clean
    );
    // Started again in another life, which then ends by itself.
    record(&disk, Some(mark(2)))
        .started()
        .expect("a healthy disk");
    assert_eq!(
        record(&disk, Some(mark(2))).last_stop().expect("readable"),
        StopKind::ProcessDied
    );
    assert_eq!(
        record(&disk, Some(mark(1))).last_stop().expect("readable"),
        StopKind::PowerCutPossible
    );
}

#[test]
fn a_start_that_is_not_marked_yet_leaves_the_last_stop_as_it_was() {
    let disk = MemoryDisk::new();
    disk.create_dir(Path::new(DIRECTORY)).expect("a directory");
    record(&disk, Some(mark(1)))
        .started()
        .expect("a healthy disk");
    // A power cut, and the process dies while it recovers: the next start must know of the power cut.
    assert_eq!(
        record(&disk, Some(mark(2))).last_stop().expect("readable"),
        StopKind::PowerCutPossible
    );
    disk.kill();
    assert_eq!(
        record(&disk, Some(mark(2))).last_stop().expect("readable"),
        StopKind::PowerCutPossible
    );
}

#[test]
fn a_damaged_clean_stop_is_no_clean_stop() {
    let disk = MemoryDisk::new();
    disk.create_dir(Path::new(DIRECTORY)).expect("a directory");
    let record = record(&disk, Some(mark(1)));
    record.started().expect("a healthy disk");
    record.stopped_cleanly().expect("a healthy disk");
    disk.damage(&Path::new(DIRECTORY).join("clean.stop"), 30, 1)
        .expect("clean.stop");
    assert_eq!(record.last_stop().expect("readable"), StopKind::ProcessDied);
}

#[test]
fn a_start_without_room_for_its_mark_goes_on_and_a_dead_process_counts_as_a_power_cut() {
    let disk = MemoryDisk::new();
    disk.create_dir(Path::new(DIRECTORY)).expect("a directory");
    record(&disk, Some(mark(1)))
        .stopped_cleanly()
        .expect("a healthy disk");
    disk.set_free_bytes(Some(0));
    let second = record(&disk, Some(mark(2)));
    second.started().expect("the mark is all that is missing");
    assert_eq!(
        second.last_stop().expect("readable"),
        StopKind::PowerCutPossible
    );
    // What the note of the clean stop took was free again.
    disk.set_free_bytes(Some(0));
    assert!(
        second.stopped_cleanly().is_err(),
        "for the log of the process"
    );
    assert_eq!(
        second.last_stop().expect("readable"),
        StopKind::PowerCutPossible
    );
}

#[test]
fn a_removed_clean_stop_does_not_come_back_after_a_power_cut() {
    let base = MemoryDisk::new();
    claim_directory(&base, Path::new(DIRECTORY), "n", [7; 16]).expect("nobody's");
    let record = |disk: &MemoryDisk| record(disk, Some(mark(1)));
    record(&base).stopped_cleanly().expect("a healthy disk");
    // Also if the process died while it removed the file, and only the next one started.
    for operations in 1..10 {
        let disk = base.fork();
        disk.stop_after(operations);
        let _ = record(&disk).started();
        disk.kill();
        record(&disk).started().expect("a healthy disk");
        for seed in 0..32 {
            let disk = disk.fork();
            disk.crash(seed);
            assert_ne!(
                record(&disk).last_stop().expect("readable"),
                StopKind::Clean,
                "{operations}, {seed}"
            );
        }
    }
}

#[test]
fn the_running_system_has_a_mark_that_stays() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let now = BootMark::current(directory.path());
    assert_eq!(now, BootMark::current(directory.path()));
    if let Some(now) = now {
        assert_ne!(now.boot_id, [0; 16]);
        let record = StopRecord::new(Arc::new(RealDisk), directory.path(), Some(now));
        record.started().expect("a healthy disk");
        assert_eq!(record.last_stop().expect("readable"), StopKind::ProcessDied);
    }
    assert_eq!(BootMark::current(Path::new("/no/such/directory")), None);
}

#[test]
fn the_real_disk_zeroes_allocates_and_finds_data() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("file");
    assert!(
        matches!(RealDisk.open(&path), Err(error) if error.kind() == std::io::ErrorKind::NotFound)
    );
    let file = RealDisk.create(&path).expect("room");
    file.allocate(1 << 20).expect("room");
    assert_eq!(file.len().expect("its length"), 1 << 20);
    file.write_at(&[7; 10_000], 100_000).expect("room");
    let found = file.next_data(0).expect("searchable").expect("data");
    assert!(found <= 100_000);
    file.zero_range(101_000, 500_000).expect("zeroed");
    let mut bytes = vec![9; 20_000];
    assert_eq!(file.read_at(&mut bytes, 95_000).expect("readable"), 20_000);
    for (at, byte) in bytes.iter().enumerate() {
        assert_eq!(*byte, if (5_000..6_000).contains(&at) { 7 } else { 0 });
    }
    assert_eq!(
        file.read_at(&mut bytes, (1 << 20) - 10).expect("readable"),
        10
    );
    assert_eq!(file.next_data(1 << 20).expect("searchable"), None);
    assert!(file.is_linked().expect("its links"));
    RealDisk.unlink(&path).expect("its name");
    assert!(!file.is_linked().expect("its links"));
    file.sync_data().expect("synced");
    RealDisk.sync_dir(directory.path()).expect("synced");
}
