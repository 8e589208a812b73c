//! What waits to be written to one connection.
//!
//! Small frames are laid one behind the other in a single buffer, large ones keep their own memory, and both leave in
//! one vectored write. One thread writes at a time. A thread outside of the runtime that finds nobody writing writes by
//! itself what it has queued: to wake the writer task for it would cost more. The task writes what the socket did not
//! take at once, what is too much for a thread that has other work, and what tasks queue one by one: it runs after them
//! without being woken, and finds the frames of all of them together. While a reader works through what it has just read
//! it *corks* the queue: nobody else writes, and all answers of the reader leave together.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;

use crate::budget::Budget;
use crate::stream::WriteHalf;

/// Frames up to this many bytes are copied together: cheaper than a slice of their own in a vectored write.
const SMALL_BYTES: usize = 4096;
/// First size of the buffer that small frames are laid in.
const TAIL_BYTES: usize = 1024;
/// Slices in one vectored write.
const SLICES: usize = 64;
/// What a sender writes itself at most. More would keep it from its own work for longer than the task takes to wake.
const SENDER_BYTES: usize = 16 * 1024;

/// Whether a frame was taken into the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pushed {
    Queued,
    /// More than the cap waits already, and the overdraft has no room.
    Full,
    Closed,
}

/// How an attempt to write ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flushed {
    /// Nothing is left, or another thread is at it.
    Done,
    /// The socket takes no more for now.
    Blocked,
    /// The connection is broken.
    Broken,
}

/// The writer of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    WriterTask,
    /// A thread that has queued something and goes on with other work: it writes that, and nothing that others queue
    /// meanwhile.
    Sender,
    /// A thread that has queued much under a cork, or to flush it at the end.
    Flusher,
}

pub(crate) struct Outbound {
    queue: Mutex<OutboundQueue>,
    /// Bytes that this connection may always have queued.
    cap: usize,
    /// Charged with what is queued beyond the cap, and shared with other connections. Answers to requests that are in
    /// flight already cannot be asked for more slowly, and a peer that reads them is not to blame for their number.
    overdraft: Arc<Budget>,
    /// Wakes the writer task.
    work: Notify,
    /// Wakes a reader that waits until the peer has taken some of its answers.
    fell: Notify,
}

#[derive(Default)]
struct OutboundQueue {
    sealed: VecDeque<Bytes>,
    tail: BytesMut,
    /// Everything not yet handed to the socket, including what a writer holds at this moment.
    bytes: usize,
    /// The part of `bytes` that is charged to the overdraft.
    borrowed: usize,
    /// Bytes the socket has taken since the start; tells progress from a stall.
    written: u64,
    corks: u32,
    writing: bool,
    /// The writer task has been woken, or waits for the socket, and will look again.
    task_awake: bool,
    closed: bool,
    /// The reader waits until no more than this is queued.
    reader_waits_for: Option<usize>,
}

impl Outbound {
    pub(crate) fn new(cap: usize, overdraft: Arc<Budget>) -> Self {
        Self {
            queue: Mutex::default(),
            cap,
            overdraft,
            work: Notify::new(),
            fell: Notify::new(),
        }
    }

    /// Appends frames, all or the first part that fits.
    pub(crate) fn push_all(&self, frames: impl IntoIterator<Item = [Bytes; 2]>) -> Pushed {
        let mut queue = self.queue.lock();
        for [head, body] in frames {
            match self.admit(&mut queue) {
                Pushed::Queued => {}
                refused => return refused,
            }
            queue.push(head);
            queue.push(body);
        }
        Pushed::Queued
    }

    /// Lets `write_head` lay the head of a frame straight behind the last frame, and appends the body. `write_head` is
    /// told how long the body is; what it leaves after an error is taken back.
    pub(crate) fn write_with<E>(
        &self,
        body: Bytes,
        write_head: impl FnOnce(&mut BytesMut, usize) -> Result<(), E>,
    ) -> Result<Pushed, E> {
        let mut queue = self.queue.lock();
        match self.admit(&mut queue) {
            Pushed::Queued => {}
            refused => return Ok(refused),
        }
        if queue.tail.capacity() == 0 {
            queue.tail.reserve(TAIL_BYTES);
        }
        let before = queue.tail.len();
        if let Err(error) = write_head(&mut queue.tail, body.len()) {
            queue.tail.truncate(before);
            return Err(error);
        }
        queue.bytes += queue.tail.len() - before;
        queue.push(body);
        Ok(Pushed::Queued)
    }

