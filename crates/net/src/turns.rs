//! How many frames of one connection are handed on before all others that wait have had their turn.
//!
//! A runtime's tasks run one after the other. A connection that always has more to read would keep all others of its thread
//! waiting: consumers, and the streams between replicas. So it gives way after some frames, and after fewer of them the
//! longer the others then take: with many such connections each turn is short, and whoever asks for little waits for
//! little. One that is alone, or whose neighbours are quick, is not slowed down.

use std::time::{Duration, Instant};

/// Most frames of a turn; what a client has in flight is most often less.
const MOST: u32 = 64;
/// Fewest: giving way costs about as much as a tenth of these.
const FEWEST: u32 = 4;
/// All others together should need no longer for their turns.
const ROUND: Duration = Duration::from_millis(2);

/// The turns of one connection.
#[derive(Debug)]
pub(crate) struct Turns {
    frames: u32,
    left: u32,
}

impl Turns {
    pub fn new() -> Self {
        Self {
            frames: MOST,
            left: MOST,
        }
    }

    /// Whether the turn is over.
    pub fn is_over(&self) -> bool {
        self.left == 0
    }

    /// One frame is handed on.
    pub fn count(&mut self) {
        self.left = self.left.saturating_sub(1);
    }

    /// Let all tasks that are ready run, and begin another turn.
    pub async fn give_way(&mut self) {
        let began = Instant::now();
        tokio::task::yield_now().await;
        self.begin(began.elapsed());
    }

    /// Begin the next turn, after the others have taken this long.
    fn begin(&mut self, others: Duration) {
        self.frames = if others > ROUND {
            (self.frames / 2).max(FEWEST)
        } else {
            (self.frames * 2).min(MOST)
        };
        self.left = self.frames;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn length(turns: &mut Turns) -> u32 {
        let mut frames = 0;
        while !turns.is_over() {
            turns.count();
            frames += 1;
        }
        frames
    }

    #[test]
    fn turns_get_shorter_while_the_others_take_long_and_longer_again_when_they_are_quick() {
        let mut turns = Turns::new();
        let mut lengths = vec![length(&mut turns)];
        for others in [3, 3, 3, 3, 3, 3, 1, 1, 1, 1, 1] {
            turns.begin(Duration::from_millis(others));
            lengths.push(length(&mut turns));
        }
        assert_eq!(lengths, [64, 32, 16, 8, 4, 4, 4, 8, 16, 32, 64, 64]);
    }
}
