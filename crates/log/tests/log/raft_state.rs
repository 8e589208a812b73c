//! `raft.state`: term and vote survive every crash, and a damaged copy.

use std::path::Path;
use std::sync::Arc;

use tern_log::{Disk, LogError, RaftState, RaftStateFile};
use tern_testdisk::{MemoryDisk, Operation, PowerCut};

use crate::support::{DIRECTORY, GROUP};

const PATH: &str = "/data/n0/raft.state";

fn disk() -> MemoryDisk {
    let disk = MemoryDisk::new();
    disk.create_dir(Path::new(DIRECTORY)).expect("a directory");
    for directory in ["/", "/data"] {
        disk.sync_dir(Path::new(directory)).expect("a directory");
    }
    disk
}

fn state(term: u64) -> RaftState {
    RaftState {
        group_id: GROUP,
        own_id: 1 << 32 | 1,
        term,
        vote: term * 3,
        commit: term * 100,
        voters: (1..=term % 7).collect(),
        ..RaftState::default()
    }
}

fn load(disk: &MemoryDisk) -> Result<(RaftStateFile, Option<RaftState>), LogError> {
    RaftStateFile::load(Arc::new(disk.clone()), Path::new(DIRECTORY))
}

#[test]
fn what_was_stored_is_loaded_again() {
    let disk = disk();
    let (mut file, none) = load(&disk).expect("no file");
    assert_eq!(none, None);
    for term in 1..20 {
        file.store(&state(term)).expect("a healthy disk");
        assert_eq!(load(&disk).expect("readable").1, Some(state(term)));
    }
}

/// Whatever call of the disk is the last, and however its sectors tear: a store that has returned is never forgotten,
/// and none of its neighbours is mixed with it.
#[test]
fn a_crash_at_any_write_leaves_the_last_stored_state_or_the_one_being_stored() {
    for operations in 1.. {
        let base = disk();
        base.stop_after(operations);
        let mut stored = 0;
        let finished = load(&base)
            .and_then(|(mut file, _)| {
                for term in 1..=4 {
                    file.store(&state(term))?;
                    stored = term;
                }
                Ok(())
            })
            .is_ok();
        for seed in 0..64 {
            let disk = base.fork();
            if seed % 8 == 0 {
                disk.kill();
            } else {
                disk.power_cut(PowerCut {
                    seed,
                    tears_sectors: seed % 2 == 1,
                });
            }
            let (mut file, found) =
                load(&disk).unwrap_or_else(|error| panic!("{operations}, {seed}: {error}"));
            let term = found.as_ref().map_or(0, |found| found.term);
            assert!(
                term == stored || term == stored + 1,
                "{operations}, {seed}: {term}, stored {stored}"
            );
            if term > 0 {
                assert_eq!(found, Some(state(term)));
            }
            // What was loaded was relied on: after another cut it is there, and one copy may even rot.
            for offset in [0, 65536] {
                let again = disk.fork();
                again.crash(seed + 1);
                if term > 0 {
                    again
                        .damage(Path::new(PATH), offset + 50, 8)
                        .expect("raft.state");
                    assert_eq!(load(&again).expect("one good copy").1, Some(state(term)));
                }
            }
            file.store(&state(9)).expect("a healthy disk");
            assert_eq!(load(&disk).expect("readable").1, Some(state(9)));
        }
        if finished {
            assert!(operations > 15);
            return;
        }
    }
}

#[test]
fn one_rotten_copy_is_harmless_and_is_written_again() {
    for offset in [0, 65536] {
        let disk = disk();
        let (mut file, _) = load(&disk).expect("no file");
        for term in 1..4 {
            file.store(&state(term)).expect("a healthy disk");
        }
        let whole = disk.content(Path::new(PATH)).expect("raft.state");
        disk.damage(Path::new(PATH), offset + 2000, 1)
            .expect("raft.state");
        assert_eq!(load(&disk).expect("one good copy").1, Some(state(3)));
        assert_eq!(disk.content(Path::new(PATH)).expect("raft.state"), whole);
    }
}

#[test]
fn two_rotten_copies_are_an_error_of_their_own_and_never_term_zero() {
    let disk = disk();
    let (mut file, _) = load(&disk).expect("no file");
    file.store(&state(5)).expect("a healthy disk");
    for offset in [48, 65536 + 48] {
        disk.damage(Path::new(PATH), offset, 1).expect("raft.state");
    }
    assert!(matches!(
        load(&disk),
        Err(LogError::RaftStateUnreadable { .. })
    ));
    disk.cut_file(Path::new(PATH), 0).expect("raft.state");
    assert!(matches!(
        load(&disk),
        Err(LogError::RaftStateUnreadable { .. })
    ));
}

#[test]
fn after_a_failed_store_nothing_is_stored_any_more() {
    for operation in [Operation::Write, Operation::Sync] {
        let disk = disk();
        let (mut file, _) = load(&disk).expect("no file");
        file.store(&state(1)).expect("a healthy disk");
        disk.fail_next(operation, "raft.state");
        assert!(
            file.store(&state(2))
                .expect_err("an error of the disk")
                .is_fatal()
        );
        assert!(matches!(file.store(&state(2)), Err(LogError::Failed)));
        disk.crash(1);
        let term = load(&disk).expect("a good copy").1.expect("stored").term;
        assert!(term == 1 || term == 2);
    }
}

/// After a failed sync the kernel calls the lost page clean: what is read after that is in the page cache only.
#[test]
fn a_state_that_was_read_after_a_failed_sync_is_there_twice() {
    let base = disk();
    let (mut file, _) = load(&base).expect("no file");
    file.store(&state(1)).expect("a healthy disk");
    base.fail_next(Operation::Sync, "raft.state");
    assert!(file.store(&state(2)).is_err());
    base.kill();
    assert_eq!(load(&base).expect("readable").1, Some(state(2)));
    for offset in [0, 65536] {
        let disk = base.fork();
        disk.crash(1);
        disk.damage(Path::new(PATH), offset + 50, 8)
            .expect("raft.state");
        assert_eq!(load(&disk).expect("one good copy").1, Some(state(2)));
    }
}

#[test]
fn more_members_than_fit_are_refused_before_anything_is_written() {
    let disk = disk();
    let (mut file, _) = load(&disk).expect("no file");
    let mut many = state(1);
    many.voters = (0..500).collect();
    file.store(&many).expect("just fits");
    assert_eq!(load(&disk).expect("readable").1, Some(many.clone()));
    many.learners = vec![1];
    let before = disk.operations();
    assert!(matches!(
        file.store(&many),
        Err(LogError::TooManyMembers {
            count: 501,
            limit: 500
        })
    ));
    assert_eq!(disk.operations(), before);
    file.store(&state(2)).expect("still usable");
}