    /// Wakes the writer task, once for all that is queued until it has looked.
    pub(crate) fn wake_writer(&self) {
        self.leave_to_task(self.queue.lock());
    }

    fn leave_to_task(&self, mut queue: MutexGuard<'_, OutboundQueue>) {
        // A thread that writes looks at the queue again before it stops, and a reader that corked flushes.
        if queue.has_work() && !queue.writing && !queue.task_awake && queue.corks == 0 {
            queue.task_awake = true;
            drop(queue);
            self.work.notify_one();
        }
    }

    /// Lets nobody write but who flushes, whatever is queued, until [`Outbound::uncork`].
    pub(crate) fn cork(&self) {
        self.queue.lock().corks += 1;
    }

    /// Ends a [`Outbound::cork`]. The caller flushes next: what was queued under the cork has woken no task, and would
    /// wait for the next frame.
    pub(crate) fn uncork(&self) {
        // Wakes nobody itself: the caller writes at once what the task would first have to be scheduled for.
        let mut queue = self.queue.lock();
        queue.corks = queue.corks.saturating_sub(1);
    }

    pub(crate) fn close(&self) {
        let mut queue = self.queue.lock();
        queue.closed = true;
        // A thread that is writing holds a batch that `bytes` counts: it discards when it has accounted for it.
        if !queue.writing {
            self.discard(&mut queue);
        }
        drop(queue);
        self.work.notify_one();
        self.fell.notify_one();
    }

    /// Whether more than the cap is queued.
    pub(crate) fn is_overdrawn(&self) -> bool {
        self.queue.lock().bytes > self.cap
    }

    /// Bytes that wait, and bytes the socket has taken since the start.
    pub(crate) fn progress(&self) -> (usize, u64) {
        let queue = self.queue.lock();
        (queue.bytes, queue.written)
    }

    /// Waits until no more than `bytes` are queued, or the connection is closed.
    pub(crate) async fn fell_to(&self, bytes: usize) {
        loop {
            {
                let mut queue = self.queue.lock();
                if queue.closed || queue.bytes <= bytes {
                    queue.reader_waits_for = None;
                    return;
                }
                queue.reader_waits_for = Some(bytes);
            }
            self.fell.notified().await;
        }
    }

    /// Waits until there is something to write. False when the connection is closed.
    pub(crate) async fn work(&self) -> bool {
        self.work.notified().await;
        !self.queue.lock().closed
    }

    /// Writes as much as the socket takes, or, as a [sender](By::Sender), leaves it to whoever is to write it.
    pub(crate) fn flush(&self, stream: &WriteHalf, by: By) -> Flushed {
        let Some(mut batch) = self.start(by) else {
            return Flushed::Done;
        };
        loop {
            let (taken, result) = write_batch(stream, &mut batch);
            if let Some(flushed) = self.account(&mut batch, taken, result, by) {
                return flushed;
            }
        }
    }

    /// Says whether a frame may be queued. What earlier frames have queued beyond the cap is charged first, so that the
    /// queue is never further beyond what is charged than by one frame.
    fn admit(&self, queue: &mut OutboundQueue) -> Pushed {
        if queue.closed {
            return Pushed::Closed;
        }
        let uncharged = queue.bytes.saturating_sub(self.cap + queue.borrowed);
        if uncharged > 0 {
            if !self.overdraft.try_take(uncharged) {
                return Pushed::Full;
            }
            queue.borrowed += uncharged;
        }
        Pushed::Queued
    }

    /// Gives back what has been charged for bytes that wait no longer.
    fn repay(&self, queue: &mut OutboundQueue) {
        let beyond = queue.bytes.saturating_sub(self.cap);
        if queue.borrowed > beyond {
            self.overdraft.give_back(queue.borrowed - beyond);
            queue.borrowed = beyond;
        }
    }

