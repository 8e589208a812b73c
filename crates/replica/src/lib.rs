//! One replica without threads: its turn, its tickets, its founding, and the views it builds.
//!
//! Everything here is pure: no thread, clock or socket (`clippy.toml` holds this). A process carries inputs in and
//! effects out by its threads (`tern-broker`), `tern-sim` by turns in one; both call the same steps.

mod apply;
mod applying;
mod birth;
mod building;
mod delays;
mod entries;
mod fatal;
mod flusher;
mod founding;
mod inputs;
mod keys;
mod leader_tasks;
mod mending;
mod numbers;
mod opening;
mod options;
mod proposal;
mod room;
mod standing;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod tickets;
mod turn;
mod waiting;

pub use apply::{Applied, Applier, Touched};
pub use applying::{Advanced, Applying};
pub use birth::{Birth, Born};
pub use delays::Delays;
pub use fatal::Fatal;
pub use flusher::{Durable, Flush, FlushUnderWay, Flusher};
pub use founding::{Founding, FoundingOutcome, Hail, Plan, Stage};
pub use inputs::{Committed, Fold, FoldEnd, Folded, Inbox, Outbox, PreparedSegment, RoleChange};
pub use keys::{index_keys, words};
pub use leader_tasks::{
    LeaderTask, LeaderTasks, TaskNotice, TaskProposal, TaskTicket, TaskTime, TaskView, TaskWork,
};
pub use numbers::QueueNumbers;
pub use opening::{Opened, Opening, Strategy};
pub use options::TurnOptions;
pub use proposal::{AnswerAt, Bound, Draft, Outcome, Proposal, Refusal, Stored};
pub use room::RoomChange;
pub use standing::{Identity, Standing, wiped_sentence};
pub use turn::Replica;
