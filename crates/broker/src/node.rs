//! One replica as a process: builds the parts in order, starts their threads, stops them in reverse.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use tern_log::{
    BootMark, DirectoryId, DirectoryLock, Disk, LogError, RaftState, RaftStateFile, RealDisk,
    StopRecord, claim_directory,
};
use tern_net::{Budget, Listener, ServerOptions, listen};
use tern_peers::{PeerOptions, Peers};
use tern_replica::{BootstrapPlan, MemberIdentity, MemberStatus, Mode};
use tern_replication::{Progress, RaftMember, TICK_MS, member_number};
use thiserror::Error;
use tokio::runtime::Handle;

use crate::channels::mailbox::{Input, Mailbox};
use crate::clock;
use crate::dispatcher::RequestDispatcher;
use crate::events::NodeEvents;
use crate::lag::{Follower, Lag};
use crate::options::NodeOptions;
use crate::peer_handler::PeerHandler;
use crate::random::random_id;
use crate::roles::RoleBoard;
use crate::services::Services;
use crate::threads::{self, FatalErrorHandler};

/// Why a replica does not start. Each is a sentence that says what to change.
#[derive(Debug, Error)]
pub enum StartError {
    /// A port could not be opened.
    #[error(
        "cannot listen on {address} ({setting}): {source}; change {setting} or stop what uses the port"
    )]
    Port {
        /// The address.
        address: SocketAddr,
        /// The setting that names it.
        setting: &'static str,
        /// The system's reason.
        source: io::Error,
    },
    /// The data directory cannot be used.
    #[error("data directory {directory:?}: {source}")]
    Data {
        /// The directory.
        directory: PathBuf,
        /// What is wrong with it.
        source: LogError,
    },
    /// A contradiction in the options.
    #[error("{0}")]
    Options(String),
}

