//! Bugs that can be planted to see a check go red. `docs/simulation.md` says which check sees which.
//!
//! An [`OuterBug`] is made outside of the replica: by the disk that it is given, by what carries its messages, or by the
//! order in which its parts are called. Nothing in a release knows of it. An inner one ([`Bug`]) can only be said by a
//! call inside of the product, which a release compiles to nothing.

use std::cell::Cell;

use tern_log::planted::{self, Bug};

macro_rules! outer_bugs {
    ($($(#[$doc:meta])* $name:ident $label:literal,)*) => {
        /// A mistake that is made around a replica; the label is the one of `docs/simulation.md`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum OuterBug {
            $($(#[$doc])* $name,)*
        }

        impl OuterBug {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            const fn label(self) -> &'static str {
                match self {
                    $(Self::$name => $label,)*
                }
            }
        }
    };
}

outer_bugs! {
    /// A log that shows rot is cut where the rot begins, and started.
    CutAtRot "P6",
    /// A sync that failed is tried again, and the second answer is believed.
    SyncRetried "P17",
    /// Only one copy of `raft.state` is written.
    OneCopy "B1",
    /// The copies of `raft.state` are not made equal at a start, so that the newer one may be overwritten first.
    CopiesLeftUnequal "B2",
    /// What lies above `flushed.pos` is not written again at a start.
    TailNotRewritten "B8",
    /// `flushed.pos` is not lowered before a truncation.
    PositionNotLowered "B9",
    /// The range that a truncation cuts off is not zeroed.
    CutNotZeroed "B10",
    /// A replica that starts has forgotten for whom it voted.
    VoteForgotten "T1",
    /// A flush tells its position before the sync.
    DurableBeforeSync "T2",
    /// An error of the log's sync is passed over, and what waits for it is acknowledged.
    SyncErrorSwallowed "T3",
    /// Segments behind the newest are not synced.
    OnlyNewestSynced "T4",
    /// The position that a sync makes durable is the one where the log ends when the sync does.
    PositionAtSyncEnd "T5",
    /// A heartbeat carries the leader's commit index instead of what the follower matches.
    HeartbeatCommit "T6",
    /// A due message is put into its topic in one frame, and the progress of its delay level in a later one.
    DelayProgressApart "B18",
    /// The commit index is forgotten at a restart.
    CommitForgotten "T9",
    /// A pull outside of its queue is judged by a view that may be behind, as if ReadIndex had been made.
    ViewNotConfirmed "B12",
}

/// A bug of either kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlantedBug {
    /// Made around a replica.
    Outer(OuterBug),
    /// Made by a call inside of one.
    Inner(Bug),
}

impl PlantedBug {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        let outer = OuterBug::ALL.iter().copied().map(Self::Outer);
        outer.chain(Bug::ALL.iter().copied().map(Self::Inner))
    }

    /// The label in `docs/simulation.md`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Outer(bug) => bug.label(),
            Self::Inner(bug) => bug.label(),
        }
    }
}

impl From<OuterBug> for PlantedBug {
    fn from(bug: OuterBug) -> Self {
        Self::Outer(bug)
    }
}

impl From<Bug> for PlantedBug {
    fn from(bug: Bug) -> Self {
        Self::Inner(bug)
    }
}

thread_local! {
    static OUTER: Cell<Option<OuterBug>> = const { Cell::new(None) };
}

/// Plant one bug in the replicas that this thread steps and in what is around them.
pub fn plant(bug: Option<PlantedBug>) {
    let (outer, inner) = match bug {
        Some(PlantedBug::Outer(bug)) => (Some(bug), None),
        Some(PlantedBug::Inner(bug)) => (None, Some(bug)),
        None => (None, None),
    };
    OUTER.set(outer);
    planted::plant(inner);
}

/// The bug that is planted around the replicas of this thread.
pub fn outer() -> Option<OuterBug> {
    OUTER.get()
}
