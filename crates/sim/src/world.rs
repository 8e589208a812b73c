//! The virtual world: time, mail, and what happens to whom.

mod carrying;
mod changing;
mod healing;
mod history;

mod mail;
mod steering;

pub use history::{Figures, HistoryPlan, World, run, run_in, run_mode, tell};
pub(crate) use history::{MILLISECOND, SECOND, WhenDecided, WorldEvent};
