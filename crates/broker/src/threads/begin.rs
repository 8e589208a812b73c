//! The log thread's first half: founding or recovery, then the parts that serve, then the loop.

use std::sync::Arc;
use std::thread::JoinHandle;

use tern_journal::Level;
use tern_log::{
    ConsumeQueues, KeyIndex, KeyLimits, LogReader, QueueLimits, RaftState, RaftStateFile,
    ScanResult,
};
use tern_replica::{
    Applier, Applying, DelayScheduler, Fatal, Flush, Flusher, LeaderTasks, Mode, OpenedReplica,
    Replica, ReplicaOpening, Strategy, TurnOptions,
};
use tern_replication::Phase;
use tern_requests::{ClientRegistry, Views};
use tern_state::State;

use super::apply::{ApplyCommand, ApplyShare, ApplyThread};
use super::flush::TurnShare;
use super::leader::{LeaderHandle, LeaderThread};
use super::log::{FlushCommand, Outlets, Turn};
use super::plain::{say, spawn};
use super::start_context::StartContext;
use super::{bootstrap, io, keys};
use crate::channels::batch_queue::{BatchSender, batch_queue};
use crate::channels::mailbox::MailboxReceiver;
use crate::counters::MessageCounters;
use crate::response_batch::Ticket;
use crate::services::Services;
use crate::services::cold_lane::ColdLane;
use crate::services::consumer_offset_manager::ConsumerOffsetManager;
use crate::services::holds::HoldTable;
use crate::services::metadata_changes::MetadataChanges;

/// The body of the log thread.
pub(crate) fn begin(
    start: &StartContext,
    state_file: RaftStateFile,
    state: Option<RaftState>,
    mailbox: MailboxReceiver,
) {
    let fatal_errors = Arc::clone(&start.fatal_errors);
    fatal_errors.run("log", || {
        match bootstrap::run(start, state_file, state, &mailbox)? {
            Some((state, file)) => serve(start, state, file, mailbox),
            None => Ok(()),
        }
    });
}

fn serve(
    start: &StartContext,
    state: RaftState,
    state_file: RaftStateFile,
    mailbox: MailboxReceiver,
) -> Result<(), Fatal> {
    let group_id = state.group_id;
    let OpenedReplica {
        replica,
        flusher,
        recovery,
        committed,
    } = opening(start).open::<Ticket>(state, state_file)?;
    if let ScanResult::Torn { position, fault } = recovery.found {
        say(
            Level::Warning,
            format_args!(
                "a write that was never finished was cut off the log at {position}: {fault}"
            ),
        );
    }
    start.stop_record.started()?;
    let views = Arc::new(open_views(start, replica.log().reader()));
    views.replay_to(committed);
    let holds = Arc::new(HoldTable::new(start.runtime.clone()));
    let metadata_changes = MetadataChanges::new(
        Arc::clone(&views),
        Arc::clone(&start.roles),
        start.mailbox.clone(),
    )
    .with_limits(start.options.settings.limits);
    let offset_manager = ConsumerOffsetManager::new(
        Arc::clone(&views),
        start.mailbox.clone(),
        start.runtime.clone(),
    );
    let counters = Arc::new(MessageCounters::default());
    let services = Arc::new(Services {
        settings: start.options.settings.clone(),
        views: Arc::clone(&views),
        roles: Arc::clone(&start.roles),
        mailbox: start.mailbox.clone(),
        holds: Arc::clone(&holds),
        cold_lane: ColdLane::start(),
        clients: Arc::new(ClientRegistry::new()),
        metadata_changes: Arc::new(metadata_changes),
        offset_manager: Arc::new(offset_manager),
        counters: Arc::clone(&counters),
        runtime: start.runtime.clone(),
    });
    let helpers = start_helpers(start, flusher, &views, &holds);
    start.member_status.enter(Phase::Started, group_id);
    if start.serving.set(services).is_err() {
        unreachable!("a replica begins once");
    }
    let outlets = Outlets {
        peers: start.peers.clone(),
        flush: helpers.flush.0.clone(),
        apply: Arc::clone(&helpers.apply.0),
        io: helpers.io.0.clone(),
        leader: helpers.leader.0.clone(),
        roles: Arc::clone(&start.roles),
        mailbox: start.mailbox.clone(),
        member_status: Arc::clone(&start.member_status),
        counters,
        views,
    };
    let turn = Turn::new(replica, mailbox, outlets);
    helpers.share.run(Some(Box::new(turn)))?;
    // None where the other thread has failed with the turn in its hands, which it has told.
    let Some(mut replica) = helpers.stop() else {
        return Ok(());
    };
    replica.stop()?;
    if let Err(error) = start.stop_record.stopped_cleanly() {
        say(
            Level::Warning,
            format_args!("the next start takes this stop for an unclean one: {error}"),
        );
    }
    Ok(())
}

