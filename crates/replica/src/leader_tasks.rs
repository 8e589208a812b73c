//! What only a leader does besides its log, and the one runner for all of it.
//!
//! A task works from the moment when ReadIndex of the leader's term has shown that everything committed before is
//! applied, until the replica does not lead any more. It looks at the views and proposes; what becomes of a proposal is
//! told to it, unless another term has begun meanwhile. Nothing here has a thread, a clock or a socket: whoever drives
//! it says what time it is, hands in the proposals, and brings the outcomes back.

use std::net::SocketAddr;

use bytes::Bytes;
use smallvec::SmallVec;
use tern_log::{ConsumeQueues, LogError, LogReader};
use tern_state::State;

use crate::proposal::{Draft, Outcome};

/// What a task sees.
#[derive(Clone, Copy)]
pub struct TaskView<'a> {
    /// The applied state.
    pub state: &'a State,
    /// The consume queues that belong to it.
    pub queues: &'a ConsumeQueues,
    /// The log that they point into.
    pub log: &'a LogReader,
    /// The two clocks of the leader.
    pub now: TaskTime,
    /// The address that messages put again carry as that of their broker.
    pub store_host: SocketAddr,
}

/// A moment on the leader.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TaskTime {
    /// By the wall clock, ms since 1970: messages are due by it, and it may be wrong.
    pub wall_ms: u64,
    /// By the monotonic clock, ms.
    pub monotonic_ms: u64,
}

/// Names a proposal when its outcome comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskTicket {
    /// Term in which it was proposed.
    pub term: u64,
    /// The task, by its place among the runner's.
    pub task: u8,
    /// Which of the task's proposals.
    pub number: u16,
}

/// A proposal of a task, answered when it is applied.
#[derive(Debug)]
pub struct TaskProposal {
    /// Messages for their topics.
    pub drafts: SmallVec<[Draft; 1]>,
    /// Encoded ops, which stand in the same frame.
    pub ops: Bytes,
    /// Comes back with the outcome.
    pub ticket: TaskTicket,
}

/// Something that an operator should know.
#[derive(Debug)]
pub enum TaskNotice {
    /// A due message is left out, because its topic does not exist any more.
    Dropped {
        /// The topic.
        topic: String,
        /// Offset in the queue of its delay level.
        queue_offset: u64,
    },
    /// A delay level could not be read. It is tried again.
    Unreadable {
        /// The level.
        level: u16,
        /// Where its message stands in the log; none if its queue could not be read.
        position: Option<u64>,
        /// Why.
        error: LogError,
    },
}

/// What one look of the tasks led to.
#[derive(Debug, Default)]
pub struct TaskWork {
    /// To be proposed.
    pub proposals: Vec<TaskProposal>,
    /// To be said.
    pub notices: Vec<TaskNotice>,
    term: u64,
    task: u8,
}

impl TaskWork {
    /// Adds a proposal; `number` comes back with its outcome.
    pub fn propose(&mut self, number: u16, drafts: SmallVec<[Draft; 1]>, ops: Bytes) {
        let ticket = TaskTicket {
            term: self.term,
            task: self.task,
            number,
        };
        self.proposals.push(TaskProposal {
            drafts,
            ops,
            ticket,
        });
    }
}

