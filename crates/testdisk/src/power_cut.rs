//! Which of the unsynced writes are on the platter after a power cut: decided by a seed.

/// How the power goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PowerCut {
    /// Decides everything.
    pub seed: u64,
    /// Whether a sector may be half written. Real devices promise that a sector is whole, and the log's evidence of
    /// torn frames counts on it; where they break the promise, the log says *rotted*, and the replica does not start.
    pub tears_sectors: bool,
}

/// A small generator: the same seed gives the same numbers everywhere.
pub struct SplitMix(u64);

impl SplitMix {
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below a bound.
    pub const fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// The habits of a device in one power cut.
enum Habit {
    /// Everything had been written back.
    All,
    /// Nothing had.
    Nothing,
    /// What was written before some moment.
    Before(u64),
    /// Each sector by itself, kept in so many of eight cases.
    Each(u64),
}

/// Decides for one write after the other.
pub struct Survival {
    random: SplitMix,
    habit: Habit,
    tears_sectors: bool,
}

impl Survival {
    /// `first` and `last` are the sequence numbers of the oldest and newest unsynced write.
    pub fn new(cut: PowerCut, first: u64, last: u64) -> Self {
        let mut random = SplitMix::new(cut.seed);
        let habit = match random.below(8) {
            0 => Habit::All,
            1 => Habit::Nothing,
            2 | 3 => Habit::Before(first + random.below(last - first + 2)),
            4 => Habit::Each(1),
            5 => Habit::Each(7),
            _ => Habit::Each(4),
        };
        Self {
            random,
            habit,
            tears_sectors: cut.tears_sectors,
        }
    }

    /// Which of the versions of a sector is there; none for the old content.
    pub fn choose(&mut self, sequences: impl ExactSizeIterator<Item = u64>) -> Option<usize> {
        let count = sequences.len();
        match self.habit {
            Habit::All => count.checked_sub(1),
            Habit::Before(moment) => sequences
                .take_while(|sequence| *sequence < moment)
                .count()
                .checked_sub(1),
            Habit::Each(kept) if self.random.below(8) < kept => {
                // Most often the newest: the system writes a page back as it is at that moment.
                let newest = count.checked_sub(1)?;
                let is_newest = self.random.below(2) == 0;
                Some(if is_newest {
                    newest
                } else {
                    self.random.below(count as u64) as usize
                })
            }
            Habit::Nothing | Habit::Each(_) => None,
        }
    }

    /// Whether a change of names is there.
    pub fn keeps_change(&mut self, sequence: u64) -> bool {
        self.choose(std::iter::once(sequence)).is_some()
    }

    /// Whether a longer file is there.
    pub fn keeps_length(&mut self) -> bool {
        match self.habit {
            Habit::All => true,
            Habit::Nothing => false,
            Habit::Before(_) | Habit::Each(_) => self.random.below(2) == 0,
        }
    }

    /// After how many bytes the writing of a sector stopped; none if it was finished.
    pub fn tear(&mut self) -> Option<usize> {
        (self.tears_sectors && self.random.below(8) == 0)
            .then(|| 1 + self.random.below(511) as usize)
    }
}
