//! The key index against a plain list.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use proptest::prelude::*;
use tern_log::{Disk, KeyIndex, KeyLimits, LogError, NewestKey};
use tern_testdisk::{MemoryDisk, Operation};

use crate::support::disks;

const DIRECTORY: &str = "/data/n0/views/keys";
const SMALL: KeyLimits = KeyLimits {
    chunk_entries: 5,
    run_chunks: 2,
    full_chunks: 4,
    fan_in: 3,
    max_runs: 20,
};

fn index(limits: KeyLimits) -> (MemoryDisk, KeyIndex) {
    let disk = MemoryDisk::new();
    let index = KeyIndex::open(Arc::new(disk.clone()), DIRECTORY, limits).expect("a new directory");
    (disk, index)
}

fn files(disk: &MemoryDisk) -> Vec<PathBuf> {
    let names = disk.list(Path::new(DIRECTORY)).expect("a directory");
    names
        .iter()
        .map(|name| Path::new(DIRECTORY).join(name))
        .collect()
}

fn keep(index: &KeyIndex) {
    while index.merge_step().expect("room") {}
}

/// Key, time, offset of each message; what a search has to find.
fn expected(model: &[(u64, u64, u64)], key: u64, from: u64, to: u64, max: usize) -> Vec<u64> {
    let mut found: Vec<_> = model
        .iter()
        .filter(|(other, time, _)| *other == key && (from..=to).contains(time))
        .map(|(_, time, offset)| (*time, *offset))
        .collect();
    found.sort_unstable_by(|one, other| other.cmp(one));
    found.dedup();
    found.truncate(max);
    found.into_iter().map(|(_, offset)| offset).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn searches_find_what_a_plain_list_holds(
        // Key, step of time, whether the entry comes twice, whether the keeper works behind it.
        appends in prop::collection::vec((0_u64..6, 0_u64..4, prop::bool::weighted(0.1), prop::bool::weighted(0.2)), 0..900),
        searches in prop::collection::vec((0_u64..7, 0_u64..1500, 0_u64..1500, 0_usize..40), 1..40),
        chunk_entries in 1_usize..30,
        run_chunks in 1_usize..4,
        fan_in in 2_usize..5,
        max_runs in 0_usize..12,
    ) {
        let limits = KeyLimits { chunk_entries, run_chunks, full_chunks: 6, fan_in, max_runs };
        let (_disk, index) = index(limits);
        let (mut model, mut now) = (Vec::new(), 5);
        for (number, (key, step, twice, keeps)) in appends.into_iter().enumerate() {
            now += step;
            // Hashes at both ends of their range too.
            let message = (key.wrapping_sub(3), now, 1000 + number as u64 * 300);
            for _ in 0..=usize::from(twice) {
                index.append(message.0, message.2, message.1);
                model.push(message);
            }
            if keeps {
                keep(&index);
            }
        }
        for (key, from, to, max) in searches {
            let key = key.wrapping_sub(3);
            prop_assert_eq!(index.find(key, from, to, max).expect("readable"), expected(&model, key, from, to, max));
            let all = expected(&model, key, 0, u64::MAX, max);
            prop_assert_eq!(index.find(key, 0, u64::MAX, max).expect("readable"), all);
        }
        let newest = model.last().map(|(_, time, offset)| NewestKey { physical_offset: *offset, store_timestamp_ms: *time });
        prop_assert_eq!(index.newest(), newest);
    }

    #[test]
    fn entries_need_no_order(
        entries in prop::collection::vec((0_u64..4, 0_u64..300, 0_u64..50), 0..400),
        from in 0_u64..300,
        to in 0_u64..300,
    ) {
        let (_disk, index) = index(SMALL);
        for (key, time, offset) in &entries {
            index.append(*key, *offset, *time);
        }
        keep(&index);
        for key in 0..4 {
            prop_assert_eq!(index.find(key, from, to, 20).expect("readable"), expected(&entries, key, from, to, 20));
        }
    }
}

/// Long enough for blocks, merges of several levels, and a key that fills blocks of its own.
#[test]
fn long_runs_are_searched_in_every_block() {
    let limits = KeyLimits {
        chunk_entries: 500,
        run_chunks: 4,
        full_chunks: 8,
        fan_in: 4,
        max_runs: 16,
    };
    let (_disk, index) = index(limits);
    let key = |number: u64| match number % 3 {
        0 => 1 << 63,
        _ => number.wrapping_mul(0x9e37_79b9_7f4a_7c15),
    };
    for number in 0..100_000 {
        index.append(key(number), number * 100, 1_700_000_000_000 + number / 5);
        if number % 1000 == 0 {
            keep(&index);
        }
    }
    keep(&index);
    for number in (1..100_000).step_by(997).filter(|number| number % 3 != 0) {
        let found = index.find(key(number), 0, u64::MAX, 10).expect("readable");
        assert_eq!(found, [number * 100]);
    }
    let common: Vec<u64> = (0..100_000)
        .filter(|number| number % 3 == 0)
        .map(|number| number * 100)
        .rev()
        .collect();
    let found = index.find(1 << 63, 0, u64::MAX, 5000).expect("readable");
    assert_eq!(found, common[..5000]);
    let span = (1_700_000_000_000 + 7000, 1_700_000_000_000 + 7001);
    let found = index.find(1 << 63, span.0, span.1, 64).expect("readable");
    assert_eq!(found, [3_500_700, 3_500_400, 3_500_100]);
    assert!(index.find(5, 0, u64::MAX, 64).expect("readable").is_empty());
}

