//! The two clocks of a process. Elections use the one that counts suspended time (D12).

use rustix::time::{ClockId, clock_gettime};
use tern_requests::Clocks;

/// Nanoseconds since boot, suspension included.
pub fn monotonic_ns() -> u64 {
    nanoseconds(ClockId::Boottime)
}

/// Milliseconds since boot, suspension included: what leases and delays of this process are measured in.
pub fn monotonic_ms() -> u64 {
    monotonic_ns() / 1_000_000
}

/// Milliseconds since 1970: stamps messages and due times, decides nothing.
pub fn wall_ms() -> u64 {
    nanoseconds(ClockId::Realtime) / 1_000_000
}

/// The clocks of this machine, for request handlers.
pub(crate) struct MachineClock;

impl Clocks for MachineClock {
    fn monotonic_ms(&self) -> u64 {
        monotonic_ms()
    }

    fn wall_ms(&self) -> u64 {
        wall_ms()
    }
}

fn nanoseconds(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
}
