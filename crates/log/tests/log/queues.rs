//! Consume queues against a plain model.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use proptest::prelude::*;
use tern_log::{ConsumeQueues, Disk, LogError, QueueEntry, QueueLimits};
use tern_testdisk::{MemoryDisk, Operation};

use crate::support::disks;

const SMALL: QueueLimits = QueueLimits {
    tail_entries: 5,
    buffered_bytes: 600,
    held_bytes: 4000,
    open_files: 3,
    entries_per_file: 8,
};

fn entry(number: u64) -> QueueEntry {
    QueueEntry {
        physical_offset: 4160 + number * 310,
        size: 300 + number as u32 % 7,
        tags_code: (number as i64 - 3) * 1_000_003,
    }
}

fn queues(limits: QueueLimits) -> (MemoryDisk, ConsumeQueues) {
    let disk = MemoryDisk::new();
    let queues = ConsumeQueues::open(Arc::new(disk.clone()), "/data/n0/views/queues", limits)
        .expect("a new directory");
    (disk, queues)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn queues_answer_like_plain_lists(
        appends in prop::collection::vec((0_u32..3, 0_u32..3), 0..300),
        first in 0_u64..40,
        reads in prop::collection::vec((0_u32..3, 0_u32..3, 0_u64..120, 0_usize..40), 0..60),
        tail_entries in 1_usize..9,
        buffered_bytes in 0_usize..2000,
    ) {
        let limits = QueueLimits { tail_entries, buffered_bytes, ..SMALL };
        let (_disk, queues) = queues(limits);
        let mut model: HashMap<(u32, u32), Vec<QueueEntry>> = HashMap::new();
        for (number, (topic, queue)) in appends.into_iter().enumerate() {
            let list = model.entry((topic, queue)).or_default();
            let new = entry(number as u64);
            queues.append(topic, queue, first + list.len() as u64, new).expect("in order");
            list.push(new);
            prop_assert!(queues.buffered_bytes() <= buffered_bytes.max(9 * 20 * 9));
        }
        for (topic, queue, from, most) in reads {
            let list = model.get(&(topic, queue)).map_or(&[][..], Vec::as_slice);
            let expected = match from.checked_sub(first) {
                Some(at) if at < list.len() as u64 => &list[at as usize..list.len().min(at as usize + most)],
                _ => &[],
            };
            let mut found = vec![entry(999)];
            let count = queues.read(topic, queue, from, most, &mut found).expect("readable");
            prop_assert_eq!(count, expected.len());
            prop_assert_eq!(&found[1..], expected);
            let range = if list.is_empty() { (0, 0) } else { (first, first + list.len() as u64) };
            prop_assert_eq!(queues.range(topic, queue), range);
        }
    }

    #[test]
    fn a_queue_tells_from_memory_where_it_begins_and_where_its_messages_stand_at_the_latest(
        appends in prop::collection::vec(0_u32..3, 1..300),
        first in 0_u64..40,
    ) {
        let (disk, queues) = queues(SMALL);
        let mut model: HashMap<u32, Vec<QueueEntry>> = HashMap::new();
        for (number, queue) in appends.into_iter().enumerate() {
            let list = model.entry(queue).or_default();
            let new = entry(number as u64);
            queues.append(1, queue, first + list.len() as u64, new).expect("in order");
            list.push(new);
        }
        for (queue, list) in model {
            let bounds = queues.bounds(1, queue);
            prop_assert_eq!(bounds.first_position, list[0].physical_offset);
            for (offset, there) in (first..).zip(&list) {
                disk.fail_next(Operation::Read, "/views/queues/");
                let reads_file = queues.read(1, queue, offset, 1, &mut Vec::new()).is_err();
                disk.clear_failures();
                let latest = bounds.latest_position(offset);
                prop_assert_eq!(latest.is_some(), reads_file);
                prop_assert!(latest.is_none_or(|latest| latest >= there.physical_offset));
            }
            let in_files = (first..).zip(&list).take_while(|(offset, _)| bounds.latest_position(*offset).is_some());
            if let Some((offset, there)) = in_files.last() {
                prop_assert_eq!(bounds.latest_position(offset), Some(there.physical_offset));
            }
        }
    }

    #[test]
    fn search_by_time_finds_the_first_entry_at_or_after_it(
        steps in prop::collection::vec(0_u64..4, 0..200),
        timestamp_ms in 0_u64..500,
    ) {
        let (_disk, queues) = queues(SMALL);
        let mut times = Vec::new();
        let mut now = 10;
        for (number, step) in steps.iter().enumerate() {
            now += step;
            times.push(now);
            let new = QueueEntry { physical_offset: number as u64, size: 1, tags_code: 0 };
            queues.append(1, 2, number as u64, new).expect("in order");
        }
        let expected = times.iter().position(|time| *time >= timestamp_ms).unwrap_or(times.len());
        let store_time = |entry: &QueueEntry| Ok(times[entry.physical_offset as usize]);
        prop_assert_eq!(queues.first_stored_at(1, 2, timestamp_ms, store_time).expect("found"), expected as u64);
    }

    /// A leader's clock was ahead for a while, and what it stored then stands between what right clocks stamped.
    #[test]
    fn search_by_time_passes_over_nothing_where_times_fell_once(
        count in 1_usize..200,
        wrong in any::<[prop::sample::Index; 2]>(),
        ahead_ms in prop_oneof![60_000_u64..100_000, Just(31_536_000_000)],
        timestamp_ms in 0_u64..2_200,
    ) {
        let (_disk, queues) = queues(SMALL);
        let right = |number: usize| number as u64 * 10;
        let mut bounds = wrong.map(|at| at.index(count + 1));
        bounds.sort_unstable();
        let wrong = bounds[0]..bounds[1];
        for number in 0..count as u64 {
            let new = QueueEntry { physical_offset: number, size: 1, tags_code: 0 };
            queues.append(1, 2, number, new).expect("in order");
        }
        let time = |number: usize| right(number) + if wrong.contains(&number) { ahead_ms } else { 0 };
        let store_time = |entry: &QueueEntry| Ok(time(entry.physical_offset as usize));
        let found = queues.first_stored_at(1, 2, timestamp_ms, store_time).expect("found") as usize;
        let asked = (0..count).find(|number| !wrong.contains(number) && right(*number) >= timestamp_ms);
        prop_assert!(found <= asked.unwrap_or(count));
        prop_assert!(found == count || time(found) >= timestamp_ms);
        prop_assert!(found == 0 || time(found - 1) < timestamp_ms);
    }
}

