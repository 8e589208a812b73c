//! Pending answers of frames that were placed and are not decided.

use crate::proposal::{AnswerAt, Outcome, SlaveFault, StoredRecords};
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
    placed_ns: u64,
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
    /// When the newest frame of these was placed.
    pub newest_placed_ns: Option<u64>,
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

    /// Index of the oldest frame whose tickets wait.
    pub fn first(&self) -> Option<u64> {
        self.frames.keys().next().copied()
    }

    /// The tickets of a frame that was placed at this time; without a decision for `wait_ns` they expire.
    pub fn insert(
        &mut self,
        (index, term): (u64, u64),
        tickets: Vec<PendingTicket<T>>,
        placed_ns: u64,
        wait_ns: u64,
    ) {
        self.count += 1;
        self.frames.entry(index).or_default().push(PendingFrame {
            term,
            placed_ns,
            tickets,
        });
        self.deadlines.push_back((placed_ns + wait_ns, index, term));
    }

    /// Decide everything up to `commit`; `term_at` names the term that won an index.
    pub fn commit(&mut self, commit: u64, term_at: impl FnMut(u64) -> u64) -> Decided<T> {
        self.decide(commit, None, term_at)
    }

    /// Decide everything up to `commit`, which no slave will confirm now: messages are on the master alone. What is no
    /// message is not promised to be on a slave.
    pub fn commit_alone(&mut self, commit: u64, term_at: impl FnMut(u64) -> u64) -> Decided<T> {
        self.decide(commit, Some(SlaveFault::NotAvailable), term_at)
    }

    fn decide(
        &mut self,
        commit: u64,
        fault: Option<SlaveFault>,
        mut term_at: impl FnMut(u64) -> u64,
    ) -> Decided<T> {
        let mut decided = Decided {
            at_once: Vec::new(),
            at_apply: Vec::new(),
            newest_placed_ns: None,
        };
        while let Some(entry) = self.frames.first_entry() {
            let index = *entry.key();
            if index > commit {
                break;
            }
            let winner = term_at(index);
            for frame in entry.remove() {
                self.count -= 1;
                decided.newest_placed_ns = Some(frame.placed_ns);
                for placed in frame.tickets {
                    decided.add(index, frame.term == winner, fault, placed);
                }
            }
        }
        decided
    }

    /// Tickets whose time is over: their outcome stays unknown, or no slave has confirmed what is committed, up to
    /// `commit`, on the master.
    pub fn expire(&mut self, now_ns: u64, commit: u64) -> Vec<(T, Outcome)> {
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
                        .map(|placed| placed.expired(index <= commit)),
                );
            }
            if frames.is_empty() {
                self.frames.remove(&index);
            }
        }
        expired
    }
}

impl<T> PendingTicket<T> {
    fn expired(self, is_committed: bool) -> (T, Outcome) {
        match self.answer {
            AnswerAt::Commit if is_committed => {
                let outcome = Outcome::OnMasterAlone(self.stored, SlaveFault::Late);
                (self.ticket, outcome)
            }
            _ => (self.ticket, Outcome::Unknown),
        }
    }
}

impl<T> Decided<T> {
    fn add(
        &mut self,
        index: u64,
        stored: bool,
        fault: Option<SlaveFault>,
        placed: PendingTicket<T>,
    ) {
        match (stored, placed.answer) {
            (false, _) => self.at_once.push((placed.ticket, Outcome::NotStored)),
            (true, AnswerAt::Commit) => {
                let outcome = match fault {
                    None => Outcome::Stored(placed.stored),
                    Some(fault) => Outcome::OnMasterAlone(placed.stored, fault),
                };
                self.at_once.push((placed.ticket, outcome));
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
        tickets.insert((5, 1), placed(10), 60, 40);
        tickets.insert((5, 3), placed(11), 60, 40);
        tickets.insert((6, 3), placed(12), 60, 40);
        let decided = tickets.commit(5, |_| 3).at_once;
        assert_eq!(decided[0], (10, Outcome::NotStored));
        assert!(matches!(decided[1], (11, Outcome::Stored(_))));
        assert_eq!(tickets.frames(), 1);
    }

    #[test]
    fn what_is_committed_and_on_no_slave_is_on_the_master_alone() {
        let mut tickets = Tickets::new();
        tickets.insert((5, 1), placed(10), 60, 40);
        tickets.insert((6, 1), placed(11), 60, 40);
        tickets.insert((7, 1), placed(12), 60, 40);
        let absent = tickets.commit_alone(5, |_| 1).at_once;
        let not_available = |(ticket, outcome): &(u32, Outcome)| {
            *ticket == 10 && matches!(outcome, Outcome::OnMasterAlone(_, SlaveFault::NotAvailable))
        };
        assert!(absent.len() == 1 && not_available(&absent[0]));
        let expired = tickets.expire(100, 6);
        assert!(matches!(
            expired[0].1,
            Outcome::OnMasterAlone(_, SlaveFault::Late)
        ));
        assert_eq!(expired[1], (12, Outcome::Unknown));
    }

    #[test]
    fn an_undecided_ticket_expires_as_unknown_and_is_answered_once() {
        let mut tickets = Tickets::new();
        tickets.insert((5, 1), placed(10), 60, 40);
        assert!(tickets.expire(99, 0).is_empty());
        assert_eq!(tickets.expire(100, 0), vec![(10, Outcome::Unknown)]);
        assert!(tickets.commit(9, |_| 1).at_once.is_empty());
        assert_eq!(tickets.frames(), 0);
    }
}
