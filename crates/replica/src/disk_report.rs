//! What replicas tell each other of their disks, in the context of a status message.
//!
//! ```text
//! 0  1  2: a report of a disk (1 is a bootstrap message, 3 the grant of an id)
//! 1  1  1 if its replica is not fit to lead for it, else 0
//! 2  8  median time of its newest syncs, nanoseconds, big-endian; 0 if there were few
//! ```
//!
//! More bytes may follow one day; who does not know them passes them over.

use bytes::Bytes;

const REPORT: u8 = 2;
const REPORT_BYTES: usize = 10;

/// How a replica's disk is, in its own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskReport {
    /// It hands leadership over and does not stand.
    pub is_sick: bool,
    /// Median time of its newest syncs, nanoseconds; 0 if there were few.
    pub sync_ns: u64,
}

impl DiskReport {
    /// The context of the status message.
    pub fn encode(&self) -> Bytes {
        let mut bytes = Vec::with_capacity(REPORT_BYTES);
        bytes.extend_from_slice(&[REPORT, u8::from(self.is_sick)]);
        bytes.extend_from_slice(&self.sync_ns.to_be_bytes());
        bytes.into()
    }

    /// `None` for what is no report.
    pub fn decode(bytes: &Bytes) -> Option<Self> {
        let (head, rest) = bytes.split_at_checked(2)?;
        if head[0] != REPORT || head[1] > 1 {
            return None;
        }
        Some(Self {
            is_sick: head[1] == 1,
            sync_ns: u64::from_be_bytes(*rest.first_chunk()?),
        })
    }

    /// Whether its times have changed by so much that it matters.
    pub(crate) const fn differs(&self, now: &Self) -> bool {
        let (less, more) = if self.sync_ns < now.sync_ns {
            (self.sync_ns, now.sync_ns)
        } else {
            (now.sync_ns, self.sync_ns)
        };
        more - less > less / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_comes_out_as_it_went_in_and_nothing_else_is_one() {
        for is_sick in [true, false] {
            let report = DiskReport {
                is_sick,
                sync_ns: 0x0102_0304_0506_0708,
            };
            let bytes = report.encode();
            assert_eq!(bytes[..], [2, u8::from(is_sick), 1, 2, 3, 4, 5, 6, 7, 8]);
            assert_eq!(DiskReport::decode(&bytes), Some(report));
            for length in 0..bytes.len() {
                assert_eq!(DiskReport::decode(&bytes.slice(..length)), None);
            }
            let longer = [&bytes[..], &[9]].concat();
            assert_eq!(DiskReport::decode(&longer.into()), Some(report));
        }
        for no_report in [&[1; 42][..], &[2, 2, 0, 0, 0, 0, 0, 0, 0, 0]] {
            assert_eq!(DiskReport::decode(&no_report.into()), None);
        }
    }
}
