//! How a group replicates, and the engine that decides so over a log.

use tern_log::{Log, RaftState};
use tern_replication::{Configuration, HardState, Raft, RaftOptions, Replication, Solo, Timing};

use crate::fatal::Fatal;

/// Who may append, and what is committed.
#[derive(Debug, Clone, Copy)]
pub enum Strategy {
    /// One replica alone.
    Solo,
    /// Replicas that elect their leader, with these times.
    Raft(Timing),
}

/// Makes engines over a log: one at the start, and others when the master of a group changes by hand.
#[derive(Debug, Clone, Copy)]
pub struct EngineMaker {
    /// How the group replicates.
    pub strategy: Strategy,
    /// Whether the learners are the slaves of a master.
    pub has_slaves: bool,
    /// Spreads election timeouts.
    pub seed: u64,
}

impl EngineMaker {
    /// An engine for what a replica remembers.
    ///
    /// # Errors
    /// [`Fatal::Consensus`] if that contradicts the log.
    pub fn engine(
        &self,
        state: &RaftState,
        log: &Log,
        commit: u64,
    ) -> Result<Box<dyn Replication>, Fatal> {
        let timing = match self.strategy {
            Strategy::Solo => {
                return Ok(Box::new(Solo::new(
                    state.own_id,
                    state.term,
                    log.end().index,
                )));
            }
            Strategy::Raft(timing) => timing,
        };
        let options = RaftOptions {
            id: state.own_id,
            configuration: Configuration {
                voters: state.voters.clone(),
                outgoing: state.outgoing.clone(),
                learners: state.learners.clone(),
                learners_next: state.learners_next.clone(),
            },
            has_slaves: self.has_slaves && !state.learners.is_empty(),
            hard_state: HardState {
                term: state.term,
                vote: state.vote,
            },
            commit,
            applied: applied(state, log, commit),
            timing,
            seed: self.seed,
        };
        let raft = Raft::new(&options, log.reader());
        Ok(Box::new(
            raft.map_err(|error| Fatal::Consensus(error.to_string()))?,
        ))
    }
}

/// The index behind which the stored configuration is that of the log. The commit mark may be newer than the
/// membership: what changed between the two takes effect again.
fn applied(state: &RaftState, log: &Log, commit: u64) -> u64 {
    let behind = log.reader().memberships_behind(state.membership_index);
    behind.first().map_or(commit, |next| (next - 1).min(commit))
}
