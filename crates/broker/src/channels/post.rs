//! A box between threads from which the reader takes everything at once.
//!
//! The channels of the standard library and of crossbeam yield in a loop before they sleep. Where more threads want to
//! run than there are cores, that loop takes time from those that have work: 8 % of a leader's CPU at 12,000 sends a
//! second on two cores. Here a reader sleeps at once, and one wake-up brings all that waits.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// The writing end; cheap to clone.
pub(crate) struct Post<T>(Arc<Inner<T>>);

/// The reading end. Dropping it closes the box: what is posted later is dropped.
pub(crate) struct PostBox<T>(Arc<Inner<T>>);

struct Inner<T> {
    state: Mutex<State<T>>,
    filled: Condvar,
}

struct State<T> {
    waiting: VecDeque<T>,
    open: bool,
    bell: Bell,
    /// Something waits that the reader wants to know of at once.
    urgent: bool,
    /// The reader sleeps over what is not urgent, until it is this much.
    patience: Option<usize>,
}

/// Who wakes the reader for what waits.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bell {
    /// Nobody yet.
    Silent,
    /// Somebody who posted quietly has promised to.
    Promised,
    /// It has been woken.
    Rung,
}

/// An empty box.
pub(crate) fn post_box<T>() -> (Post<T>, PostBox<T>) {
    let inner = Arc::new(Inner {
        state: Mutex::new(State {
            waiting: VecDeque::new(),
            open: true,
            bell: Bell::Silent,
            urgent: false,
            patience: None,
        }),
        filled: Condvar::new(),
    });
    (Post(Arc::clone(&inner)), PostBox(inner))
}

impl<T> Clone for Post<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Inner<T> {
    /// No code that can panic runs under the lock.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().expect("no holder panics")
    }

    /// Wake the reader once for all that waits.
    fn ring(&self, mut state: MutexGuard<'_, State<T>>) {
        let rung = std::mem::replace(&mut state.bell, Bell::Rung);
        drop(state);
        if rung != Bell::Rung {
            self.filled.notify_one();
        }
    }
}

impl<T> State<T> {
    fn take(&mut self) -> VecDeque<T> {
        self.bell = Bell::Silent;
        self.urgent = false;
        self.patience = None;
        std::mem::take(&mut self.waiting)
    }

    /// Whether it falls to the caller to wake the reader.
    fn promise(&mut self) -> bool {
        let first = self.bell == Bell::Silent;
        if first {
            self.bell = Bell::Promised;
        }
        first
    }

    fn is_due(&self) -> bool {
        match self.patience {
            None => !self.waiting.is_empty(),
            Some(most) => self.urgent || self.waiting.len() >= most,
        }
    }
}

impl<T> Post<T> {
    /// Post one item and wake the reader.
    ///
    /// # Errors
    /// The item, if the reader is gone.
    pub fn send(&self, item: T) -> Result<(), T> {
        let state = self.push(item, true)?;
        self.0.ring(state);
        Ok(())
    }

    /// Post one item and wake nobody. True if the caller must [`Self::ring`] before long: nobody else has to.
    ///
    /// # Errors
    /// The item, if the reader is gone.
    pub fn send_quietly(&self, item: T) -> Result<bool, T> {
        Ok(self.push(item, true)?.promise())
    }

    /// As [`Self::send_quietly`], for an item that a reader may sleep over.
    ///
    /// # Errors
    /// The item, if the reader is gone.
    pub fn send_patiently(&self, item: T) -> Result<bool, T> {
        let mut state = self.push(item, false)?;
        match state.patience {
            None => Ok(state.promise()),
            Some(most) => {
                if state.waiting.len() >= most {
                    self.0.ring(state);
                }
                Ok(false)
            }
        }
    }

    fn push(&self, item: T, urgent: bool) -> Result<MutexGuard<'_, State<T>>, T> {
        let mut state = self.0.lock();
        if !state.open {
            return Err(item);
        }
        state.waiting.push_back(item);
        state.urgent |= urgent;
        Ok(state)
    }

    /// Wake the reader for what was posted quietly. False if it is gone.
    pub fn ring(&self) -> bool {
        let mut state = self.0.lock();
        let open = state.open;
        if state.is_due() {
            self.0.ring(state);
        } else {
            // The promise is kept: the reader sleeps over what it was made for.
            state.bell = Bell::Silent;
        }
        open
    }
}

impl<T> PostBox<T> {
    /// Take all that waits, without waiting.
    pub fn take(&self) -> VecDeque<T> {
        self.0.lock().take()
    }

