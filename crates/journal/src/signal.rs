//! A file descriptor by which an event loop in another language learns that a queue of ours is no longer empty.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{EventfdFlags, eventfd};

/// An eventfd: readable from [`raise`](Self::raise) to [`lower`](Self::lower).
#[derive(Debug)]
pub struct Signal(OwnedFd);

impl Signal {
    /// A signal that is down.
    ///
    /// # Errors
    /// If the system has no file descriptor left.
    pub fn new() -> io::Result<Self> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        eventfd(0, flags).map(Self).map_err(io::Error::from)
    }

    /// Makes the descriptor readable.
    pub fn raise(&self) {
        // Cannot fail but for a full counter, and then it is readable anyway.
        let _ = rustix::io::write(&self.0, &1u64.to_ne_bytes());
    }

    /// Makes the descriptor unreadable until it is raised again. To be called before the queue is emptied: what is
    /// pushed in between is then taken with the rest, or raises the signal anew.
    pub fn lower(&self) {
        let mut counter = [0; 8];
        let _ = rustix::io::read(&self.0, &mut counter);
    }
}

impl AsFd for Signal {
    /// Nobody but [`Signal::lower`] may read it.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_readable(signal: &Signal) -> bool {
        let mut fds = [rustix::event::PollFd::new(
            signal,
            rustix::event::PollFlags::IN,
        )];
        let at_once = rustix::event::Timespec::default();
        rustix::event::poll(&mut fds, Some(&at_once)).expect("poll works") == 1
    }

    #[test]
    fn it_is_readable_from_the_first_raise_to_the_next_lower() {
        let signal = Signal::new().expect("a descriptor");
        assert!(!is_readable(&signal));
        signal.raise();
        signal.raise();
        assert!(is_readable(&signal));
        signal.lower();
        assert!(!is_readable(&signal));
        signal.lower();
        signal.raise();
        assert!(is_readable(&signal));
    }
}
