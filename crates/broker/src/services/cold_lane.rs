//! Threads that read old messages, and a bounded queue before them.
//!
//! Who reads old messages waits for a disk, and reads on and on. On a net thread everybody else would wait with it, senders
//! first; here only others that read old messages do, and the threads leave the cores to those that have new ones to handle.
//! Who finds the queue full is refused by name, and asks again.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use rustix::process::setpriority_process;
use rustix::thread::gettid;

/// Reads under way at most; there is one for two cores.
const MOST_THREADS: usize = 4;
/// How much the threads give way to others where all cores are busy, as of `nice`: a backlog that is read at full speed took
/// half of two cores, and senders waited for the rest.
const NICENESS: i32 = 10;
/// Reads that wait at most: more than groups that lag, as each of their queues asks once at a time.
const LIMIT: usize = 1024;

/// A read of old messages. Exactly one of its ends is called, once, unless the process stops.
pub(crate) trait ColdRead: Send + 'static {
    /// Its turn has come; runs on a thread that may wait for a disk.
    fn read(self: Box<Self>);
    /// Too many wait.
    fn refuse(self: Box<Self>);
}

/// The way to the threads; they end with it.
pub struct ColdLane(Arc<ColdQueue>);

struct ColdQueue {
    state: Mutex<ColdQueueState>,
    filled: Condvar,
    limit: usize,
}

struct ColdQueueState {
    waiting: VecDeque<Box<dyn ColdRead>>,
    open: bool,
}

impl ColdLane {
    /// Starts the threads.
    pub fn start() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self::with_threads((cores / 2).clamp(1, MOST_THREADS))
    }

    fn with_threads(threads: usize) -> Self {
        let queue = ColdQueue::new(LIMIT);
        for number in 0..threads {
            let queue = Arc::clone(&queue);
            let thread = std::thread::Builder::new().name(format!("tern-cold-{number}"));
            thread
                .spawn(move || {
                    give_way();
                    queue.run();
                })
                .expect("the system gives a thread when a broker starts");
        }
        Self(queue)
    }

    /// Without threads, and with room for nobody.
    #[cfg(test)]
    pub fn full() -> Self {
        Self(ColdQueue::new(0))
    }

    /// Has a read done in its turn, or refuses it at once.
    pub(crate) fn add(&self, read: Box<dyn ColdRead>) {
        let mut state = self.0.lock();
        if state.waiting.len() >= self.0.limit {
            drop(state);
            return read.refuse();
        }
        state.waiting.push_back(read);
        drop(state);
        self.0.filled.notify_one();
    }
}

/// Linux has a niceness for each thread. Without it, they compete.
fn give_way() {
    let _ = setpriority_process(Some(gettid()), NICENESS);
}

impl Drop for ColdLane {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.open = false;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        self.0.filled.notify_all();
        // What they hold may lead back here.
        drop(waiting);
    }
}

impl ColdQueue {
    fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(ColdQueueState {
                waiting: VecDeque::new(),
                open: true,
            }),
            filled: Condvar::new(),
            limit,
        })
    }

    // Nobody panics while holding it.
    fn lock(&self) -> MutexGuard<'_, ColdQueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        while let Some(read) = self.next() {
            // The hook has told of a panic; the next reads are not to blame for it.
            let _ = catch_unwind(AssertUnwindSafe(|| read.read()));
        }
    }

    fn next(&self) -> Option<Box<dyn ColdRead>> {
        let mut state = self.lock();
        loop {
            if let Some(read) = state.waiting.pop_front() {
                return Some(read);
            }
            if !state.open {
                return None;
            }
            let woken = self.filled.wait(state);
            state = woken.unwrap_or_else(PoisonError::into_inner);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    #[derive(Debug, PartialEq, Eq)]
    enum LaneEnd {
        Read(u32, Option<String>),
        Refused(u32),
    }

    struct LaneProbe(u32, Sender<LaneEnd>);

    impl ColdRead for LaneProbe {
        fn read(self: Box<Self>) {
            let thread = std::thread::current().name().map(str::to_owned);
            let _ = self.1.send(LaneEnd::Read(self.0, thread));
        }

        fn refuse(self: Box<Self>) {
            let _ = self.1.send(LaneEnd::Refused(self.0));
        }
    }

    /// A read that keeps its thread until it is told to go on.
    struct Slow(Receiver<()>);

    impl ColdRead for Slow {
        fn read(self: Box<Self>) {
            let _ = self.0.recv();
        }

        fn refuse(self: Box<Self>) {}
    }

    #[test]
    fn reads_run_on_their_own_threads_and_a_panic_of_one_does_not_end_them() {
        struct Panics;
        impl ColdRead for Panics {
            fn read(self: Box<Self>) {
                panic!("as a test wants it");
            }
            fn refuse(self: Box<Self>) {}
        }
        let (sender, ends) = channel();
        let lane = ColdLane::start();
        for _ in 0..2 * MOST_THREADS {
            lane.add(Box::new(Panics));
        }
        lane.add(Box::new(LaneProbe(1, sender)));
        let Ok(LaneEnd::Read(1, Some(thread))) = ends.recv() else {
            panic!("it was not read");
        };
        assert!(thread.starts_with("tern-cold-"), "{thread}");
    }

    #[test]
    fn who_finds_the_queue_full_is_refused_and_those_before_are_read() {
        let (sender, ends) = channel();
        let lane = ColdLane(ColdQueue::new(2));
        for number in 1..=3 {
            lane.add(Box::new(LaneProbe(number, sender.clone())));
        }
        assert_eq!(ends.recv(), Ok(LaneEnd::Refused(3)));
        let queue = Arc::clone(&lane.0);
        drop(sender);
        let thread = std::thread::spawn(move || queue.run());
        for number in 1..=2 {
            assert_eq!(ends.recv(), Ok(LaneEnd::Read(number, None)));
        }
        drop(lane);
        thread.join().expect("it ends with the lane");
    }

    #[test]
    fn a_slow_read_keeps_one_thread_only() {
        let (sender, ends) = channel();
        let (go_on, slow) = channel();
        let lane = ColdLane::with_threads(2);
        lane.add(Box::new(Slow(slow)));
        lane.add(Box::new(LaneProbe(1, sender)));
        assert!(matches!(ends.recv(), Ok(LaneEnd::Read(1, _))));
        drop(go_on);
    }
}
