//! The zero map: which parts of a frame are meant to be zero.
//!
//! A frame's *share* is its bytes within one 512-byte sector of the file, the unit in which a device writes. A fresh
//! segment reads as zeros, so a share that is all zero was never written, unless its content is zeros. A frame with
//! such content ends with this map; without one, a zero share is proof of an unwritten sector.
//!
//! ```text
//! 2 each  sector numbers, counted from the sector that holds the frame's first byte
//! 2       count of the numbers
//! 4       CRC32C of numbers and count
//! ```
//!
//! The number 0xFFFF names no sector: it is filler. The builder adds it where the end of the map would itself
//! be a zero share, and where a map is needed for the length alone (see [`crate::FrameDraft::seal`]).

use std::ops::Range;

use crate::header::FRAME_HEADER_SIZE;

/// The unit in which a device writes.
pub const SECTOR: u64 = 512;

const FILLER: u16 = u16::MAX;
/// Bytes of a map behind the numbers.
pub const MAP_TAIL: usize = 6;

/// More bytes than the map of a frame with so much content can have: a number for each share of content and map, some
/// fillers, and the tail.
pub const fn longest_map(content: usize) -> usize {
    2 * (content / SECTOR as usize + 64) + MAP_TAIL + content / 16_384
}

/// The shares of a frame: sector number and range of bytes within the frame.
pub fn shares(position: u64, length: usize) -> impl Iterator<Item = (u16, Range<usize>)> {
    let first = position / SECTOR;
    let last = (position + length.max(1) as u64 - 1) / SECTOR;
    (first..=last).map(move |sector| {
        let start = (sector * SECTOR).saturating_sub(position) as usize;
        let end = ((sector + 1) * SECTOR - position) as usize;
        ((sector - first) as u16, start..end.min(length))
    })
}

/// Whether bytes are all zero.
pub fn is_zero(bytes: &[u8]) -> bool {
    // In pieces, because a loop without an early end runs many bytes at a time.
    bytes
        .chunks(64)
        .all(|piece| piece.iter().fold(0, |seen, byte| seen | byte) == 0)
}

/// The shares of a frame that are all zero.
pub fn zero_shares(position: u64, frame: &[u8]) -> impl Iterator<Item = (u16, Range<usize>)> {
    shares(position, frame.len()).filter(|(_, range)| is_zero(&frame[range.clone()]))
}

/// Zero shares behind the header. The builder runs before the header exists, and a share that holds a part of
/// it is never zero.
fn zero_payload_shares(position: u64, frame: &[u8]) -> impl Iterator<Item = (u16, Range<usize>)> {
    zero_shares(position, frame).filter(|(_, range)| range.start >= FRAME_HEADER_SIZE)
}

/// Appends a map to a frame (room for the header, then content) that is to stand at `position`, if it needs one or
/// if `least` asks for one of so many bytes. Answers whether there is a map.
pub fn append_map(frame: &mut Vec<u8>, position: u64, least: usize) -> bool {
    let content = frame.len();
    let listed: Vec<u16> = zero_payload_shares(position, frame)
        .map(|(number, _)| number)
        .collect();
    if listed.is_empty() && least == 0 {
        return false;
    }
    let mut fillers = least
        .saturating_sub(MAP_TAIL + 2 * listed.len())
        .div_ceil(2);
    loop {
        write_map(frame, content, &listed, fillers);
        // A share that holds a whole number is not zero; the last one may hold a part of the CRC alone, and be zero.
        // Listing it would change the CRC, so a filler does that.
        if zero_payload_shares(position, frame).all(|(number, _)| listed.contains(&number)) {
            return true;
        }
        fillers += 1;
    }
}

fn write_map(frame: &mut Vec<u8>, content: usize, listed: &[u16], fillers: usize) {
    frame.truncate(content);
    for number in listed {
        frame.extend_from_slice(&number.to_be_bytes());
    }
    for _ in 0..fillers {
        frame.extend_from_slice(&FILLER.to_be_bytes());
    }
    frame.extend_from_slice(&((listed.len() + fillers) as u16).to_be_bytes());
    let crc = crc32c::crc32c(&frame[content..]);
    frame.extend_from_slice(&crc.to_be_bytes());
}

/// Where the map of a flagged frame lies by its own count, intact or not; none if the count cannot be true.
pub fn map_range(frame: &[u8]) -> Option<Range<usize>> {
    let tail = frame.len().checked_sub(MAP_TAIL)?;
    let count = u16::from_be_bytes([frame[tail], frame[tail + 1]]);
    let start = tail.checked_sub(2 * usize::from(count))?;
    (count > 0 && start >= FRAME_HEADER_SIZE).then_some(start..frame.len())
}

/// The map of a flagged frame if its CRC holds.
pub fn intact_map(frame: &[u8]) -> Option<Range<usize>> {
    let range = map_range(frame)?;
    let crc = frame.len() - 4;
    let stored = u32::from_be_bytes(frame[crc..].try_into().ok()?);
    (crc32c::crc32c(&frame[range.start..crc]) == stored).then_some(range)
}

