//! How a replica is: its role, how far it is, and what it has counted.

use pyo3::prelude::*;
use pyo3::types::PyDict;
use tern_broker::Node;
use tern_replication::replica_id;

use crate::replica_events::{ReplicaEvents, role_name};

/// Role, leader and group; once it replays, how far it is.
pub(crate) fn status<'py>(
    py: Python<'py>,
    node: &Node,
    events: &ReplicaEvents,
) -> PyResult<Bound<'py, PyDict>> {
    let status = PyDict::new(py);
    let services = node.replaying();
    let roles = node.roles();
    let told = roles.told();
    let role = if node.services().is_some() {
        role_name(told.role)
    } else {
        "starting"
    };
    status.set_item("role", role)?;
    status.set_item("term", told.term)?;
    status.set_item("leader", events.member(told.leader))?;
    status.set_item("leader_address", roles.view().leader_address.as_deref())?;
    status.set_item("disk_condition", roles.disk().name())?;
    status.set_item("member", &node.options().member)?;
    status.set_item("group", &node.options().settings.group)?;
    status.set_item("role_ms", roles.age_ms())?;
    if let Some(won) = roles.won_election() {
        let election = PyDict::new(py);
        election.set_item("term", won.term)?;
        election.set_item("cause", won.cause.name())?;
        election.set_item("at_ms", won.at_ms)?;
        status.set_item("election", election)?;
    }
    let group_id = u128::from_be_bytes(node.member_status().phase().1);
    status.set_item("group_id", format!("{group_id:032x}"))?;
    let awaited = node.member_status().awaited();
    let waiting_for: Vec<String> = awaited
        .into_iter()
        .filter_map(|number| events.member(replica_id(number, 1)))
        .collect();
    status.set_item("waiting_for", waiting_for)?;
    let in_reach: Vec<String> = (node.in_reach().into_iter())
        .filter_map(|number| events.member(replica_id(number, 1)))
        .collect();
    status.set_item("in_reach", in_reach)?;
    let Some(services) = services else {
        return Ok(status);
    };
    let state = services.views.state();
    status.set_item("applied_index", state.applied().0)?;
    status.set_item("applied_position", services.views.applied_position())?;
    status.set_item("last_index", services.views.log.end().index)?;
    status.set_item("last_position", services.views.log.end().position)?;
    status.set_item("state_hash", format!("{:016x}", state.hash()))?;
    Ok(status)
}

/// Totals since the start; nothing while the replica does not serve.
pub(crate) fn counters<'py>(py: Python<'py>, node: &Node) -> PyResult<Bound<'py, PyDict>> {
    let counters = PyDict::new(py);
    if let Some(services) = node.services() {
        for (name, total) in services.counters.totals().rows() {
            counters.set_item(name, total)?;
        }
        counters.set_item("messages_applied", services.views.applied_records())?;
        counters.set_item("log_end_position", services.views.log.end().position)?;
        counters.set_item("rot_detected", services.views.damage.count())?;
        counters.set_item("timestamp_falls", services.views.timestamp_falls())?;
        counters.set_item("applied_position", services.views.applied_position())?;
    }
    Ok(counters)
}
