//! The queue between the net threads and an event loop in another language.
//!
//! The [`Bridge`] carries requests to the event loop and answers back, many at a time. Beside them its [`EventQueue`]
//! carries what became of calls, of sends ([`SendOutcomes`]) and of [`Heartbeats`], and the events of the program
//! around it, of which the bridge knows nothing: their type is a parameter.

mod bridge;
mod events;
mod heartbeats;
mod sends;

pub use bridge::{Bridge, BridgeAnswer};
pub use events::{BridgeEvent, EventQueue, StoredSend};
pub use heartbeats::{HeartbeatOutcome, HeartbeatSchedule, Heartbeats};
pub use sends::SendOutcomes;
