//! Events of the engine as the tuples that Python sees. The first item is the kind.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyTuple};
use tern_net::{CallError, Event, StoredSend};

use crate::fields::dict_of;

/// Declares the kinds of events and the list of all of them, which Python is given.
macro_rules! kinds {
    ($($name:ident = $number:literal;)*) => {
        $(const $name: u8 = $number;)*

        /// Every kind with its name.
        pub(crate) const KINDS: &[(&str, u8)] = &[$((stringify!($name), $number)),*];
    };
}

kinds! {
    REQUEST = 0;
    ANSWER = 1;
    FAILED = 2;
    CLOSED = 3;
    DISCONNECTED = 4;
    PUSH = 5;
    STORED = 6;
    SEND_ANSWERED = 7;
    SEND_FAILED = 8;
    BEATEN = 9;
    ROLE = 10;
    TOPICS = 11;
    PROPOSED = 12;
    STOPPED = 13;
}

/// The tuple of one event.
pub(crate) fn tuple_of(py: Python<'_>, event: Event) -> PyResult<Bound<'_, PyTuple>> {
    match event {
        Event::Request {
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
        Event::Answer { call_id, command } => (
            ANSWER,
            call_id,
            command.code,
            command.version,
            command.remark,
            dict_of(py, &command.fields)?,
            PyBytes::new(py, &command.body),
        )
            .into_pyobject(py),
        Event::Failed { call_id, error } => {
            (FAILED, call_id, reason(&error), words(error)).into_pyobject(py)
        }
        Event::Stored { sender, sends } => {
            (STORED, sender, places_of(py, sends)?).into_pyobject(py)
        }
        Event::NotStored {
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
        Event::NotStored {
            sender,
            call_id,
            outcome: Err(error),
        } => (SEND_FAILED, sender, call_id, reason(&error), words(error)).into_pyobject(py),
        Event::Beaten {
            version,
            address,
            answered,
        } => (BEATEN, version, &*address, answered).into_pyobject(py),
        Event::Closed {
            connection_id,
            peer,
        } => (CLOSED, connection_id, peer.to_string()).into_pyobject(py),
        Event::Disconnected { address } => (DISCONNECTED, &*address).into_pyobject(py),
        Event::Push {
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
        Event::Role { role, term, leader } => (ROLE, role, term, leader).into_pyobject(py),
        Event::Topics {
            counter,
            timestamp_ms,
        } => (TOPICS, counter, timestamp_ms).into_pyobject(py),
        Event::Proposed {
            proposal_id,
            code,
            remark,
        } => (PROPOSED, proposal_id, code, remark).into_pyobject(py),
        Event::Stopped { sentence } => (STOPPED, sentence).into_pyobject(py),
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
