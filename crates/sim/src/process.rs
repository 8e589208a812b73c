//! A replica with its engine running: what a process is, without its threads. Every step of it is one that a process
//! takes; what stands here is the order in which they may come.

use std::path::PathBuf;
use std::sync::Arc;

use tern_log::{
    ConsumeQueues, Disk, KeyIndex, KeyLimits, LogReader, QueueLimits, SegmentNeed, StopRecord,
    prepare_segment,
};
use tern_replica::{
    AnswerAt, Applier, Applying, DelayScheduler, Fatal, FlushRequest, FlushUnderWay, Flusher,
    Inbox, LeaderTasks, OpenedReplica, Outbox, Outcome, PreparedSegment, Proposal,
    RebuildNextOffsets, RebuildOutcome, Replica, TaskNotice, TaskTicket, TaskTime, TaskView,
};
use tern_replication::{PeerMessage, Role};
use tern_requests::{RoleView, Views};
use tern_state::State;
use tern_testdisk::MemoryDisk;

use crate::bugs::{OuterBug, outer};
use crate::progress_apart::ProgressApart;
use crate::serving::{HOST, Serving};

/// The topic that every group has from its founding.
pub const TOPIC: &str = "TBW102";
/// Marks the ticket of a read that a new leader begins with; the rest is its term.
const READ: u64 = 1 << 62;
/// Marks the ticket of due messages; the rest is term and level.
const DUE: u64 = 1 << 63;

/// A running replica.
pub struct RunningReplica {
    pub replica: Replica<u64>,
    pub inbox: Inbox<u64>,
    pub out: Outbox<u64>,
    pub reader: LogReader,
    pub applying: Applying<u64>,
    pub serving: Serving,
    flusher: Flusher,
    /// The newest request to the flush thread, and the one that it carries out.
    flush: Option<FlushRequest>,
    under_way: Option<FlushUnderWay>,
    /// With a bug, a flush that is begun only when its sync ends.
    begun_late: Option<FlushRequest>,
    /// The flush thread is awake.
    is_flushing: bool,
    /// The turn carries a flush out itself, its number in this life: no turn comes before its end, or before the other
    /// thread takes the turn over.
    waits_for_flush: Option<u64>,
    waits: u64,
    rebuild: Option<RebuildNextOffsets>,
    /// As the apply thread was told.
    pub committed: u64,
    leader_tasks: LeaderTasks,
    /// When it got the role that it has, by its monotonic clock, ms.
    since_ms: u64,
    stop_record: StopRecord,
    segment_size: u64,
}

impl RunningReplica {
    /// From a log that has been read, in the order of a process: the start is recorded before anything is written.
    pub fn new(
        opened: OpenedReplica<u64>,
        disk: Arc<dyn Disk>,
        stop_record: StopRecord,
        segment_size: u64,
        life: u64,
    ) -> Result<Self, Fatal> {
        stop_record.started()?;
        let views = directory().join("views");
        let queues = Arc::new(ConsumeQueues::new(disk, &views, QueueLimits::default()));
        // What cannot be deleted is not read.
        let _ = queues.clear();
        let reader = opened.replica.log().reader();
        let applier = Applier::new(State::new(), Arc::clone(&queues), reader.clone());
        // Nobody asks for keys here.
        let keys = KeyIndex::new(Arc::new(MemoryDisk::new()), "/keys", KeyLimits::default());
        let views = Views::new(reader.clone(), queues, Arc::new(keys), State::new());
        views.replay_to(opened.committed);
        Ok(Self {
            replica: opened.replica,
            inbox: Inbox::default(),
            out: Outbox::default(),
            reader,
            applying: Applying::new(applier),
            serving: Serving::new(views, life as u32),
            flusher: opened.flusher,
            flush: None,
            under_way: None,
            begun_late: None,
            is_flushing: false,
            waits_for_flush: None,
            waits: 0,
            rebuild: None,
            committed: 0,
            leader_tasks: LeaderTasks::new(vec![Box::new(ProgressApart::new(
                DelayScheduler::new(),
            ))]),
            since_ms: 0,
            stop_record,
            segment_size,
        })
    }

