//! Requests from a socket to their answers: the handlers of `tern-requests` behind this crate's driver.

mod cold;
mod locks;
mod lookups;
mod pull;
mod query;
mod send;
mod sendback;
