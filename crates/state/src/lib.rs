//! What committed entries mean: topics, groups, consumer offsets, queue locks, delays. Pure, deterministic.
//!
//! A frame of the log carries records and a *metadata block* of [`Op`]s. [`State`] is what a
//! replica knows after walking the committed frames in order; two replicas that walked the same
//! frames have equal states and equal [`State::hash`]es. Nothing here looks at a clock, a file, a
//! socket or a random number: the leader stamps times into the ops (`clippy.toml` holds this).
//!
//! Where to start reading: `ops.rs` lists the ops, `tables.rs` what they change, one file each;
//! [`State`] applies them, and can be written down; [`auto_create`] says what a send to an unknown
//! topic leads to.

mod changes;
mod codec;
mod creation;
mod data_version;
pub mod delay;
mod error;
mod founding;
mod group;
mod hash;
mod ops;
mod permission;
mod reading;
mod state;
mod system;
mod tables;
mod topic;

pub use changes::Changes;
pub use codec::FieldError;
pub use creation::{AutoCreateError, auto_create, retry_topic, retry_topic_name};
pub use data_version::DataVersion;
pub use error::{ApplyError, OpError, RowError, StateError};
pub use founding::{FEATURE_LEVEL, FlushDiskType, FoundingMember, GroupFounding};
pub use group::{GroupConfig, RetryPolicy};
pub use ops::*;
pub use permission::BrokerPermission;
pub use state::State;
pub use system::{
    BUILT_IN_GROUPS, DEFAULT_TOPIC, RESERVED_TOPICS, RETRY_PREFIX, SYSTEM_PREFIX, is_system_group,
    refuses_client_sends, system_topics,
};
pub use tables::{LeaseTime, TableSums};
pub use topic::{MAX_QUEUES, Topic, TopicConfig, perm, sys_flag};