    /// One turn. `now_ns` is the machine's monotonic clock, `wall_ms` its wall clock.
    pub fn turn(&mut self, now_ns: u64, wall_ms: u64) -> Result<(), Fatal> {
        self.inbox.now_ns = now_ns;
        self.inbox.wall_ms = wall_ms;
        self.inbox.applied_position = self.applying.applier().position();
        self.inbox.rotted = self.serving.views.damage.is_met();
        self.replica.step(&mut self.inbox, &mut self.out)?;
        self.inbox.ticks = 0;
        Ok(())
    }

    /// What a peer's message does to a running replica.
    pub fn receive(&mut self, message: PeerMessage) {
        self.inbox.peers.push(message);
    }

    /// The role changed: a leader begins with a read that shows everything that was committed before.
    pub fn role_changed(&mut self, now_ns: u64) {
        self.leader_tasks.end();
        self.since_ms = now_ns / 1_000_000;
        if let Some(term) = self.leads() {
            self.inbox.reads.push((READ | term, now_ns));
        }
    }

    /// What the leader thread does whenever it wakes.
    pub fn put_due(&mut self, now_ns: u64, wall_ms: u64) {
        let work = self.leader_tasks.work(&TaskView {
            state: self.applying.applier().state(),
            queues: &self.serving.views.queues,
            log: &self.reader,
            now: TaskTime {
                wall_ms,
                monotonic_ms: now_ns / 1_000_000,
            },
            store_host: HOST.into(),
        });
        for notice in &work.notices {
            if let TaskNotice::Unreadable { error, .. } = notice {
                self.serving.views.damage.note(0, error);
            }
        }
        for proposal in work.proposals {
            let TaskTicket { term, task, number } = proposal.ticket;
            self.inbox.proposals.push(Proposal {
                drafts: proposal.drafts,
                ops: proposal.ops,
                answer: AnswerAt::Apply,
                ticket: DUE | term << 16 | u64::from(task) << 8 | u64::from(number),
                received_ns: now_ns,
            });
        }
    }

    /// The outcome of a ticket that is no client's; false for a client's. A read is decided when its index is applied.
    pub fn own_outcome(&mut self, ticket: u64, outcome: &Outcome, now_ns: u64) -> bool {
        if ticket & DUE != 0 {
            let ticket = TaskTicket {
                term: (ticket & !DUE) >> 16,
                task: (ticket >> 8) as u8,
                number: u16::from(ticket as u8),
            };
            self.leader_tasks.decided(ticket, outcome);
        } else if ticket & READ != 0 {
            let term = ticket & !READ;
            match outcome {
                Outcome::Confirmed(_) if self.leads() == Some(term) => {
                    self.leader_tasks.begin(term);
                }
                Outcome::Confirmed(_) => {}
                _ if self.leads() == Some(term) => self.inbox.reads.push((ticket, now_ns)),
                _ => {}
            }
        } else {
            return false;
        }
        true
    }

    /// The flush thread is asked; true if it was idle and begins.
    pub fn ask_flush(&mut self, flush: FlushRequest) -> bool {
        self.flush = Some(flush);
        !std::mem::replace(&mut self.is_flushing, true)
    }

    /// The turn carries a flush out itself; false if the flush thread is at one.
    pub fn wait_for_flush(&mut self, flush: FlushRequest) -> bool {
        if self.is_flushing {
            return false;
        }
        self.flush = Some(flush);
        self.is_flushing = true;
        self.waits += 1;
        self.waits_for_flush = Some(self.waits);
        true
    }

    /// The flush that the turn waits for, if it waits for one.
    pub const fn waits_for_flush(&self) -> Option<u64> {
        self.waits_for_flush
    }

    /// Another thread takes the turn over from one that waits for this flush. False if that is over.
    pub fn take_turn_over(&mut self, wait: u64) -> bool {
        self.waits_for_flush
            .take_if(|number| *number == wait)
            .is_some()
    }

    /// The flush thread begins the newest flush; false if there is none.
    pub fn begin_flush(&mut self, disk: &MemoryDisk, now_ns: u64) -> Result<bool, Fatal> {
        let Some(flush) = self.flush.take() else {
            self.is_flushing = false;
            return Ok(false);
        };
        if outer() == Some(OuterBug::PositionAtSyncEnd) {
            self.begun_late = Some(flush);
        } else {
            self.under_way = Some(self.flusher.begin(flush, now_ns)?);
        }
        disk.begin_sync();
        Ok(true)
    }

