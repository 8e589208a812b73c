//! How much a decoder allocates: little for an honest send, and never much more than it was sent.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use bytes::{Bytes, BytesMut};
use tern_wire::headers::SendRequest;
use tern_wire::{
    Command, Fields, FrameLimits, HeaderEncoding, decode_frame, encode_frame, frame_length, record,
};

/// Counts what the current thread allocates.
struct CountingAllocator;

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
    static BYTES: Cell<usize> = const { Cell::new(0) };
}

fn note(bytes: usize) {
    let _ = COUNT.try_with(|count| count.set(count.get() + 1));
    let _ = BYTES.try_with(|total| total.set(total.get() + bytes));
}

// SAFETY: everything is passed on to the system's allocator as it came.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for CountingAllocator {
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
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// Allocations and bytes that `work` takes.
fn measure<T>(work: impl FnOnce() -> T) -> (usize, usize, T) {
    let before = (COUNT.get(), BYTES.get());
    let result = work();
    (COUNT.get() - before.0, BYTES.get() - before.1, result)
}

fn send(encoding: HeaderEncoding) -> Bytes {
    let properties =
        "UNIQ_KEY\u{1}C0A8000504D2251D3F4E6E5A1B2C0001\u{2}TAGS\u{1}TagA\u{2}WAIT\u{1}true\u{2}";
    let values = [
        "PG",
        "TopicTest",
        "TBW102",
        "4",
        "1",
        "0",
        "1700000000000",
        "0",
        properties,
        "0",
        "false",
        "false",
        "g",
    ];
    let keys = [
        "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "m", "n",
    ];
    let fields: Fields = keys.into_iter().zip(values).collect();
    let mut out = BytesMut::new();
    encode_frame(
        &Command {
            fields,
            encoding,
            ..Command::request(310, 2)
        }
        .with_body("hello"),
        &mut out,
    )
    .unwrap();
    // A connection's buffer is shared from the start, so that a slice of it costs no allocation.
    let _keep = out.split_to(4);
    out.freeze()
}

#[test]
fn a_send_is_decoded_with_one_allocation_in_both_forms() {
    for encoding in [HeaderEncoding::Json, HeaderEncoding::Binary] {
        let frame = send(encoding);
        let (count, bytes, command) =
            measure(|| decode_frame(frame.clone(), &FrameLimits::default()).unwrap());
        assert_eq!(count, 1, "{encoding:?}");
        assert!(bytes <= frame.len(), "{encoding:?}: {bytes}");
        let (count, _, header) = measure(|| SendRequest::decode(310, &command.fields).unwrap());
        assert_eq!((count, header.topic), (0, "TopicTest"), "{encoding:?}");
    }
}

#[test]
fn an_answer_is_encoded_into_a_buffer_with_room_without_allocation() {
    let command = decode_frame(send(HeaderEncoding::Json), &FrameLimits::default()).unwrap();
    for encoding in [HeaderEncoding::Json, HeaderEncoding::Binary] {
        let command = Command {
            encoding,
            ..command.clone()
        };
        let mut out = BytesMut::with_capacity(4096);
        let (count, _, result) = measure(|| encode_frame(&command, &mut out));
        assert_eq!((count, result), (0, Ok(())));
    }
}

#[test]
fn an_announced_length_allocates_nothing() {
    let (count, _, _) =
        measure(|| frame_length(0x00ff_fff0_u32.to_be_bytes(), &FrameLimits::default()));
    assert_eq!(count, 0);
    let bomb = [
        &[0x7f, 0xff, 0xff, 0xff, 0xda, 0xa3, 0x20, 0xa7][..],
        &[0x7f; 100],
    ]
    .concat();
    let (count, _, refused) = measure(|| record::Record::parse(&bomb).is_err());
    assert_eq!((count, refused), (0, true));
}

#[test]
fn no_frame_makes_the_decoder_allocate_more_than_four_times_its_size() {
    // A walk over damaged frames from one seed; what it finds is found every time.
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random % below as u64) as usize
    };
    let frames = [send(HeaderEncoding::Json), send(HeaderEncoding::Binary)];
    let interesting = [0, 1, 0x22, 0x5c, 0x7b, 0x7d, 0x7f, 0x80, 0xff];
    for round in 0..20_000 {
        let mut frame = frames[round % 2].to_vec();
        for _ in 0..=next(4) {
            let at = next(frame.len());
            frame[at] = interesting[next(interesting.len())];
        }
        let size = frame.len();
        let frame = Bytes::from(frame);
        let (_, bytes, _) = measure(|| decode_frame(frame, &FrameLimits::default()).is_ok());
        assert!(bytes <= 4 * size + 65_536, "{bytes} bytes for {size}");
    }
}
