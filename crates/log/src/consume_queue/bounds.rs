//! What is known of a queue without reading a file.

use tern_wire::record::MIN_SIZE;

/// Where a queue begins and ends, and where in the log its messages stand, as far as memory tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueBounds {
    /// Its first offset.
    pub min: u64,
    /// The offset behind its last one.
    pub max: u64,
    /// Where its first message stands. None stands before: positions rise with offsets.
    pub first_position: u64,
    /// Entries below are in files.
    pub(super) stored: u64,
    /// Where the last message stands whose entry is in a file.
    pub(super) stored_position: u64,
}

impl QueueBounds {
    /// Where the message at an offset stands at the latest, if its entry has to be read from a file; none if no file is read.
    pub fn latest_position(&self, queue_offset: u64) -> Option<u64> {
        if !(self.min..self.stored).contains(&queue_offset) {
            return None;
        }
        let behind = self.stored - 1 - queue_offset;
        let between = behind.saturating_mul(MIN_SIZE as u64);
        Some(self.stored_position.saturating_sub(between))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_stand_as_far_before_the_last_one_in_files_as_so_many_smallest_ones_take() {
        let bounds = QueueBounds {
            min: 10,
            max: 40,
            first_position: 4_096,
            stored: 30,
            stored_position: 1 << 20,
        };
        let smallest = MIN_SIZE as u64;
        assert_eq!(bounds.latest_position(29), Some(1 << 20));
        assert_eq!(bounds.latest_position(10), Some((1 << 20) - 19 * smallest));
        for in_no_file in [0, 9, 30, 39, 40, u64::MAX] {
            assert_eq!(bounds.latest_position(in_no_file), None, "{in_no_file}");
        }
    }
}
