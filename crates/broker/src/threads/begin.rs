//! The log thread's first half: founding or recovery, then the parts that serve, then the loop.

use std::sync::Arc;
use std::thread::JoinHandle;

use tern_journal::Level;
use tern_log::{
    ConsumeQueues, KeyIndex, KeyLimits, LogReader, QueueLimits, RaftState, RaftStateFile,
    ScanResult,
};
use tern_replica::{
    Applier, Applying, Delays, Fatal, Flusher, LeaderTasks, Opened, Opening, Strategy, TurnOptions,
};
use tern_replication::Phase;
use tern_state::State;

use super::beginning::Beginning;
use super::leader::{LeaderHandle, LeaderThread};
use super::log::Outlets;
use super::plain::{say, spawn, tell};
use super::{apply, bootstrap, flush, io, keys, log};
use crate::answers::Ticket;
use crate::channels::mailbox::MailboxReceiver;
use crate::channels::post::{Post, post_box};
use crate::options::Mode;
use crate::services::Services;
use crate::services::commits::Commits;
use crate::services::creations::Creations;
use crate::services::holds::HoldTable;
use crate::services::registry::ClientRegistry;
use crate::views::Views;

/// The body of the log thread.
pub(crate) fn begin(
    beginning: &Beginning,
    state_file: RaftStateFile,
    state: Option<RaftState>,
    mailbox: &MailboxReceiver,
) {
    let stopper = Arc::clone(&beginning.stopper);
    stopper.guard("log", || {
        match bootstrap::run(beginning, state_file, state, mailbox)? {
            Some((state, file)) => serve(beginning, state, file, mailbox),
            None => Ok(()),
        }
    });
}

fn serve(
    beginning: &Beginning,
    state: RaftState,
    state_file: RaftStateFile,
    mailbox: &MailboxReceiver,
) -> Result<(), Fatal> {
    let group_id = state.group_id;
    let Opened {
        replica,
        flusher,
        recovery,
        committed,
    } = opening(beginning).open::<Ticket>(state, state_file)?;
    if let ScanResult::Torn { position, fault } = recovery.found {
        say(
            Level::Warning,
            format_args!(
                "a write that was never finished was cut off the log at {position}: {fault}"
            ),
        );
    }
    beginning.stop_record.started()?;
    let views = Arc::new(open_views(beginning, replica.log().reader()));
    views.replay_to(committed);
    let holds = Arc::new(HoldTable::new(beginning.runtime.clone()));
    let creations = Creations::new(
        Arc::clone(&views),
        Arc::clone(&beginning.roles),
        beginning.mailbox.clone(),
    )
    .with_limits(beginning.options.settings.limits);
    let commits = Commits::new(
        Arc::clone(&views),
        beginning.mailbox.clone(),
        beginning.runtime.clone(),
    );
    let services = Arc::new(Services {
        settings: beginning.options.settings.clone(),
        views: Arc::clone(&views),
        roles: Arc::clone(&beginning.roles),
        mailbox: beginning.mailbox.clone(),
        holds: Arc::clone(&holds),
        clients: Arc::new(ClientRegistry::new()),
        creations: Arc::new(creations),
        commits: Arc::new(commits),
        counters: Arc::default(),
        runtime: beginning.runtime.clone(),
    });
    let helpers = start_helpers(beginning, flusher, &views, &holds);
    beginning.member_status.enter(Phase::Started, group_id);
    if beginning.serving.set(services).is_err() {
        unreachable!("a replica begins once");
    }
    let outlets = Outlets {
        peers: beginning.peers.clone(),
        flush: helpers.flush.0.clone(),
        apply: helpers.apply.0.clone(),
        io: helpers.io.0.clone(),
        leader: helpers.leader.0.clone(),
        roles: Arc::clone(&beginning.roles),
        mailbox: beginning.mailbox.clone(),
        member_status: Arc::clone(&beginning.member_status),
        views,
    };
    let mut replica = log::run(replica, mailbox, &outlets)?;
    helpers.stop();
    replica.stop()?;
    if let Err(error) = beginning.stop_record.stopped_cleanly() {
        say(
            Level::Warning,
            format_args!("the next start takes this stop for an unclean one: {error}"),
        );
    }
    Ok(())
}

