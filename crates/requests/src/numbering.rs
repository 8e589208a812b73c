//! What messages get that do not bring it along: unique ids, and queues in turn.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};

use tern_wire::message_id::UniqueIdMaker;

/// Gives out unique ids and queues.
pub struct Numbering {
    unique_ids: UniqueIdMaker,
    picked: AtomicU32,
}

impl Numbering {
    /// For a process on this address. Two processes, or two starts of one, differ in `salt`, so that they do not begin
    /// with the same numbers.
    pub fn new(address: IpAddr, process_id: u32, salt: u32) -> Self {
        Self {
            unique_ids: UniqueIdMaker::new(address, process_id, salt),
            picked: AtomicU32::new(salt),
        }
    }

    /// A unique id, made at this time, ms since 1970.
    pub fn unique_id(&self, now_ms: u64) -> String {
        self.unique_ids.make(now_ms)
    }

    /// One of so many queues, each in turn; none of none.
    pub fn pick(&self, queues: u32) -> Option<u32> {
        self.picked
            .fetch_add(1, Ordering::Relaxed)
            .checked_rem(queues)
    }
}
