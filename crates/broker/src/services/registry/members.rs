//! Clients as the registry knows them.

use std::sync::Arc;
use std::time::Instant;

use tern_wire::Language;

use super::subscription_set::SubscriptionSet;

/// Who sends a heartbeat. The registry is generic over what a connection is, for its tests.
#[derive(Debug, Clone)]
pub struct Caller<C> {
    /// Id of the connection.
    pub id: u64,
    /// The connection.
    pub connection: C,
    /// Language of its client library.
    pub language: Language,
    /// Version of its client library.
    pub version: i32,
}

/// One client of a group.
pub(super) struct GroupMember<C> {
    pub client_id: Arc<str>,
    pub connection: C,
    pub language: Language,
    pub version: i32,
    pub seen: Instant,
    /// What it subscribes to; none while it has not said so, or if that is beyond the bounds.
    pub subscription_set: Option<Arc<SubscriptionSet>>,
}

impl<C: Clone> GroupMember<C> {
    pub fn new(caller: &Caller<C>, client_id: &str, seen: Instant) -> Self {
        Self {
            client_id: Arc::from(client_id),
            connection: caller.connection.clone(),
            language: caller.language,
            version: caller.version,
            seen,
            subscription_set: None,
        }
    }
}