fn opening(start: &StartContext) -> ReplicaOpening {
    let options = &start.options;
    ReplicaOpening {
        disk: Arc::clone(&start.disk),
        log: bootstrap::log_options(start, [0; 16]),
        strategy: match options.mode {
            Mode::MultiMaster => Strategy::Solo,
            Mode::Raft | Mode::AsyncSlave | Mode::SyncDoubleWrite => Strategy::Raft(options.timing),
        },
        seed: crate::clock::monotonic_ns(),
        turn: TurnOptions {
            heartbeat_ticks: options.timing.heartbeat_ticks,
            leader_catch_up_ticks: 2 * options.timing.election_max_ticks,
            segment_size: options.segment_size,
            // 25 ms for `shared`: a twelfth of the least election timeout of 10 ms ticks.
            election_slot_ns: u64::from(options.timing.election_min_ticks) * 10_000_000 / 12,
            seed: crate::clock::monotonic_ns(),
            acknowledgement: options.mode.acknowledgement(),
            has_slaves: options.mode.has_slaves(),
            flush: match options.mode {
                Mode::Raft => Flush::Sync,
                _ => options.flush,
            },
            slow_sync_ns: options.slow_sync_ns,
            ..TurnOptions::default()
        },
    }
}

/// Views are derived: they are rebuilt from the log at each start. Nothing that is wrong with them stops the start: old
/// files go first, which makes room for new ones, and what cannot be deleted is not read.
fn open_views(start: &StartContext, log: LogReader) -> Views {
    let (disk, directory) = (&start.disk, start.options.data.join("views"));
    let queues = ConsumeQueues::new(disk.clone(), &directory, QueueLimits::default());
    // The key index lies below.
    if let Err(error) = queues.clear() {
        say(Level::Warning, error);
    }
    let keys = KeyIndex::new(disk.clone(), directory.join("keys"), KeyLimits::default());
    Views::new(log, Arc::new(queues), Arc::new(keys), State::new())
}

/// The other threads, each with the channel that feeds it.
struct Helpers {
    share: Arc<TurnShare>,
    flush: (BatchSender<FlushCommand>, JoinHandle<()>),
    apply: (Arc<ApplyShare>, JoinHandle<()>),
    io: (BatchSender<io::IoCommand>, JoinHandle<()>),
    keys: (Arc<Views>, JoinHandle<()>),
    leader: (LeaderHandle, JoinHandle<()>),
}

fn start_helpers(
    start: &StartContext,
    flusher: Flusher,
    views: &Arc<Views>,
    holds: &Arc<HoldTable>,
) -> Helpers {
    let (flush_in, flush_out) = batch_queue();
    let share = Arc::new(TurnShare::new(
        flusher,
        (flush_in.clone(), flush_out),
        start.mailbox.clone(),
    ));
    let (apply_in, apply_out) = batch_queue();
    let (io_in, io_out) = batch_queue();
    let leading = LeaderThread::new(
        LeaderTasks::new(vec![Box::new(DelayScheduler::new())]),
        Arc::clone(views),
        Arc::clone(&start.roles),
        start.mailbox.clone(),
        start.options.settings.store_host,
    );
    let handle = leading.handle.clone();
    let (fatal_errors, shared) = (Arc::clone(&start.fatal_errors), Arc::clone(&share));
    let flush = spawn("flush", move || {
        fatal_errors.run("flush", || shared.run(None));
    });
    let applying = ApplyThread {
        applying: Applying::new(
            Applier::new(State::new(), Arc::clone(&views.queues), views.log.clone())
                .with_keys(Arc::clone(&views.keys)),
        ),
        views: Arc::clone(views),
        holds: Arc::clone(holds),
        leader: handle.clone(),
        events: Arc::clone(&start.events),
        mailbox: start.mailbox.clone(),
    };
    let applying = Arc::new(ApplyShare::new(applying, apply_in));
    let mender = Arc::downgrade(&applying);
    views.queues.on_damage(move || {
        if let Some(apply) = mender.upgrade() {
            apply.tell(ApplyCommand::GoOn);
        }
    });
    let (fatal_errors, shared) = (Arc::clone(&start.fatal_errors), Arc::clone(&applying));
    let apply = spawn("apply", move || {
        fatal_errors.run("apply", || shared.run(&apply_out));
    });
    let (disk, directory) = (start.disk.clone(), start.options.data.clone());
    let (size, mailbox) = (start.options.segment_size, start.mailbox.clone());
    let io = spawn("io", move || {
        io::run(&*disk, &directory, size, &io_out, &mailbox);
    });
    let (fatal_errors, kept) = (Arc::clone(&start.fatal_errors), Arc::clone(views));
    let keys = spawn("keys", move || {
        fatal_errors.run("keys", || {
            keys::run(&kept);
            Ok::<_, Fatal>(())
        });
    });
    let fatal_errors = Arc::clone(&start.fatal_errors);
    let leader = spawn("leader", move || {
        fatal_errors.run("leader", || leading.run());
    });
    Helpers {
        share,
        flush: (flush_in, flush),
        apply: (applying, apply),
        io: (io_in, io),
        keys: (Arc::clone(views), keys),
        leader: (handle, leader),
    }
}

impl Helpers {
    /// After the last turn. Flush first: what was written becomes durable. A panic of a thread was reported when it
    /// happened.
    fn stop(self) -> Option<Replica<Ticket>> {
        self.leader.0.stop();
        let _ = self.leader.1.join();
        let _ = self.flush.1.join();
        self.apply.0.tell(ApplyCommand::Stop);
        let _ = self.apply.1.join();
        let _ = self.io.0.send(io::IoCommand::Stop);
        let _ = self.io.1.join();
        self.keys.0.keys.close();
        let _ = self.keys.1.join();
        self.share.take_replica()
    }
}