    fn discard(&self, queue: &mut OutboundQueue) {
        queue.sealed = VecDeque::new();
        queue.tail = BytesMut::new();
        queue.bytes = 0;
        self.repay(queue);
    }

    /// Takes what is queued and makes the caller the one thread that writes; nothing if there is nothing to do.
    fn start(&self, by: By) -> Option<VecDeque<Bytes>> {
        let mut queue = self.queue.lock();
        if by == By::Sender && !queue.is_for_its_sender() {
            self.leave_to_task(queue);
            return None;
        }
        if queue.writing || !queue.has_work() {
            // Also while another thread writes: the socket may refuse the rest of that at once, and the other thread
            // then has to find that the task sleeps, and wake it.
            if by == By::WriterTask {
                queue.task_awake = false;
            }
            return None;
        }
        queue.writing = true;
        Some(queue.take())
    }

    /// Books what the socket took; tells how the flush ended, or fills `batch` with what was queued meanwhile.
    ///
    /// All of it is one step under the lock: between looking at the queue and giving up `writing`, or saying that the
    /// task sleeps, no thread may queue a frame that it then leaves to a writer that is gone. A test steps threads
    /// through every order.
    fn account(
        &self,
        batch: &mut VecDeque<Bytes>,
        taken: usize,
        result: io::Result<()>,
        by: By,
    ) -> Option<Flushed> {
        let mut queue = self.queue.lock();
        // Before any outcome: also what was taken by a socket that then broke has left the overdraft and the queue.
        queue.bytes -= taken;
        queue.written += taken as u64;
        self.repay(&mut queue);
        if queue
            .reader_waits_for
            .is_some_and(|bytes| queue.bytes <= bytes)
        {
            self.fell.notify_one();
        }
        if queue.closed {
            // Closed during the write, by a thread that has left the discarding to this one.
            queue.writing = false;
            self.discard(&mut queue);
            return Some(Flushed::Broken);
        }
        match result {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                // Before `writing` is given up: the next writer must find this batch in front of newer frames.
                queue.put_back(batch);
                queue.writing = false;
                // From here on the task is in charge: it waits for the socket. Another thread wakes it, once; the task
                // itself, or one that was woken and has not looked yet, needs no waking.
                let wake = by != By::WriterTask && !queue.task_awake;
                queue.task_awake = true;
                drop(queue);
                if wake {
                    self.work.notify_one();
                }
                Some(Flushed::Blocked)
            }
            Err(_) => {
                queue.writing = false;
                queue.closed = true;
                self.discard(&mut queue);
                Some(Flushed::Broken)
            }
            Ok(()) if !queue.has_work() => {
                queue.writing = false;
                // A frame that is queued after this lock finds the task asleep, and wakes it.
                if by == By::WriterTask {
                    queue.task_awake = false;
                }
                Some(Flushed::Done)
            }
            Ok(()) if by == By::Sender => {
                // Whoever queued these has woken no task, as this thread was writing: it does so, and is free to go.
                queue.writing = false;
                self.leave_to_task(queue);
                Some(Flushed::Done)
            }
            Ok(()) => {
                // As above, but this thread goes on.
                *batch = queue.take();
                None
            }
        }
    }
}

impl Drop for Outbound {
    fn drop(&mut self) {
        let queue = self.queue.get_mut();
        self.overdraft.give_back(queue.borrowed);
    }
}

impl OutboundQueue {
    fn push(&mut self, frame: Bytes) {
        self.bytes += frame.len();
        if frame.len() <= SMALL_BYTES {
            if self.tail.capacity() == 0 && !frame.is_empty() {
                self.tail.reserve(TAIL_BYTES.max(frame.len()));
            }
            self.tail.extend_from_slice(&frame);
        } else {
            self.seal();
            self.sealed.push_back(frame);
        }
    }

    fn seal(&mut self) {
        if !self.tail.is_empty() {
            self.sealed.push_back(self.tail.split().freeze());
        }
    }

    fn has_work(&self) -> bool {
        !self.sealed.is_empty() || !self.tail.is_empty()
    }

