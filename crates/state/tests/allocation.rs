//! How much decoding a state allocates: in the order of its bytes, whatever the lengths in them say.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use tern_state::{
    CommitOffsets, FlushDiskType, FoundGroup, GroupFounding, LeaseTime, LockQueues, OffsetCommit,
    Op, PutGroup, PutTopic, State, TopicConfig,
};

/// Counts the bytes that the current thread allocates.
struct AllocationCounter;

thread_local! {
    static BYTES: Cell<usize> = const { Cell::new(0) };
}

fn note(bytes: usize) {
    let _ = BYTES.try_with(|total| total.set(total.get() + bytes));
}

// SAFETY: everything is passed on to the system's allocator as it came.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for AllocationCounter {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: the caller's promise about the layout is handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the pointer came from `alloc` above, with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size);
        // SAFETY: the pointer came from `alloc` above, with this layout.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: AllocationCounter = AllocationCounter;

/// Bytes that are allocated for one byte of a state of many small rows, at most: a table of one offset
/// a group is a tree a group.
const BYTES_A_BYTE: usize = 100;

/// Bytes that decoding allocates, and whether it succeeds.
fn allocated(bytes: &[u8]) -> (usize, bool) {
    let before = BYTES.get();
    let is_state = State::decode(bytes).is_ok();
    (BYTES.get() - before, is_state)
}

fn founding() -> Op {
    Op::FoundGroup(FoundGroup(GroupFounding {
        cluster: "c".into(),
        group: "b".into(),
        members: Vec::new(),
        segment_size: 64 << 20,
        flush: FlushDiskType::Sync,
        feature_level: 1,
        auto_create_topic: true,
        default_topic_queue_nums: 8,
        founded_at_ms: 1,
        directories: Vec::new(),
    }))
}

/// Groups with one offset and one lock each, and as many topics, every tenth with a record.
fn many_small_rows() -> Vec<u8> {
    let mut ops = vec![founding()];
    for number in 0..500 {
        let name = format!("{number}");
        ops.push(Op::PutTopic(PutTopic {
            changed_at_ms: 1,
            config: TopicConfig::new(&name, 1, 6),
        }));
        ops.push(Op::PutGroup(PutGroup {
            changed_at_ms: 1,
            config: tern_state::GroupConfig::new(&name),
        }));
        ops.push(Op::CommitOffsets(CommitOffsets(vec![OffsetCommit {
            group: name.as_str().into(),
            topic: "0".into(),
            queue_id: 0,
            offset: 0,
            explicit: false,
        }])));
        ops.push(Op::LockQueues(LockQueues {
            group: name.as_str().into(),
            client: "c".into(),
            at: LeaseTime {
                term: 1,
                since_ms: 1,
                now_ms: 1,
            },
            ttl_ms: 60_000,
            queues: vec![("0".into(), 0)],
        }));
    }
    let mut block = Vec::new();
    for op in &ops {
        op.encode(&mut block);
    }
    let mut state = State::new();
    state.apply_metadata(1, 1, &block).expect("good ops");
    for number in (0..500).step_by(10) {
        let topic = format!("{number}");
        state.apply_record(&topic, 0, 0).expect("the first record");
    }
    state.apply_metadata(2, 1, &[]).expect("no ops");
    state.encode()
}

#[test]
fn a_state_takes_memory_in_the_order_of_its_bytes() {
    let bytes = many_small_rows();
    let (taken, is_state) = allocated(&bytes);
    assert!(is_state);
    let factor = taken / bytes.len();
    assert!(factor < BYTES_A_BYTE, "{factor} bytes a byte");
}

#[test]
fn lengths_that_lie_cost_no_more_than_the_state_does() {
    let bytes = include_bytes!("golden/state.1.bin");
    let (honest, is_state) = allocated(bytes);
    assert!(is_state);
    for at in 0..bytes.len() - 4 {
        for lie in [0x7fff_ffff_u32, 0x00ff_ffff, 0xffff] {
            let mut bytes = bytes.to_vec();
            bytes[at..at + 4].copy_from_slice(&lie.to_be_bytes());
            let (taken, _) = allocated(&bytes);
            assert!(taken <= 2 * honest, "{lie:x} at {at}: {taken} of {honest}");
        }
    }
}
