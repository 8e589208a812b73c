//! Request code → handler, header type, lane: one row each.

use tern_wire::codes::request;

use crate::requests::{Families, Incoming, Lookups};

/// What a request has to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// A place in the log: bounded by the log thread's box and the bounds behind it.
    Log,
    /// A fresh read: leadership is confirmed, and what was committed is applied.
    Fresh,
    /// Nothing but the published views; perhaps for a message.
    View,
    /// Nothing: memory of this process alone.
    Memory,
}

/// One row.
pub struct Route {
    /// Request code.
    pub code: i32,
    /// Its header type in `tern_wire::headers`, or the type of its body.
    pub header: &'static str,
    /// What it waits for.
    pub lane: Lane,
    pub(crate) handle: fn(&Families, Incoming),
}

impl Route {
    /// The code's name.
    pub fn name(&self) -> &'static str {
        request::name(self.code).unwrap_or("?")
    }
}

const fn route(
    code: i32,
    header: &'static str,
    lane: Lane,
    handle: fn(&Families, Incoming),
) -> Route {
    Route {
        code,
        header,
        lane,
        handle,
    }
}

/// Ordered by code.
#[rustfmt::skip] // a row is a line
static ROUTES: [Route; 20] = [
    route(request::SEND_MESSAGE, "SendRequest", Lane::Log, |to, it| to.sends.send(it)),
    route(request::PULL_MESSAGE, "PullRequest", Lane::View, |to, it| to.pulls.pull(it)),
    route(request::QUERY_MESSAGE, "QueryMessage", Lane::View, |to, it| to.queries.query(it)),
    route(request::QUERY_CONSUMER_OFFSET, "QueryConsumerOffsetRequest", Lane::Fresh, |to, it| to.offsets.query(it)),
    route(request::UPDATE_CONSUMER_OFFSET, "UpdateConsumerOffset", Lane::Log, |to, it| to.offsets.update(it)),
    route(request::SEARCH_OFFSET_BY_TIMESTAMP, "SearchOffset", Lane::Fresh, |to, it| to.offsets.search(it)),
    route(request::GET_MAX_OFFSET, "QueueRequest", Lane::Fresh, |to, it| to.offsets.max(it)),
    route(request::GET_MIN_OFFSET, "QueueRequest", Lane::Fresh, |to, it| to.offsets.min(it)),
    route(request::GET_EARLIEST_MSG_STORETIME, "QueueRequest", Lane::Fresh, |to, it| to.offsets.oldest_time(it)),
    route(request::VIEW_MESSAGE_BY_ID, "ViewMessage", Lane::View, |to, it| to.lookups.view(it)),
    route(request::HEART_BEAT, "Heartbeat", Lane::Memory, |to, it| to.members.heartbeat(it)),
    route(request::UNREGISTER_CLIENT, "UnregisterClient", Lane::Memory, |to, it| to.members.unregister(it)),
    route(request::CONSUMER_SEND_MSG_BACK, "SendBack", Lane::Log, |to, it| to.send_backs.send_back(it)),
    route(request::GET_CONSUMER_LIST_BY_GROUP, "ConsumerListRequest", Lane::Memory, |to, it| to.members.list(it)),
    route(request::LOCK_BATCH_MQ, "LockBatch", Lane::Log, |to, it| to.locks.lock(it)),
    route(request::UNLOCK_BATCH_MQ, "LockBatch", Lane::Log, |to, it| to.locks.unlock(it)),
    route(request::CHECK_CLIENT_CONFIG, "CheckClient", Lane::Memory, |_, it| Lookups::check_client(it)),
    route(request::SEND_MESSAGE_V2, "SendRequest", Lane::Log, |to, it| to.sends.send(it)),
    route(request::SEND_BATCH_MESSAGE, "SendRequest", Lane::Log, |to, it| to.sends.send(it)),
    route(request::LITE_PULL_MESSAGE, "PullRequest", Lane::View, |to, it| to.pulls.pull(it)),
];

/// All requests that the engine serves, ordered by code.
pub fn routes() -> &'static [Route] {
    &ROUTES
}

/// The row of a code.
pub(crate) fn find(code: i32) -> Option<&'static Route> {
    let at = ROUTES
        .binary_search_by_key(&code, |route| route.code)
        .ok()?;
    Some(&ROUTES[at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_found_by_its_code() {
        for route in routes() {
            assert_eq!(find(route.code).map(|found| found.code), Some(route.code));
            assert_ne!(route.name(), "?");
        }
        assert!(find(0).is_none() && find(37).is_none());
    }
}
