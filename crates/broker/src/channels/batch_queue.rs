//! A box between threads from which the reader takes everything at once.
//!
//! The channels of the standard library and of crossbeam yield in a loop before they sleep. Where more threads want to
//! run than there are cores, that loop takes time from those that have work: 8 % of a leader's CPU at 12,000 sends a
//! second on two cores. Here a reader sleeps at once, and one wake-up brings all that waits.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// The writing end; cheap to clone.
pub(crate) struct BatchSender<T>(Arc<BatchQueue<T>>);

/// The reading end. Dropping it closes the box: what is sent later is dropped.
pub(crate) struct BatchReceiver<T>(Arc<BatchQueue<T>>);

struct BatchQueue<T> {
    state: Mutex<BatchQueueState<T>>,
    filled: Condvar,
}

struct BatchQueueState<T> {
    waiting: VecDeque<T>,
    open: bool,
    wake: WakeState,
    /// The reader sleeps. A reader that is at work looks here before it does, and a wake-up would be a system call for
    /// nothing.
    asleep: bool,
    /// Something waits that the reader wants to know of at once.
    urgent: bool,
    /// The reader sleeps over what is not urgent, until it is this much.
    defer_until: Option<usize>,
}

/// Who wakes the reader for what waits.
#[derive(Clone, Copy, PartialEq, Eq)]
enum WakeState {
    /// Nobody yet.
    Idle,
    /// A sender that pushed without a wake-up has promised to.
    WakePromised,
    /// It has been woken.
    Woken,
}

/// An empty box.
pub(crate) fn batch_queue<T>() -> (BatchSender<T>, BatchReceiver<T>) {
    let inner = Arc::new(BatchQueue {
        state: Mutex::new(BatchQueueState {
            waiting: VecDeque::new(),
            open: true,
            wake: WakeState::Idle,
            asleep: false,
            urgent: false,
            defer_until: None,
        }),
        filled: Condvar::new(),
    });
    (BatchSender(Arc::clone(&inner)), BatchReceiver(inner))
}

impl<T> Clone for BatchSender<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> BatchQueue<T> {
    /// No code that can panic runs under the lock.
    fn lock(&self) -> MutexGuard<'_, BatchQueueState<T>> {
        self.state.lock().expect("no holder panics")
    }

    /// Wake the reader once for all that waits.
    fn notify(&self, mut state: MutexGuard<'_, BatchQueueState<T>>) {
        let woken = std::mem::replace(&mut state.wake, WakeState::Woken);
        let sleeps = state.asleep && woken != WakeState::Woken;
        drop(state);
        if sleeps {
            self.filled.notify_one();
        }
    }
}

impl<T> BatchQueueState<T> {
    fn take(&mut self) -> VecDeque<T> {
        self.wake = WakeState::Idle;
        self.urgent = false;
        self.defer_until = None;
        std::mem::take(&mut self.waiting)
    }

    /// Whether it falls to the caller to wake the reader.
    fn promise(&mut self) -> bool {
        let first = self.wake == WakeState::Idle;
        if first {
            self.wake = WakeState::WakePromised;
        }
        first
    }

    fn is_due(&self) -> bool {
        match self.defer_until {
            None => !self.waiting.is_empty(),
            Some(most) => self.urgent || self.waiting.len() >= most,
        }
    }
}

impl<T> BatchSender<T> {
    /// Push one item and wake the reader.
    ///
    /// # Errors
    /// The item, if the reader is gone.
    pub fn send(&self, item: T) -> Result<(), T> {
        let state = self.push(item, true)?;
        self.0.notify(state);
        Ok(())
    }

    /// Push one item and wake nobody. True if the caller must [`Self::notify`] before long: nobody else has to.
    ///
    /// # Errors
    /// The item, if the reader is gone.
    pub fn push_no_wake(&self, item: T) -> Result<bool, T> {
        Ok(self.push(item, true)?.promise())
    }

    /// As [`Self::push_no_wake`], for an item that a reader may sleep over.
    ///
    /// # Errors
    /// The item, if the reader is gone.
    pub fn push_deferrable(&self, item: T) -> Result<bool, T> {
        let mut state = self.push(item, false)?;
        match state.defer_until {
            None => Ok(state.promise()),
            Some(most) => {
                if state.waiting.len() >= most {
                    self.0.notify(state);
                }
                Ok(false)
            }
        }
    }

    fn push(&self, item: T, urgent: bool) -> Result<MutexGuard<'_, BatchQueueState<T>>, T> {
        let mut state = self.0.lock();
        if !state.open {
            return Err(item);
        }
        state.waiting.push_back(item);
        state.urgent |= urgent;
        Ok(state)
    }

    /// Wake the reader for what was pushed without a wake-up. False if it is gone.
    pub fn notify(&self) -> bool {
        let mut state = self.0.lock();
        let open = state.open;
        if state.is_due() {
            self.0.notify(state);
        } else {
            // The promise is kept: the reader sleeps over what it was made for.
            state.wake = WakeState::Idle;
        }
        open
    }
}

impl<T> BatchReceiver<T> {
    /// Take all that waits, without waiting.
    pub fn take(&self) -> VecDeque<T> {
        self.0.lock().take()
    }

