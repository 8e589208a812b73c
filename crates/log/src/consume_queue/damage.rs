//! Which queues have files that were found damaged.

use std::collections::BTreeSet;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use super::entry::QueueIds;

/// Noted by whoever reads, taken by whoever writes the files again.
#[derive(Default)]
pub struct Damaged {
    /// Whether there are any, to be asked often.
    any: AtomicBool,
    queues: Mutex<BTreeSet<QueueIds>>,
    bell: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

impl Damaged {
    /// A reader met a file that is damaged.
    pub fn note(&self, queue: QueueIds) {
        let is_new = {
            let mut queues = self.queues.lock();
            self.any.store(true, Ordering::Release);
            queues.insert(queue)
        };
        if let (true, Some(bell)) = (is_new, self.bell.get()) {
            bell();
        }
    }

    /// Who is told. The first one stays.
    pub fn on_note(&self, bell: Box<dyn Fn() + Send + Sync>) {
        let _ = self.bell.set(bell);
    }

    pub fn any(&self) -> bool {
        self.any.load(Ordering::Acquire)
    }

    pub fn take(&self) -> BTreeSet<QueueIds> {
        let mut queues = self.queues.lock();
        self.any.store(false, Ordering::Release);
        std::mem::take(&mut queues)
    }

    pub fn put_back(&self, mut back: BTreeSet<QueueIds>) {
        let mut queues = self.queues.lock();
        queues.append(&mut back);
        self.any.store(!queues.is_empty(), Ordering::Release);
    }
}
