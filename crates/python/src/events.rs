//! Events of the transport as the tuples that Python sees. The first item is the kind; 10 and on are a replica's.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyTuple};
use tern_bridge::{BridgeEvent, StoredSend};
use tern_net::CallError;

use crate::event_kinds::{
    ANSWER, CLOSED, DISCONNECTED, FAILED, HEARTBEAT_OUTCOME, PUSH, REQUEST, SEND_ANSWERED,
    SEND_FAILED, STORED,
};
use crate::fields::dict_of;
use crate::replica_events::ReplicaEvent;

/// The tuple of one event.
pub(crate) fn tuple_of(
    py: Python<'_>,
    event: BridgeEvent<ReplicaEvent>,
) -> PyResult<Bound<'_, PyTuple>> {
    match event {
        BridgeEvent::Request {
            request_id,
            connection_id,
            peer,
            command,
            credit: _,
        } => (
            REQUEST,
            request_id,
            connection_id,
            peer.to_string(),
            command.code,
            command.version,
            command.language.0,
            command.is_oneway(),
            dict_of(py, &command.fields)?,
            PyBytes::new(py, &command.body),
        )
            .into_pyobject(py),
        BridgeEvent::Answer { call_id, command } => (
            ANSWER,
            call_id,
            command.code,
            command.version,
            command.remark,
            dict_of(py, &command.fields)?,
            PyBytes::new(py, &command.body),
        )
            .into_pyobject(py),
        BridgeEvent::Failed { call_id, error } => {
            (FAILED, call_id, reason(&error), words(error)).into_pyobject(py)
        }
        BridgeEvent::Stored { sender, sends } => {
            (STORED, sender, places_of(py, sends)?).into_pyobject(py)
        }
        BridgeEvent::NotStored {
            sender,
            call_id,
            outcome: Ok(command),
        } => (
            SEND_ANSWERED,
            sender,
            call_id,
            command.code,
            command.version,
            command.remark,
            dict_of(py, &command.fields)?,
            PyBytes::new(py, &command.body),
        )
            .into_pyobject(py),
        BridgeEvent::NotStored {
            sender,
            call_id,
            outcome: Err(error),
        } => (SEND_FAILED, sender, call_id, reason(&error), words(error)).into_pyobject(py),
        BridgeEvent::Heartbeat(outcome) => (
            HEARTBEAT_OUTCOME,
            outcome.version,
            &*outcome.address,
            outcome.answered,
        )
            .into_pyobject(py),
        BridgeEvent::Closed {
            connection_id,
            peer,
        } => (CLOSED, connection_id, peer.to_string()).into_pyobject(py),
        BridgeEvent::Disconnected { address } => (DISCONNECTED, &*address).into_pyobject(py),
        BridgeEvent::Push {
            request_id,
            address,
            command,
        } => (
            PUSH,
            request_id,
            &*address,
            command.code,
            command.version,
            dict_of(py, &command.fields)?,
            PyBytes::new(py, &command.body),
        )
            .into_pyobject(py),
        BridgeEvent::Application(event) => event.into_tuple(py),
    }
}

/// A list of call id, queue id and queue offset.
fn places_of(py: Python<'_>, sends: Vec<StoredSend>) -> PyResult<Bound<'_, PyList>> {
    let places = sends
        .into_iter()
        .map(|send| (send.call_id, send.queue_id, send.queue_offset).into_pyobject(py))
        .collect::<PyResult<Vec<_>>>()?;
    PyList::new(py, places)
}

/// What a caller tells apart: 0 nothing was sent, 1 no answer in time, 2 connection closed, 3 refused here.
fn reason(error: &CallError) -> u8 {
    match error {
        CallError::Unreachable { .. } => 0,
        CallError::TimedOut { .. } => 1,
        CallError::ConnectionLost { .. } => 2,
        CallError::TooManyPending { .. }
        | CallError::TooManyConnections { .. }
        | CallError::Unsendable(_)
        | CallError::Closed => 3,
    }
}

/// What the caller does not know yet; the address is its own.
fn words(error: CallError) -> String {
    match error {
        CallError::Unreachable { reason, .. } => reason,
        other => other.to_string(),
    }
}
