//! Bugs that can be planted to see a check go red, as far as only a call inside of the code can say them: those that a
//! disk or a network can play stand in the simulator. Without the feature `planted-bugs` every question is answered "no"
//! at compile time, and no release artefact has the feature.
//!
//! The list stands in the lowest crate that has one of them, so that each crate above can ask. `docs/simulation.md` says
//! which check sees which bug.

macro_rules! bugs {
    ($($(#[$doc:meta])* $name:ident $label:literal,)*) => {
        /// A mistake that somebody could make; the label is the one of `docs/simulation.md`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Bug {
            $($(#[$doc])* $name,)*
        }

        impl Bug {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The label in `docs/simulation.md`.
            pub const fn label(self) -> &'static str {
                match self {
                    $(Self::$name => $label,)*
                }
            }
        }
    };
}

bugs! {
    /// The leader counts itself, and a follower answers, before the disk has it.
    AckBeforeSync "P1",
    /// The leader commits what it alone has written.
    AckFromLeaderAlone "P2",
    /// Term and vote are not written before they are answered.
    VoteNotSynced "P3",
    /// An error while term and vote are stored is passed over.
    VoteErrorIgnored "P4",
    /// A new leader counts queue offsets without the frames that it has and has not applied.
    OffsetsReused "P7",
    /// Views are built from frames that are not committed.
    ViewsBeforeCommit "P8",
    /// A read is answered without asking the others whether this replica still leads.
    StaleAnswer "P9",
    /// A send whose leader was deposed after the append is answered with code 2.
    BusyAfterAppend "P15",
    /// Votes leave before the flush of their round.
    VotesEarly "B6",
    /// A notice of durability releases the answers of rounds that are not durable yet.
    AnswersOutOfOrder "B7",
    /// Recovery takes zeros that were meant for sectors that were never written.
    ZeroMapIgnored "B11",
    /// A frame is taken wherever it says that it stands.
    PlacementUnchecked "B14",
    /// A frame's kind is the one that was proposed or sent, whatever the entry says that the engine made of it.
    KindOfProposal "B15",
    /// Queue offsets are counted from the commit index instead of from what is applied.
    FoldFromCommit "B16",
    /// Append answers leave before the flush of their round.
    AnswersEarly "T7",
    /// Frame 1 is given to whoever is empty.
    FrameOneToAnyone "T8",
    /// A frame that differs from the own one of the same index and term is passed over.
    DivergencePassedOver "T10",
    /// Synchronous double write answers as soon as the master has a message.
    SlaveNotAwaited "T11",
    /// `raft.state` does not say which members are in force when what rests on them leaves.
    MembershipNotStored "B3",
    /// A replica that has lost its memory joins under the id that it had.
    OldIdKept "B4",
    /// A joint configuration is left by the leader that entered it, or by nobody.
    JointLeftByNobody "T12",
    /// A change of the members is handed to the engine while another one is under way.
    ChangeNotAwaited "T13",
    /// The engine, too, takes a change of the members while another one is under way.
    TwoChangesAtOnce "T14",
}

#[cfg(feature = "planted-bugs")]
mod switch {
    use super::Bug;
    use std::cell::Cell;

    thread_local! {
        static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
    }

    /// Stands in every artefact that can plant bugs, so that a check can tell that a release cannot.
    #[used]
    static MARK: [u8; 29] = *b"planted bugs are compiled in.";

    /// Plant one bug in the replicas that this thread steps.
    pub fn plant(bug: Option<Bug>) {
        PLANTED.with(|planted| planted.set(bug));
    }

    /// Whether this bug is planted.
    pub fn is_planted(bug: Bug) -> bool {
        PLANTED.with(|planted| planted.get() == Some(bug))
    }
}

#[cfg(feature = "planted-bugs")]
pub use switch::{is_planted, plant};

/// Whether this bug is planted: never.
#[cfg(not(feature = "planted-bugs"))]
pub const fn is_planted(_bug: Bug) -> bool {
    false
}
