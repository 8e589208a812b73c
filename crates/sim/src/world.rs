//! The virtual world: time, mail, and what happens to whom.

mod carrying;
mod healing;
mod history;
mod mail;
mod steering;

pub(crate) use history::{Event, MILLISECOND, SECOND};
pub use history::{Figures, Plan, World, run, run_in, tell};
