//! Why a call has no answer.

use tern_wire::FrameError;

/// Why a call of ours has no answer. What a caller may do next depends on whether anything was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// No connection came about; nothing was sent.
    #[error("{address} cannot be reached: {reason}")]
    Unreachable {
        /// The address that was called.
        address: String,
        /// What the system says.
        reason: String,
    },
    /// The request was sent; no answer came in time.
    #[error("{address} did not answer in {waited_ms} ms")]
    TimedOut {
        /// The address that was called.
        address: String,
        /// The time that the caller allowed.
        waited_ms: u64,
    },
    /// The connection ended after the request was handed to it; the peer may have seen it.
    #[error("the connection to {address} was closed before the answer")]
    ConnectionLost {
        /// The address that was called.
        address: String,
    },
    /// Refused here: too many calls wait for answers, or too many bytes wait for their connection.
    #[error("too many calls are pending, the limit is {limit}")]
    TooManyPending {
        /// Calls, or bytes of one connection.
        limit: usize,
    },
    /// Refused here: too many connections are open.
    #[error("too many connections, the limit is {limit}")]
    TooManyConnections {
        /// Connections allowed.
        limit: usize,
    },
    /// Refused here: the request breaks the limits of a frame.
    #[error("the request cannot be sent: {0}")]
    Unsendable(#[from] FrameError),
    /// Refused here: the client has been closed.
    #[error("the client is closed")]
    Closed,
}
