//! Remoting server and client on tokio, and the streams between replicas.
//!
//! A request's way through the server: [`listen`] accepts the connection, its reader takes frames within the
//! [`tern_wire::FrameLimits`] and the [`Budget`], a [`Handler`] is called in the reader, and what it answers is queued at the
//! [`Connection`] and leaves in batches. The [`Client`] is the other end. The [`Bridge`] carries requests to an event
//! loop in another language and answers back, many at a time.

mod bridge;
mod budget;
mod client;
mod complaint;
mod connection;
mod error;
mod events;
mod heartbeats;
mod inbound;
mod journal;
mod link;
mod outbound;
pub mod peers;
mod pending;
mod sends;
mod server;

pub use bridge::{Answer, Bridge};
pub use budget::{Budget, Credit};
pub use client::{Call, Client, ClientOptions, PushHandler};
pub use complaint::Complaint;
pub use connection::Connection;
pub use error::CallError;
pub use events::{Event, EventQueue, StoredSend};
pub use heartbeats::{Beating, Heartbeats};
pub use journal::{Journal, Level, Logger, Record, journal};
pub use pending::CallSink;
pub use sends::SendOutcomes;
pub use server::{Handler, Listener, OVERLOAD_REMARK, ServerCounts, ServerOptions, listen};
