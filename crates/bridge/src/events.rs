//! The queue from the net threads to the event loop of the event loop.
//!
//! Many threads push, one thread drains all at once. A signal is raised when the queue stops being empty, and only
//! then: one system call for as many events as arrive before the loop wakes up.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use parking_lot::Mutex;
use tern_journal::Signal;
use tern_net::{CallError, Credit};
use tern_wire::Command;

use crate::heartbeats::HeartbeatOutcome;

/// Something that the event loop is told; `A` is what the program around the bridge has to tell.
#[derive(Debug)]
pub enum BridgeEvent<A> {
    /// A client sent a request.
    Request {
        /// Names the request in the answer; 0 for a one-way request.
        request_id: u64,
        /// The connection it came on.
        connection_id: u64,
        /// The client's address.
        peer: SocketAddr,
        /// The request.
        command: Command,
        /// What a one-way request is charged until it has been taken; free for the others, whose answer holds it.
        credit: Credit,
    },
    /// A server sent a request on a connection of ours.
    Push {
        /// Names the request in the answer; 0 for a one-way request.
        request_id: u64,
        /// The server, as it was called.
        address: Arc<str>,
        /// The request.
        command: Command,
    },
    /// A call of ours was answered, be it with an error code.
    Answer {
        /// The caller's number for it.
        call_id: u64,
        /// The answer.
        command: Command,
    },
    /// A call of ours has no answer.
    Failed {
        /// The caller's number for it.
        call_id: u64,
        /// Why.
        error: CallError,
    },
    /// Sends of ours were stored, as their answers say. Those that come in one after the other are one event.
    Stored {
        /// The sender's number.
        sender: u32,
        /// Where each lies now.
        sends: Vec<StoredSend>,
    },
    /// A send of ours was answered in another way, or not at all.
    NotStored {
        /// The sender's number.
        sender: u32,
        /// The caller's number for it.
        call_id: u64,
        /// What became of it.
        outcome: Result<Command, CallError>,
    },
    /// The first heartbeat of a version to an address has ended.
    Heartbeat(HeartbeatOutcome),
    /// A connection that had sent requests ended.
    Closed {
        /// The connection.
        connection_id: u64,
        /// The client's address.
        peer: SocketAddr,
    },
    /// A connection of ours ended.
    Disconnected {
        /// Where it led.
        address: Arc<str>,
    },
    /// An event of the program around the bridge.
    Application(A),
}

/// Where a message of ours was stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredSend {
    /// The caller's number for the send.
    pub call_id: u64,
    /// Queue that was used.
    pub queue_id: i32,
    /// Number of the message in it; of a batch the first.
    pub queue_offset: i64,
}

/// Events that wait for the event loop. The threads that push bound what they push.
#[derive(Debug)]
pub struct EventQueue<A> {
    waiting: Mutex<QueuedEvents<A>>,
    signal: Signal,
}

#[derive(Debug)]
struct QueuedEvents<A> {
    events: Vec<BridgeEvent<A>>,
    /// The signal has been raised and not been lowered since.
    signalled: bool,
}

