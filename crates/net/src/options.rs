//! Limits and times of both ends, with their usual values.

use std::sync::Arc;
use std::time::Duration;

use tern_wire::{FrameLimits, Language, version};

use crate::budget::Budget;

/// Limits and times of a listener.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// Limits of a frame.
    pub limits: FrameLimits,
    /// Connections in all.
    pub max_connections: usize,
    /// Connections of one IP address.
    pub max_connections_per_address: usize,
    /// A connection without a byte in or out is closed after this time.
    pub idle: Duration,
    /// Time in which a frame must be complete once its first byte came.
    pub frame_grace: Duration,
    /// Bytes of a frame for which a second is added to that time: what a peer must send, and take, in a second.
    pub frame_pace: u64,
    /// Bytes that each connection may have queued. Reading stops at half of it.
    pub outbound_bytes: usize,
    /// Bytes that all connections may have queued beyond that, most often answers to many requests that were in flight
    /// together; shared by the listeners of a process. A connection for which it has no room is closed.
    pub overdraft: Arc<Budget>,
    /// How long a peer may take none of its answers while they fill half of `outbound_bytes`. While they fill more than
    /// all of it, it must take them at `frame_pace`.
    pub stall: Duration,
    /// Requests of one connection in flight, above which it is not read.
    pub requests_in_flight: usize,
    /// Bytes of all requests in flight; shared by the listeners of a process.
    pub budget: Arc<Budget>,
    /// How long a request waits for the budget before it is answered 2.
    pub patience: Duration,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            limits: FrameLimits::default(),
            max_connections: 16_384,
            max_connections_per_address: 8_192,
            idle: Duration::from_secs(120),
            frame_grace: Duration::from_secs(15),
            frame_pace: 128 * 1024,
            outbound_bytes: 8 * 1024 * 1024,
            overdraft: Budget::new(256 * 1024 * 1024),
            stall: Duration::from_secs(10),
            requests_in_flight: 4_096,
            budget: Budget::new(256 * 1024 * 1024),
            patience: Duration::from_millis(200),
        }
    }
}

/// Limits, times and identity of a client.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// Limits of a frame from a server.
    pub limits: FrameLimits,
    /// What the client calls itself.
    pub language: Language,
    /// Version ordinal in its requests.
    pub version: i32,
    /// Time for a connection to come about.
    pub connect_timeout: Duration,
    /// Connections that the client keeps.
    pub max_connections: usize,
    /// Calls that wait for answers, over all connections.
    pub max_pending: usize,
    /// Bytes that wait to be sent on one connection; calls beyond are refused.
    pub outbound_bytes: usize,
    /// A connection without a byte in or out is closed after this time: sooner than a server closes it, so that no
    /// call meets a closing connection.
    pub idle: Duration,
    /// A connection is given up when its peer has not acknowledged what was sent for this time.
    pub user_timeout: Duration,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            limits: FrameLimits::default(),
            language: Language::OTHER,
            version: version::OWN,
            connect_timeout: Duration::from_secs(3),
            max_connections: 4_096,
            max_pending: 65_536,
            outbound_bytes: 64 * 1024 * 1024,
            idle: Duration::from_secs(100),
            user_timeout: Duration::from_secs(10),
        }
    }
}
