//! One replica without threads: its turn, its tickets, its bootstrap, and the views it builds.
//!
//! Everything here is pure: no thread, clock or socket (`clippy.toml` holds this). A process carries inputs in and
//! effects out by its threads (`tern-broker`), `tern-sim` by turns in one; both call the same steps.

mod apply;
mod applying;
mod bootstrap;
mod bootstrap_driver;
mod delay_scheduler;
mod disk_health;
mod disk_report;
mod disk_room;
mod elections;
mod engine_maker;
mod entries;
mod fatal;
mod flusher;
mod frame_builder;
mod inputs;
mod joining;
mod keys;
mod leader_tasks;
mod member_status;
mod mending;
mod near_slaves;
mod next_queue_offsets;
mod opening;
mod options;
mod pace;
mod proposal;
mod proposal_queue;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod tickets;
mod turn;

pub use apply::{Applied, Applier, TouchedQueues};
pub use applying::{Advanced, Applying};
pub use bootstrap::{Bootstrap, BootstrapMessage, BootstrapPlan, BootstrapStage, BootstrapStep};
pub use bootstrap_driver::{BootstrapDriver, BootstrapProgress};
pub use delay_scheduler::DelayScheduler;
pub use disk_health::{DiskCondition, DiskHealthChange};
pub use disk_report::DiskReport;
pub use disk_room::DiskRoomChange;
pub use elections::ElectionCause;
pub use engine_maker::{EngineMaker, Strategy};
pub use fatal::Fatal;
pub use flusher::{Durable, FlushRequest, FlushUnderWay, Flusher};
pub use inputs::{
    Committed, Inbox, Outbox, PreparedSegment, RebuildNextOffsets, RebuildOutcome,
    RebuiltNextOffsets, RoleChange, SetAside,
};
pub use joining::JoinGrant;
pub use keys::{index_keys, words};
pub use leader_tasks::{
    LeaderTask, LeaderTasks, TaskNotice, TaskProposal, TaskTicket, TaskTime, TaskView, TaskWork,
};
pub use member_status::{MemberIdentity, MemberStatus, data_lost_sentence};
pub use near_slaves::NearSlaves;
pub use next_queue_offsets::NextQueueOffsets;
pub use opening::{OpenedReplica, ReplicaOpening};
pub use options::{Acknowledgement, Flush, LONGEST_FLUSH_WAIT_NS, Mode, TurnOptions};
pub use proposal::{
    AnswerAt, Bound, Draft, MembershipRequest, Outcome, Proposal, RejectReason, SlaveFault,
    StoredRecords,
};
pub use turn::{Promotion, PromotionRefusal, Replica};