/// The sector numbers of a map.
pub fn numbers(frame: &[u8], map: &Range<usize>) -> impl Iterator<Item = u16> {
    frame[map.start..map.end - MAP_TAIL]
        .chunks_exact(2)
        .map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
}

/// Whether a zero share proves that a part of the map was never written: it holds the end of the map, or a whole
/// sector number, and neither is ever zero.
pub fn is_part_of_map(share: &Range<usize>, map: &Range<usize>) -> bool {
    let tail = map.end - MAP_TAIL;
    if share.end > tail {
        return true;
    }
    let start = share.start.max(map.start);
    let whole = map.start + (start - map.start).next_multiple_of(2);
    whole + 2 <= share.end
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame_with(content: &[u8]) -> Vec<u8> {
        let mut frame = vec![0xEE; FRAME_HEADER_SIZE];
        frame.extend_from_slice(content);
        frame
    }

    #[test]
    fn shares_are_cut_at_sectors_of_the_file() {
        let cut: Vec<_> = shares(4096 + 500, 600).collect();
        assert_eq!(cut, vec![(0, 0..12), (1, 12..524), (2, 524..600)]);
        assert_eq!(shares(8192, 512).collect::<Vec<_>>(), vec![(0, 0..512)]);
    }

    #[test]
    fn content_without_a_zero_share_needs_no_map() {
        let mut frame = frame_with(&[7; 2000]);
        assert!(!append_map(&mut frame, 4096, 0));
        assert_eq!(frame.len(), 2064);
    }

    #[test]
    fn a_map_lists_exactly_the_zero_shares() {
        let mut content = vec![1; 4096];
        content[600..2500].fill(0);
        let mut frame = frame_with(&content);
        assert!(append_map(&mut frame, 4096, 0));
        let map = intact_map(&frame).expect("intact");
        // Content byte 600 is frame byte 664: sectors 2, 3 and 4 are zero, 1 and 5 only in part.
        assert_eq!(numbers(&frame, &map).collect::<Vec<_>>(), vec![2, 3, 4]);
        assert_eq!(&frame[map.start..map.start + 8], &[0, 2, 0, 3, 0, 4, 0, 3]);
    }

    #[test]
    fn a_map_of_a_wanted_size_is_filled_with_a_number_that_names_no_sector() {
        let mut frame = frame_with(&[7; 100]);
        assert!(append_map(&mut frame, 4096, 9));
        let map = intact_map(&frame).expect("intact");
        assert_eq!(map.len(), 10);
        assert!(numbers(&frame, &map).all(|number| number == FILLER));
    }

    /// The map's CRC is as good as random, so among so many maps some end in a share that is zero by chance.
    #[test]
    fn a_map_whose_end_would_be_a_zero_share_gets_a_filler() {
        let mut filled = 0;
        for start in 1..60 {
            for count in 1..60 {
                // The last byte of the map is alone in its sector.
                let end = (start + count + 4) * 512 + 1;
                let content = end - FRAME_HEADER_SIZE - MAP_TAIL - 2 * count;
                let mut bytes = vec![1; content];
                bytes[start * 512 - FRAME_HEADER_SIZE..][..count * 512].fill(0);
                let mut frame = frame_with(&bytes);
                assert!(append_map(&mut frame, 4096, 0));
                let map = intact_map(&frame).expect("intact");
                let listed: Vec<u16> = numbers(&frame, &map)
                    .filter(|number| *number != FILLER)
                    .collect();
                assert_eq!(
                    listed,
                    (start as u16..(start + count) as u16).collect::<Vec<_>>()
                );
                assert!(zero_shares(4096, &frame).all(|(number, _)| listed.contains(&number)));
                filled += usize::from(frame.len() > end);
            }
        }
        assert!(filled > 0);
    }

    proptest! {
        /// The one claim that recovery rests on: in a finished frame a zero share is listed.
        #[test]
        fn every_zero_share_of_a_finished_frame_is_listed(
            unit in 0_u64..64,
            runs in prop::collection::vec((0_u8..3, 1_usize..900), 0..12),
        ) {
            let position = 4096 + unit * 8;
            let mut content = Vec::new();
            for (kind, length) in runs {
                content.resize(content.len() + length, kind.saturating_sub(1));
            }
            let mut frame = frame_with(&content);
            let mapped = append_map(&mut frame, position, 0);
            let listed: Vec<u16> = intact_map(&frame)
                .filter(|_| mapped)
                .map(|map| numbers(&frame, &map).collect())
                .unwrap_or_default();
            prop_assert_eq!(mapped, !listed.is_empty());
            for (number, range) in zero_shares(position, &frame) {
                prop_assert!(listed.contains(&number), "{} {:?}", number, range);
                if mapped {
                    let map = intact_map(&frame).expect("intact");
                    prop_assert!(!(range.end > map.start && is_part_of_map(&range, &map)));
                }
            }
        }

        #[test]
        fn arbitrary_bytes_never_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Some(map) = map_range(&bytes) {
                let _ = numbers(&bytes, &map).count();
            }
            let _ = intact_map(&bytes);
        }
    }
}
