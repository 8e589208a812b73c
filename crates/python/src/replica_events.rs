//! What a replica tells Python, and the tuples that Python sees of it.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyTuple;
use tern_bridge::{Bridge, BridgeEvent};
use tern_broker::{NodeEvents, RoleView};
use tern_net::{Connection, Credit, Handler};
use tern_replication::{RaftMember, Role, replica_number};
use tern_wire::Command;

use crate::event_kinds::{PROPOSED, ROLE, STOPPED, TOPICS};

/// One thing that happened.
#[derive(Debug)]
pub(crate) enum ReplicaEvent {
    /// Role, term or leader changed.
    Role {
        role: &'static str,
        term: u64,
        /// Member id of the leader, if known.
        leader: Option<String>,
    },
    /// The topic table changed.
    Topics { counter: i64, timestamp_ms: i64 },
    /// A change that Python has proposed was decided.
    Proposed {
        /// Python's number for it.
        proposal_id: u64,
        /// Response code; 0 for success.
        code: i32,
        /// Why not, for people.
        remark: Option<String>,
    },
    /// The replica stopped for good; the sentence says why.
    Stopped { sentence: String },
}

impl ReplicaEvent {
    /// The tuple of it; the first item is the kind.
    pub(crate) fn into_tuple(self, py: Python<'_>) -> PyResult<Bound<'_, PyTuple>> {
        match self {
            Self::Role { role, term, leader } => (ROLE, role, term, leader).into_pyobject(py),
            Self::Topics {
                counter,
                timestamp_ms,
            } => (TOPICS, counter, timestamp_ms).into_pyobject(py),
            Self::Proposed {
                proposal_id,
                code,
                remark,
            } => (PROPOSED, proposal_id, code, remark).into_pyobject(py),
            Self::Stopped { sentence } => (STOPPED, sentence).into_pyobject(py),
        }
    }
}

/// Puts them into the endpoint's queue.
pub(crate) struct ReplicaEvents {
    bridge: Arc<Bridge<ReplicaEvent>>,
    members: Vec<RaftMember>,
}

impl ReplicaEvents {
    /// Events of a replica whose group has these members.
    pub(crate) fn new(bridge: Arc<Bridge<ReplicaEvent>>, members: Vec<RaftMember>) -> Self {
        Self { bridge, members }
    }

    /// Queues one.
    pub(crate) fn push(&self, event: ReplicaEvent) {
        self.bridge.queue().push(BridgeEvent::Application(event));
    }

    /// The member id that belongs to an engine's id; none for one outside the group, as for no leader.
    pub(crate) fn member(&self, id: u64) -> Option<String> {
        let number = replica_number(id);
        let member = self.members.iter().find(|member| member.number == number)?;
        Some(member.id.clone())
    }
}

impl NodeEvents for ReplicaEvents {
    fn role_changed(&self, view: &RoleView) {
        self.push(ReplicaEvent::Role {
            role: role_name(view.role),
            term: view.term,
            leader: self.member(view.leader),
        });
    }

    fn topics_changed(&self, counter: u64, changed_at_ms: u64) {
        self.push(ReplicaEvent::Topics {
            counter: counter.cast_signed(),
            timestamp_ms: changed_at_ms.cast_signed(),
        });
    }

    fn stopped(&self, sentence: &str) {
        self.push(ReplicaEvent::Stopped {
            sentence: sentence.to_owned(),
        });
    }

    fn request(&self, connection: &Arc<Connection>, command: Command, credit: Credit) {
        Handler::request(&*self.bridge, connection, command, credit);
    }

    fn closed(&self, connection: &Arc<Connection>) {
        Handler::closed(&*self.bridge, connection);
    }
}

/// A role as Python reads it.
pub(crate) fn role_name(role: Role) -> &'static str {
    match role {
        Role::Leader => "leader",
        Role::Follower => "follower",
        Role::Candidate => "candidate",
    }
}
