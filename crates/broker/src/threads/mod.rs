//! The threads of a replica. They carry inputs in and effects out; what they do stands in `tern-replica`.

mod apply;
mod begin;
mod beginning;
mod bootstrap;
mod flush;
mod io;
mod keys;
mod leader;
mod log;
mod plain;
mod stopper;

pub(crate) use begin::begin;
pub(crate) use beginning::Beginning;
pub(crate) use plain::spawn;
pub(crate) use stopper::Stopper;
