//! From drafts to frames: what sealing promises for every content and every end.

use proptest::prelude::*;
use tern_log::{
    Fault, Frame, FrameDraft, FrameKind, LogEnd, LogError, MAX_AHEAD_MS, frame_position,
};
use tern_wire::record::{Record, iter};

use crate::support::{draft, record};

const SEGMENT: u64 = 64 << 10;

fn end_at(position: u64) -> LogEnd {
    LogEnd {
        position,
        index: 41,
        term: 3,
        header_crc: 0x0BAD_CAFE,
        store_timestamp_ms: 5_000,
    }
}

/// Bodies with long runs of zeros, so that many frames need a map.
fn bodies() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let runs = prop::collection::vec(
        (
            prop_oneof![3 => Just(0_u8), 1 => any::<u8>()],
            1_usize..1500,
        ),
        0..6,
    );
    let body = runs.prop_map(|runs| {
        let mut body = Vec::new();
        for (byte, length) in runs {
            body.resize(body.len() + length, byte);
        }
        body
    });
    prop::collection::vec(body, 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_sealed_frame_parses_to_itself_and_follows_its_end(
        bodies in bodies(),
        end8 in 0_u64..(SEGMENT / 8),
        metadata in prop::collection::vec(any::<u8>(), 0..600),
        durable in any::<bool>(),
    ) {
        let mut draft = draft(&bodies.iter().map(Vec::as_slice).collect::<Vec<_>>());
        draft.metadata = metadata.clone();
        draft.flags = u8::from(durable);
        let end = end_at(3 * SEGMENT + end8 * 8);
        let frame = draft.seal(&end, 4, 6_000, SEGMENT).expect("a good draft");
        prop_assert_eq!(&Frame::parse(frame.bytes.clone()).expect("own bytes"), &frame);
        prop_assert_eq!(frame.header.follows(&end, SEGMENT), Ok(()));
        prop_assert_eq!(frame.metadata(), &metadata[..]);
        prop_assert_eq!(frame.header.is_durable(), durable);
        let mut at = frame.records_position();
        for (found, (queue_offset, body)) in iter(frame.records()).zip(bodies.iter().enumerate()) {
            let found = found.expect("a record");
            prop_assert_eq!(found.body(), &body[..]);
            prop_assert_eq!(found.queue_offset(), queue_offset as u64);
            prop_assert_eq!(found.physical_offset(), at);
            prop_assert_eq!(found.store_timestamp_ms(), 6_000);
            at += found.size() as u64;
        }
    }

    #[test]
    fn arbitrary_bytes_are_never_a_frame_and_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Frame::parse(bytes.into()).is_err());
    }

    #[test]
    fn no_single_bit_of_a_frame_can_change(
        bodies in bodies(),
        at in any::<prop::sample::Index>(),
        bit in 0_u8..8,
    ) {
        let draft = draft(&bodies.iter().map(Vec::as_slice).collect::<Vec<_>>());
        let frame = draft.seal(&LogEnd::default(), 1, 1, SEGMENT).expect("a good draft");
        let mut bytes = frame.bytes.to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(Frame::parse(bytes.into()).is_err());
    }
}

/// The map depends on the place, and the place on the map's length; near the end of a segment they could go round in
/// a circle: with the map the frame does not fit, and in the next segment it needs no map, so that it would fit.
#[test]
fn a_frame_that_rolls_only_because_of_its_map_stands_at_its_place() {
    let mut rolled = 0;
    let mut filled = 0;
    for before in (0..512).step_by(11) {
        for behind in (1..512).step_by(11) {
            let mut body = vec![1; before];
            body.resize(before + 700, 0);
            body.resize(before + 700 + behind, 1);
            let draft = draft(&[&body]);
            let end = end_at(3 * SEGMENT + (SEGMENT - draft.length() as u64) / 8 * 8);
            let frame = draft.seal(&end, 4, 6_000, SEGMENT).expect("a good draft");
            assert_eq!(
                frame.header.follows(&end, SEGMENT),
                Ok(()),
                "{before} {behind}"
            );
            assert_eq!(Frame::parse(frame.bytes.clone()).expect("own bytes"), frame);
            if frame.header.position != end.position {
                rolled += 1;
                let last_number = frame.bytes.len() - 8;
                filled += usize::from(frame.bytes[last_number..][..2] == [0xFF, 0xFF]);
            }
        }
    }
    assert!(
        rolled > 500 && filled > 50,
        "{rolled} rolled, {filled} of them with filler"
    );
}

#[test]
fn the_store_timestamp_does_not_go_back_where_clocks_differ_a_little() {
    let end = end_at(4096 * 20);
    let seal = |wall| {
        draft(&[b"x"])
            .seal(&end, 3, wall, SEGMENT)
            .expect("a good draft")
    };
    assert_eq!(seal(4_999).header.store_timestamp_ms, 5_000);
    assert_eq!(seal(5_001).header.store_timestamp_ms, 5_001);
    let frame = seal(4_999);
    let stored = Record::parse(frame.records())
        .expect("a record")
        .store_timestamp_ms();
    assert_eq!(stored, 5_000);
}