fn opening(beginning: &Beginning) -> Opening {
    let options = &beginning.options;
    Opening {
        disk: Arc::clone(&beginning.disk),
        log: bootstrap::log_options(beginning, [0; 16]),
        strategy: match options.mode {
            Mode::MultiMaster => Strategy::Solo,
            Mode::Raft => Strategy::Raft(options.timing),
        },
        seed: crate::clock::monotonic_ns(),
        turn: TurnOptions {
            heartbeat_ticks: options.timing.heartbeat_ticks,
            leader_catch_up_ticks: 2 * options.timing.election_max_ticks,
            segment_size: options.segment_size,
            // 25 ms for `shared`: a twelfth of the least election timeout of 10 ms ticks.
            election_turn_ns: u64::from(options.timing.election_min_ticks) * 10_000_000 / 12,
            seed: crate::clock::monotonic_ns(),
            ..TurnOptions::default()
        },
    }
}

/// Views are derived: they are rebuilt from the log at each start. Nothing that is wrong with them stops the start: old
/// files go first, which makes room for new ones, and what cannot be deleted is not read.
fn open_views(beginning: &Beginning, log: LogReader) -> Views {
    let (disk, directory) = (&beginning.disk, beginning.options.data.join("views"));
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
    flush: (Post<flush::Request>, JoinHandle<()>),
    apply: (Post<apply::Step>, JoinHandle<()>),
    io: (Post<io::Request>, JoinHandle<()>),
    keys: (Arc<Views>, JoinHandle<()>),
    leader: (LeaderHandle, JoinHandle<()>),
}

fn start_helpers(
    beginning: &Beginning,
    flusher: Flusher,
    views: &Arc<Views>,
    holds: &Arc<HoldTable>,
) -> Helpers {
    let (flush_in, flush_out) = post_box();
    let (apply_in, apply_out) = post_box();
    let (io_in, io_out) = post_box();
    let leading = LeaderThread::new(
        LeaderTasks::new(vec![Box::new(Delays::new())]),
        Arc::clone(views),
        Arc::clone(&beginning.roles),
        beginning.mailbox.clone(),
        beginning.options.settings.store_host,
    );
    let handle = leading.handle.clone();
    let mender = apply_in.clone();
    views
        .queues
        .on_damage(move || tell(&mender, apply::Step::Mend));
    let (stopper, mailbox) = (Arc::clone(&beginning.stopper), beginning.mailbox.clone());
    let flush = spawn("flush", move || {
        stopper.guard("flush", || flush::run(flusher, &flush_out, &mailbox));
    });
    let applying = apply::Apply {
        applying: Applying::new(
            Applier::new(State::new(), Arc::clone(&views.queues), views.log.clone())
                .with_keys(Arc::clone(&views.keys)),
        ),
        views: Arc::clone(views),
        holds: Arc::clone(holds),
        leader: handle.clone(),
        events: Arc::clone(&beginning.events),
        mailbox: beginning.mailbox.clone(),
    };
    let stopper = Arc::clone(&beginning.stopper);
    let apply = spawn("apply", move || {
        stopper.guard("apply", || apply::run(applying, &apply_out));
    });
    let (disk, directory) = (beginning.disk.clone(), beginning.options.data.clone());
    let (size, mailbox) = (beginning.options.segment_size, beginning.mailbox.clone());
    let io = spawn("io", move || {
        io::run(&*disk, &directory, size, &io_out, &mailbox);
    });
    let (stopper, kept) = (Arc::clone(&beginning.stopper), Arc::clone(views));
    let keys = spawn("keys", move || {
        stopper.guard("keys", || {
            keys::run(&kept);
            Ok::<_, Fatal>(())
        });
    });
    let stopper = Arc::clone(&beginning.stopper);
    let leader = spawn("leader", move || {
        stopper.guard("leader", || leading.run());
    });
    Helpers {
        flush: (flush_in, flush),
        apply: (apply_in, apply),
        io: (io_in, io),
        keys: (Arc::clone(views), keys),
        leader: (handle, leader),
    }
}

impl Helpers {
    /// Flush first: what was written becomes durable. A panic of a thread was reported when it happened.
    fn stop(self) {
        self.leader.0.stop();
        let _ = self.leader.1.join();
        let _ = self.flush.0.send(flush::Request::Stop);
        let _ = self.flush.1.join();
        let _ = self.apply.0.send(apply::Step::Stop);
        let _ = self.apply.1.join();
        let _ = self.io.0.send(io::Request::Stop);
        let _ = self.io.1.join();
        self.keys.0.keys.close();
        let _ = self.keys.1.join();
    }
}