#[test]
fn queues_work_on_every_disk_and_start_empty() {
    for (disk, directory, _guard) in disks() {
        let path = directory.join("views/queues");
        for _ in 0..2 {
            let queues = ConsumeQueues::open(disk.clone(), &path, SMALL).expect("a directory");
            assert_eq!(
                queues.range(70_000, 3),
                (0, 0),
                "whatever was there is gone"
            );
            for number in 0..100 {
                queues
                    .append(70_000, 3, number, entry(number))
                    .expect("in order");
            }
            let mut found = Vec::new();
            queues
                .read(70_000, 3, 10, 1000, &mut found)
                .expect("readable");
            assert_eq!(found, (10..100).map(entry).collect::<Vec<_>>());
        }
        let files = disk
            .list(&path.join("70000/3"))
            .expect("the queue's directory");
        assert_eq!(
            files.len(),
            12,
            "eight entries a file, the latest in memory"
        );
    }
}

#[test]
fn an_entry_out_of_turn_is_refused() {
    let (_disk, queues) = queues(SMALL);
    queues.append(1, 1, 0, entry(0)).expect("in order");
    for given in [0, 2] {
        let refused = queues.append(1, 1, given, entry(1));
        assert!(matches!(
            refused,
            Err(LogError::QueueOrder { expected: 1, .. })
        ));
    }
    queues.append(1, 1, 1, entry(1)).expect("in order");
}

