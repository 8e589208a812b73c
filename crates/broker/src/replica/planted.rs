//! Bugs that can be planted to see a check go red. Without the feature `planted-bugs` every question is
//! answered "no" at compile time, and no release artefact has the feature.

/// The leader counts itself, and a follower answers, before the disk has it (P1).
pub const ACK_BEFORE_SYNC: u32 = 1;
/// The leader commits what it alone has written (P2).
pub const ACK_FROM_LEADER_ALONE: u32 = 2;
/// Term and vote are not written before they are answered (P3).
pub const VOTE_NOT_SYNCED: u32 = 3;
/// A send whose leader was deposed after the append is answered with code 2 (P15).
pub const BUSY_AFTER_APPEND: u32 = 4;
/// A due message is put into its topic in one frame, and the progress of its delay level in a later one (B18).
pub const DELAY_PROGRESS_APART: u32 = 5;

#[cfg(feature = "planted-bugs")]
mod switch {
    use std::cell::Cell;

    thread_local! {
        static PLANTED: Cell<u32> = const { Cell::new(0) };
    }

    /// Stands in every artefact that can plant bugs, so that a check can tell that a release cannot.
    #[used]
    static MARK: [u8; 29] = *b"planted bugs are compiled in.";

    /// Plant one bug in the replicas that this thread steps; 0 plants none.
    pub fn plant(bug: u32) {
        PLANTED.with(|planted| planted.set(bug));
    }

    pub(in crate::replica) fn on(bug: u32) -> bool {
        PLANTED.with(|planted| planted.get() == bug)
    }
}

#[cfg(feature = "planted-bugs")]
pub use switch::plant;

#[cfg(feature = "planted-bugs")]
pub(super) use switch::on;

#[cfg(not(feature = "planted-bugs"))]
pub(super) const fn on(_bug: u32) -> bool {
    false
}
