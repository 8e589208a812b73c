//! One replica without threads: its turn, its tickets, its founding, and the views it builds.

mod apply;
mod birth;
mod building;
mod founding;
mod inputs;
mod numbers;
pub mod planted;
mod tickets;
mod turn;

pub use apply::{Applied, Applier, Touched};
pub use birth::{Birth, Born};
pub use founding::{Founding, FoundingOutcome, Hail, Plan, Stage};
pub use inputs::{
    AnswerAt, Bound, Committed, Draft, Flush, Fold, Folded, Inbox, Outbox, Outcome,
    PreparedSegment, Proposal, Refusal, RoleChange, Stored,
};
pub use numbers::QueueNumbers;
pub use turn::{Fatal, Replica, TurnOptions};