/// A clock that was a year ahead for a moment does not stamp everything that comes after it.
#[test]
fn the_store_timestamp_is_never_more_than_a_minute_ahead_of_the_leaders_clock() {
    const YEAR_MS: u64 = 31_536_000_000;
    let now_ms = 1_800_000_000_000;
    for (ahead_ms, stamped_ms) in [
        (0, now_ms),
        (MAX_AHEAD_MS, now_ms + MAX_AHEAD_MS),
        (MAX_AHEAD_MS + 1, now_ms),
        (YEAR_MS, now_ms),
        (u64::MAX - now_ms, now_ms),
    ] {
        let end = LogEnd {
            store_timestamp_ms: now_ms + ahead_ms,
            ..end_at(4096 * 20)
        };
        let frame = draft(&[b"x"])
            .seal(&end, 3, now_ms, SEGMENT)
            .expect("a good draft");
        let record = Record::parse(frame.records()).expect("a record");
        let stamps = (
            frame.header.store_timestamp_ms,
            record.store_timestamp_ms(),
            frame.end().store_timestamp_ms,
        );
        assert_eq!(stamps, (stamped_ms, stamped_ms.cast_signed(), stamped_ms));
        assert_eq!(frame.header.follows(&end, SEGMENT), Ok(()));
    }
}

#[test]
fn a_record_by_the_clock_does_not_take_the_timestamp_of_the_log() {
    let mut draft = draft(&[b"a", b"b", b"c"]);
    draft.by_clock = vec![1];
    let frame = draft
        .seal(&end_at(8192), 3, 4_000, SEGMENT)
        .expect("a good draft");
    assert_eq!(frame.header.store_timestamp_ms, 5_000);
    let stored: Vec<_> = iter(frame.records())
        .map(|record| record.expect("a record").store_timestamp_ms())
        .collect();
    assert_eq!(stored, [5_000, 4_000, 5_000]);
    for beyond in [vec![3], vec![1, 1], vec![2, 0]] {
        draft.by_clock = beyond;
        let sealed = draft.seal(&end_at(8192), 3, 4_000, SEGMENT);
        assert!(matches!(sealed, Err(LogError::BadDraft { .. })));
    }
    draft.clear();
    assert!(draft.by_clock.is_empty());
}

#[test]
fn a_draft_may_be_sealed_again_and_gives_the_same_bytes() {
    let draft = draft(&[b"a", b"b"]);
    let end = end_at(8192);
    let once = draft.seal(&end, 3, 6_000, SEGMENT).expect("a good draft");
    let twice = draft.seal(&end, 3, 6_000, SEGMENT).expect("a good draft");
    assert_eq!(once, twice);
}

#[test]
fn drafts_that_contradict_themselves_are_refused() {
    let good = draft(&[b"a"]);
    let mut bad = vec![FrameDraft::default(); 1];
    let mut change = |work: &dyn Fn(&mut FrameDraft)| {
        let mut draft = good.clone();
        work(&mut draft);
        bad.push(draft);
    };
    change(&|draft| draft.records.push(0));
    change(&|draft| draft.queue_offsets.clear());
    change(&|draft| draft.flags = 2);
    change(&|draft| draft.kind = FrameKind::NoOp);
    change(&|draft| draft.kind = FrameKind::Membership);
    change(&|draft| {
        draft.records.truncate(20);
        draft.record_sizes = vec![20];
    });
    for draft in bad {
        let sealed = draft.seal(&end_at(8192), 3, 1, SEGMENT);
        assert!(
            matches!(sealed, Err(LogError::BadDraft { .. })),
            "{draft:?}"
        );
    }
    let falling = good.seal(&end_at(8192), 2, 1, SEGMENT);
    assert!(matches!(falling, Err(LogError::BadDraft { .. })));
}

#[test]
fn a_frame_is_as_long_as_a_segment_allows_and_no_longer() {
    let overhead = 64 + record(b"").len();
    let longest = vec![1; SEGMENT as usize - 4096 - overhead];
    let frame = draft(&[&longest])
        .seal(&LogEnd::default(), 1, 1, SEGMENT)
        .expect("just fits");
    assert_eq!(frame.header.position, 4096);
    assert_eq!(frame.header.end_position(), SEGMENT);
    let longer = vec![1; longest.len() + 1];
    let refused = draft(&[&longer]).seal(&LogEnd::default(), 1, 1, SEGMENT);
    assert!(matches!(refused, Err(LogError::TooLarge { .. })));
    let format = draft(&[&vec![1; 8 << 20]]).seal(&LogEnd::default(), 1, 1, 1 << 30);
    assert!(matches!(
        format,
        Err(LogError::TooLarge {
            limit: 8_388_608,
            ..
        })
    ));
}

#[test]
fn a_frame_that_does_not_continue_a_log_is_refused_for_the_first_reason() {
    let end = end_at(8192);
    let frame = draft(&[b"x"])
        .seal(&end, 3, 1, SEGMENT)
        .expect("a good draft");
    let follows = |change: &dyn Fn(&mut LogEnd)| {
        let mut other = end;
        change(&mut other);
        frame.header.follows(&other, SEGMENT)
    };
    assert_eq!(follows(&|_| {}), Ok(()));
    assert_eq!(follows(&|end| end.position += 8), Err(Fault::Placement));
    assert_eq!(follows(&|end| end.header_crc ^= 1), Err(Fault::Chain));
    assert_eq!(follows(&|end| end.index += 1), Err(Fault::Index));
    assert_eq!(follows(&|end| end.term = 4), Err(Fault::Term));
    assert_eq!(
        frame_position(end.position, u64::from(frame.header.total_length), SEGMENT),
        8192
    );
}
