//! A machine: a disk, clocks, and perhaps a process.

use std::io;
use std::sync::Arc;

use tern_log::{
    BootMark, Disk, LogError, LogOptions, RaftState, RaftStateFile, StopKind, StopRecord,
    claim_directory,
};
use tern_replica::{
    BootstrapDriver, BootstrapPlan, BootstrapProgress, Fatal, MemberIdentity, MemberStatus,
    OpenedReplica, ReplicaOpening, Strategy, TurnOptions,
};
use tern_replication::{PeerMessage, Phase, Timing, replica_id};
use tern_state::{FoundingMember, GroupFounding};
use tern_testdisk::MemoryDisk;

use crate::buggy_disk::process_disk;
use crate::bugs::{OuterBug, outer};
use crate::network::Micros;
use crate::process::{RunningReplica, directory};
use crate::swarm::Swarm;

/// Timing of the profile `shared`.
pub const TIMING: Timing = Timing {
    heartbeat_ticks: 10,
    election_min_ticks: 30,
    election_max_ticks: 60,
};
/// Checksum of the members; all nodes have the same topology.
const DIGEST: u64 = 7;
/// Wall clock at the beginning of every history, ms.
const EPOCH_MS: u64 = 1_700_000_000_000;

/// A process: not founded yet, or running.
pub enum Process {
    Bootstrapping(Box<Option<BootstrapDriver>>),
    Running(Box<RunningReplica>),
}

/// The clocks of a machine.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    /// How far its wall clock is ahead, ms.
    pub ahead_ms: i64,
    /// How much faster its clocks run, parts of a thousand.
    pub faster: i64,
}

impl Clock {
    /// Monotonic time, nanoseconds.
    pub fn monotonic_ns(self, now: Micros) -> u64 {
        let drift = now as i64 / 1000 * self.faster;
        (now as i64 + drift).max(0) as u64 * 1000
    }

    /// Wall time, ms since 1970.
    pub fn wall_ms(self, now: Micros) -> u64 {
        EPOCH_MS
            .saturating_add(now / 1000)
            .saturating_add_signed(self.ahead_ms)
    }
}

/// One machine of the group.
#[expect(
    clippy::struct_excessive_bools,
    reason = "what may be true of a machine does not exclude each other"
)]
pub struct Machine {
    pub at: usize,
    pub disk: MemoryDisk,
    /// The disk as its process sees it.
    process_disk: Arc<dyn Disk>,
    pub process: Option<Process>,
    pub member_status: Option<MemberStatus>,
    pub clock: Clock,
    /// The process is stopped (SIGSTOP) and gets its mail later.
    pub paused: bool,
    /// Lives of its process and of its kernel.
    pub life: u64,
    boots: u64,
    /// Its disk lost or changed what it had promised to keep: the process may stop for good.
    pub damage: Option<&'static str>,
    /// Until when answers may be on their way that it gave before its disk forgot, where that is no damage.
    pub forgot_until: Micros,
    /// An error was put in that may end this process.
    pub injected: bool,
    /// The process has stopped for good, with this sentence.
    pub halted: Option<String>,
    /// Its process has taken part in its group.
    pub took_part: bool,
    /// A process is started on it.
    pub is_used: bool,
    /// The id under which its process takes part, or did.
    id: u64,
    swarm: Swarm,
}

impl Machine {
    pub fn new(at: usize, swarm: &Swarm, clock: Clock) -> Self {
        let disk = MemoryDisk::new();
        Self {
            at,
            process_disk: process_disk(&disk),
            disk,
            process: None,
            member_status: None,
            clock,
            paused: false,
            life: 0,
            boots: 1,
            damage: None,
            forgot_until: 0,
            injected: false,
            halted: None,
            took_part: false,
            is_used: at < swarm.members,
            id: replica_id(at as u32 + 1, 1),
            swarm: swarm.clone(),
        }
    }

    /// The disk as its process sees it.
    pub fn process_disk(&self) -> Arc<dyn Disk> {
        Arc::clone(&self.process_disk)
    }

    /// Start a process on what the disk holds. `fresh` is the id of its directory if it is empty.
    pub fn start(&mut self, seed: u64, fresh: [u8; 16]) -> Result<(), Fatal> {
        self.life += 1;
        self.paused = false;
        self.process_disk = process_disk(&self.disk);
        let name = format!("sim/g/n{}", self.at);
        let id = claim_directory(&*self.process_disk, &directory(), &name, fresh)?;
        let stops = self.stop_record();
        let last_stop = stops.last_stop()?;
        let (file, state) = RaftStateFile::load(self.process_disk(), &directory())?;
        self.member_status = Some(MemberStatus::new(
            self.identity(),
            self.swarm.mode.learners(self.swarm.members),
            state.as_ref(),
        ));
        let log = self.log_options(last_stop);
        self.process = Some(match state {
            Some(state) if !state.founding => {
                Process::Running(Box::new(self.run(state, file, log, seed)?))
            }
            state => {
                let plan = BootstrapPlan {
                    own: self.at as u32 + 1,
                    members: (1..=self.swarm.members as u32).collect(),
                    learners: self.swarm.mode.learners(self.swarm.members),
                    digest: DIGEST,
                    directory: id,
                    later: (self.swarm.members as u32 + 1..=self.swarm.machines() as u32)
                        .filter(|number| *number != self.at as u32 + 1)
                        .collect(),
                    joins: self.swarm.rejoins,
                };
                let disk = self.process_disk();
                let mut driver = BootstrapDriver::new(plan, disk, log, file, state.as_ref())?;
                let held = driver.bootstrap().group_id();
                if held != [0; 16]
                    && let Some(member_status) = &self.member_status
                {
                    member_status.enter(Phase::Founding, held);
                }
                Process::Bootstrapping(Box::new(Some(driver)))
            }
        });
        Ok(())
    }