#[test]
fn an_index_works_on_every_disk_and_starts_empty() {
    for (disk, directory, _guard) in disks() {
        let path = directory.join("views/keys");
        for _ in 0..2 {
            let index = KeyIndex::open(disk.clone(), &path, SMALL).expect("a directory");
            // Made with the first run, as an empty one would take room.
            assert!(disk.list(&path).unwrap_or_default().is_empty());
            assert_eq!((index.newest(), index.stored()), (None, (0, 0)));
            for number in 0..100 {
                index.append(number % 2, number, number);
            }
            keep(&index);
            assert_eq!(
                index.find(1, 0, u64::MAX, 3).expect("readable"),
                [99, 97, 95]
            );
            assert!(!disk.list(&path).expect("a directory").is_empty());
        }
    }
}

#[test]
fn memory_is_bounded_whether_somebody_keeps_the_index_or_not() {
    let limits = KeyLimits {
        chunk_entries: 100,
        run_chunks: 4,
        full_chunks: 8,
        fan_in: 4,
        max_runs: 16,
    };
    let bound = (limits.full_chunks + 2) * limits.chunk_entries * 24;
    for keeps in [false, true] {
        let (_disk, index) = index(limits);
        for number in 0..100_000_u64 {
            index.append(number.wrapping_mul(0x9e37_79b9_7f4a_7c15), number, number);
            if keeps && number % 400 == 0 {
                keep(&index);
            }
            assert!(
                index.buffered_bytes() <= bound,
                "{}",
                index.buffered_bytes()
            );
        }
        assert!(index.is_whole());
        assert_eq!(index.find(0, 0, u64::MAX, 1).expect("readable"), [0]);
    }
}

#[test]
fn the_number_of_runs_grows_with_the_logarithm_of_the_entries() {
    let (disk, index) = index(SMALL);
    for number in 0..30_000_u64 {
        index.append(number.wrapping_mul(0x9e37_79b9_7f4a_7c15), number, number);
        if number % 10 == 0 {
            keep(&index);
        }
        // Runs of ten entries, merged by three: at most two of each level, and log3 of 3,000 is 7.3.
        assert!(index.stored().0 <= 16);
    }
    assert_eq!(
        files(&disk).len(),
        index.stored().0,
        "merged runs are deleted"
    );
}

#[test]
fn the_number_of_runs_is_bounded_when_nobody_keeps_the_index() {
    let (disk, index) = index(SMALL);
    let key = |number: u64| number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let total = 100_000_u64;
    let mut most = 0;
    for number in 0..total {
        index.append(key(number), number, number);
        most = most.max(index.stored().0);
    }
    // 10,000 runs of ten entries came, nine levels of three.
    let bound = SMALL.max_runs + 2 * SMALL.fan_in;
    assert!((SMALL.max_runs..=bound).contains(&most), "{most}");
    for number in (0..total).step_by(997) {
        let found = index.find(key(number), 0, u64::MAX, 5).expect("readable");
        assert_eq!(found, [number]);
    }
    // Those that merges under way are writing come on top, one of a level.
    assert!(files(&disk).len() <= most + 9);
    keep(&index);
    assert_eq!(files(&disk).len(), index.stored().0);
}

#[test]
fn runs_that_pile_up_while_the_disk_is_full_are_merged_when_it_has_room() {
    let (disk, index) = index(SMALL);
    let mut number = 0;
    let mut append = || {
        index.append(number, number, number);
        number += 1;
    };
    while index.stored().0 < SMALL.max_runs {
        append();
    }
    disk.set_free_bytes(Some(0));
    (0..SMALL.chunk_entries).for_each(|_| append());
    assert!(index.is_whole(), "what cannot be merged is not lost");
    disk.set_free_bytes(None);
    (0..500).for_each(|_| append());
    assert!(index.stored().0 <= SMALL.max_runs + 2 * SMALL.fan_in);
    for number in 0..number {
        let found = index.find(number, 0, u64::MAX, 5).expect("readable");
        assert_eq!(found, [number]);
    }
}

#[test]
fn equal_entries_are_stored_once() {
    let (_disk, index) = index(SMALL);
    for _ in 0..1000 {
        index.append(1, 2, 3);
    }
    keep(&index);
    let (runs, bytes) = index.stored();
    assert_eq!(bytes, runs as u64 * 4096);
    assert_eq!(index.find(1, 3, 3, 10).expect("readable"), [2]);
}

