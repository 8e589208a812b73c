//! Streams between the replicas of a group.
//!
//! Each member dials two connections to each other member, *control* and *bulk*, and only sends on them: a
//! heartbeat never queues behind bulk data, and all that touches progress keeps one order. Every connection
//! begins with a handshake that says who speaks and, where there is a cluster secret, proves it.

mod accept;
mod dial;
mod events;
mod evidence;
mod handshake;
mod options;
mod peers;
mod permit;
mod read;
mod shared;
mod strangers;
mod stream_queue;

pub use events::PeerEvents;
pub use options::PeerOptions;
pub use peers::Peers;
pub use permit::MessagePermit;