    fn run(
        &mut self,
        mut state: RaftState,
        file: RaftStateFile,
        log: LogOptions,
        seed: u64,
    ) -> Result<RunningReplica, Fatal> {
        let opening = ReplicaOpening {
            disk: self.process_disk(),
            log,
            strategy: Strategy::Raft(TIMING),
            seed,
            turn: TurnOptions {
                segment_size: self.swarm.segment_size,
                heartbeat_ticks: TIMING.heartbeat_ticks,
                leader_catch_up_ticks: 2 * TIMING.election_max_ticks,
                seed,
                election_slot_ns: self.swarm.election_slot_ns,
                acknowledgement: self.swarm.mode.acknowledgement(),
                has_slaves: self.swarm.mode.has_slaves(),
                ..TurnOptions::default()
            },
        };
        if outer() == Some(OuterBug::VoteForgotten) {
            state.vote = 0;
        }
        let opened = match outer() {
            Some(OuterBug::CutAtRot) => open_cutting_at_rot(&opening, state, file)?,
            _ => opening.open(state, file)?,
        };
        self.id = opened.replica.own_id();
        self.took_part = true;
        if let Some(member_status) = &self.member_status {
            member_status.become_replica(self.id);
            if self.swarm.rejoins {
                member_status.set_membership(opened.replica.membership());
            }
        }
        RunningReplica::new(
            opened,
            self.process_disk(),
            self.stop_record(),
            self.swarm.segment_size,
            self.life,
        )
    }

    fn log_options(&self, stop: StopKind) -> LogOptions {
        LogOptions {
            segment_size: self.swarm.segment_size,
            ring_bytes: self.swarm.ring_bytes,
            ring_descriptors: self.swarm.ring_descriptors,
            near_bytes: self.swarm.near_bytes(),
            stop,
            ..LogOptions::new(directory(), [0; 16])
        }
    }

    fn stop_record(&self) -> StopRecord {
        let mark = BootMark {
            boot_id: u128::from(self.boots).to_be_bytes(),
            device: 1,
            mount_id: 1,
        };
        StopRecord::new(self.process_disk(), directory(), Some(mark))
    }

    fn identity(&self) -> MemberIdentity {
        MemberIdentity {
            cluster: "sim".to_owned(),
            group: "g".to_owned(),
            member: format!("n{}", self.at),
            own: self.at as u32 + 1,
            members: (1..=self.swarm.machines() as u32).collect(),
            digest: DIGEST,
            mode: 3,
            client_address: String::new(),
            peer_address: String::new(),
            timing: TIMING,
            joins: self.swarm.rejoins,
        }
    }

    /// The running replica, if there is one that is not paused.
    pub fn running(&mut self) -> Option<&mut RunningReplica> {
        match &mut self.process {
            Some(Process::Running(running)) if !self.paused => Some(running),
            _ => None,
        }
    }

    /// Whether it is a slave: as its process knows, or as its group was founded.
    pub fn is_slave(&self) -> bool {
        if let Some(running) = self.any_running() {
            return running.replica.is_slave();
        }
        let learners = self.swarm.mode.learners(self.swarm.members);
        learners.contains(&(self.at as u32 + 1))
    }

    /// The running replica, paused or not.
    pub fn any_running(&self) -> Option<&RunningReplica> {
        match &self.process {
            Some(Process::Running(running)) => Some(running),
            _ => None,
        }
    }