/// Something that only a leader does.
pub trait LeaderTask: Send {
    /// The topics whose new messages are work for this task.
    fn topics(&self) -> &[&'static str];

    /// Begin anew: this replica leads in another term, and everything that was committed before is applied.
    fn begin(&mut self);

    /// Messages came into its topics.
    fn wake(&mut self);

    /// Look at the views, and propose what is to be done.
    fn work(&mut self, view: &TaskView<'_>, work: &mut TaskWork);

    /// What became of a proposal of this term.
    fn decided(&mut self, number: u16, outcome: &Outcome);

    /// How long there is nothing to do unless something is told, ms; for ever with none.
    fn idle_ms(&self, now: TaskTime) -> Option<u64>;
}

/// All tasks of a replica; they rest while it does not lead.
pub struct LeaderTasks {
    term: Option<u64>,
    tasks: Vec<Box<dyn LeaderTask>>,
}

impl LeaderTasks {
    /// At rest.
    pub fn new(tasks: Vec<Box<dyn LeaderTask>>) -> Self {
        Self { term: None, tasks }
    }

    /// The topics whose new messages are work for one of the tasks.
    pub fn topics(&self) -> Vec<&'static str> {
        let topics = self.tasks.iter().flat_map(|task| task.topics());
        topics.copied().collect()
    }

    /// This replica leads in `term`, and everything that was committed before is applied: ReadIndex has shown it.
    pub fn begin(&mut self, term: u64) {
        self.term = Some(term);
        for task in &mut self.tasks {
            task.begin();
        }
    }

    /// It does not lead any more. What is under way is decided by the log.
    pub fn end(&mut self) {
        self.term = None;
    }

    /// The term that is being served.
    pub fn term(&self) -> Option<u64> {
        self.term
    }

    /// Messages came into the topics of the tasks.
    pub fn wake(&mut self) {
        for task in &mut self.tasks {
            task.wake();
        }
    }

    /// Have every task look.
    pub fn work(&mut self, view: &TaskView<'_>) -> TaskWork {
        let mut work = TaskWork::default();
        let Some(term) = self.term else {
            return work;
        };
        work.term = term;
        for (number, task) in self.tasks.iter_mut().enumerate() {
            work.task = number as u8;
            task.work(view, &mut work);
        }
        work
    }

    /// What became of a proposal. That of another term concerns nobody: the tasks have begun anew.
    pub fn decided(&mut self, ticket: TaskTicket, outcome: &Outcome) {
        if self.term == Some(ticket.term)
            && let Some(task) = self.tasks.get_mut(usize::from(ticket.task))
        {
            task.decided(ticket.number, outcome);
        }
    }

    /// How long there is nothing to do unless something is told, ms; for ever with none.
    pub fn idle_ms(&self, now: TaskTime) -> Option<u64> {
        self.term?;
        self.tasks.iter().filter_map(|task| task.idle_ms(now)).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::LogBench;

    /// Proposes its number once a term, and counts what it is told.
    struct CountingTask {
        number: u16,
        has_proposed: bool,
        decided: std::sync::Arc<std::sync::Mutex<Vec<u16>>>,
    }

    impl LeaderTask for CountingTask {
        fn topics(&self) -> &[&'static str] {
            &[]
        }

        fn begin(&mut self) {
            self.has_proposed = false;
        }

        fn wake(&mut self) {}

        fn work(&mut self, _: &TaskView<'_>, work: &mut TaskWork) {
            if !std::mem::replace(&mut self.has_proposed, true) {
                work.propose(self.number, SmallVec::new(), Bytes::new());
            }
        }

        fn decided(&mut self, number: u16, _: &Outcome) {
            self.decided.lock().unwrap().push(number);
        }

        fn idle_ms(&self, _: TaskTime) -> Option<u64> {
            (!self.has_proposed).then_some(u64::from(self.number))
        }
    }

    #[test]
    fn each_task_hears_of_its_own_proposals_and_of_none_of_another_term() {
        let bench = LogBench::new();
        let view = TaskView {
            state: bench.state(),
            queues: &bench.queues,
            log: &bench.reader,
            now: TaskTime::default(),
            store_host: "127.0.0.1:10911".parse().unwrap(),
        };
        let heard: [std::sync::Arc<std::sync::Mutex<Vec<u16>>>; 2] = Default::default();
        let task = |number: u16, heard: &std::sync::Arc<std::sync::Mutex<Vec<u16>>>| {
            Box::new(CountingTask {
                number,
                has_proposed: false,
                decided: std::sync::Arc::clone(heard),
            }) as Box<dyn LeaderTask>
        };
        let mut tasks = LeaderTasks::new(vec![task(7, &heard[0]), task(5, &heard[1])]);
        assert!(tasks.work(&view).proposals.is_empty(), "it does not lead");
        assert_eq!(tasks.idle_ms(view.now), None);

        tasks.begin(1);
        assert_eq!(tasks.idle_ms(view.now), Some(5));
        let first = tasks.work(&view).proposals;
        assert_eq!(first.len(), 2);
        tasks.decided(first[0].ticket, &Outcome::Unknown);
        assert_eq!(
            (&*heard[0].lock().unwrap(), heard[1].lock().unwrap().len()),
            (&vec![7], 0)
        );

        tasks.end();
        tasks.decided(first[1].ticket, &Outcome::Unknown);
        tasks.begin(2);
        tasks.decided(first[1].ticket, &Outcome::Unknown);
        assert!(heard[1].lock().unwrap().is_empty());
        assert_eq!(tasks.work(&view).proposals[1].ticket.term, 2);
    }
}
