//! Parked pulls: one entry a pull, keyed by queue, each with a deadline of its own.
//!
//! The apply thread hands over the queues that got messages; their waiters are taken out and run again on the
//! runtime, which costs that thread a look into a map. A waiter that finds nothing for itself parks again, keeping
//! its age and its deadline. Deadlines are kept by one task that sleeps until the first of them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use hashbrown::HashMap;
use parking_lot::Mutex;
use tern_requests::QueueKey;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Pulls that wait at most. The oldest is answered when one more comes.
const LIMIT: usize = 50_000;
/// Waiters that run before others get a turn on the worker.
const WAKES_AT_ONCE: usize = 64;

/// Something that waits for a queue. Exactly one of its ends is called, once.
pub(crate) trait HeldRequest: Send + 'static {
    /// The queue has got messages; runs on the runtime.
    fn wake(self: Box<Self>);
    /// The time is over, or the table is full.
    fn expire(self: Box<Self>);
}

/// Name of a waiter in the table; the oldest has the smallest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct HoldId(u64);

/// The table.
pub struct HoldTable {
    shared: Arc<SharedHolds>,
    runtime: Handle,
    last_id: AtomicU64,
}

struct SharedHolds {
    waiting: Mutex<WaitingPulls>,
    /// How many wait, to be asked without the lock.
    count: AtomicUsize,
    limit: usize,
    sooner: Arc<Notify>,
    /// Nobody is kept waiting any more.
    closed: AtomicBool,
}

#[derive(Default)]
struct WaitingPulls {
    queues: HashMap<QueueKey, Vec<HoldEntry>>,
    deadlines: BTreeMap<(Instant, HoldId), QueueKey>,
    ages: BTreeMap<HoldId, (QueueKey, Instant)>,
}

struct HoldEntry {
    id: HoldId,
    until: Instant,
    held: Box<dyn HeldRequest>,
}

impl HoldTable {
    /// An empty table whose waiters run on `runtime`.
    pub fn new(runtime: Handle) -> Self {
        Self::with_limit(runtime, LIMIT)
    }

    fn with_limit(runtime: Handle, limit: usize) -> Self {
        let sooner = Arc::new(Notify::new());
        let shared = Arc::new(SharedHolds {
            waiting: Mutex::default(),
            count: AtomicUsize::new(0),
            limit,
            sooner: Arc::clone(&sooner),
            closed: AtomicBool::new(false),
        });
        runtime.spawn(keep_deadlines(Arc::downgrade(&shared), sooner));
        Self {
            shared,
            runtime,
            last_id: AtomicU64::new(0),
        }
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.shared.count.load(Ordering::Acquire)
    }