#[test]
fn memory_stays_bounded_with_many_queues() {
    let limits = QueueLimits {
        tail_entries: 100,
        buffered_bytes: 64 << 10,
        held_bytes: 4000,
        open_files: 10,
        entries_per_file: 1000,
    };
    let (_disk, queues) = queues(limits);
    for number in 0..20 {
        for queue in 0..2000 {
            queues
                .append(queue / 8, queue % 8, number, entry(number))
                .expect("in order");
            // One shard of sixteen may be given back at a time.
            assert!(
                queues.buffered_bytes() < 80 << 10,
                "{}",
                queues.buffered_bytes()
            );
        }
    }
    let mut found = Vec::new();
    for queue in 0..2000 {
        found.clear();
        queues
            .read(queue / 8, queue % 8, 0, 100, &mut found)
            .expect("readable");
        assert_eq!(found, (0..20).map(entry).collect::<Vec<_>>());
    }
}

/// Every entry of queue 1 of topic 1.
fn all(queues: &ConsumeQueues) -> Vec<QueueEntry> {
    let mut found = Vec::new();
    queues.read(1, 1, 0, 10_000, &mut found).expect("readable");
    found
}

#[test]
fn entries_that_a_full_disk_does_not_take_are_held_and_read_and_written_when_there_is_room() {
    let (disk, queues) = queues(SMALL);
    disk.set_free_bytes(Some(0));
    for number in 0..40 {
        queues.make_room().expect("there is room in memory");
        queues
            .append(1, 1, number, entry(number))
            .expect("in order");
    }
    assert!(queues.holds());
    assert_eq!(all(&queues), (0..40).map(entry).collect::<Vec<_>>());
    disk.set_free_bytes(None);
    queues.make_room().expect("room again");
    assert!(!queues.holds());
    assert!(queues.buffered_bytes() <= SMALL.buffered_bytes);
    for number in 40..80 {
        queues
            .append(1, 1, number, entry(number))
            .expect("in order");
    }
    assert_eq!(all(&queues), (0..80).map(entry).collect::<Vec<_>>());
    disk.fail_next(Operation::Read, "/1/1/");
    let refused = queues.read(1, 1, 0, 100, &mut Vec::new());
    assert!(matches!(refused, Err(LogError::View { .. })));
}

#[test]
fn whoever_appends_has_to_wait_when_as_much_is_held_as_may_be() {
    let (disk, queues) = queues(SMALL);
    disk.set_free_bytes(Some(0));
    let mut number = 0;
    let refused = loop {
        match queues.make_room() {
            Ok(()) => {
                queues
                    .append(1, 1, number, entry(number))
                    .expect("in order");
                number += 1;
            }
            Err(error) => break error,
        }
        assert!(queues.buffered_bytes() <= 2 * SMALL.held_bytes);
    };
    assert!(matches!(&refused, LogError::View { .. }) && !refused.is_fatal());
    assert!(number * 20 >= SMALL.held_bytes as u64 / 2);
    assert!(queues.make_room().is_err(), "as long as it takes");
    disk.set_free_bytes(None);
    queues.make_room().expect("room again");
    assert_eq!(all(&queues), (0..number).map(entry).collect::<Vec<_>>());
}

#[test]
fn a_write_that_failed_for_another_reason_is_held_and_tried_again_too() {
    let (disk, queues) = queues(SMALL);
    disk.fail_next(Operation::Write, "/1/1/");
    for number in 0..20 {
        queues
            .append(1, 1, number, entry(number))
            .expect("in order");
    }
    assert!(queues.holds());
    queues.make_room().expect("it failed once");
    assert!(!queues.holds());
    assert_eq!(all(&queues), (0..20).map(entry).collect::<Vec<_>>());
}

