//! What clients ask for: one file a family of request codes.
//!
//! A handler takes the few parts it needs, checks in RocketMQ's order, and leaves: what has to wait is a ticket in
//! the log, a wish among the creations, or a parked pull, never a blocked thread.

mod clients;
mod dead_letters;
mod drafting;
mod locks;
mod lookups;
mod offsets;
mod pull;
mod query;
mod reading;
mod reply;
mod second_look;
mod send;
mod sendback;

pub(crate) use clients::Members;
pub(crate) use locks::Locks;
pub(crate) use lookups::Lookups;
pub(crate) use offsets::Offsets;
pub(crate) use pull::Pulls;
pub(crate) use query::Queries;
pub(crate) use reply::Incoming;
pub(crate) use send::Sends;
pub(crate) use sendback::SendBacks;

use std::sync::Arc;

use crate::services::Services;

/// The handlers of all families.
pub(crate) struct Families {
    pub sends: Arc<Sends>,
    pub send_backs: Arc<SendBacks>,
    pub pulls: Arc<Pulls>,
    pub queries: Arc<Queries>,
    pub offsets: Arc<Offsets>,
    pub members: Arc<Members>,
    pub locks: Arc<Locks>,
    pub lookups: Arc<Lookups>,
}

impl Families {
    pub fn new(services: &Services) -> Self {
        Self {
            sends: Arc::new(Sends::new(services)),
            send_backs: Arc::new(SendBacks::new(services)),
            pulls: Arc::new(Pulls::new(services)),
            queries: Arc::new(Queries::new(services)),
            offsets: Arc::new(Offsets::new(services)),
            members: Members::start(services),
            locks: Arc::new(Locks::new(services)),
            lookups: Arc::new(Lookups::new(services)),
        }
    }
}