#[test]
fn damage_is_noticed_and_rebuilding_brings_everything_back() {
    let (disk, index) = index(SMALL);
    let fill = |upto: u64| (0..=upto).for_each(|number| index.append(7, number, number));
    fill(99);
    keep(&index);
    let found = index.find(7, 0, u64::MAX, 100).expect("readable");
    assert_eq!(found.len(), 100);
    for path in files(&disk) {
        disk.damage(&path, 100, 1).expect("a file");
    }
    let refused = index.find(7, 0, u64::MAX, 100);
    assert!(
        matches!(refused, Err(LogError::DamagedView { .. })),
        "{refused:?}"
    );
    assert!(index.needs_rebuild() && !index.is_whole());
    assert!(index.wait_for_work(), "a rebuild is work");

    let upto = index.begin_rebuild().expect("there were entries");
    assert_eq!(upto.physical_offset, 99);
    assert!(!index.is_whole() && !index.needs_rebuild());
    // New messages come while old ones are read again.
    index.append(7, 100, 100);
    fill(upto.physical_offset);
    index.end_rebuild(true);
    keep(&index);
    assert!(index.is_whole());
    let all: Vec<u64> = (0..=100).rev().collect();
    assert_eq!(index.find(7, 0, u64::MAX, 200).expect("readable"), all);
}

#[test]
fn damage_that_a_merge_meets_is_noticed_too() {
    let (disk, index) = index(SMALL);
    for number in 0..29 {
        index.append(7, number, number);
        if number % 10 == 9 {
            assert!(index.merge_step().expect("room"));
        }
    }
    disk.damage(&files(&disk)[0], 4094, 1).expect("a file");
    index.append(7, 29, 29);
    assert!(index.merge_step().expect("room"));
    assert!(matches!(
        index.merge_step(),
        Err(LogError::DamagedView { .. })
    ));
    assert!(index.needs_rebuild());
    assert_eq!(files(&disk).len(), 3, "the half-written run is gone");
}

#[test]
fn a_disk_that_is_full_for_a_while_costs_nothing_and_one_that_stays_full_a_rebuild() {
    let (disk, index) = index(SMALL);
    disk.set_free_bytes(Some(0));
    for number in 0..10 {
        index.append(1, number, number);
    }
    assert!(matches!(index.merge_step(), Err(LogError::View { .. })));
    assert!(index.is_whole() && files(&disk).is_empty());
    assert_eq!(index.find(1, 0, u64::MAX, 100).expect("readable").len(), 10);
    disk.set_free_bytes(None);
    assert!(index.merge_step().expect("room again"));

    disk.set_free_bytes(Some(0));
    for number in 10..1000 {
        index.append(1, number, number);
        assert!(index.buffered_bytes() <= 6 * 5 * 24);
    }
    assert!(index.needs_rebuild());
    disk.set_free_bytes(None);
    let upto = index
        .begin_rebuild()
        .expect("there were entries")
        .physical_offset;
    (0..=upto).for_each(|number| index.append(1, number, number));
    index.end_rebuild(true);
    assert_eq!(
        index.find(1, 0, u64::MAX, 2000).expect("readable").len(),
        1000
    );
}

#[test]
fn a_run_that_cannot_be_read_is_an_error_and_no_loss() {
    let (disk, index) = index(SMALL);
    for number in 0..10 {
        index.append(1, number, number);
    }
    keep(&index);
    disk.fail_next(Operation::Read, "/keys/");
    assert!(matches!(
        index.find(1, 0, u64::MAX, 100),
        Err(LogError::View { .. })
    ));
    assert!(index.is_whole());
    assert_eq!(index.find(1, 0, u64::MAX, 100).expect("readable").len(), 10);
}

#[test]
fn a_closed_index_ends_its_keeper() {
    let (_disk, index) = index(SMALL);
    thread::scope(|scope| {
        let keeper = scope.spawn(|| while index.wait_for_work() {});
        index.close();
        keeper.join().expect("it ends");
    });
    index.pause(Duration::from_secs(3600));
    index.append(1, 2, 3);
    assert_eq!(index.find(1, 0, 9, 9).expect("readable"), [2]);
}

#[test]
fn searches_beside_appends_and_merges_miss_nothing() {
    let (_disk, index) = index(KeyLimits {
        chunk_entries: 50,
        ..SMALL
    });
    let written = AtomicU64::new(0);
    let total = 60_000;
    thread::scope(|scope| {
        scope.spawn(|| {
            while index.wait_for_work() {
                keep(&index);
            }
        });
        let searchers: Vec<_> = (0..2_u64)
            .map(|key| {
                let (index, written) = (&index, &written);
                scope.spawn(move || {
                    loop {
                        let before = written.load(Ordering::Acquire);
                        let found = index.find(key, 0, u64::MAX, 7).expect("readable");
                        assert!(found.windows(2).all(|pair| pair[0] == pair[1] + 4));
                        let newest = found.first().map_or(0, |newest| newest + 4);
                        assert!(newest >= before.saturating_sub(4), "{newest} of {before}");
                        if before == total {
                            return;
                        }
                    }
                })
            })
            .collect();
        for number in 0..total {
            index.append(number % 4, number, number);
            written.store(number + 1, Ordering::Release);
        }
        for searcher in searchers {
            searcher.join().expect("it found everything");
        }
        index.close();
    });
}