    /// Whether a thread that queues something writes it: nobody else is at it or will be, and it is not much.
    fn is_for_its_sender(&self) -> bool {
        !self.writing && !self.task_awake && self.corks == 0 && self.bytes <= SENDER_BYTES
    }

    fn take(&mut self) -> VecDeque<Bytes> {
        self.seal();
        // The buffer goes with what it holds: an idle connection keeps none.
        self.tail = BytesMut::new();
        std::mem::take(&mut self.sealed)
    }

    /// Lays unwritten frames in front of what was queued meanwhile: a stream is offered the same bytes again, first.
    fn put_back(&mut self, batch: &mut VecDeque<Bytes>) {
        batch.append(&mut self.sealed);
        self.sealed = std::mem::take(batch);
    }
}

/// Writes the batch until it is empty or the socket stops taking; removes what was taken and counts it.
fn write_batch(stream: &WriteHalf, batch: &mut VecDeque<Bytes>) -> (usize, io::Result<()>) {
    let mut taken = 0;
    while !batch.is_empty() {
        let mut slices = [IoSlice::new(&[]); SLICES];
        let count = batch.len().min(SLICES);
        for (slice, chunk) in slices.iter_mut().zip(batch.iter()) {
            *slice = IoSlice::new(chunk);
        }
        match stream.try_write_vectored(&slices[..count]) {
            Ok(0) => return (taken, Err(io::ErrorKind::WriteZero.into())),
            Ok(written) => {
                taken += written;
                advance(batch, written);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (taken, Err(error)),
        }
    }
    (taken, Ok(()))
}

fn advance(batch: &mut VecDeque<Bytes>, mut written: usize) {
    while let Some(front) = batch.front_mut() {
        if written < front.len() {
            front.advance(written);
            return;
        }
        written -= front.len();
        batch.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(queue: &mut OutboundQueue) -> Vec<u8> {
        queue.take().into_iter().flatten().collect()
    }

    #[test]
    fn small_and_large_frames_leave_in_the_order_in_which_they_came() {
        let mut queue = OutboundQueue::default();
        let mut expected = Vec::new();
        for (number, size) in [10, 20, SMALL_BYTES + 1, 30, SMALL_BYTES + 1, SMALL_BYTES, 1]
            .into_iter()
            .enumerate()
        {
            let frame = vec![number as u8; size];
            queue.push(frame.clone().into());
            expected.extend(frame);
        }
        assert_eq!(queue.bytes, expected.len());
        assert!(content(&mut queue) == expected);
        assert!(!queue.has_work());
    }

    #[test]
    fn what_the_socket_did_not_take_goes_before_what_came_meanwhile() {
        let mut queue = OutboundQueue::default();
        queue.push(Bytes::from_static(b"first"));
        let mut batch = queue.take();
        advance(&mut batch, 2);
        queue.push(Bytes::from(vec![b'-'; SMALL_BYTES + 1]));
        queue.push(Bytes::from_static(b"last"));
        queue.put_back(&mut batch);
        let all = content(&mut queue);
        assert!(all.starts_with(b"rst-") && all.ends_with(b"-last"));
    }

    /// The actors of a schedule: two threads that send, the writer task, and the peer that reads.
    const ACTORS: usize = 4;
    /// Acts that are tried in every order; what is left is done in turns.
    const ACTS: u32 = 9;

    /// A connection whose socket takes a byte at a time, stepped from one lock to the next.
    struct Stepped {
        outbound: Outbound,
        /// Bytes that the socket takes before it says that it would block.
        room: usize,
        sent: usize,
        manners: [Manner; 2],
        senders: [SenderStep; 2],
        /// What the writer task holds while it writes.
        task: Option<VecDeque<Bytes>>,
        task_waits_for: TaskWaits,
    }

    #[derive(Clone)]
    enum SenderStep {
        Corks,
        Pushes,
        Wakes,
        Uncorks,
        Starts(By),
        Writes(VecDeque<Bytes>, By),
        Rests,
    }

    /// How a sender gets its frame written.
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Manner {
        /// The task is to write it.
        Leaves,
        Sends,
        Flushes,
        /// It corks before, and flushes after.
        Corks,
    }

    #[derive(PartialEq)]
    enum TaskWaits {
        Work,
        Turn,
        Socket,
    }

    impl Stepped {
        fn new(manners: [Manner; 2]) -> Self {
            Self {
                outbound: Outbound::new(1_000, Budget::new(0)),
                room: 1,
                sent: 0,
                manners,
                senders: manners.map(|manner| match manner {
                    Manner::Corks => SenderStep::Corks,
                    Manner::Leaves | Manner::Sends | Manner::Flushes => SenderStep::Pushes,
                }),
                task: None,
                task_waits_for: TaskWaits::Work,
            }
        }

        /// What `write_batch` does, with the fake socket.
        fn write(&mut self, batch: &mut VecDeque<Bytes>, by: By) -> Option<Flushed> {
            let all: usize = batch.iter().map(Bytes::len).sum();
            let taken = all.min(self.room);
            self.room -= taken;
            self.sent += taken;
            advance(batch, taken);
            batch.retain(|frame| !frame.is_empty());
            let result = if batch.is_empty() {
                Ok(())
            } else {
                Err(io::ErrorKind::WouldBlock.into())
            };
            self.outbound.account(batch, taken, result, by)
        }

        /// Both senders push two bytes.
        fn step_sender(&mut self, which: usize) -> bool {
            self.senders[which] =
                match std::mem::replace(&mut self.senders[which], SenderStep::Rests) {
                    SenderStep::Corks => {
                        self.outbound.cork();
                        SenderStep::Pushes
                    }
                    SenderStep::Pushes => {
                        let pushed = self
                            .outbound
                            .push_all([[Bytes::from_static(b"xx"), Bytes::new()]]);
                        assert_eq!(pushed, Pushed::Queued);
                        match self.manners[which] {
                            Manner::Leaves => SenderStep::Wakes,
                            Manner::Sends => SenderStep::Starts(By::Sender),
                            Manner::Flushes => SenderStep::Starts(By::Flusher),
                            Manner::Corks => SenderStep::Uncorks,
                        }
                    }
                    SenderStep::Wakes => {
                        self.outbound.wake_writer();
                        SenderStep::Rests
                    }
                    SenderStep::Uncorks => {
                        self.outbound.uncork();
                        SenderStep::Starts(By::Flusher)
                    }
                    SenderStep::Starts(by) => self
                        .outbound
                        .start(by)
                        .map_or(SenderStep::Rests, |batch| SenderStep::Writes(batch, by)),
                    SenderStep::Writes(mut batch, by) => match self.write(&mut batch, by) {
                        None => SenderStep::Writes(batch, by),
                        Some(_) => SenderStep::Rests,
                    },
                    SenderStep::Rests => return false,
                };
            true
        }

        fn step_task(&mut self) -> bool {
            if let Some(mut batch) = self.task.take() {
                match self.write(&mut batch, By::WriterTask) {
                    None => self.task = Some(batch),
                    Some(Flushed::Blocked) => self.task_waits_for = TaskWaits::Socket,
                    Some(_) => self.task_waits_for = TaskWaits::Work,
                }
                return true;
            }
            match self.task_waits_for {
                TaskWaits::Work => {
                    let work = std::pin::pin!(self.outbound.work());
                    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
                    let woken = std::future::Future::poll(work, &mut context).is_ready();
                    if woken {
                        self.task_waits_for = TaskWaits::Turn;
                    }
                    woken
                }
                TaskWaits::Socket if self.room == 0 => false,
                TaskWaits::Socket | TaskWaits::Turn => {
                    self.task = self.outbound.start(By::WriterTask);
                    self.task_waits_for = TaskWaits::Work;
                    true
                }
            }
        }

        fn step(&mut self, actor: usize) -> bool {
            match actor {
                0 | 1 => self.step_sender(actor),
                2 => self.step_task(),
                _ => std::mem::replace(&mut self.room, 1) == 0,
            }
        }
    }

    /// Whether all is written in the end, in every order of the first acts.
    fn all_is_written(manners: [Manner; 2]) {
        for schedule in 0..ACTORS.pow(ACTS) {
            let mut stepped = Stepped::new(manners);
            let mut rest = schedule;
            for _ in 0..ACTS {
                stepped.step(rest % ACTORS);
                rest /= ACTORS;
            }
            while (0..ACTORS).any(|actor| stepped.step(actor)) {}
            let (waiting, written) = stepped.outbound.progress();
            assert_eq!(
                (waiting, written, stepped.sent),
                (0, 4, 4),
                "{manners:?}: {schedule:#x}"
            );
        }
    }

    #[test]
    fn whatever_the_order_of_senders_task_and_peer_nothing_stays_unwritten() {
        all_is_written([Manner::Leaves, Manner::Flushes]);
        all_is_written([Manner::Sends, Manner::Sends]);
        all_is_written([Manner::Sends, Manner::Leaves]);
        all_is_written([Manner::Sends, Manner::Flushes]);
        all_is_written([Manner::Sends, Manner::Corks]);
    }

    fn queue_of(bytes: usize) -> Outbound {
        let outbound = Outbound::new(1 << 20, Budget::new(0));
        outbound.push_all([[Bytes::from(vec![0; bytes]), Bytes::new()]]);
        outbound
    }

    fn wakes_the_task(outbound: &Outbound) -> bool {
        let work = std::pin::pin!(outbound.work());
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        std::future::Future::poll(work, &mut context).is_ready()
    }

    #[test]
    fn a_sender_writes_a_little_itself_and_leaves_more_to_the_task() {
        let little = queue_of(SENDER_BYTES);
        assert!(little.start(By::Sender).is_some());
        assert!(!wakes_the_task(&little));
        let more = queue_of(SENDER_BYTES + 1);
        assert!(more.start(By::Sender).is_none());
        assert!(wakes_the_task(&more));
    }

    #[test]
    fn a_sender_leaves_alone_what_a_reader_has_corked_or_what_waits_for_the_socket() {
        let corked = queue_of(10);
        corked.cork();
        assert!(corked.start(By::Sender).is_none());
        assert!(!wakes_the_task(&corked), "the reader flushes");
        let blocked = queue_of(10);
        let mut batch = blocked.start(By::Sender).expect("it is not much");
        let full = Err(io::ErrorKind::WouldBlock.into());
        let flushed = blocked.account(&mut batch, 0, full, By::Sender);
        assert_eq!(flushed, Some(Flushed::Blocked));
        assert!(wakes_the_task(&blocked), "it waits for the socket");
        assert!(blocked.start(By::Sender).is_none());
        assert!(!wakes_the_task(&blocked), "once");
    }

    #[test]
    fn a_sender_does_not_write_what_others_queue_while_it_writes() {
        let outbound = queue_of(10);
        let mut batch = outbound.start(By::Sender).expect("it is not much");
        outbound.push_all([[Bytes::from_static(b"more"), Bytes::new()]]);
        assert!(outbound.start(By::Sender).is_none(), "one at a time");
        assert!(!wakes_the_task(&outbound), "the one that writes does");
        batch.clear();
        let flushed = outbound.account(&mut batch, 10, Ok(()), By::Sender);
        assert_eq!(flushed, Some(Flushed::Done));
        assert!(wakes_the_task(&outbound));
    }

    #[test]
    fn a_closed_or_full_queue_takes_nothing_more() {
        let outbound = Outbound::new(10, Budget::new(0));
        let frame = || [Bytes::from_static(b"eleven bytes"), Bytes::new()];
        assert_eq!(outbound.push_all([frame()]), Pushed::Queued);
        assert_eq!(outbound.push_all([frame()]), Pushed::Full);
        assert_eq!(outbound.progress().0, 12);
        outbound.close();
        assert_eq!(outbound.push_all([frame()]), Pushed::Closed);
        assert_eq!(outbound.progress().0, 0);
    }

    #[test]
    fn a_frame_that_cannot_be_written_leaves_nothing_behind() {
        let outbound = Outbound::new(100, Budget::new(0));
        let failed = outbound.write_with(Bytes::from_static(b"body"), |out, _| {
            out.extend_from_slice(b"half a head");
            Err("no")
        });
        assert_eq!(failed, Err("no"));
        assert_eq!(outbound.progress().0, 0);
        assert!(!outbound.queue.lock().has_work());
    }
}
