//! The clocks of the process that judges.

/// The two clocks that a handler may ask. A process has those of its machine, the simulator those that it turns.
pub trait Clocks: Send + Sync {
    /// Milliseconds of a clock that never goes back and counts suspended time: what leases are measured in.
    fn monotonic_ms(&self) -> u64;

    /// Milliseconds since 1970: stamps messages, decides nothing.
    fn wall_ms(&self) -> u64;
}
