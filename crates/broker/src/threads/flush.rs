//! The two threads that share the turn and the flushes: one has the turn, the other stands by.
//!
//! The one that stands by carries out the flushes that are handed over to it. A turn may also wait for its flush: then
//! the thread that has it carries the flush out itself, which saves two wake-ups, and lays the turn down meanwhile. If
//! the disk takes its time, the other thread takes the turn up, and the two have changed places: a replica hears and
//! answers, whatever its disk does (L51).

use std::collections::VecDeque;
use std::time::Duration;

use parking_lot::Mutex;
use tern_replica::{Fatal, FlushRequest, Flusher, LONGEST_FLUSH_WAIT_NS, Replica};

use super::log::{AfterTurn, FlushCommand, Turn};
use super::plain::tell;
use crate::channels::batch_queue::{BatchReceiver, BatchSender};
use crate::channels::mailbox::{Input, Mailbox};
use crate::clock;
use crate::response_batch::Ticket;

/// Looks in a row at which no turn has waited, before the thread that stands by sleeps.
const IDLE_LOOKS: u32 = 4;

/// What the two threads share.
pub(super) struct TurnShare {
    desk: Mutex<Desk>,
    commands: BatchSender<FlushCommand>,
    asked: BatchReceiver<FlushCommand>,
    mailbox: Mailbox,
}

/// What neither thread holds.
struct Desk {
    /// While nobody flushes.
    flusher: Option<Flusher>,
    /// While its thread flushes, and since when.
    turn: Option<(Box<Turn>, u64)>,
    /// Turns that have waited for their flush.
    waits: u64,
    /// The thread that stands by looks again without being told.
    is_watched: bool,
    /// After the last turn.
    stopped: Option<Replica<Ticket>>,
}

impl TurnShare {
    pub fn new(
        flusher: Flusher,
        (commands, asked): (BatchSender<FlushCommand>, BatchReceiver<FlushCommand>),
        mailbox: Mailbox,
    ) -> Self {
        Self {
            desk: Mutex::new(Desk {
                flusher: Some(flusher),
                turn: None,
                waits: 0,
                is_watched: false,
                stopped: None,
            }),
            commands,
            asked,
            mailbox,
        }
    }

    /// The body of either thread; the one that begins with the turn is given it. Runs until the last turn.
    pub fn run(&self, turn: Option<Box<Turn>>) -> Result<(), Fatal> {
        let mut held = turn;
        loop {
            held = match held {
                Some(turn) => match self.take_turns(turn)? {
                    None => None,
                    Some(replica) => {
                        self.desk.lock().stopped = Some(replica);
                        tell(&self.commands, FlushCommand::Stop);
                        return Ok(());
                    }
                },
                None => match self.stand_by()? {
                    None => return Ok(()),
                    taken => taken,
                },
            };
        }
    }

    /// The replica, when both threads have ended.
    pub fn take_replica(&self) -> Option<Replica<Ticket>> {
        self.desk.lock().stopped.take()
    }

    /// Take turn after turn. None when the other thread has taken over, the replica after the last turn.
    fn take_turns(&self, mut turn: Box<Turn>) -> Result<Option<Replica<Ticket>>, Fatal> {
        loop {
            match turn.take()? {
                AfterTurn::Next => {}
                AfterTurn::Stop => return Ok(Some(turn.into_replica())),
                AfterTurn::Flush(flush) => match self.flush_own(turn, flush)? {
                    Some(still) => turn = still,
                    None => return Ok(None),
                },
            }
        }
    }

    /// Carry out a flush that the turn waits for. None if the other thread has taken the turn up meanwhile.
    fn flush_own(
        &self,
        mut turn: Box<Turn>,
        flush: FlushRequest,
    ) -> Result<Option<Box<Turn>>, Fatal> {
        let mut desk = self.desk.lock();
        let Some(mut flusher) = desk.flusher.take() else {
            drop(desk);
            // The other thread is about to write `flushed.pos`.
            turn.hand_over(Some(flush));
            return Ok(Some(turn));
        };
        let now_ns = clock::monotonic_ns();
        let under_way = flusher.begin(flush, now_ns)?;
        desk.turn = Some((turn, now_ns));
        desk.waits += 1;
        let was_watched = std::mem::replace(&mut desk.is_watched, true);
        drop(desk);
        if !was_watched {
            tell(&self.commands, FlushCommand::Watch);
        }
        let durable = flusher.end(under_way, clock::monotonic_ns)?;
        let mut desk = self.desk.lock();
        desk.flusher = Some(flusher);
        let Some((mut turn, _)) = desk.turn.take() else {
            drop(desk);
            self.mailbox.tell(Input::Durable(durable));
            return Ok(None);
        };
        drop(desk);
        turn.flushed(durable);
        Ok(Some(turn))
    }

