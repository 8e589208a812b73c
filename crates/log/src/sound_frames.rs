//! Frames that were read from their files and found whole.

use std::collections::BTreeMap;

use parking_lot::Mutex;

/// Frames that are remembered.
const LIMIT: usize = 1_024;

/// The positions of such frames, so that the records of one cost one check. A reader moves on through the log, so those
/// that stand first are forgotten first.
#[derive(Debug, Default)]
pub struct SoundFrames {
    ends: Mutex<BTreeMap<u64, u64>>,
}

impl SoundFrames {
    /// Where the frame ends that holds a position, if it was found whole.
    pub fn end_of(&self, position: u64) -> Option<u64> {
        let ends = self.ends.lock();
        let (_, end) = ends.range(..=position).next_back()?;
        Some(*end).filter(|end| position < *end)
    }

    /// A frame was found whole.
    pub fn note(&self, start: u64, end: u64) {
        let mut ends = self.ends.lock();
        ends.insert(start, end);
        if ends.len() > LIMIT {
            ends.pop_first();
        }
    }

    /// What stood from a position on is replaced.
    pub fn cut(&self, position: u64) {
        self.ends.lock().retain(|_, end| *end <= position);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_known_from_its_first_byte_to_its_last() {
        let frames = SoundFrames::default();
        frames.note(100, 200);
        frames.note(300, 400);
        let known = [99, 100, 199, 200, 250, 300, 399, 400].map(|at| frames.end_of(at));
        let (one, two) = (Some(200), Some(400));
        assert_eq!(known, [None, one, one, None, None, two, two, None]);
        frames.cut(300);
        assert_eq!((frames.end_of(150), frames.end_of(350)), (one, None));
    }

    #[test]
    fn the_first_of_the_log_are_forgotten_first() {
        let frames = SoundFrames::default();
        for number in 0..LIMIT as u64 + 10 {
            frames.note(number * 10, number * 10 + 10);
        }
        assert_eq!(frames.end_of(99), None);
        assert_eq!(frames.end_of(100), Some(110));
        assert_eq!(frames.ends.lock().len(), LIMIT);
    }
}