    /// A name for a new waiter.
    pub(crate) fn next_id(&self) -> HoldId {
        HoldId(self.last_id.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// Park a waiter. Messages may have come since it looked: the caller looks again afterwards, and takes the
    /// waiter out if there are any.
    pub(crate) fn park(
        &self,
        id: HoldId,
        queue: QueueKey,
        until: Instant,
        held: Box<dyn HeldRequest>,
    ) {
        let (evicted, is_first) = {
            let mut waiting = self.shared.waiting.lock();
            let evicted = (waiting.ages.len() >= self.shared.limit)
                .then(|| waiting.take_oldest())
                .flatten();
            let is_first = waiting.insert(queue, HoldEntry { id, until, held });
            self.shared.note(&waiting);
            (evicted, is_first)
        };
        if is_first {
            self.shared.sooner.notify_one();
        }
        if let Some(parked) = evicted {
            parked.held.expire();
        }
    }

    /// Take one waiter out; nothing if its end was called meanwhile.
    pub(crate) fn take(&self, id: HoldId) -> Option<Box<dyn HeldRequest>> {
        let mut waiting = self.shared.waiting.lock();
        let parked = waiting.take(id);
        self.shared.note(&waiting);
        parked.map(|parked| parked.held)
    }

    /// These queues got messages: run their waiters again. Called by the apply thread once a stretch of frames.
    pub fn wake(&self, touched: &[QueueKey]) {
        if self.waiting() == 0 {
            return;
        }
        let mut woken = Vec::new();
        {
            let mut waiting = self.shared.waiting.lock();
            for queue in touched {
                waiting.take_queue(*queue, &mut woken);
            }
            self.shared.note(&waiting);
        }
        if !woken.is_empty() {
            self.runtime.spawn(run(woken));
        }
    }

    /// This replica is going: run all waiters again, which find the table closed. One that parks at this very moment
    /// looks after parking whether the table is closed.
    pub fn close(&self) {
        self.shared.closed.store(true, Ordering::SeqCst);
        let queues: Vec<QueueKey> = {
            let waiting = self.shared.waiting.lock();
            waiting.queues.keys().copied().collect()
        };
        self.wake(&queues);
    }

    /// Whether nobody is kept waiting any more.
    pub fn is_closed(&self) -> bool {
        self.shared.closed.load(Ordering::SeqCst)
    }

    /// A topic was deleted: run the waiters of all its queues again.
    pub fn wake_topic(&self, topic_id: u32) {
        let queues: Vec<QueueKey> = {
            let waiting = self.shared.waiting.lock();
            let queues = waiting.queues.keys().copied();
            queues.filter(|queue| queue.0 == topic_id).collect()
        };
        self.wake(&queues);
    }
}

impl Drop for HoldTable {
    fn drop(&mut self) {
        // The keeper of the deadlines finds the table gone.
        self.shared.sooner.notify_one();
    }
}

async fn run(woken: Vec<Box<dyn HeldRequest>>) {
    for (number, held) in woken.into_iter().enumerate() {
        if number % WAKES_AT_ONCE == WAKES_AT_ONCE - 1 {
            tokio::task::yield_now().await;
        }
        held.wake();
    }
}

async fn keep_deadlines(shared: Weak<SharedHolds>, sooner: Arc<Notify>) {
    loop {
        let Some(strong) = shared.upgrade() else {
            return;
        };
        let (overdue, next) = strong.take_overdue(Instant::now());
        drop(strong);
        for held in overdue {
            held.expire();
        }
        match next {
            None => sooner.notified().await,
            Some(next) => {
                tokio::select! {
                    () = tokio::time::sleep_until(next) => {}
                    () = sooner.notified() => {}
                }
            }
        }
    }
}

impl SharedHolds {
    /// Keeps the count; under the lock.
    fn note(&self, waiting: &WaitingPulls) {
        self.count.store(waiting.ages.len(), Ordering::Release);
    }

    /// Waiters whose time is over, and when the next one's is.
    fn take_overdue(&self, now: Instant) -> (Vec<Box<dyn HeldRequest>>, Option<Instant>) {
        let mut waiting = self.waiting.lock();
        let mut overdue = Vec::new();
        let next = loop {
            let Some((&(until, id), _)) = waiting.deadlines.first_key_value() else {
                break None;
            };
            if until > now {
                break Some(until);
            }
            overdue.extend(waiting.take(id).map(|parked| parked.held));
        };
        self.note(&waiting);
        (overdue, next)
    }
}

impl WaitingPulls {
    /// Whether its deadline is now the first.
    fn insert(&mut self, queue: QueueKey, parked: HoldEntry) -> bool {
        let deadline = (parked.until, parked.id);
        self.ages.insert(parked.id, (queue, parked.until));
        self.deadlines.insert(deadline, queue);
        self.queues.entry(queue).or_default().push(parked);
        self.deadlines
            .first_key_value()
            .is_some_and(|(first, _)| *first == deadline)
    }

    fn take(&mut self, id: HoldId) -> Option<HoldEntry> {
        let (queue, until) = self.ages.remove(&id)?;
        self.deadlines.remove(&(until, id));
        let parked = self.queues.get_mut(&queue)?;
        let at = parked.iter().position(|parked| parked.id == id)?;
        let taken = parked.swap_remove(at);
        if parked.is_empty() {
            self.queues.remove(&queue);
        }
        Some(taken)
    }

    fn take_oldest(&mut self) -> Option<HoldEntry> {
        let (&oldest, _) = self.ages.first_key_value()?;
        self.take(oldest)
    }

    fn take_queue(&mut self, queue: QueueKey, out: &mut Vec<Box<dyn HeldRequest>>) {
        for parked in self.queues.remove(&queue).unwrap_or_default() {
            self.ages.remove(&parked.id);
            self.deadlines.remove(&(parked.until, parked.id));
            out.push(parked.held);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

    #[derive(Debug, PartialEq, Eq)]
    enum HoldEnd {
        Woken(u32),
        Expired(u32),
    }

    struct Probe(u32, UnboundedSender<HoldEnd>);

    impl HeldRequest for Probe {
        fn wake(self: Box<Self>) {
            let _ = self.1.send(HoldEnd::Woken(self.0));
        }

        fn expire(self: Box<Self>) {
            let _ = self.1.send(HoldEnd::Expired(self.0));
        }
    }

    struct HoldBench {
        table: HoldTable,
        ends: UnboundedReceiver<HoldEnd>,
        sender: UnboundedSender<HoldEnd>,
    }

    impl HoldBench {
        fn new(limit: usize) -> Self {
            let (sender, ends) = unbounded_channel();
            Self {
                table: HoldTable::with_limit(Handle::current(), limit),
                ends,
                sender,
            }
        }

        fn park(&self, number: u32, queue: QueueKey, wait: Duration) -> HoldId {
            let id = self.table.next_id();
            let probe = Box::new(Probe(number, self.sender.clone()));
            self.table.park(id, queue, Instant::now() + wait, probe);
            id
        }
    }

    const LONG: Duration = Duration::from_secs(50);

    #[tokio::test(start_paused = true)]
    async fn only_waiters_of_touched_queues_run_again() {
        let mut bench = HoldBench::new(10);
        bench.park(1, (7, 0), LONG);
        bench.park(2, (7, 1), LONG);
        bench.park(3, (7, 1), LONG);
        bench.table.wake(&[(7, 1), (9, 9), (7, 1)]);
        assert_eq!(bench.ends.recv().await, Some(HoldEnd::Woken(2)));
        assert_eq!(bench.ends.recv().await, Some(HoldEnd::Woken(3)));
        assert_eq!(bench.table.waiting(), 1);
        assert!(bench.ends.try_recv().is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn each_waiter_expires_at_its_own_deadline() {
        let mut bench = HoldBench::new(10);
        let start = Instant::now();
        bench.park(1, (1, 0), Duration::from_millis(900));
        bench.park(2, (1, 0), Duration::from_millis(100));
        assert_eq!(bench.ends.recv().await, Some(HoldEnd::Expired(2)));
        assert_eq!(start.elapsed().as_millis() / 10, 10);
        assert_eq!(bench.ends.recv().await, Some(HoldEnd::Expired(1)));
        assert_eq!(start.elapsed().as_millis() / 10, 90);
        assert_eq!(bench.table.waiting(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_table_answers_its_oldest() {
        let mut bench = HoldBench::new(2);
        let first = bench.park(1, (1, 0), LONG);
        bench.park(2, (2, 0), LONG);
        bench.park(3, (3, 0), LONG);
        assert_eq!(bench.ends.try_recv(), Ok(HoldEnd::Expired(1)));
        assert!(bench.table.take(first).is_none());
        assert_eq!(bench.table.waiting(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_waiter_that_parks_again_keeps_its_age() {
        let mut bench = HoldBench::new(2);
        let old = bench.park(1, (1, 0), LONG);
        bench.park(2, (1, 0), LONG);
        let again = bench.table.take(old).expect("it waits");
        bench.table.park(old, (1, 0), Instant::now() + LONG, again);
        bench.park(3, (1, 0), LONG);
        assert_eq!(bench.ends.try_recv(), Ok(HoldEnd::Expired(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_waiter_that_was_taken_out_has_no_end() {
        let mut bench = HoldBench::new(10);
        let id = bench.park(1, (1, 0), Duration::from_millis(5));
        drop(bench.table.take(id).expect("it waits"));
        bench.table.wake(&[(1, 0)]);
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(bench.ends.try_recv().is_err());
    }
}