    /// Take all that waits; sleep until something does.
    pub fn wait(&self) -> VecDeque<T> {
        let mut state = self.0.lock();
        while state.waiting.is_empty() {
            state.asleep = true;
            state = self.0.filled.wait(state).expect("no holder panics");
            state.asleep = false;
        }
        state.take()
    }

    /// As [`Self::wait`], for no longer than `limit`; empty if nothing came.
    pub fn wait_for(&self, limit: Duration) -> VecDeque<T> {
        self.wait_until(limit, None)
    }

    /// As [`Self::wait_for`], but sleeps over deferrable items while fewer than `most` wait.
    pub fn wait_deferring(&self, limit: Duration, most: usize) -> VecDeque<T> {
        self.wait_until(limit, Some(most))
    }

    fn wait_until(&self, limit: Duration, defer_until: Option<usize>) -> VecDeque<T> {
        let end = Instant::now() + limit;
        let mut state = self.0.lock();
        // Set under the same lock as the first look: a sender that comes later reads it to know whether the receiver sleeps
        // over its item.
        state.defer_until = defer_until;
        while !state.is_due() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            // Reset before each sleep: a wake-up for deferrable items must not count as one for an urgent item, whose sender
            // would then leave the receiver asleep.
            state.wake = WakeState::Idle;
            state.asleep = true;
            let waited = self.0.filled.wait_timeout(state, left);
            state = waited.expect("no holder panics").0;
            state.asleep = false;
        }
        state.take()
    }
}

impl<T> Drop for BatchReceiver<T> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.open = false;
        let left = std::mem::take(&mut state.waiting);
        drop(state);
        drop(left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_was_sent_is_taken_once_and_in_order() {
        let (sender, reader) = batch_queue();
        let writer = std::thread::spawn(move || {
            for number in 0..10_000 {
                sender.send(number).unwrap();
            }
        });
        let mut taken = Vec::new();
        while taken.len() < 10_000 {
            taken.extend(reader.wait());
        }
        writer.join().unwrap();
        assert!(taken.iter().copied().eq(0..10_000));
        assert!(reader.take().is_empty());
    }

    #[test]
    fn what_is_pushed_without_a_wake_up_is_taken_when_a_sender_notifies() {
        let (sender, reader) = batch_queue();
        assert_eq!(sender.push_no_wake(1), Ok(true), "the first has to notify");
        assert_eq!(sender.push_no_wake(2), Ok(false), "the first will notify");
        let writer = std::thread::spawn(move || assert!(sender.notify()));
        assert!(reader.wait().into_iter().eq([1, 2]));
        writer.join().unwrap();
    }

    #[test]
    fn a_send_wakes_the_reader_for_senders_that_have_not_notified() {
        let (sender, reader) = batch_queue();
        assert_eq!(sender.push_no_wake(1), Ok(true));
        sender.send(2).unwrap();
        assert!(reader.wait_for(Duration::ZERO).into_iter().eq([1, 2]));
        assert_eq!(
            sender.push_no_wake(3),
            Ok(true),
            "a new wake-up for a new batch"
        );
        drop(reader);
        assert_eq!(sender.push_no_wake(4), Err(4));
        assert!(!sender.notify(), "nobody is there");
    }

    #[test]
    fn a_reader_sleeps_over_deferrable_items_until_there_are_enough() {
        let (sender, reader) = batch_queue();
        assert_eq!(
            sender.push_deferrable(1),
            Ok(true),
            "the reader defers nothing yet"
        );
        let still = reader.wait_deferring(Duration::from_millis(1), 3);
        assert!(still.into_iter().eq([1]), "taken when the time is over");
        let waiting = std::thread::spawn(move || {
            let taken = reader.wait_deferring(Duration::from_secs(60), 3);
            (taken, reader)
        });
        while sender.0.lock().defer_until.is_none() {
            std::thread::yield_now();
        }
        for number in 2..5 {
            assert_eq!(sender.push_deferrable(number), Ok(false));
        }
        let (taken, reader) = waiting.join().unwrap();
        assert!(taken.into_iter().eq([2, 3, 4]));
        sender.push_deferrable(5).unwrap();
        sender.push_no_wake(6).unwrap();
        let taken = reader.wait_deferring(Duration::from_secs(60), 3);
        assert!(taken.into_iter().eq([5, 6]), "an urgent one takes it along");
    }

    #[test]
    fn an_urgent_item_wakes_a_deferring_reader_that_was_notified_before() {
        let (sender, reader) = batch_queue();
        assert_eq!(sender.push_deferrable(1), Ok(true));
        assert!(sender.notify(), "before the reader sleeps over it");
        let (taken_in, taken) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let _ = taken_in.send(reader.wait_deferring(Duration::from_secs(3600), 3));
        });
        while sender.0.lock().defer_until.is_none() {
            std::thread::yield_now();
        }
        assert!(sender.notify(), "a promise from before it slept");
        sender.send(2).unwrap();
        let taken = taken.recv_timeout(Duration::from_secs(10)).expect("woken");
        assert!(taken.into_iter().eq([1, 2]));
    }

    #[test]
    fn a_box_without_a_reader_gives_the_item_back() {
        let (sender, reader) = batch_queue();
        drop(reader);
        assert_eq!(sender.send(7), Err(7));
    }

    #[test]
    fn waiting_ends_without_an_item() {
        let (_sender, reader) = batch_queue::<u32>();
        assert!(reader.wait_for(Duration::from_millis(1)).is_empty());
    }
}
