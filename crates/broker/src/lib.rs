//! The process around a replica: threads that carry inputs into its turn and effects out of it, and one file per
//! family of client requests. What is decided about the log is decided in `tern-replica`.

mod answers;
mod channels;
mod clock;
mod counters;
mod events;
mod front;
mod node;
mod options;
mod peer_front;
mod random;
mod refused;
mod requests;
mod role_view;
mod roles;
pub mod routes;
mod services;
mod settings;
#[cfg(test)]
mod testing;
mod threads;
mod views;

pub use answers::{Answers, Ticket};
pub use channels::mailbox::Mailbox;
pub use clock::monotonic_ns;
pub use counters::{Counters, Totals};
pub use events::NodeEvents;
pub use node::{Node, StartError};
pub use options::{Mode, NodeOptions};
pub use refused::Refused;
pub use role_view::RoleView;
pub use roles::RoleBoard;
pub use services::Services;
pub use services::commits::Commits;
pub use services::creations::{Creations, Then};
pub use services::holds::HoldTable;
pub use services::registry::ClientRegistry;
pub use services::registry::listing::{ConsumerListing, Peer, SubscriptionListing};
pub use settings::{Settings, TableLimits};
pub use views::Views;
pub use views::damage::{Damage, DamageLog};
