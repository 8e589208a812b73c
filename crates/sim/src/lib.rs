//! Whole groups in one thread, from one seed. Test only: never in a wheel.
//!
//! The simulator steps the code that a process runs: the turn, the flushes, the views, recovery, founding, the handshake
//! and the codec of peers. What a thread or a socket adds there is order and time, and both are the seed's here. The disk
//! is [`tern_testdisk::MemoryDisk`], which forgets at a power cut what was not synced, and lies as disks do; the
//! network drops, delays, doubles and cuts; clocks differ and jump. `docs/simulation.md` has the list of faults, of what is
//! checked, and of the planted bugs.
//!
//! Nothing that a replica says of itself is believed: what is durable is read from the disks, what was committed is
//! remembered outside, and logs are compared byte for byte.

mod active_faults;
mod auditor;
mod buggy_disk;
mod bugs;
mod clients;
mod faults;
mod ledger;
mod machine;
mod network;
mod process;
mod progress_apart;
mod random;
mod requests;
mod serving;
mod swarm;
mod world;

pub use buggy_disk::process_disk;
pub use bugs::{OuterBug, PlantedBug, plant};
pub use ledger::BrokenPromise;
pub use random::Random;
pub use swarm::{FaultKind, Swarm, SwarmMode};
pub use world::{Figures, HistoryPlan, World, run, run_in, run_mode, tell};
