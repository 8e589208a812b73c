//! The process around a replica: threads that carry inputs into its turn and effects out of it, and one file per
//! family of client requests. What is decided about the log is decided in `tern-replica`.

mod channels;
mod clock;
mod counters;
mod dispatcher;
mod events;
mod lag;
mod node;
mod options;
mod peer_handler;
mod random;
mod requests;
mod response_batch;
mod roles;
pub mod routes;
mod services;
#[cfg(test)]
mod testing;
mod threads;

pub use channels::mailbox::Mailbox;
pub use clock::monotonic_ns;
pub use counters::{MessageCounters, Totals};
pub use events::NodeEvents;
pub use lag::{Follower, Lag};
pub use node::{Node, StartError};
pub use options::NodeOptions;
pub use response_batch::{ResponseBatch, Ticket};
pub use roles::RoleBoard;
pub use services::Services;
pub use services::consumer_offset_manager::ConsumerOffsetManager;
pub use services::holds::HoldTable;
pub use services::metadata_changes::{ChangeCallback, MetadataChanges};
pub use tern_replica::{Flush, Mode};
pub use tern_requests::{
    ClientInfo, ClientRegistry, ConsumerListing, DamageLog, MetDamage, RequestError, RoleView,
    Settings, SubscriptionListing, TableLimits, Views,
};
