//! The streams between replicas, over real loopback sockets.

mod streams;
mod support;
mod waiting;