    /// The flush thread's sync is over.
    pub fn end_flush(&mut self, disk: &MemoryDisk, now_ns: u64) -> Result<(), Fatal> {
        let under_way = match self.begun_late.take() {
            Some(flush) => self.flusher.begin(flush, now_ns)?,
            None => self.under_way.take().expect("it began"),
        };
        let durable = disk.end_sync(|| self.flusher.end(under_way, || now_ns))?;
        self.inbox.durable = Some(durable);
        if self.waits_for_flush.take().is_some() {
            // The turn goes on, and asked for nothing meanwhile.
            self.is_flushing = false;
        }
        Ok(())
    }

    /// What the flush thread does when nothing is to be flushed.
    pub fn keep_position(&mut self, now_ns: u64) -> Result<(), Fatal> {
        if self.under_way.is_none() && self.flusher.due_ns().is_some_and(|due| due <= now_ns) {
            self.flusher.keep_position(now_ns)?;
        }
        Ok(())
    }

    /// A new leader waits for the numbers of its queues.
    pub fn ask_rebuild(&mut self, rebuild: RebuildNextOffsets) {
        self.rebuild = Some(rebuild);
    }

    /// The apply thread's answer to a new leader.
    pub fn rebuild(&mut self) -> Result<(), Fatal> {
        if let Some(rebuild) = self.rebuild.take() {
            match self.applying.rebuild(rebuild)? {
                RebuildOutcome::Rebuilt(rebuilt) => self.inbox.rebuilt = Some(rebuilt),
                RebuildOutcome::Damaged(error) => self.serving.views.damage.note(0, &error),
                RebuildOutcome::Overtaken => {}
            }
        }
        Ok(())
    }

    /// The apply thread works: what was decided by it. Delay levels may have got something.
    pub fn advance(&mut self, max_bytes: usize, now_ns: u64) -> Result<Vec<(u64, Outcome)>, Fatal> {
        let advanced = self.applying.advance(max_bytes, now_ns)?;
        if let Some(applied) = advanced.applied {
            let views = &self.serving.views;
            let applier = self.applying.applier();
            if let Some(error) = &applied.blocked {
                views.damage.note(applier.position(), error);
            }
            views.publish(applier.state(), applier.position(), applied.records);
            self.leader_tasks.wake();
            for topic_id in applied.topics_deleted {
                let _ = views.queues.drop_topic(topic_id);
            }
        }
        Ok(advanced.answers)
    }

    /// The io thread's work.
    pub fn prepare(&mut self, disk: &dyn Disk, need: SegmentNeed) {
        let file = prepare_segment(disk, &directory(), need, self.segment_size);
        let base = need.base;
        self.inbox.segments.push(PreparedSegment { base, file });
    }

    /// The io thread's look at the disk.
    pub fn look_at_disk(&mut self, disk: &MemoryDisk) {
        self.inbox.space = Some(disk.space(&directory()).unwrap_or(None));
    }

    /// The end of a clean stop, in the order of a process: everything is flushed, then it is said.
    pub fn stop(&mut self, disk: &MemoryDisk, now_ns: u64) -> Result<(), Fatal> {
        if self.under_way.is_some() || self.begun_late.is_some() {
            self.end_flush(disk, now_ns)?;
        }
        if self.begin_flush(disk, now_ns)? {
            self.end_flush(disk, now_ns)?;
        }
        self.flusher.finish()?;
        self.replica.stop()?;
        self.stop_record.stopped_cleanly()?;
        Ok(())
    }

    /// Its role, as its process publishes it.
    pub fn role(&self) -> RoleView {
        let status = self.replica.status();
        RoleView {
            role: status.role,
            term: status.term,
            leader: status.leader,
            leader_address: None,
            is_slave: self.replica.answers_alone(),
            since_ms: self.since_ms,
        }
    }

    /// The term in which this replica leads.
    pub fn leads(&self) -> Option<u64> {
        let status = self.replica.status();
        (status.role == Role::Leader).then_some(status.term)
    }

    /// Index of the newest applied frame.
    pub fn applied(&self) -> u64 {
        self.applying.applier().applied()
    }

    /// What the views show.
    pub fn state(&self) -> &State {
        self.applying.applier().state()
    }
}

/// Where every replica's files lie on its own disk.
pub fn directory() -> PathBuf {
    PathBuf::from("/replica")
}
