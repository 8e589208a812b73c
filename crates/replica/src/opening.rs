//! From a directory to a replica that can take its first turn: recovery, and what is refused there.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::engine_maker::{EngineMaker, Strategy};
use crate::fatal::Fatal;
use crate::flusher::Flusher;
use crate::options::TurnOptions;
use crate::turn::Replica;
use tern_log::{Disk, Log, LogOptions, RaftState, RaftStateFile, Recovery, forget_commit};
use tern_replication::{Configuration, MemberRecord, Membership};
use tern_state::{FoundGroup, Op};

/// What a replica is opened with.
pub struct ReplicaOpening {
    /// Where its files are.
    pub disk: Arc<dyn Disk>,
    /// How its log is opened; the group's id comes from its state.
    pub log: LogOptions,
    /// How its group replicates.
    pub strategy: Strategy,
    /// Spreads its election timeouts.
    pub seed: u64,
    /// Bounds of its turn.
    pub turn: TurnOptions,
}

/// A replica whose log has been read.
pub struct OpenedReplica<T> {
    /// To be stepped by the log thread.
    pub replica: Replica<T>,
    /// For the flush thread.
    pub flusher: Flusher,
    /// What was found.
    pub recovery: Recovery,
    /// Everything up to here was committed before the start: what the views show before that is the past.
    pub committed: u64,
}

impl ReplicaOpening {
    /// The directory of the replica.
    pub fn directory(&self) -> &PathBuf {
        &self.log.directory
    }

    /// Open the log of a founded replica, and refuse one that shows less than this replica has promised.
    ///
    /// # Errors
    /// [`Fatal`] with a sentence for the operator; nothing was cut then that had been promised.
    pub fn open<T>(
        &self,
        state: RaftState,
        file: RaftStateFile,
    ) -> Result<OpenedReplica<T>, Fatal> {
        let options = LogOptions {
            group_id: state.group_id,
            ..self.log.clone()
        };
        if state.superseded {
            // What it had committed by itself goes where its new master has something else.
            forget_commit(&*self.disk, &self.log.directory)?;
        }
        let (log, recovery) = Log::open(Arc::clone(&self.disk), options)?;
        let mut commit = committed(&log, &state, &recovery)?;
        if matches!(self.strategy, Strategy::Solo) {
            // Nobody else has to agree: what is in the log is committed.
            commit = log.end().index;
        }
        let makes = EngineMaker {
            strategy: self.strategy,
            has_slaves: self.turn.has_slaves,
            seed: self.seed,
        };
        let engine = makes.engine(&state, &log, commit)?;
        let changes = matches!(self.strategy, Strategy::Raft(_)) && !self.turn.has_slaves;
        let (membership, coming) = membership(&log, &state, changes)?;
        let flusher = Flusher::new(log.syncer());
        Ok(OpenedReplica {
            replica: Replica::new(log, engine, file, state, self.turn, commit)
                .with_engine_maker(makes)
                .with_membership(membership, coming),
            flusher,
            recovery,
            committed: commit,
        })
    }
}

/// The greatest index that this replica knows to be committed. Everything up to it is in the log, and is never cut (L22).
fn committed(log: &Log, state: &RaftState, recovery: &Recovery) -> Result<u64, Fatal> {
    if recovery.first_index > 1 {
        return Err(Fatal::MayNotServe(format!(
            "the log begins at {}, and nothing has been purged: its first segments are missing; put them back",
            recovery.first_index
        )));
    }
    let commit = if state.superseded {
        1
    } else {
        state.commit.max(recovery.commit)
    };
    if log.end().index < commit {
        return Err(Fatal::MayNotServe(format!(
            "the log ends at {} but {commit} was known to be committed here: this replica lost acknowledged frames",
            log.end().index,
        )));
    }
    Ok(commit.min(log.end().index))
}

/// The membership that a replica remembers, and those in its log which come after it. Where it never `changes`, nobody is
/// named.
fn membership(
    log: &Log,
    state: &RaftState,
    changes: bool,
) -> Result<(Membership, BTreeMap<u64, Membership>), Fatal> {
    let reader = log.reader();
    let read = |index: u64| {
        let frame = reader.frame(index)?;
        Membership::decode(frame.metadata())
            .map_err(|error| Fatal::Consensus(format!("frame {index}: {error}")))
    };
    let mut coming = BTreeMap::new();
    for index in reader.memberships_behind(state.membership_index) {
        coming.insert(index, read(index)?);
    }
    let mut membership = if reader.is_membership(state.membership_index) {
        read(state.membership_index)?
    } else if changes {
        Membership::founding(founders(log)?)
    } else {
        Membership::founding(Vec::new())
    };
    let configuration = Configuration {
        voters: state.voters.clone(),
        outgoing: state.outgoing.clone(),
        learners: state.learners.clone(),
        learners_next: state.learners_next.clone(),
    };
    membership.configuration = configuration.sorted();
    Ok((membership, coming))
}

/// The members that frame 1 names.
fn founders(log: &Log) -> Result<Vec<MemberRecord>, Fatal> {
    if log.end().index == 0 {
        return Ok(Vec::new());
    }
    let ops = Op::decode_all(log.reader().frame(1)?.ops()).unwrap_or_default();
    let Some(Op::FoundGroup(FoundGroup(group))) = ops.into_iter().next() else {
        return Ok(Vec::new());
    };
    let directories = group
        .directories
        .iter()
        .copied()
        .chain([[0; 16]].into_iter().cycle());
    let founders = group.members.iter().zip(directories);
    Ok(founders
        .map(|(member, directory)| MemberRecord {
            id: member.replica_id,
            directory,
            replaces: 0,
            name: member.name.to_string(),
            address: String::new(),
        })
        .collect())
}