    /// What is in a replica's status mail: the bootstrap's, which a started one answers.
    pub fn hear(
        &mut self,
        message: &PeerMessage,
        seed: u64,
        now: Micros,
    ) -> Result<Option<PeerMessage>, Fatal> {
        let founded_at_ms = self.clock.wall_ms(now);
        let started = match &mut self.process {
            None => return Ok(None),
            Some(Process::Running(running)) => {
                let answer = self
                    .member_status
                    .as_ref()
                    .expect("a process has one")
                    .answer_bootstrap(message, Some(&running.reader));
                return Ok(answer);
            }
            Some(Process::Bootstrapping(driver)) => {
                let taken = driver.take().expect("a driver is put back");
                let group = || (group(&self.swarm, founded_at_ms), id_of(seed));
                let (rest, progress) = taken.receive(message, group)?;
                **driver = rest;
                match progress {
                    BootstrapProgress::Started(started) => started,
                    BootstrapProgress::NotYet => return Ok(None),
                    BootstrapProgress::Holds(group_id) => {
                        if let Some(member_status) = &self.member_status {
                            member_status.enter(Phase::Founding, group_id);
                        }
                        return Ok(None);
                    }
                    BootstrapProgress::DataLost => {
                        return Err(Fatal::MayNotServe("wiped".to_owned()));
                    }
                    BootstrapProgress::Contradiction(sentence) => {
                        return Err(Fatal::MayNotServe(sentence));
                    }
                }
            }
        };
        let (state, file) = *started;
        let group_id = state.group_id;
        let stop = self.stop_record().last_stop()?;
        let log = self.log_options(stop);
        let running = self.run(state, file, log, seed)?;
        self.process = Some(Process::Running(Box::new(running)));
        if let Some(member_status) = &self.member_status {
            member_status.enter(Phase::Started, group_id);
        }
        Ok(None)
    }

    fn end(&mut self) {
        self.process = None;
        self.member_status = None;
        self.paused = false;
        self.disk.clear_failures();
        self.injected = false;
    }

    /// The power goes; the disk keeps what the seed says.
    pub fn power_cut(&mut self, seed: u64, tears_sectors: bool) {
        self.end();
        self.boots += 1;
        self.disk.power_cut(tern_testdisk::PowerCut {
            seed,
            tears_sectors,
        });
    }

    /// The process is killed; what it wrote stays in the page cache.
    pub fn kill(&mut self) {
        self.end();
        self.disk.kill();
    }

    /// Where it stands, for a person.
    pub fn describe(&self) -> String {
        let state = match (&self.process, &self.halted) {
            (_, Some(sentence)) => format!("halted: {sentence}"),
            (None, None) => "no process".to_owned(),
            (Some(Process::Bootstrapping(_)), _) => "not founded".to_owned(),
            (Some(Process::Running(running)), _) => {
                let status = running.replica.status();
                format!(
                    "{:?} in term {} under {:x}, commit {} of {}, applied {}, durable {}{}",
                    status.role,
                    status.term,
                    status.leader,
                    status.commit,
                    running.reader.end().index,
                    running.applied(),
                    running.replica.log().durable(),
                    if running.replica.has_rotted() {
                        ", rotted"
                    } else {
                        ""
                    }
                )
            }
        };
        let damage = self
            .damage
            .map_or(String::new(), |damage| format!(" ({damage})"));
        format!("node {}{damage}: {state}", self.at)
    }

    /// Own id in the engine.
    pub fn id(&self) -> u64 {
        self.id
    }
}

/// Opens a log and cuts it wherever it shows rot, with all that says how long it was.
fn open_cutting_at_rot(
    opening: &ReplicaOpening,
    mut state: RaftState,
    mut file: RaftStateFile,
) -> Result<OpenedReplica<u64>, Fatal> {
    let mut cut_at = u64::MAX;
    loop {
        let position = match opening.open(state.clone(), file) {
            // What a cut does not mend, as the head of a segment, is not cut for ever.
            Err(Fatal::Log(LogError::Rotted { position, .. })) if position < cut_at => position,
            opened => return opened,
        };
        cut_at = position;
        cut_log(opening, position).map_err(|error| Fatal::MayNotServe(error.to_string()))?;
        (file, _) = RaftStateFile::load(Arc::clone(&opening.disk), opening.directory())?;
        state.commit = 0;
    }
}

/// Zeroes the log from a position on and takes away later segments, and the file that says how far it was durable.
fn cut_log(opening: &ReplicaOpening, position: u64) -> io::Result<()> {
    let (disk, size) = (&opening.disk, opening.log.segment_size);
    let log = opening.directory().join("log");
    for name in disk.list(&log)?.iter().rev() {
        let base: u64 = name.parse().expect("a segment is named by its base");
        if base > position {
            disk.unlink(&log.join(name))?;
        } else if base + size > position {
            let file = disk.open(&log.join(name))?;
            file.zero_range(position - base, base + size - position)?;
            file.sync_data()?;
        }
    }
    disk.sync_dir(&log)?;
    let flushed = opening.directory().join("flushed.pos");
    match disk.unlink(&flushed) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn id_of(seed: u64) -> [u8; 16] {
    let mut id = [1; 16];
    id[..8].copy_from_slice(&seed.to_be_bytes());
    id
}

fn group(swarm: &Swarm, founded_at_ms: u64) -> GroupFounding {
    GroupFounding {
        cluster: "sim".into(),
        group: "g".into(),
        members: (1..=swarm.members as u32)
            .map(|number| FoundingMember {
                name: format!("n{}", number - 1).into(),
                replica_id: replica_id(number, 1),
            })
            .collect(),
        segment_size: swarm.segment_size,
        flush: tern_state::FlushDiskType::Sync,
        feature_level: tern_state::FEATURE_LEVEL,
        auto_create_topic: true,
        default_topic_queue_nums: 8,
        founded_at_ms,
        directories: Vec::new(),
    }
}
