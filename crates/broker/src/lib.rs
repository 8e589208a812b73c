//! The process around a replica: threads that carry inputs into its turn and effects out of it, and one file per
//! family of client requests. What is decided about the log is decided in `tern-replica`.

mod channels;
mod clock;
mod counters;
mod dispatcher;
mod events;
mod node;
mod options;
mod peer_handler;
mod random;
mod request_error;
mod requests;
mod response_batch;
mod role_view;
mod roles;
pub mod routes;
mod services;
mod settings;
#[cfg(test)]
mod testing;
mod threads;
mod views;

pub use channels::mailbox::Mailbox;
pub use clock::monotonic_ns;
pub use counters::{MessageCounters, Totals};
pub use events::NodeEvents;
pub use node::{Node, StartError};
pub use options::{Mode, NodeOptions};
pub use request_error::RequestError;
pub use response_batch::{ResponseBatch, Ticket};
pub use role_view::RoleView;
pub use roles::RoleBoard;
pub use services::Services;
pub use services::consumer_offset_manager::ConsumerOffsetManager;
pub use services::holds::HoldTable;
pub use services::metadata_changes::{ChangeCallback, MetadataChanges};
pub use services::registry::ClientRegistry;
pub use services::registry::listing::{ClientInfo, ConsumerListing, SubscriptionListing};
pub use settings::{Settings, TableLimits};
pub use views::Views;
pub use views::damage::{DamageLog, MetDamage};
