//! The threads of a replica. They carry inputs in and effects out; what they do stands in `tern-replica`.

mod apply;
mod begin;
mod bootstrap;
mod fatal_error_handler;
mod flush;
mod io;
mod keys;
mod leader;
mod log;
mod plain;
mod start_context;

pub(crate) use begin::begin;
pub(crate) use fatal_error_handler::FatalErrorHandler;
pub(crate) use plain::spawn;
pub(crate) use start_context::StartContext;
