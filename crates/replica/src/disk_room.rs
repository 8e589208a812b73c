//! Whether new messages may take room: what a replica knows of its disk, and what follows (O5).
//!
//! Messages stop before the disk is full; what is left is for ops, elections and views ([`Reserve`]). Two things tell:
//! the next segment could not be made, as it would take from the reserve; or others took so much of the disk that views
//! may find no room. The first shows by itself, for the second the disk is looked at now and then.

use tern_log::{Reserve, Space};

/// Bytes appended from one look at the disk to the next, as a share of what is kept for views: these grow by less than
/// the log, so a part of the reserve is left when a look shows that somebody else takes it.
const LOOKS_A_RESERVE: u64 = 8;
/// Ticks between two looks while the disk is low.
const LOW_TICKS: u32 = 50;

/// What was seen of the disk.
#[derive(Debug)]
pub(crate) struct DiskRoom {
    reserve: Reserve,
    /// The next segment could not be made.
    is_short: bool,
    /// Others took from what is kept for views.
    is_low: bool,
    /// Where the log ended at the last look; none before the first.
    looked_at: Option<u64>,
    ticks: u32,
    refusals: Refusals,
}

/// What was refused for want of room since there was enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusals {
    None,
    Unsaid,
    Said,
}

/// A change that an operator has to know of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskRoomChange {
    /// Sends are refused from here on.
    Gone,
    /// They are taken again.
    Back,
}

impl DiskRoomChange {
    /// For the log of the process.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Gone => {
                "the disk of this replica's data directory has no room for messages: sends are refused with 14, reads and \
                 offsets go on; make room there, and sends go on by themselves"
            }
            Self::Back => "the disk of this replica's data directory has room again: sends go on",
        }
    }
}

impl DiskRoom {
    pub fn new(segment_size: u64) -> Self {
        Self {
            reserve: Reserve::of_segment(segment_size),
            is_short: false,
            is_low: false,
            looked_at: None,
            ticks: 0,
            refusals: Refusals::None,
        }
    }

    /// Bytes that a proposal has to leave in the segments that are there.
    pub fn kept(&self, is_op: bool) -> u64 {
        if is_op {
            self.reserve.elections
        } else {
            self.reserve.ops
        }
    }

    /// A segment was made, or could not be.
    pub fn segment(&mut self, made: bool) {
        self.is_short = !made;
    }

    /// The disk was looked at; one that tells nothing has room until a segment cannot be made.
    pub fn saw(&mut self, space: Option<Space>) {
        self.is_low = match space {
            None => false,
            Some(space) if self.is_low => !self.reserve.is_enough(space),
            Some(space) => self.reserve.is_low(space),
        };
    }

    /// Whether a proposal for which no segment is there can be refused: one that is being made is waited for.
    pub fn is_short(&self) -> bool {
        self.is_short
    }

    /// Whether messages are refused wherever the log stands.
    pub fn is_low(&self) -> bool {
        self.is_low
    }

    /// Whether it is time to look at the disk again.
    pub fn wants_look(&mut self, end: u64, ticks: u32) -> bool {
        self.ticks = self.ticks.saturating_add(ticks);
        let wrote = self
            .looked_at
            .is_none_or(|seen| end.abs_diff(seen) >= (self.reserve.views / LOOKS_A_RESERVE).max(1));
        let due = wrote || (self.is_low && self.ticks >= LOW_TICKS);
        if due {
            self.looked_at = Some(end);
            self.ticks = 0;
        }
        due
    }

    /// A proposal was refused for want of room.
    pub fn refused(&mut self) {
        if self.refusals == Refusals::None {
            self.refusals = Refusals::Unsaid;
        }
    }

    /// What has to be said of it, once a change: it is over when no reason is left to refuse anything.
    pub fn change(&mut self) -> Option<DiskRoomChange> {
        let (refusals, change) = match self.refusals {
            Refusals::Unsaid => (Refusals::Said, DiskRoomChange::Gone),
            Refusals::Said if !self.is_short && !self.is_low => {
                (Refusals::None, DiskRoomChange::Back)
            }
            Refusals::None | Refusals::Said => return None,
        };
        self.refusals = refusals;
        Some(change)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEGMENT: u64 = 64 << 20;
    const VIEWS: u64 = 32 << 20;

    fn free(free: u64) -> Space {
        let total = 1 << 30;
        Space { free, total }
    }

    #[test]
    fn sends_stop_while_half_of_what_is_kept_for_views_is_left_and_do_not_stop_and_go() {
        let mut room = DiskRoom::new(SEGMENT);
        room.saw(Some(free(VIEWS / 2)));
        assert!(!room.is_low());
        room.saw(Some(free(VIEWS / 2 - 1)));
        assert!(room.is_low());
        room.saw(Some(free(VIEWS / 4 * 3 - 1)));
        assert!(room.is_low());
        room.saw(Some(free(VIEWS / 4 * 3)));
        assert!(!room.is_low());
        room.saw(Some(free(0)));
        room.saw(None);
        assert!(!room.is_low(), "a disk that tells nothing refuses nothing");
    }

    #[test]
    fn the_disk_is_looked_at_at_first_then_as_the_log_grows_and_twice_a_second_while_it_is_low() {
        let mut room = DiskRoom::new(SEGMENT);
        assert!(room.wants_look(5000, 0));
        assert!(!room.wants_look(5000, 1000));
        assert!(!room.wants_look(5000 + VIEWS / 8 - 1, 0));
        assert!(room.wants_look(5000 + VIEWS / 8, 0));
        room.saw(Some(free(0)));
        assert!(!room.wants_look(5000 + VIEWS / 8, 49));
        assert!(room.wants_look(5000 + VIEWS / 8, 1));
        assert!(!room.wants_look(5000 + VIEWS / 8, 49));
    }

    #[test]
    fn that_sends_are_refused_and_that_it_is_over_is_said_once_each() {
        let mut room = DiskRoom::new(SEGMENT);
        room.segment(false);
        assert_eq!(room.change(), None, "there is room in the segment");
        room.refused();
        assert_eq!(room.change(), Some(DiskRoomChange::Gone));
        room.refused();
        room.saw(Some(free(0)));
        room.segment(true);
        assert_eq!(room.change(), None, "one of two reasons is left");
        room.saw(Some(free(VIEWS)));
        assert_eq!(room.change(), Some(DiskRoomChange::Back));
        assert_eq!(room.change(), None);
    }
}
