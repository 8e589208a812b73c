//! How much of the log's files is reserved ahead of its end.
//!
//! A log that has little takes little: what is reserved grows with it, up to a whole spare segment. It never falls below what
//! ops are promised ([`Reserve`](crate::Reserve)) and the messages of one turn.

use crate::reserve::Reserve;
use crate::segment::SEGMENT_HEADER_SIZE;

const MIB: u64 = 1 << 20;

/// How much of one segment is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoomWanted {
    /// With less it is time to ask,
    pub least: u64,
    /// and for so much.
    pub length: u64,
}

/// What is wanted of the segment being written and of the next one; nothing of that where all fits into the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoomAhead {
    /// Of the segment being written.
    pub here: RoomWanted,
    /// Of the next one.
    pub next: Option<RoomWanted>,
}

/// Bytes that are reserved at a time. What is smaller is reserved whole.
const fn step(size: u64) -> u64 {
    let share = size / 16;
    let step = if share > 16 * MIB {
        16 * MIB
    } else if share < MIB {
        MIB
    } else {
        share
    };
    if step < size { step } else { size }
}

/// Whole steps of a segment.
pub const fn in_steps(size: u64, length: u64) -> u64 {
    let steps = length.div_ceil(step(size)) * step(size);
    if steps < size { steps } else { size }
}

impl RoomAhead {
    /// For a log that ends at `end`, at `offset` in its segment, where a proposal of `waiting` bytes is to find room.
    pub fn of(size: u64, end: u64, offset: u64, waiting: u64) -> Self {
        let kept = Reserve::of_segment(size).ops;
        let ahead = (end / 4).clamp(step(size), size);
        let (least, most) = (kept + waiting.max(ahead / 2), kept + waiting.max(ahead));
        let wanted = |from: u64| {
            let least = in_steps(size, from + least);
            let length = in_steps(size, from - from % step(size) + most);
            RoomWanted {
                least,
                length: length.max(least),
            }
        };
        if offset + most <= size {
            return Self {
                here: wanted(offset),
                next: None,
            };
        }
        // Before the next one is begun, this one has its whole length.
        let whole = RoomWanted {
            least: size,
            length: size,
        };
        Self {
            here: whole,
            next: Some(wanted(SEGMENT_HEADER_SIZE)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SIZE: u64 = 64 * MIB;

    #[test]
    fn an_empty_log_takes_what_ops_are_promised_and_a_step() {
        let room = RoomAhead::of(SIZE, 0, 0, 0);
        assert_eq!((room.here.length, room.next), (12 * MIB, None));
        let room = RoomAhead::of(1 << 30, 0, 0, 0);
        assert_eq!((room.here.length, room.next), (80 * MIB, None));
    }

    #[test]
    fn a_long_log_has_a_whole_spare_segment_and_so_has_one_of_small_segments() {
        let room = RoomAhead::of(SIZE, 4 * SIZE + 5000, 5000, 0);
        assert_eq!(room.here.length, SIZE);
        assert_eq!(room.next.map(|next| next.length), Some(SIZE));
        let room = RoomAhead::of(MIB, 5000, 5000, 0);
        assert_eq!(room.here.least, MIB);
        assert_eq!(room.next.map(|next| next.least), Some(MIB));
    }

    proptest! {
        #[test]
        fn what_waits_finds_room_in_front_of_what_ops_are_promised(
            segments in 0_u64..8,
            offset in SEGMENT_HEADER_SIZE..SIZE,
            waiting in 0_u64..8 * MIB,
        ) {
            let kept = Reserve::of_segment(SIZE).ops;
            let room = RoomAhead::of(SIZE, segments * SIZE + offset, offset, waiting);
            prop_assert!(room.here.least <= room.here.length && room.here.length <= SIZE);
            match room.next {
                None => prop_assert!(room.here.least >= offset + kept + waiting),
                Some(next) => {
                    prop_assert!(room.here.least == SIZE && next.length <= SIZE);
                    prop_assert!(next.least >= SEGMENT_HEADER_SIZE + kept + waiting);
                }
            }
        }
    }
}
