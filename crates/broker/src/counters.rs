//! Totals since the start, for operators: what clients put here and got from here.
//!
//! Relaxed, and counted once a request, not once a message. What is put is counted by the thread that answers sends,
//! what is got by those that answer pulls, so the two keep apart.

use std::sync::atomic::{AtomicU64, Ordering};

/// All counters of a replica.
#[derive(Default)]
pub struct MessageCounters {
    puts: Puts,
    gets: Gets,
    peers: PeerMessages,
}

// Apart in their own cache lines, as other threads write them.
#[derive(Default)]
#[repr(align(64))]
struct Puts {
    messages: AtomicU64,
    bytes: AtomicU64,
    failed: AtomicU64,
}

#[derive(Default)]
#[repr(align(64))]
struct Gets {
    messages: AtomicU64,
    bytes: AtomicU64,
    found: AtomicU64,
    missed: AtomicU64,
    cold: AtomicU64,
}

#[derive(Default)]
struct PeerMessages {
    unusable: AtomicU64,
}

/// Declares the totals: name, meaning, and the counter that it is read from. A row is all that a new one needs besides its
/// counter: whoever shows totals goes through [`Totals::rows`].
macro_rules! totals {
    ($($(#[doc = $doc:literal])* $name:ident = $group:ident.$counter:ident;)*) => {
        /// The totals at one moment.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct Totals {
            $($(#[doc = $doc])* pub $name: u64,)*
        }

        impl Totals {
            /// Each total with its name.
            pub fn rows(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name)),*].into_iter()
            }
        }

        impl MessageCounters {
            /// Read all of them.
            pub fn totals(&self) -> Totals {
                Totals {
                    $($name: self.$group.$counter.load(Ordering::Relaxed),)*
                }
            }
        }
    };
}

totals! {
    /// Messages that sends and send-backs stored here, each of a batch.
    put_messages = puts.messages;
    /// Bytes of their records.
    put_bytes = puts.bytes;
    /// Sends and send-backs that reached the log and were not stored, or not known to be.
    put_failed = puts.failed;
    /// Messages that pulls took.
    get_messages = gets.messages;
    /// Bytes of their records.
    get_bytes = gets.bytes;
    /// Looks of pulls that found messages.
    get_found = gets.found;
    /// Looks of pulls that found none; a pull that is parked has at least one.
    get_missed = gets.missed;
    /// Pulls that read old messages, on the threads that wait for a disk.
    get_cold = gets.cold;
    /// Messages of other replicas that the consensus engine could not use.
    peer_messages_unusable = peers.unusable;
}

impl MessageCounters {
    pub(crate) fn put(&self, messages: usize, bytes: u64) {
        add(&self.puts.messages, messages as u64);
        add(&self.puts.bytes, bytes);
    }

    pub(crate) fn put_failed(&self) {
        add(&self.puts.failed, 1);
    }

    pub(crate) fn got(&self, messages: usize, bytes: usize) {
        add(&self.gets.found, 1);
        add(&self.gets.messages, messages as u64);
        add(&self.gets.bytes, bytes as u64);
    }

    pub(crate) fn peer_message_unusable(&self) {
        add(&self.peers.unusable, 1);
    }

    pub(crate) fn read_cold(&self) {
        add(&self.gets.cold, 1);
    }

    pub(crate) fn missed(&self) {
        add(&self.gets.missed, 1);
    }
}

fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_total_has_a_row_of_its_own_name() {
        let counters = MessageCounters::default();
        counters.put(2, 300);
        counters.put_failed();
        counters.got(5, 700);
        counters.missed();
        counters.read_cold();
        counters.peer_message_unusable();
        let rows: Vec<_> = counters.totals().rows().collect();
        let expected = [
            ("put_messages", 2),
            ("put_bytes", 300),
            ("put_failed", 1),
            ("get_messages", 5),
            ("get_bytes", 700),
            ("get_found", 1),
            ("get_missed", 1),
            ("get_cold", 1),
            ("peer_messages_unusable", 1),
        ];
        assert_eq!(rows, expected);
    }
}
