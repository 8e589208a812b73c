//! Whole groups in one thread, from one seed. Test only: never in a wheel.
//!
//! The simulator steps the same [`tern_broker::replica::Replica`] as a process does, over a disk that forgets at
//! a crash what was not synced and a network that drops, delays and cuts. What it checks while it runs:
//!
//! - one leader a term, one vote a replica and term, also across crashes;
//! - a committed index holds the same frame on every replica, for ever;
//! - what is acknowledged is durable on a majority at that moment;
//! - state hashes are equal at equal indexes.
//!
//! At the end everything is healed: the group must elect, commit and agree; every acknowledged send must be where its
//! answer said, and no send that was refused may be anywhere. Some sends have a delay: each that is due by its level's
//! progress stands in its topic once, and nothing that is due waits for long.

mod checks;
mod network;
mod node;
mod random;
mod world;

pub use checks::Violation;
pub use random::Random;
pub use world::{Figures, Plan, World, run};
