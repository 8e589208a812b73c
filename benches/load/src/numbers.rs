//! The numbers by which messages are known: the first 8 bytes of each body, big-endian, none used twice.

use std::collections::{BTreeMap, HashSet};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;

/// Numbers of one connection start at a multiple of this, so that no two connections use one number.
pub const PER_CONNECTION: u64 = 1 << 40;

/// Writes numbers, 8 bytes each.
///
/// # Errors
/// The file cannot be written.
pub fn save(path: &Path, numbers: &[u64]) -> io::Result<()> {
    let mut file = BufWriter::new(std::fs::File::create(path)?);
    for number in numbers {
        file.write_all(&number.to_be_bytes())?;
    }
    file.flush()
}

/// Reads what [`save`], or the Java program, wrote.
///
/// # Errors
/// The file cannot be read, or ends within a number.
pub fn load(path: &Path) -> io::Result<Vec<u64>> {
    let mut bytes = Vec::new();
    BufReader::new(std::fs::File::open(path)?).read_to_end(&mut bytes)?;
    let (numbers, rest) = bytes.as_chunks::<8>();
    if !rest.is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(numbers
        .iter()
        .map(|bytes| u64::from_be_bytes(*bytes))
        .collect())
}

/// Numbers that are read, one bit each: who reads tens of millions of messages keeps no list of them.
#[derive(Debug, Default)]
pub struct Tally {
    /// Of each connection that sent.
    seen: BTreeMap<u64, Vec<u64>>,
    records: u64,
    doubled: u64,
}

impl Tally {
    /// Takes a number.
    pub fn add(&mut self, number: u64) {
        let (sender, own) = (number / PER_CONNECTION, (number % PER_CONNECTION) as usize);
        let words = self.seen.entry(sender).or_default();
        if words.len() <= own / 64 {
            words.resize(own / 64 + 1, 0);
        }
        let (word, bit) = (&mut words[own / 64], 1 << (own % 64));
        self.records += 1;
        self.doubled += u64::from(*word & bit != 0);
        *word |= bit;
    }

    /// Messages that were read.
    pub const fn records(&self) -> u64 {
        self.records
    }

    /// Numbers that are missing, if each connection has counted from 1 up to its greatest one.
    pub fn gaps(&self) -> u64 {
        let missing = self.seen.values().map(|words| {
            let last = words.last().map_or(0, |word| 63 - word.leading_zeros());
            let greatest = (words.len() as u64 - 1) * 64 + u64::from(last);
            let there: u64 = words.iter().map(|word| u64::from(word.count_ones())).sum();
            greatest.saturating_sub(there)
        });
        missing.sum()
    }

    /// Whether each is there once.
    pub fn is_whole(&self) -> bool {
        self.doubled == 0 && self.gaps() == 0
    }

    /// As a JSON line.
    pub fn line(&self) -> String {
        format!(
            "{{\"event\": \"tally\", \"records\": {}, \"doubled\": {}, \"gaps\": {}}}",
            self.records,
            self.doubled,
            self.gaps()
        )
    }
}

/// What came of comparing.
#[derive(Debug, PartialEq, Eq)]
pub struct Compared {
    /// Messages that the topic holds.
    pub records: usize,
    /// Different numbers among them.
    pub distinct: usize,
    /// Acknowledged, but not there.
    pub missing: usize,
    /// There, but not acknowledged: what was sent and never answered may be stored.
    pub unasked: usize,
}

impl Compared {
    /// Compares what was read with what was acknowledged.
    pub fn new(read: &[u64], acknowledged: &[u64]) -> Self {
        let found: HashSet<u64> = read.iter().copied().collect();
        let wanted: HashSet<u64> = acknowledged.iter().copied().collect();
        Self {
            records: read.len(),
            distinct: found.len(),
            missing: wanted.difference(&found).count(),
            unasked: found.difference(&wanted).count(),
        }
    }

    /// Whether nothing acknowledged is missing and nothing is there twice.
    pub fn is_whole(&self) -> bool {
        self.missing == 0 && self.records == self.distinct
    }

    /// As a JSON line.
    pub fn line(&self) -> String {
        format!(
            "{{\"event\": \"read\", \"records\": {}, \"distinct\": {}, \"missing\": {}, \"unasked\": {}}}",
            self.records, self.distinct, self.missing, self.unasked
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tally_sees_what_comes_twice_and_what_is_left_out() {
        let mut tally = Tally::default();
        for number in [1, 2, 3, PER_CONNECTION + 2, PER_CONNECTION + 1] {
            tally.add(number);
        }
        assert!(tally.is_whole() && tally.records() == 5);
        tally.add(200);
        assert_eq!(tally.gaps(), 196);
        tally.add(2);
        assert_eq!((tally.doubled, tally.records()), (1, 7));
        assert!(!tally.is_whole());
    }

    #[test]
    fn a_missing_number_and_a_second_copy_are_both_seen() {
        let compared = Compared::new(&[1, 2, 2, 9], &[1, 2, 3]);
        let expected = Compared {
            records: 4,
            distinct: 3,
            missing: 1,
            unasked: 1,
        };
        assert_eq!(compared, expected);
        assert!(!compared.is_whole());
        assert!(Compared::new(&[2, 1], &[1, 2]).is_whole());
        assert!(!Compared::new(&[2, 1, 1], &[1, 2]).is_whole());
    }
}
