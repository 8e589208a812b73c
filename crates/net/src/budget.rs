//! The memory that requests in flight may hold, and how many a connection may have.
//!
//! A [`Budget`] is shared by every connection of a process. Bytes are charged as they arrive, never as a frame
//! claims, and given back when the request's [`Credit`] is dropped, which is when it has been answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore};

/// Bytes that requests may hold from the socket to the answer, over all connections.
#[derive(Debug)]
pub struct Budget {
    limit: usize,
    free: Semaphore,
}

impl Budget {
    /// A budget of `limit` bytes.
    pub fn new(limit: usize) -> Arc<Self> {
        let limit = limit.min(Semaphore::MAX_PERMITS);
        Arc::new(Self {
            limit,
            free: Semaphore::new(limit),
        })
    }

    /// A budget that never says no, for answers to our own calls: the calls bound them.
    pub fn unlimited() -> Arc<Self> {
        Self::new(usize::MAX)
    }

    /// The bytes it was made with.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// The bytes that are charged now.
    pub fn used(&self) -> usize {
        self.limit - self.free.available_permits()
    }

    /// Charges `bytes` if there is room for all of them.
    pub(crate) fn try_take(&self, bytes: usize) -> bool {
        let Ok(bytes) = u32::try_from(bytes) else {
            return false;
        };
        self.free
            .try_acquire_many(bytes)
            .map(tokio::sync::SemaphorePermit::forget)
            .is_ok()
    }

    /// Gives back what [`Budget::try_take`] has charged.
    pub(crate) fn give_back(&self, bytes: usize) {
        self.free.add_permits(bytes);
    }

    async fn take(&self, bytes: u32) -> bool {
        self.free
            .acquire_many(bytes)
            .await
            .map(tokio::sync::SemaphorePermit::forget)
            .is_ok()
    }
}

/// What one connection has in flight, and the budget it draws from.
#[derive(Debug)]
pub(crate) struct Load {
    budget: Arc<Budget>,
    limit: usize,
    in_flight: AtomicUsize,
    reader_waits: AtomicBool,
    fell: Notify,
}

impl Load {
    pub(crate) fn new(budget: Arc<Budget>, limit: usize) -> Arc<Self> {
        Arc::new(Self {
            budget,
            limit,
            in_flight: AtomicUsize::new(0),
            reader_waits: AtomicBool::new(false),
            fell: Notify::new(),
        })
    }

    pub(crate) fn is_full(&self) -> bool {
        self.in_flight.load(Ordering::Acquire) >= self.limit
    }

    /// Waits until one of the requests in flight has been answered, or [`Load::wake`] is called.
    pub(crate) async fn fell_below_limit(&self) {
        self.reader_waits.store(true, Ordering::SeqCst);
        // Looked at again after the flag is up: an answer in between saw no reader to wake.
        if self.in_flight.load(Ordering::SeqCst) >= self.limit {
            self.fell.notified().await;
        }
        self.reader_waits.store(false, Ordering::SeqCst);
    }

    pub(crate) fn wake(&self) {
        self.fell.notify_one();
    }

    fn enter(&self) {
        self.in_flight.fetch_add(1, Ordering::AcqRel);
    }

    fn leave(&self) {
        let before = self.in_flight.fetch_sub(1, Ordering::SeqCst);
        if before <= self.limit && self.reader_waits.load(Ordering::SeqCst) {
            self.fell.notify_one();
        }
    }
}

/// The share of a request in the budget and in its connection's limit, given back when it is dropped.
///
/// A handler keeps the credit of a request until it has answered. A request that is parked for long gives its credit
/// back when it is parked, and is bounded by the table that it is parked in.
#[derive(Debug, Default)]
pub struct Credit {
    bytes: u32,
    entered: bool,
    load: Option<Arc<Load>>,
}

impl Credit {
    /// A credit that is charged to nobody, for requests that did not come from a socket.
    pub fn free() -> Self {
        Self::default()
    }

    /// Bytes that this request is charged for.
    pub fn bytes(&self) -> usize {
        self.bytes as usize
    }

    pub(crate) fn new(load: &Arc<Load>) -> Self {
        Self {
            bytes: 0,
            entered: false,
            load: Some(Arc::clone(load)),
        }
    }

    /// Counts the request as in flight at its connection.
    pub(crate) fn enter(&mut self) {
        if let Some(load) = &self.load
            && !self.entered
        {
            load.enter();
            self.entered = true;
        }
    }

    /// Raises the charge to `bytes` at once, or says no.
    pub(crate) fn try_grow_to(&mut self, bytes: usize) -> bool {
        let Some((load, more)) = self.missing(bytes) else {
            return true;
        };
        let granted = load.budget.try_take(more as usize);
        if granted {
            self.bytes += more;
        }
        granted
    }

    /// Raises the charge to `bytes`, waiting for others to give back, but not longer than `patience`.
    pub(crate) async fn grow_to(&mut self, bytes: usize, patience: Duration) -> bool {
        let Some((load, more)) = self.missing(bytes) else {
            return true;
        };
        let granted = tokio::time::timeout(patience, load.budget.take(more))
            .await
            .unwrap_or(false);
        if granted {
            self.bytes += more;
        }
        granted
    }

    fn missing(&self, bytes: usize) -> Option<(Arc<Load>, u32)> {
        let load = self.load.as_ref()?;
        // One request may be larger than a tiny budget: it then takes all of it, so that it can ever run.
        let wanted = bytes.min(load.budget.limit);
        let more = u32::try_from(wanted.saturating_sub(self.bytes as usize)).unwrap_or(u32::MAX);
        (more > 0).then(|| (Arc::clone(load), more))
    }
}

impl Drop for Credit {
    fn drop(&mut self) {
        if let Some(load) = &self.load {
            if self.bytes > 0 {
                load.budget.free.add_permits(self.bytes as usize);
            }
            if self.entered {
                load.leave();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_credit_gives_back_what_it_was_charged() {
        let budget = Budget::new(100);
        let load = Load::new(Arc::clone(&budget), 10);
        let mut credit = Credit::new(&load);
        assert!(credit.try_grow_to(60));
        assert!(credit.try_grow_to(80));
        assert_eq!(budget.used(), 80);
        assert!(!Credit::new(&load).try_grow_to(21));
        drop(credit);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn a_request_larger_than_the_whole_budget_takes_all_of_it() {
        let budget = Budget::new(100);
        let load = Load::new(Arc::clone(&budget), 10);
        let mut credit = Credit::new(&load);
        assert!(credit.try_grow_to(5_000));
        assert_eq!(budget.used(), 100);
    }

    #[test]
    fn a_request_counts_in_flight_from_entering_until_its_credit_is_dropped() {
        let load = Load::new(Budget::unlimited(), 1);
        let mut credit = Credit::new(&load);
        assert!(!load.is_full());
        credit.enter();
        assert!(load.is_full());
        drop(credit);
        assert!(!load.is_full());
    }
}
