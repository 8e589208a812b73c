//! Request code → what it waits for and its handler: one row each.

use std::sync::Arc;

pub use tern_requests::WaitsFor;
use tern_requests::{self as handlers, RequestHandler};
use tern_wire::codes::request;

use crate::requests::{Driver, RequestContext};

/// One row.
pub struct Route {
    /// Request code.
    pub code: i32,
    /// What it waits for.
    pub waits_for: WaitsFor,
    header: fn() -> &'static str,
    pub(crate) serve: fn(&Arc<Driver>, RequestContext),
}

impl Route {
    /// The code's name.
    pub fn name(&self) -> &'static str {
        request::name(self.code).unwrap_or("?")
    }

    /// The type that its handler decodes: a header of `tern_wire::headers`, or what its body is.
    pub fn header(&self) -> &'static str {
        (self.header)()
    }
}

const fn route<H: RequestHandler>(code: i32, waits_for: WaitsFor) -> Route {
    Route {
        code,
        waits_for,
        header: header_name::<H>,
        serve: Driver::serve::<H>,
    }
}

fn header_name<H: RequestHandler>() -> &'static str {
    let path = std::any::type_name::<H::Header<'static>>();
    let name = path.rsplit("::").next().unwrap_or(path);
    // A header that borrows is named with a lifetime: `SendRequest<'_>`.
    name.trim_end_matches("<'_>")
}

/// Ordered by code.
#[rustfmt::skip] // a row is a line
static ROUTES: [Route; 20] = [
    route::<handlers::SendHandler>(request::SEND_MESSAGE, WaitsFor::Log),
    route::<handlers::PullHandler>(request::PULL_MESSAGE, WaitsFor::View),
    route::<handlers::QueryMessageHandler>(request::QUERY_MESSAGE, WaitsFor::View),
    route::<handlers::QueryConsumerOffsetHandler>(request::QUERY_CONSUMER_OFFSET, WaitsFor::ReadIndex),
    route::<handlers::UpdateConsumerOffsetHandler>(request::UPDATE_CONSUMER_OFFSET, WaitsFor::Log),
    route::<handlers::SearchOffsetHandler>(request::SEARCH_OFFSET_BY_TIMESTAMP, WaitsFor::ReadIndex),
    route::<handlers::QueueQuestionHandler<handlers::MaxOffset>>(request::GET_MAX_OFFSET, WaitsFor::ReadIndex),
    route::<handlers::QueueQuestionHandler<handlers::MinOffset>>(request::GET_MIN_OFFSET, WaitsFor::ReadIndex),
    route::<handlers::QueueQuestionHandler<handlers::EarliestStoreTime>>(request::GET_EARLIEST_MSG_STORETIME, WaitsFor::ReadIndex),
    route::<handlers::ViewMessageHandler>(request::VIEW_MESSAGE_BY_ID, WaitsFor::View),
    route::<handlers::HeartbeatHandler>(request::HEART_BEAT, WaitsFor::Memory),
    route::<handlers::UnregisterClientHandler>(request::UNREGISTER_CLIENT, WaitsFor::Memory),
    route::<handlers::SendBackHandler>(request::CONSUMER_SEND_MSG_BACK, WaitsFor::Log),
    route::<handlers::ConsumerListHandler>(request::GET_CONSUMER_LIST_BY_GROUP, WaitsFor::Memory),
    route::<handlers::LockHandler>(request::LOCK_BATCH_MQ, WaitsFor::Log),
    route::<handlers::UnlockHandler>(request::UNLOCK_BATCH_MQ, WaitsFor::Log),
    route::<handlers::CheckClientHandler>(request::CHECK_CLIENT_CONFIG, WaitsFor::Memory),
    route::<handlers::SendHandler>(request::SEND_MESSAGE_V2, WaitsFor::Log),
    route::<handlers::SendHandler>(request::SEND_BATCH_MESSAGE, WaitsFor::Log),
    route::<handlers::PullHandler>(request::LITE_PULL_MESSAGE, WaitsFor::View),
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
            assert!(route.header().chars().all(char::is_alphanumeric));
        }
        assert!(find(0).is_none() && find(37).is_none());
    }
}