    /// Carry out what is handed over, until a turn is to be taken up: that turn. None after the last one.
    fn stand_by(&self) -> Result<Option<Box<Turn>>, Fatal> {
        let (mut seen, mut idle_looks) = (0, 0);
        loop {
            let now_ns = clock::monotonic_ns();
            let wait_ns = {
                let mut desk = self.desk.lock();
                let overdue = |since: u64| since + LONGEST_FLUSH_WAIT_NS <= now_ns;
                if let Some((turn, _)) = desk.turn.take_if(|(_, since)| overdue(*since)) {
                    return Ok(Some(turn));
                }
                idle_looks = if desk.waits == seen {
                    idle_looks + 1
                } else {
                    0
                };
                seen = desk.waits;
                desk.is_watched = desk.turn.is_some() || idle_looks < IDLE_LOOKS;
                desk.wait_ns(now_ns)
            };
            let (newest, stop) = newest_of(match wait_ns {
                None => self.asked.wait(),
                Some(wait) => self.asked.wait_for(Duration::from_nanos(wait)),
            });
            if let Some(flush) = newest {
                self.flush(flush)?;
            }
            if stop {
                self.take_flusher().finish()?;
                return Ok(None);
            }
            self.keep_position()?;
        }
    }

    /// An error ends the process and is never retried (R2).
    fn flush(&self, flush: FlushRequest) -> Result<(), Fatal> {
        let mut flusher = self.take_flusher();
        let under_way = flusher.begin(flush, clock::monotonic_ns())?;
        let durable = flusher.end(under_way, clock::monotonic_ns)?;
        // Before the notice, after which a turn may carry out a flush itself.
        self.desk.lock().flusher = Some(flusher);
        self.mailbox.tell(Input::Durable(durable));
        Ok(())
    }

    /// For the thread that stands by, where no turn can have the flusher: one that has handed a flush over waits for none
    /// before its notice, and after the last turn there is none.
    fn take_flusher(&self) -> Flusher {
        let flusher = self.desk.lock().flusher.take();
        flusher.expect("no turn waits for a flush of its own now")
    }

    /// Write what is due of `flushed.pos`.
    fn keep_position(&self) -> Result<(), Fatal> {
        let now_ns = clock::monotonic_ns();
        let is_due = |flusher: &mut Flusher| flusher.due_ns().is_some_and(|due| due <= now_ns);
        let due = self.desk.lock().flusher.take_if(is_due);
        if let Some(mut flusher) = due {
            flusher.keep_position(now_ns)?;
            self.desk.lock().flusher = Some(flusher);
        }
        Ok(())
    }
}

impl Desk {
    /// How long the thread that stands by may sleep; none if until it is told.
    fn wait_ns(&self, now_ns: u64) -> Option<u64> {
        let look = match self.turn {
            Some((_, since)) => Some((since + LONGEST_FLUSH_WAIT_NS).saturating_sub(now_ns)),
            None => self.is_watched.then_some(LONGEST_FLUSH_WAIT_NS),
        };
        let due = self.flusher.as_ref().and_then(Flusher::due_ns);
        let due = due.map(|due| due.saturating_sub(now_ns));
        look.into_iter().chain(due).min()
    }
}

/// The newest flush covers the ones before it.
fn newest_of(commands: VecDeque<FlushCommand>) -> (Option<FlushRequest>, bool) {
    let (mut newest, mut stop) = (None, false);
    for command in commands {
        match command {
            FlushCommand::Sync(flush) => newest = Some(flush),
            FlushCommand::Watch => {}
            FlushCommand::Stop => stop = true,
        }
    }
    (newest, stop)
}
