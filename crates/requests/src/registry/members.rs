//! Clients as the registry knows them.

use std::net::SocketAddr;
use std::sync::Arc;

use tern_wire::Language;

use super::subscription_set::SubscriptionSet;

/// Who sends a heartbeat.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Number of the connection.
    pub connection: u64,
    /// Its other end.
    pub peer: SocketAddr,
    /// Language of its client library.
    pub language: Language,
    /// Version of its client library.
    pub version: i32,
}

/// One client of a group.
pub(super) struct GroupMember {
    pub client_id: Arc<str>,
    pub peer: SocketAddr,
    pub language: Language,
    pub version: i32,
    /// When it was heard last, ms of the monotonic clock.
    pub seen_ms: u64,
    /// What it subscribes to; none while it has not said so, or if that is beyond the bounds.
    pub subscription_set: Option<Arc<SubscriptionSet>>,
}

impl GroupMember {
    pub fn new(caller: &Caller, client_id: &str, seen_ms: u64) -> Self {
        Self {
            client_id: Arc::from(client_id),
            peer: caller.peer,
            language: caller.language,
            version: caller.version,
            seen_ms,
            subscription_set: None,
        }
    }
}
