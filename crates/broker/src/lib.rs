//! One replica of a broker group: its turn (no thread, clock or socket), then the threads around it, and one
//! file per family of client requests.

mod answers;
mod clients;
mod clock;
mod commits;
mod counters;
mod creations;
mod damage;
mod delays;
mod front;
mod heartbeat;
mod holds;
mod mailbox;
mod node;
mod peer_front;
mod post;
mod refused;
mod requests;
mod roles;
pub mod routes;
mod services;
mod stamps;
#[cfg(test)]
mod testing;
mod threads;
mod views;

pub use answers::{Answers, Ticket};
pub use clients::{ClientRegistry, ConsumerListing, Peer, SubscriptionListing};
pub use clock::monotonic_ns;
pub use commits::Commits;
pub use counters::{Counters, Totals};
pub use creations::{Creations, TableLimits, Then};
pub use damage::{Damage, DamageLog};
pub use holds::HoldTable;
pub use mailbox::Mailbox;
pub use node::{Mode, Node, NodeEvents, NodeOptions, StartError};
pub use refused::Refused;
pub use roles::RoleBoard;
pub use services::{Services, Settings};
pub use views::{RoleView, Views};
