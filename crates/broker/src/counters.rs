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
}

/// The totals at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Messages that sends and send-backs stored here, each of a batch.
    pub put_messages: u64,
    /// Bytes of their records.
    pub put_bytes: u64,
    /// Sends and send-backs that reached the log and were not stored, or not known to be.
    pub put_failed: u64,
    /// Messages that pulls took.
    pub get_messages: u64,
    /// Bytes of their records.
    pub get_bytes: u64,
    /// Looks of pulls that found messages.
    pub get_found: u64,
    /// Looks of pulls that found none; a pull that is parked has at least one.
    pub get_missed: u64,
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

    pub(crate) fn missed(&self) {
        add(&self.gets.missed, 1);
    }

    /// Read all of them.
    pub fn totals(&self) -> Totals {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Totals {
            put_messages: read(&self.puts.messages),
            put_bytes: read(&self.puts.bytes),
            put_failed: read(&self.puts.failed),
            get_messages: read(&self.gets.messages),
            get_bytes: read(&self.gets.bytes),
            get_found: read(&self.gets.found),
            get_missed: read(&self.gets.missed),
        }
    }
}

fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}