/// A running replica.
pub struct Node {
    options: NodeOptions,
    mailbox: Mailbox,
    roles: Arc<RoleBoard>,
    serving: Arc<OnceLock<Arc<Services>>>,
    member_status: Arc<MemberStatus>,
    fatal_errors: Arc<FatalErrorHandler>,
    peers: Option<Arc<Peers>>,
    listeners: Mutex<Vec<Listener>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Node {
    /// Start a replica: lock its directory, open its ports, begin or resume. Returns before it serves: a group
    /// that is founded for the first time waits for all its members.
    ///
    /// # Errors
    /// [`StartError`] with a sentence for the operator. Nothing goes on running then.
    pub fn start(
        options: NodeOptions,
        runtime: &Handle,
        events: Arc<dyn NodeEvents>,
    ) -> Result<Self, StartError> {
        Self::start_on(Arc::new(RealDisk), options, runtime, events)
    }

    /// As [`Self::start`], on another disk than the machine's.
    ///
    /// # Errors
    /// As there.
    pub fn start_on(
        disk: Arc<dyn Disk>,
        options: NodeOptions,
        runtime: &Handle,
        events: Arc<dyn NodeEvents>,
    ) -> Result<Self, StartError> {
        let own = own_number(&options)?;
        let data_error = |source| StartError::Data {
            directory: options.data.clone(),
            source,
        };
        let name = format!(
            "{}/{}/{}",
            options.settings.cluster, options.settings.group, options.member
        );
        let fresh = random_id().map_err(StartError::Options)?;
        // Held before the directory is claimed: of two first starts at once, only one may draw its id.
        let lock = DirectoryLock::acquire(&*disk, &options.data).map_err(data_error)?;
        let directory = claim_directory(&*disk, &options.data, &name, fresh).map_err(data_error)?;
        let stop_record = StopRecord::new(
            Arc::clone(&disk),
            &options.data,
            BootMark::current(&options.data),
        );
        let last_stop = stop_record.last_stop().map_err(data_error)?;
        let (state_file, state) =
            RaftStateFile::load(Arc::clone(&disk), &options.data).map_err(data_error)?;

        let (mailbox, receiver) = Mailbox::new();
        let mailbox = mailbox.with_wake_task(runtime);
        let roles = Arc::new(RoleBoard::new(
            own,
            options.advertise.clone(),
            Arc::clone(&events),
        ));
        let serving = Arc::new(OnceLock::new());
        check_mode(&options, state.as_ref())?;
        let member_status = Arc::new(member_status(&options, own, state.as_ref()));
        let fatal_errors = Arc::new(FatalErrorHandler::new(Arc::clone(&events)));

        let dispatcher = Arc::new(RequestDispatcher::new(
            Arc::clone(&serving),
            Arc::clone(&events),
            &options.control_codes,
        ));
        let listeners = open_ports(&options, runtime, &dispatcher)?;
        let peers = start_peers(
            &options,
            own,
            runtime,
            &mailbox,
            &roles,
            &serving,
            &member_status,
        )?;

        let start = threads::StartContext {
            options: options.clone(),
            plan: plan(&options, own, directory),
            disk,
            _lock: lock,
            stop_record,
            last_stop,
            mailbox: mailbox.clone(),
            peers: peers.clone(),
            roles: Arc::clone(&roles),
            serving: Arc::clone(&serving),
            member_status: Arc::clone(&member_status),
            fatal_errors: Arc::clone(&fatal_errors),
            events,
            runtime: runtime.clone(),
        };
        let thread = threads::spawn("log", move || {
            threads::begin(&start, state_file, state, receiver);
        });
        Ok(Self {
            options,
            mailbox,
            roles,
            serving,
            member_status,
            fatal_errors,
            peers,
            listeners: Mutex::new(listeners),
            thread: Mutex::new(Some(thread)),
        })
    }

    /// The parts, once the replica serves and has replayed what was committed before its start.
    pub fn services(&self) -> Option<Arc<Services>> {
        let services = self.replaying()?;
        services.views.have_replayed().then_some(services)
    }

    /// The parts, perhaps while the views are still being rebuilt.
    pub fn replaying(&self) -> Option<Arc<Services>> {
        self.serving.get().cloned()
    }

    /// The role as of the last turn.
    pub fn roles(&self) -> &Arc<RoleBoard> {
        &self.roles
    }

    /// The options it was started with.
    pub fn options(&self) -> &NodeOptions {
        &self.options
    }

    /// Group id and phase of the founding.
    pub fn member_status(&self) -> &Arc<MemberStatus> {
        &self.member_status
    }

    /// The way into the log.
    pub fn mailbox(&self) -> &Mailbox {
        &self.mailbox
    }

    /// Numbers of the other members that are connected now.
    pub fn in_reach(&self) -> Vec<u32> {
        self.peers
            .as_ref()
            .map_or_else(Vec::new, |peers| peers.in_reach())
    }

    /// How far the others are, if this replica leads; at the latest after `limit`.
    pub fn progress(&self, limit: Duration) -> Vec<Progress> {
        if self.replaying().is_none() {
            return Vec::new();
        }
        self.mailbox.progress(limit)
    }

    /// How far behind the others are, as this leader knows: those from which it has heard since it leads, and whose place
    /// in the log can be read. Nobody if it does not lead.
    pub fn followers(&self) -> Vec<Follower> {
        let Some(services) = self.replaying() else {
            return Vec::new();
        };
        let (log, wall_ms) = (&services.views.log, clock::wall_ms());
        let others = self.member_status.followers().into_iter();
        others
            .filter_map(|(number, last_index)| {
                Some(Follower {
                    number,
                    address: self.roles.address(number),
                    last_index,
                    lag: Lag::behind(log, last_index, wall_ms).ok()?,
                })
            })
            .collect()
    }

    /// Have consumers go to the leader: pulls that wait and pulls that come are refused with 14 and where it is. For a
    /// replica that has handed over and is going.
    pub fn send_away(&self) {
        if let Some(services) = self.replaying() {
            services.holds.close();
        }
    }

    /// Stop in the reverse order of the start: accept nothing new, let what is appended be decided for up to
    /// `drain`, flush, mark the stop as clean, join the threads. Calling it twice does nothing.
    pub fn stop(&self, drain: Duration) {
        self.fatal_errors.begin();
        let Some(thread) = self.thread.lock().take() else {
            return;
        };
        self.mailbox.tell(Input::Stop(drain));
        // A panic of that thread was reported when it happened.
        let _ = thread.join();
        if let Some(peers) = &self.peers {
            peers.close();
        }
        for listener in self.listeners.lock().drain(..) {
            listener.close();
        }
    }
}

fn own_number(options: &NodeOptions) -> Result<u32, StartError> {
    if !options
        .members
        .iter()
        .any(|member| member.id == options.member)
    {
        return Err(StartError::Options(format!(
            "member {:?} is not among the members of group {:?}; add it there or correct the node's id",
            options.member, options.settings.group
        )));
    }
    if options.mode == Mode::MultiMaster && options.members.len() != 1 {
        return Err(StartError::Options(format!(
            "group {:?} has mode multi-master and {} members; give each master a group of its own",
            options.settings.group,
            options.members.len()
        )));
    }
    if options.mode.has_slaves() && options.members.len() < 2 {
        return Err(StartError::Options(format!(
            "group {:?} has mode {} and no slave; add one, or use multi-master",
            options.settings.group,
            options.mode.name()
        )));
    }
    member_number(&options.member).map_err(|error| StartError::Options(error.to_string()))
}

/// The slaves of a group that is founded: everybody but its first member, which is the master.
fn slaves(options: &NodeOptions) -> Vec<u32> {
    if !options.mode.has_slaves() {
        return Vec::new();
    }
    let numbers = options.members.iter().map(|member| member.number);
    let master = numbers.clone().min();
    numbers.filter(|number| Some(*number) != master).collect()
}

/// A group keeps the kind of replication with which it was founded: what it holds says who may lead.
fn check_mode(options: &NodeOptions, state: Option<&RaftState>) -> Result<(), StartError> {
    let Some(state) = state else { return Ok(()) };
    let has_slaves = !state.learners.is_empty();
    let fits = match options.mode {
        Mode::MultiMaster => !has_slaves && state.voters.len() == 1,
        Mode::Raft => !has_slaves,
        Mode::AsyncSlave | Mode::SyncDoubleWrite => has_slaves,
    };
    // A master alone may take slaves from now on.
    let becomes_open = options.open && !has_slaves && state.voters.len() == 1;
    if fits || becomes_open {
        return Ok(());
    }
    let founded = if has_slaves {
        "a master and slaves"
    } else {
        "replicas that elect their leader"
    };
    Err(StartError::Options(format!(
        "group {:?} was founded with {founded} and is configured with mode {}; moving a group from one to the other is \
         not there yet, so give it the mode that it has, or another data directory",
        options.settings.group,
        options.mode.name()
    )))
}

fn plan(options: &NodeOptions, own: u32, directory: DirectoryId) -> BootstrapPlan {
    BootstrapPlan {
        own,
        // Who is not listed with an address is not waited for.
        members: known(options).map(|member| member.number).collect(),
        learners: slaves(options),
        digest: members_digest(options),
        directory,
        later: Vec::new(),
        joins: false,
    }
}

fn member_status(options: &NodeOptions, own: u32, state: Option<&RaftState>) -> MemberStatus {
    let identity = MemberIdentity {
        cluster: options.settings.cluster.clone(),
        group: options.settings.group.clone(),
        member: options.member.clone(),
        own,
        members: options.members.iter().map(|member| member.number).collect(),
        digest: members_digest(options),
        mode: options.mode.number(),
        client_address: options.advertise.clone(),
        peer_address: known(options)
            .find(|member| member.number == own)
            .map_or_else(String::new, |member| member.address.clone()),
        timing: options.timing,
        // Processes dial the members that the topology names, and no others yet.
        joins: false,
    };
    MemberStatus::new(identity, slaves(options), state)
}

/// The members that are listed with an address.
fn known(options: &NodeOptions) -> impl Iterator<Item = &RaftMember> {
    let members = options.members.iter();
    members.filter(|member| !member.address.is_empty())
}

/// Checksum of ids and addresses, in the order of numbers: equal where the topologies agree. An open group has no list.
fn members_digest(options: &NodeOptions) -> u64 {
    if options.open {
        return 0;
    }
    let mut lines: Vec<String> = options
        .members
        .iter()
        .map(|m| format!("{}={}", m.id, m.address))
        .collect();
    lines.sort();
    let text = lines.join(";");
    u64::from(crc32c::crc32c(text.as_bytes())) << 32 | text.len() as u64
}

fn open_ports(
    options: &NodeOptions,
    runtime: &Handle,
    dispatcher: &Arc<RequestDispatcher>,
) -> Result<Vec<Listener>, StartError> {
    let server = ServerOptions {
        budget: Budget::new(options.in_flight_bytes),
        ..ServerOptions::default()
    };
    let ports = [
        (Some(options.listen), "port"),
        (options.fast_listen, "fast port"),
    ];
    let mut listeners = Vec::new();
    for (address, setting) in ports {
        let Some(address) = address else { continue };
        let listener = listen(
            runtime,
            address,
            Arc::clone(dispatcher) as _,
            server.clone(),
        )
        .map_err(|source| StartError::Port {
            address,
            setting,
            source,
        })?;
        listeners.push(listener);
    }
    Ok(listeners)
}

fn start_peers(
    options: &NodeOptions,
    own: u32,
    runtime: &Handle,
    mailbox: &Mailbox,
    roles: &Arc<RoleBoard>,
    serving: &Arc<OnceLock<Arc<Services>>>,
    member_status: &Arc<MemberStatus>,
) -> Result<Option<Arc<Peers>>, StartError> {
    if options.members.len() == 1 {
        return Ok(None);
    }
    let dispatcher = Arc::new(PeerHandler::new(
        mailbox.clone(),
        Arc::clone(roles),
        Arc::clone(serving),
        Arc::clone(member_status),
    ));
    let silence =
        Duration::from_millis(u64::from(options.timing.election_min_ticks) * u64::from(TICK_MS));
    let peer_options = PeerOptions {
        secret: options.secret.clone(),
        ..PeerOptions::new(options.peer_listen, own, options.members.clone(), silence)
    };
    let peers = Peers::start(
        runtime,
        peer_options,
        Arc::clone(&dispatcher) as _,
        Arc::clone(&dispatcher) as _,
    )
    .map_err(|source| StartError::Port {
        address: options.peer_listen,
        setting: "peers' port",
        source,
    })?;
    let peers = Arc::new(peers);
    dispatcher.bind(&peers);
    Ok(Some(peers))
}
