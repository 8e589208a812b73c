//! What clients ask for: one file a family of request codes.
//!
//! A handler is a function from a request and a view to a verdict, and checks in RocketMQ's order; the driver alone acts.

mod client_events;
mod clients;
mod context;
mod destination;
mod drafting;
mod driver;
mod effects;
mod handler;
mod locks;
mod lookups;
mod offsets;
mod pull;
mod query;
mod reading;
mod send;
mod sendback;

pub(crate) use clients::{ConsumerListHandler, HeartbeatHandler, UnregisterClientHandler};
pub(crate) use context::RequestContext;
pub(crate) use driver::Driver;
pub(crate) use handler::RequestHandler;
pub use handler::WaitsFor;
pub(crate) use locks::{LockHandler, UnlockHandler};
pub(crate) use lookups::{CheckClientHandler, ViewMessageHandler};
pub(crate) use offsets::{
    EarliestStoreTime, MaxOffset, MinOffset, QueryConsumerOffsetHandler, QueueQuestionHandler,
    SearchOffsetHandler, UpdateConsumerOffsetHandler,
};
pub(crate) use pull::PullHandler;
pub(crate) use query::QueryMessageHandler;
pub(crate) use send::SendHandler;
pub(crate) use sendback::SendBackHandler;
#[cfg(test)]
pub(crate) use {
    effects::Effects,
    handler::{ClientRequest, Consistency, NotServed, Verdict, View},
};