#[test]
fn readers_beside_the_writer_see_every_entry_below_the_range() {
    let (_disk, queues) = queues(QueueLimits {
        open_files: 2,
        ..SMALL
    });
    let written = AtomicU64::new(0);
    let failed = AtomicBool::new(false);
    thread::scope(|scope| {
        for seed in 0..3_u64 {
            let (queues, written, failed) = (&queues, &written, &failed);
            scope.spawn(move || {
                let mut random = seed;
                let mut found = Vec::new();
                while written.load(Ordering::Acquire) < 20_000 && !failed.load(Ordering::Acquire) {
                    random = random
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1);
                    let queue = (random >> 60) as u32 % 4;
                    let (min, max) = queues.range(1, queue);
                    if max == min {
                        continue;
                    }
                    let from = min + (random >> 20) % (max - min);
                    found.clear();
                    let count = queues
                        .read(1, queue, from, 30, &mut found)
                        .expect("readable");
                    assert!(count as u64 >= 30.min(max - from));
                    assert!(
                        found
                            .iter()
                            .zip(from..)
                            .all(|(found, number)| *found == entry(number))
                    );
                }
            });
        }
        for number in 0..20_000_u64 {
            let added = queues.append(1, number as u32 % 4, number / 4, entry(number / 4));
            failed.store(added.is_err(), Ordering::Release);
            added.expect("in order");
            written.store(number + 1, Ordering::Release);
        }
    });
}

#[test]
fn a_directory_that_holds_other_things_is_emptied() {
    let disk = MemoryDisk::new();
    let path = Path::new("/views/queues");
    disk.create_dir(&path.join("1/2")).expect("a directory");
    disk.create(&path.join("1/2/file")).expect("room");
    disk.create(&path.join("stray")).expect("room");
    ConsumeQueues::open(Arc::new(disk.clone()), path, SMALL).expect("a directory");
    assert!(disk.list(path).expect("a directory").is_empty());
}

#[test]
fn the_queues_of_a_dropped_topic_are_gone_with_their_files_and_buffers() {
    let (disk, queues) = queues(SMALL);
    for number in 0..30 {
        for topic in [1, 2] {
            for queue in [0, 7] {
                queues
                    .append(topic, queue, number, entry(number))
                    .expect("in order");
            }
        }
    }
    let buffered = queues.buffered_bytes();
    queues.drop_topic(1).expect("the disk deletes");
    for queue in [0, 7] {
        let mut found = Vec::new();
        assert_eq!(queues.range(1, queue), (0, 0));
        assert_eq!(queues.read(1, queue, 0, 32, &mut found).expect("empty"), 0);
        assert_eq!(queues.range(2, queue), (0, 30));
        assert_eq!(queues.read(2, queue, 0, 32, &mut found).expect("kept"), 30);
    }
    assert_eq!(queues.buffered_bytes(), buffered / 2);
    let topics = disk
        .list(Path::new("/data/n0/views/queues"))
        .expect("the directory is there");
    assert_eq!(topics, ["2"]);
    queues.drop_topic(1).expect("nothing is left to delete");
    queues.drop_topic(9).expect("there never was one");
}

#[test]
fn a_file_for_which_there_is_no_descriptor_is_not_taken_for_a_damaged_one() {
    let (disk, queues) = queues(SMALL);
    for number in 0..100 {
        queues
            .append(1, 0, number, entry(number))
            .expect("in order");
    }
    // Others take the few handles that are kept open.
    for number in 0..100 {
        queues
            .append(2, 0, number, entry(number))
            .expect("in order");
    }
    disk.fail_next(Operation::Open, "/1/0/");
    let mut found = Vec::new();
    let refused = queues.read(1, 0, 0, 32, &mut found);
    assert!(matches!(refused, Err(LogError::View { .. })), "{refused:?}");
    assert!(!queues.has_damage());
    assert_eq!(queues.read(1, 0, 0, 8, &mut found).expect("kept"), 8);
}