impl<A> EventQueue<A> {
    /// An empty queue.
    ///
    /// # Errors
    /// If the system has no file descriptor left.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            waiting: Mutex::new(QueuedEvents {
                events: Vec::new(),
                signalled: false,
            }),
            signal: Signal::new()?,
        })
    }

    /// Appends an event and makes the file descriptor readable.
    pub fn push(&self, event: BridgeEvent<A>) {
        self.add(|events| events.push(event));
    }

    /// Appends a stored send, to the last event if that tells of the same sender's.
    pub fn push_stored(&self, sender: u32, send: StoredSend) {
        self.add(|events| match events.last_mut() {
            Some(BridgeEvent::Stored {
                sender: last,
                sends,
            }) if *last == sender => sends.push(send),
            _ => events.push(BridgeEvent::Stored {
                sender,
                sends: vec![send],
            }),
        });
    }

    fn add(&self, change: impl FnOnce(&mut Vec<BridgeEvent<A>>)) {
        let mut waiting = self.waiting.lock();
        change(&mut waiting.events);
        let first = !std::mem::replace(&mut waiting.signalled, true);
        drop(waiting);
        if first {
            // After the lock, which the event loop takes as soon as it wakes up.
            self.signal.raise();
        }
    }

    /// Takes all events, in the order in which they were pushed. Never waits.
    pub fn drain(&self) -> Vec<BridgeEvent<A>> {
        // Before the events are taken: an event that is pushed in between is taken too, or raises it anew.
        self.signal.lower();
        let mut waiting = self.waiting.lock();
        waiting.signalled = false;
        std::mem::take(&mut waiting.events)
    }

    /// Events that wait.
    pub fn len(&self) -> usize {
        self.waiting.lock().events.len()
    }

    /// Whether no event waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<A> AsFd for EventQueue<A> {
    /// Readable while events wait. Nobody but [`EventQueue::drain`] reads it.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.signal.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_readable(queue: &EventQueue<usize>) -> bool {
        let mut fds = [rustix::event::PollFd::new(
            queue,
            rustix::event::PollFlags::IN,
        )];
        let at_once = rustix::event::Timespec::default();
        rustix::event::poll(&mut fds, Some(&at_once)).expect("poll works") == 1
    }

    #[test]
    fn the_descriptor_is_readable_exactly_while_events_wait() {
        let queue = EventQueue::new().expect("a descriptor");
        assert!(!is_readable(&queue));
        queue.push(BridgeEvent::Application(1));
        queue.push(BridgeEvent::Application(2));
        assert!(is_readable(&queue));
        assert_eq!(queue.drain().len(), 2);
        assert!(!is_readable(&queue));
        assert!(queue.drain().is_empty());
        queue.push(BridgeEvent::Application(3));
        assert!(is_readable(&queue));
    }

    #[test]
    fn sends_stored_one_after_the_other_are_one_event_of_their_sender() {
        let queue = EventQueue::new().expect("a descriptor");
        let send = |call_id| StoredSend {
            call_id,
            queue_id: 3,
            queue_offset: 7,
        };
        for (sender, call_id) in [(1, 10), (1, 11), (2, 12)] {
            queue.push_stored(sender, send(call_id));
        }
        queue.push(BridgeEvent::Application(1));
        queue.push_stored(2, send(13));
        let told: Vec<_> = queue
            .drain()
            .into_iter()
            .map(|event| match event {
                BridgeEvent::Stored { sender, sends } => {
                    (sender, sends.iter().map(|send| send.call_id).collect())
                }
                _ => (0, Vec::new()),
            })
            .collect();
        assert_eq!(
            told,
            [(1, vec![10, 11]), (2, vec![12]), (0, vec![]), (2, vec![13])]
        );
    }

    #[test]
    fn no_event_is_lost_or_left_without_a_signal_when_many_threads_push() {
        const EACH: usize = 20_000;
        let queue = EventQueue::new().expect("a descriptor");
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for number in 0..EACH {
                        queue.push(BridgeEvent::Application(number));
                        // Lets the other side in, so that it drains often.
                        std::thread::yield_now();
                    }
                });
            }
            let mut drained = 0;
            while drained < 2 * EACH {
                let mut fds = [rustix::event::PollFd::new(
                    &queue,
                    rustix::event::PollFlags::IN,
                )];
                let patience = rustix::event::Timespec {
                    tv_sec: 10,
                    tv_nsec: 0,
                };
                let ready = rustix::event::poll(&mut fds, Some(&patience)).expect("poll works");
                assert_eq!(ready, 1, "{drained} events, then none was signalled");
                drained += queue.drain().len();
            }
            assert_eq!(drained, 2 * EACH);
        });
    }
}
