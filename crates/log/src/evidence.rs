//! Torn or rotted: what the bytes of a bad frame say about how it came to be.
//!
//! A sector of a fresh segment reads as zeros until the device has written it. A share that is zero and not meant to
//! be is proof that the write never finished: the frame is *torn*, nothing that covers it was ever synced. Where
//! every share was written, the frame was whole once and is *rotted*.

use std::ops::Range;

use crate::header::{FRAME_HEADER_SIZE, FrameHeader};
use crate::planted::{Bug, is_planted};
use crate::segment::SEGMENT_HEADER_SIZE;
use crate::zero_map::{
    MAP_TAIL, SECTOR, intact_map, is_part_of_map, is_zero, map_range, numbers, zero_shares,
};

/// Whether a damaged frame header, 64 bytes at `position`, has a part that was never written.
pub fn header_is_torn(position: u64, header: &[u8]) -> bool {
    zero_shares(position, header).next().is_some()
}

/// Whether a frame with a right header and a wrong payload has a part that was never written.
pub fn frame_is_torn(header: &FrameHeader, frame: &[u8]) -> bool {
    let mut zero =
        zero_shares(header.position, frame).filter(|(_, range)| range.start >= FRAME_HEADER_SIZE);
    if !header.has_zero_map() || is_planted(Bug::ZeroMapIgnored) {
        return zero.next().is_some();
    }
    match intact_map(frame) {
        Some(map) => zero.any(|(number, _)| !numbers(frame, &map).any(|listed| listed == number)),
        None => zero.any(|(_, share)| belongs_to_map(frame, &share)),
    }
}

/// Whether a zero share lies in a damaged map. Without the map nothing is known of the other shares.
fn belongs_to_map(frame: &[u8], share: &Range<usize>) -> bool {
    match map_range(frame) {
        Some(map) if is_plausible(frame, &map) => {
            share.end > map.start && is_part_of_map(share, &map)
        }
        _ => share.end > frame.len() - MAP_TAIL,
    }
}

/// Whether the numbers of a damaged map that were written rise, as the builder writes them; a damaged count would
/// take a part of the content for the map.
fn is_plausible(frame: &[u8], map: &Range<usize>) -> bool {
    let written: Vec<u16> = numbers(frame, map).filter(|number| *number != 0).collect();
    written.is_sorted()
}

/// Whether a damaged segment header has a part that was never written. Only its first and last sector hold
/// anything but zeros.
pub fn segment_header_is_torn(header: &[u8]) -> bool {
    let sector = SECTOR as usize;
    is_zero(&header[..sector]) || is_zero(&header[SEGMENT_HEADER_SIZE as usize - sector..])
}
