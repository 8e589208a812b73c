//! Pending answers of frames that were placed and are not decided.

use crate::proposal::{AnswerAt, Outcome, StoredRecords};
use std::collections::{BTreeMap, VecDeque};

/// One ticket inside a placed frame.
#[derive(Debug)]
pub(crate) struct PendingTicket<T> {
    pub ticket: T,
    pub answer: AnswerAt,
    pub stored: StoredRecords,
}

#[derive(Debug)]
struct PendingFrame<T> {
    term: u64,
    tickets: Vec<PendingTicket<T>>,
}

/// A ticket is decided when the commit index reaches its index: same term, stored; another term, not stored.
/// Being truncated here decides nothing: another replica may hold the frame and win.
#[derive(Debug)]
pub(crate) struct Tickets<T> {
    frames: BTreeMap<u64, Vec<PendingFrame<T>>>,
    deadlines: VecDeque<(u64, u64, u64)>,
    count: usize,
}

/// Tickets that a commit decided.
pub(crate) struct Decided<T> {
    pub at_once: Vec<(T, Outcome)>,
    pub at_apply: Vec<(u64, T, Outcome)>,
}

impl<T> Tickets<T> {
    pub fn new() -> Self {
        Self {
            frames: BTreeMap::new(),
            deadlines: VecDeque::new(),
            count: 0,
        }
    }

    /// Frames whose tickets wait.
    pub fn frames(&self) -> usize {
        self.count
    }

    pub fn insert(
        &mut self,
        index: u64,
        term: u64,
        tickets: Vec<PendingTicket<T>>,
        deadline_ns: u64,
    ) {
        self.count += 1;
        self.frames
            .entry(index)
            .or_default()
            .push(PendingFrame { term, tickets });
        self.deadlines.push_back((deadline_ns, index, term));
    }

    /// Decide everything up to `commit`; `term_at` names the term that won an index.
    pub fn commit(&mut self, commit: u64, mut term_at: impl FnMut(u64) -> u64) -> Decided<T> {
        let mut decided = Decided {
            at_once: Vec::new(),
            at_apply: Vec::new(),
        };
        while let Some(entry) = self.frames.first_entry() {
            let index = *entry.key();
            if index > commit {
                break;
            }
            let winner = term_at(index);
            for frame in entry.remove() {
                self.count -= 1;
                for placed in frame.tickets {
                    decided.add(index, frame.term == winner, placed);
                }
            }
        }
        decided
    }

    /// Tickets whose time is over: their outcome stays unknown.
    pub fn expire(&mut self, now_ns: u64) -> Vec<(T, Outcome)> {
        let mut expired = Vec::new();
        while let Some(&(deadline, index, term)) = self.deadlines.front() {
            if deadline > now_ns {
                break;
            }
            self.deadlines.pop_front();
            let Some(frames) = self.frames.get_mut(&index) else {
                continue;
            };
            if let Some(at) = frames.iter().position(|frame| frame.term == term) {
                self.count -= 1;
                let frame = frames.remove(at);
                expired.extend(
                    frame
                        .tickets
                        .into_iter()
                        .map(|p| (p.ticket, Outcome::Unknown)),
                );
            }
            if frames.is_empty() {
                self.frames.remove(&index);
            }
        }
        expired
    }
}

impl<T> Decided<T> {
    fn add(&mut self, index: u64, stored: bool, placed: PendingTicket<T>) {
        match (stored, placed.answer) {
            (false, _) => self.at_once.push((placed.ticket, Outcome::NotStored)),
            (true, AnswerAt::Commit) => {
                self.at_once
                    .push((placed.ticket, Outcome::Stored(placed.stored)));
            }
            (true, AnswerAt::Apply) => {
                let outcome = Outcome::Stored(placed.stored);
                self.at_apply.push((index, placed.ticket, outcome));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(ticket: u32) -> Vec<PendingTicket<u32>> {
        vec![PendingTicket {
            ticket,
            answer: AnswerAt::Commit,
            stored: StoredRecords::default(),
        }]
    }

    #[test]
    fn a_ticket_is_stored_only_if_its_own_term_won_the_index() {
        let mut tickets = Tickets::new();
        tickets.insert(5, 1, placed(10), 100);
        tickets.insert(5, 3, placed(11), 100);
        tickets.insert(6, 3, placed(12), 100);
        let decided = tickets.commit(5, |_| 3).at_once;
        assert_eq!(decided[0], (10, Outcome::NotStored));
        assert!(matches!(decided[1], (11, Outcome::Stored(_))));
        assert_eq!(tickets.frames(), 1);
    }

    #[test]
    fn an_undecided_ticket_expires_as_unknown_and_is_answered_once() {
        let mut tickets = Tickets::new();
        tickets.insert(5, 1, placed(10), 100);
        assert!(tickets.expire(99).is_empty());
        assert_eq!(tickets.expire(100), vec![(10, Outcome::Unknown)]);
        assert!(tickets.commit(9, |_| 1).at_once.is_empty());
        assert_eq!(tickets.frames(), 0);
    }
}
