//! Many sends in one crossing: what they share is read once, ids and headers are made here.

use std::sync::Arc;
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple};
use tern_net::Call;
use tern_wire::{Command, Fields};

use crate::fields::{body_of, fields_of};
use crate::identity::MessageIds;

/// Room for queue, time and keys of the fields that differ from send to send.
const OWN_BYTES: usize = 64;

type SendTuple<'py> = (
    u64,
    Bound<'py, PyString>,
    i32,
    Bound<'py, PyDict>,
    i32,
    i64,
    Option<Bound<'py, PyString>>,
    Bound<'py, PyString>,
    Bound<'py, PyBytes>,
    u64,
);

/// What most sends of a crossing have in common, known by the identity of its Python objects.
struct CommonFields<'py> {
    address: Bound<'py, PyString>,
    fields: Bound<'py, PyDict>,
    address_text: Arc<str>,
    constant: Fields,
}

impl<'py> CommonFields<'py> {
    fn of(address: Bound<'py, PyString>, fields: Bound<'py, PyDict>) -> PyResult<Self> {
        Ok(Self {
            address_text: address.to_str()?.into(),
            constant: fields_of(&fields)?,
            address,
            fields,
        })
    }
}

/// The calls, and for each the message id that was made for it.
pub(crate) fn calls_of<'py>(
    py: Python<'py>,
    sends: &Bound<'py, PyList>,
) -> PyResult<(Vec<Call>, Bound<'py, PyList>)> {
    let ids = MessageIds::now();
    let mut calls = Vec::with_capacity(sends.len());
    let mut made = Vec::with_capacity(sends.len());
    let mut shared: Option<CommonFields<'py>> = None;
    for send in sends.iter() {
        let (id, address, code, fields, queue_id, born_ms, given_id, properties, body, timeout) =
            send.cast::<PyTuple>()?.extract::<SendTuple<'_>>()?;
        let common = match shared.take() {
            Some(last) if last.address.is(&address) && last.fields.is(&fields) => last,
            _ => CommonFields::of(address, fields)?,
        };
        let made_id = given_id.is_none().then(|| ids.next());
        let message_id = match (&given_id, &made_id) {
            (Some(given), _) => given.to_str()?,
            (None, made) => made.as_deref().unwrap_or_default(),
        };
        calls.push(Call {
            id,
            address: Arc::clone(&common.address_text),
            command: Command {
                fields: header(
                    &common.constant,
                    queue_id,
                    born_ms,
                    message_id,
                    properties.to_str()?,
                ),
                body: body_of(&body),
                ..Command::request(code, 0)
            },
            timeout: Duration::from_millis(timeout),
        });
        made.push(made_id);
        shared = Some(common);
    }
    Ok((calls, PyList::new(py, made)?))
}

/// The one-letter fields of a send: the constant ones, and queue (e), time (g) and properties (i).
fn header(
    constant: &Fields,
    queue_id: i32,
    born_ms: i64,
    message_id: &str,
    properties: &str,
) -> Fields {
    let mut fields = constant.copied_with_room(OWN_BYTES + properties.len() + 56);
    fields.set_integer("e", i64::from(queue_id));
    fields.set_integer("g", born_ms);
    if message_id.is_empty() {
        fields.set("i", properties);
    } else {
        fields.set("i", &format!("UNIQ_KEY\u{1}{message_id}\u{2}{properties}"));
    }
    fields
}
