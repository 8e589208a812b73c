//! What happens to a request between its connection and its handler in `tern-requests`, and from there to its answer.

mod client_events;
mod context;
mod driver;
#[cfg(test)]
mod tests;

pub(crate) use context::RequestContext;
pub(crate) use driver::Driver;
