//! The streams between replicas, over real loopback sockets.

mod gone;
mod proxy;
mod strangers;
mod streams;
mod support;
mod waiting;
