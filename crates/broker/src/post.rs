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
        std::mem::take(&mut self.waiting)
    }
}

impl<T> Post<T> {
    /// Post one item and wake the reader.
    ///
    /// # Errors
    /// The item, if the reader is gone.
    pub fn send(&self, item: T) -> Result<(), T> {
        let mut state = self.0.lock();
        if !state.open {
            return Err(item);
        }
        state.waiting.push_back(item);
        self.0.ring(state);
        Ok(())
    }

    /// Post one item and wake nobody. True if the caller must [`Self::ring`] before long: nobody else has to.
    ///
    /// # Errors
    /// The item, if the reader is gone.
    pub fn send_quietly(&self, item: T) -> Result<bool, T> {
        let mut state = self.0.lock();
        if !state.open {
            return Err(item);
        }
        state.waiting.push_back(item);
        let mine = state.bell == Bell::Silent;
        if mine {
            state.bell = Bell::Promised;
        }
        Ok(mine)
    }

    /// Wake the reader for what was posted quietly. False if it is gone.
    pub fn ring(&self) -> bool {
        let state = self.0.lock();
        let open = state.open;
        if !state.waiting.is_empty() {
            self.0.ring(state);
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
        let end = Instant::now() + limit;
        let mut state = self.0.lock();
        while state.waiting.is_empty() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
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
