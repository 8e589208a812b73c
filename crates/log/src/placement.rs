//! Where the next frame stands: a pure function, the same on every replica.

use crate::segment::SEGMENT_HEADER_SIZE;

/// The next multiple of 8.
pub const fn align8(length: u64) -> u64 {
    (length + 7) & !7
}

/// Where a frame of `length` bytes goes behind `end`, in segments of `segment` bytes.
///
/// `end` is a multiple of 8 and `align8(length) <= segment - 4096`. A frame never crosses a segment, and a
/// fresh segment starts behind its header.
pub const fn frame_position(end: u64, length: u64, segment: u64) -> u64 {
    let base = end - end % segment;
    let first = base + SEGMENT_HEADER_SIZE;
    let at = if end > first { end } else { first };
    if at + align8(length) <= base + segment {
        at
    } else {
        base + segment + SEGMENT_HEADER_SIZE
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_first_frame_stands_behind_the_segment_header() {
        assert_eq!(frame_position(0, 64, 1 << 20), 4096);
        assert_eq!(frame_position(1 << 20, 64, 1 << 20), (1 << 20) + 4096);
    }

    #[test]
    fn a_frame_that_just_fits_stays_and_one_byte_more_rolls() {
        let segment = 1 << 20;
        let end = segment - 128;
        assert_eq!(frame_position(end, 128, segment), end);
        assert_eq!(frame_position(end, 121, segment), end, "121 bytes take 128");
        assert_eq!(frame_position(end, 129, segment), segment + 4096);
    }

    proptest! {
        #[test]
        fn a_frame_never_crosses_a_segment_and_never_overlaps(
            segment_pages in 2_u64..64,
            base in 0_u64..1000,
            end8 in 0_u64..(64 * 512),
            length in 64_u64..(62 * 4096),
        ) {
            let segment = segment_pages * 4096;
            let length = length.min(segment - 4096);
            let end = base * segment + (end8 * 8) % segment;
            let at = frame_position(end, length, segment);
            prop_assert_eq!(at % 8, 0);
            prop_assert!(at >= end);
            prop_assert!(at % segment >= 4096);
            prop_assert_eq!(at / segment, (at + align8(length) - 1) / segment);
            // As near as it can be: either right at the end, or the rest of the segment was too small.
            let near = end.max(end - end % segment + 4096);
            prop_assert!(at == near || near % segment + align8(length) > segment);
            // A frame that was placed is where its successor's placement starts from.
            prop_assert!(frame_position(at + align8(length), 64, segment) >= at + align8(length));
        }
    }
}
