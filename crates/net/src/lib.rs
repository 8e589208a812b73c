//! Remoting server and client on tokio.
//!
//! A request's way through the server: [`listen`] accepts the connection, its reader takes frames within the
//! [`tern_wire::FrameLimits`] and the [`Budget`], a [`Handler`] is called in the reader, and what it answers is queued at the
//! [`Connection`] and leaves in batches. The [`Client`] is the other end.

mod budget;
mod client;
mod connection;
mod error;
mod inbound;
mod link;
mod options;
mod outbound;
mod pending;
mod server;
mod socket;
mod stream;
mod turns;

pub use budget::{Budget, Credit};
pub use client::{Call, Client, PushHandler};
pub use connection::{Connection, OVERLOAD_REMARK};
pub use error::CallError;
pub use options::{ClientOptions, ServerOptions};
pub use pending::CallSink;
pub use server::{Handler, Listener, ServerCounts, listen};
pub use socket::{ListeningSocket, connect};
pub use stream::Stream;