    /// Take all that waits; sleep until something does.
    pub fn wait(&self) -> VecDeque<T> {
        let mut state = self.0.lock();
        while state.waiting.is_empty() {
            state = self.0.filled.wait(state).expect("no holder panics");
        }
        state.take()
    }

    /// As [`Self::wait`], for no longer than `limit`; empty if nothing came.
    pub fn wait_for(&self, limit: Duration) -> VecDeque<T> {
        self.wait_until(limit, None)
    }

    /// As [`Self::wait_for`], but sleeps over patient items while fewer than `most` wait.
    pub fn wait_patiently(&self, limit: Duration, most: usize) -> VecDeque<T> {
        self.wait_until(limit, Some(most))
    }

    fn wait_until(&self, limit: Duration, patience: Option<usize>) -> VecDeque<T> {
        let end = Instant::now() + limit;
        let mut state = self.0.lock();
        state.patience = patience;
        while !state.is_due() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            // A bell for what it sleeps over must not count as one for what is urgent.
            state.bell = Bell::Silent;
            let waited = self.0.filled.wait_timeout(state, left);
            state = waited.expect("no holder panics").0;
        }
        state.take()
    }
}

impl<T> Drop for PostBox<T> {
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
    fn everything_that_was_posted_is_taken_once_and_in_order() {
        let (post, reader) = post_box();
        let writer = std::thread::spawn(move || {
            for number in 0..10_000 {
                post.send(number).unwrap();
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
    fn what_is_posted_quietly_is_taken_when_somebody_rings() {
        let (post, reader) = post_box();
        assert_eq!(post.send_quietly(1), Ok(true), "the first has to ring");
        assert_eq!(post.send_quietly(2), Ok(false), "the first will ring");
        let writer = std::thread::spawn(move || assert!(post.ring()));
        assert!(reader.wait().into_iter().eq([1, 2]));
        writer.join().unwrap();
    }

    #[test]
    fn whoever_posts_aloud_wakes_the_reader_for_those_who_have_not_rung() {
        let (post, reader) = post_box();
        assert_eq!(post.send_quietly(1), Ok(true));
        post.send(2).unwrap();
        assert!(reader.wait_for(Duration::ZERO).into_iter().eq([1, 2]));
        assert_eq!(post.send_quietly(3), Ok(true), "a new bell for a new batch");
        drop(reader);
        assert_eq!(post.send_quietly(4), Err(4));
        assert!(!post.ring(), "nobody is there");
    }

    #[test]
    fn a_patient_reader_sleeps_over_patient_items_until_there_are_enough() {
        let (post, reader) = post_box();
        assert_eq!(post.send_patiently(1), Ok(true), "nobody is patient yet");
        let still = reader.wait_patiently(Duration::from_millis(1), 3);
        assert!(still.into_iter().eq([1]), "taken when the time is over");
        let waiting = std::thread::spawn(move || {
            let taken = reader.wait_patiently(Duration::from_secs(60), 3);
            (taken, reader)
        });
        while post.0.lock().patience.is_none() {
            std::thread::yield_now();
        }
        for number in 2..5 {
            assert_eq!(post.send_patiently(number), Ok(false));
        }
        let (taken, reader) = waiting.join().unwrap();
        assert!(taken.into_iter().eq([2, 3, 4]));
        post.send_patiently(5).unwrap();
        post.send_quietly(6).unwrap();
        let taken = reader.wait_patiently(Duration::from_secs(60), 3);
        assert!(taken.into_iter().eq([5, 6]), "an urgent one takes it along");
    }

    #[test]
    fn an_urgent_item_wakes_a_patient_reader_that_a_bell_has_rung_for_before() {
        let (post, reader) = post_box();
        assert_eq!(post.send_patiently(1), Ok(true));
        assert!(post.ring(), "before the reader sleeps over it");
        let (taken_in, taken) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let _ = taken_in.send(reader.wait_patiently(Duration::from_secs(3600), 3));
        });
        while post.0.lock().patience.is_none() {
            std::thread::yield_now();
        }
        assert!(post.ring(), "a promise from before it slept");
        post.send(2).unwrap();
        let taken = taken.recv_timeout(Duration::from_secs(10)).expect("woken");
        assert!(taken.into_iter().eq([1, 2]));
    }

    #[test]
    fn a_box_without_a_reader_gives_the_item_back() {
        let (post, reader) = post_box();
        drop(reader);
        assert_eq!(post.send(7), Err(7));
    }

    #[test]
    fn waiting_ends_without_an_item() {
        let (_post, reader) = post_box::<u32>();
        assert!(reader.wait_for(Duration::from_millis(1)).is_empty());
    }
}
