//! Frames that were read from their files and found whole.

use std::collections::BTreeMap;
use std::ops::Range;

use parking_lot::Mutex;

/// After so many bytes have been found whole, all is forgotten: a frame may rot when the kernel no longer holds its pages.
const LIMIT: u64 = 256 << 20;

/// The positions of such frames, so that the records of one cost one check, whoever reads them. Frames that stand one
/// behind the other are one run: a reader that moves on through the log adds to its run.
#[derive(Debug, Default)]
pub struct SoundFrames {
    runs: Mutex<Runs>,
}

#[derive(Debug, Default)]
struct Runs {
    by_start: BTreeMap<u64, Run>,
    bytes: u64,
}

#[derive(Debug, Clone, Copy)]
struct Run {
    end: u64,
    /// Index of its last frame.
    index: u64,
}

impl SoundFrames {
    /// The positions of the run that holds one.
    pub fn around(&self, position: u64) -> Option<Range<u64>> {
        let runs = self.runs.lock();
        let (start, run) = runs.by_start.range(..=position).next_back()?;
        (position < run.end).then_some(*start..run.end)
    }

    /// Where the run ends that stands last before a position, and the index of its last frame.
    pub fn last_before(&self, position: u64) -> Option<(u64, u64)> {
        let runs = self.runs.lock();
        let (_, run) = runs.by_start.range(..=position).next_back()?;
        Some((run.end, run.index)).filter(|(end, _)| *end <= position)
    }

    /// A frame was found whole.
    pub fn note(&self, positions: Range<u64>, index: u64) {
        let mut runs = self.runs.lock();
        let Range { start, end } = positions;
        runs.bytes += end - start;
        if runs.bytes > LIMIT {
            *runs = Runs::default();
        }
        let run = Run { end, index };
        let before = runs.by_start.range_mut(..=start).next_back();
        match before {
            Some((_, before)) if before.end > start => {}
            Some((_, before)) if before.end == start => *before = run,
            _ => {
                runs.by_start.insert(start, run);
            }
        }
    }

    /// What stood from a position on is replaced. Runs that reach beyond it are forgotten as a whole.
    pub fn cut(&self, position: u64) {
        let mut runs = self.runs.lock();
        runs.by_start.retain(|_, run| run.end <= position);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_one_behind_the_other_are_one_run() {
        let frames = SoundFrames::default();
        frames.note(100..200, 7);
        frames.note(300..400, 9);
        let known = [99, 100, 199, 200, 250, 300, 399, 400].map(|at| frames.around(at));
        let (one, two) = (Some(100..200), Some(300..400));
        let expected = [
            None,
            one.clone(),
            one.clone(),
            None,
            None,
            two.clone(),
            two,
            None,
        ];
        assert_eq!(known, expected);
        let before = [99, 150, 200, 250, 400].map(|at| frames.last_before(at));
        let (seven, nine) = (Some((200, 7)), Some((400, 9)));
        assert_eq!(before, [None, None, seven, seven, nine]);
        frames.note(200..300, 8);
        frames.note(100..200, 7);
        assert_eq!(frames.around(250), Some(100..300));
        assert_eq!(frames.last_before(300), None, "the next run holds it");
        frames.cut(350);
        assert_eq!(
            (frames.around(150), frames.around(350)),
            (Some(100..300), None)
        );
    }

    #[test]
    fn all_is_forgotten_after_a_while() {
        let frames = SoundFrames::default();
        let frame = 1 << 20;
        for number in 0..LIMIT / frame {
            frames.note(number * frame..(number + 1) * frame, number);
        }
        assert_eq!(frames.around(5), Some(0..LIMIT));
        frames.note(LIMIT..LIMIT + 10, 1000);
        assert_eq!(frames.around(5), None);
        assert_eq!(frames.around(LIMIT), Some(LIMIT..LIMIT + 10));
    }
}
