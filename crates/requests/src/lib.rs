//! What clients ask for: one file a family of request codes.
//!
//! A handler is a function from a request and a view to a verdict, and checks in RocketMQ's order; a driver alone acts.
//! The broker's driver and the clients of the simulator share the handlers and the steps around them. There is no
//! thread, clock or socket here.

mod clients;
mod clock;
mod creation;
mod destination;
mod drafting;
mod effects;
mod handler;
mod judging;
mod locks;
mod lookups;
mod numbering;
mod offsets;
mod pull;
mod query;
mod queues;
mod reading;
mod registry;
mod request_error;
mod role_view;
mod send;
mod sendback;
mod settings;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod views;

pub use clients::{ConsumerListHandler, HeartbeatHandler, UnregisterClientHandler};
pub use clock::Clocks;
pub use creation::{Missing, NewTopic, NotCreated, missing_of_group};
pub use effects::{Effects, HeartbeatEffects, MissingGroup};
pub use handler::{
    Append, ClientRequest, Consistency, Hold, Looked, NotServed, Reads, RequestHandler, Response,
    Verdict, View, WaitsFor,
};
pub use judging::{Before, NextStep, before, is_judged_at_once, is_ready, judge};
pub use locks::{LockHandler, UnlockHandler};
pub use lookups::{CheckClientHandler, ViewMessageHandler};
pub use numbering::Numbering;
pub use offsets::{
    EarliestStoreTime, MaxOffset, MinOffset, QueryConsumerOffsetHandler, QueueQuestionHandler,
    SearchOffsetHandler, UpdateConsumerOffsetHandler,
};
pub use pull::PullHandler;
pub use query::QueryMessageHandler;
pub use queues::{GroupQueue, QueueKey};
pub use registry::ClientRegistry;
pub use registry::listing::{ClientInfo, ConsumerListing, SubscriptionListing};
pub use request_error::RequestError;
pub use role_view::RoleView;
pub use send::SendHandler;
pub use sendback::SendBackHandler;
pub use settings::{Settings, TableLimits};
pub use views::Views;
pub use views::damage::{DamageLog, MetDamage};
