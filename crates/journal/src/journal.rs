//! The journal of the process.
//!
//! The engine writes to no file and to no standard error: the program that it runs in decides where its log goes. A
//! thread of the engine leaves a record here and goes on; one reader takes all at once when the descriptor becomes
//! readable. Without a reader, or with one that is too slow, what is too much is dropped and counted.

use std::collections::VecDeque;
use std::fmt::{Display, Write};
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};

use parking_lot::Mutex;

use crate::signal::Signal;

/// Records that wait for the reader; more are dropped.
const MAX_RECORDS: usize = 1024;
/// Bytes of a record's text: some repeat what a peer sent.
const MAX_TEXT: usize = 4096;

/// The logger of a record, as Python's `logging` knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Logger {
    /// Connections, in and out, and the streams between replicas.
    Net,
    /// A replica.
    Broker,
}

impl Logger {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Net => "ternmq.net",
            Self::Broker => "ternmq.broker",
        }
    }
}

/// How much it matters; the numbers are Python's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Worth knowing, nothing is wrong.
    Info = 20,
    /// A peer did wrong, or it will mend itself.
    Warning = 30,
    /// Something here does not work.
    Error = 40,
    /// This process cannot go on as it should.
    Critical = 50,
}

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalRecord {
    /// Under which name it is logged.
    pub logger: Logger,
    /// How much it matters.
    pub level: Level,
    /// One line.
    pub text: String,
}

/// The records of a process that were not read yet.
#[derive(Debug)]
pub struct Journal(Mutex<QueuedRecords>);

#[derive(Debug)]
struct QueuedRecords {
    records: VecDeque<JournalRecord>,
    dropped: u64,
    /// Up while records wait; none before somebody reads.
    signal: Option<Signal>,
}

static JOURNAL: Journal = Journal::new();

/// The one of this process.
pub fn journal() -> &'static Journal {
    &JOURNAL
}

impl Journal {
    const fn new() -> Self {
        Self(Mutex::new(QueuedRecords {
            records: VecDeque::new(),
            dropped: 0,
            signal: None,
        }))
    }

    /// Leaves a record, or counts it where too many wait. Never waits for a reader.
    pub fn log(&self, logger: Logger, level: Level, sentence: impl Display) {
        // Before the lock: whatever displays itself may be slow.
        let text = one_line(sentence);
        let mut waiting = self.0.lock();
        if waiting.records.len() >= MAX_RECORDS {
            waiting.dropped += 1;
            return;
        }
        waiting.records.push_back(JournalRecord {
            logger,
            level,
            text,
        });
        if waiting.records.len() == 1
            && let Some(signal) = &waiting.signal
        {
            signal.raise();
        }
    }

    /// Takes all records, and how many were dropped since the last time. Never waits.
    pub fn take(&self) -> (Vec<JournalRecord>, u64) {
        let mut waiting = self.0.lock();
        if let Some(signal) = &waiting.signal {
            signal.lower();
        }
        let dropped = std::mem::take(&mut waiting.dropped);
        (waiting.records.drain(..).collect(), dropped)
    }

    /// A descriptor that is readable while records wait, those of before included. It replaces the one of an earlier
    /// call, as a process after a fork needs: the first one is its parent's, too.
    ///
    /// # Errors
    /// If the system has no file descriptor left.
    pub fn open(&self) -> io::Result<RawFd> {
        let signal = Signal::new()?;
        let number = signal.as_fd().as_raw_fd();
        let mut waiting = self.0.lock();
        if !waiting.records.is_empty() {
            signal.raise();
        }
        waiting.signal = Some(signal);
        Ok(number)
    }
}

/// A text as one line of bounded length: what peers say must not look like further lines of a log.
fn one_line(sentence: impl Display) -> String {
    let mut line = Line {
        text: String::new(),
    };
    // Ends with an error where it is cut off.
    let _ = write!(line, "{sentence}");
    line.text
}

struct Line {
    text: String,
}

impl Write for Line {
    fn write_str(&mut self, part: &str) -> std::fmt::Result {
        for letter in part.chars() {
            if self.text.len() >= MAX_TEXT {
                self.text.push('…');
                return Err(std::fmt::Error);
            }
            if letter.is_control() {
                self.text.extend(letter.escape_default());
            } else {
                self.text.push(letter);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_readable(descriptor: impl AsFd) -> bool {
        let mut fds = [rustix::event::PollFd::new(
            &descriptor,
            rustix::event::PollFlags::IN,
        )];
        let at_once = rustix::event::Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        rustix::event::poll(&mut fds, Some(&at_once)).expect("poll works") == 1
    }

    fn has_woken(number: RawFd, journal: &Journal) -> bool {
        let waiting = journal.0.lock();
        let signal = waiting.signal.as_ref().expect("it was opened");
        assert_eq!(signal.as_fd().as_raw_fd(), number);
        is_readable(signal)
    }

    #[test]
    fn what_nobody_reads_is_bounded_and_what_is_dropped_is_counted() {
        let journal = Journal::new();
        for number in 0..MAX_RECORDS + 7 {
            journal.log(Logger::Net, Level::Warning, number);
        }
        let (records, dropped) = journal.take();
        assert_eq!((records.len(), dropped), (MAX_RECORDS, 7));
        assert_eq!(records[0].text, "0");
        assert_eq!(journal.take(), (vec![], 0));
    }

    #[test]
    fn the_descriptor_is_readable_exactly_while_records_wait_those_of_before_included() {
        let journal = Journal::new();
        journal.log(Logger::Broker, Level::Error, "early");
        let number = journal.open().expect("a descriptor");
        assert!(has_woken(number, &journal));
        assert_eq!(journal.take().0.len(), 1);
        assert!(!has_woken(number, &journal));
        journal.log(Logger::Broker, Level::Error, "late");
        assert!(has_woken(number, &journal));
    }

    #[test]
    fn the_words_of_a_peer_are_one_line_of_bounded_length() {
        assert_eq!(
            one_line("a\r\nCRITICAL forged\u{1b}[2J"),
            "a\\r\\nCRITICAL forged\\u{1b}[2J"
        );
        let long = one_line("é".repeat(MAX_TEXT));
        assert!(long.len() <= MAX_TEXT + 4 && long.ends_with('…'), "{long}");
    }
}
