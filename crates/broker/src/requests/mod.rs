//! What clients ask for: one file a family of request codes.
//!
//! A handler takes the few parts it needs, checks in RocketMQ's order, and leaves: what has to wait is a ticket in
//! the log, a wish among the creations, or a parked pull, never a blocked thread.

mod clients;
mod drafting;
mod offsets;
mod pull;
mod reading;
mod reply;
mod send;

pub(crate) use clients::Members;
pub(crate) use offsets::Offsets;
pub(crate) use pull::Pulls;
pub(crate) use reply::Incoming;
pub(crate) use send::Sends;

use std::sync::Arc;

use crate::services::Services;

/// The handlers of all families.
pub(crate) struct Families {
    pub sends: Arc<Sends>,
    pub pulls: Arc<Pulls>,
    pub offsets: Arc<Offsets>,
    pub members: Arc<Members>,
}

impl Families {
    pub fn new(services: &Services) -> Self {
        Self {
            sends: Arc::new(Sends::new(services)),
            pulls: Arc::new(Pulls::new(services)),
            offsets: Arc::new(Offsets::new(services)),
            members: Members::start(services),
        }
    }
}
