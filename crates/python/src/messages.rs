//! Messages as clients read and write them: whole pull bodies and batches, one crossing each.

use std::net::{IpAddr, SocketAddr};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple};
use tern_wire::compression;
use tern_wire::message_id;
use tern_wire::record::{self, Record};
use tern_wire::{batch, properties, sys_flag, tags};

#[pyfunction]
pub(crate) fn decode_messages<'py>(
    py: Python<'py>,
    body: &Bound<'py, PyBytes>,
    max_body: usize,
) -> PyResult<Bound<'py, PyList>> {
    let messages = PyList::empty(py);
    for record in record::iter(body.as_bytes()) {
        let record = record.map_err(refused)?;
        record.check_crc().map_err(refused)?;
        messages.append(message_of(py, &record, max_body)?)?;
    }
    Ok(messages)
}

/// The tuple of one message. A body that cannot be opened stays as it is, and its flag goes on saying so.
fn message_of<'py>(
    py: Python<'py>,
    record: &Record<'_>,
    max_body: usize,
) -> PyResult<Bound<'py, PyTuple>> {
    let mut flag = record.sys_flag();
    let mut body = PyBytes::new(py, record.body());
    if flag & sys_flag::COMPRESSED != 0
        && let Ok(inflated) = py.detach(|| compression::inflate(flag, record.body(), max_body))
    {
        flag &= !(sys_flag::COMPRESSED | sys_flag::COMPRESSION_MASK);
        body = PyBytes::new(py, &inflated);
    }
    let items = [
        record.topic().into_pyobject(py)?.into_any(),
        record.queue_id().into_pyobject(py)?.into_any(),
        record.queue_offset().into_pyobject(py)?.into_any(),
        record.physical_offset().into_pyobject(py)?.into_any(),
        record.flag().into_pyobject(py)?.into_any(),
        flag.into_pyobject(py)?.into_any(),
        record.born_timestamp_ms().into_pyobject(py)?.into_any(),
        record.born_host().to_string().into_pyobject(py)?.into_any(),
        record.store_timestamp_ms().into_pyobject(py)?.into_any(),
        record
            .store_host()
            .to_string()
            .into_pyobject(py)?
            .into_any(),
        record.reconsume_times().into_pyobject(py)?.into_any(),
        body.into_any(),
        properties_of(py, record.properties())?.into_any(),
        record
            .prepared_transaction_offset()
            .into_pyobject(py)?
            .into_any(),
    ];
    PyTuple::new(py, items)
}

fn properties_of<'py>(py: Python<'py>, text: &str) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for (name, value) in properties::iter(text) {
        dict.set_item(PyString::intern(py, name), PyString::new(py, value))?;
    }
    Ok(dict)
}

#[pyfunction]
pub(crate) fn encode_properties(properties: &Bound<'_, PyDict>) -> PyResult<String> {
    let mut writer = properties::Writer::with_capacity(32 * properties.len());
    for (name, value) in properties.iter() {
        let (name, value) = (
            name.cast::<PyString>()?.to_str()?,
            value.cast::<PyString>()?.to_str()?,
        );
        writer.push(name, value).map_err(refused)?;
    }
    Ok(writer.finish())
}

#[pyfunction]
pub(crate) fn encode_batch<'py>(
    py: Python<'py>,
    messages: Vec<(i32, Bound<'py, PyBytes>, String)>,
) -> PyResult<Bound<'py, PyBytes>> {
    let mut out = Vec::with_capacity(
        messages
            .iter()
            .map(|(_, body, text)| 24 + body.as_bytes().len() + text.len())
            .sum(),
    );
    for (flag, body, properties) in messages {
        let item = batch::Item {
            flag,
            body: body.as_bytes(),
            properties: &properties,
        };
        batch::encode(&item, &mut out).map_err(refused)?;
    }
    Ok(PyBytes::new(py, &out))
}

#[pyfunction]
pub(crate) fn java_hash(text: &str) -> i32 {
    tags::java_hash(text)
}

#[pyfunction]
pub(crate) fn crc32(data: &Bound<'_, PyBytes>) -> u32 {
    tern_wire::crc32_java(data.as_bytes())
}

#[pyfunction]
pub(crate) fn offset_id(host: &str, port: u16, physical_offset: u64) -> PyResult<String> {
    let address: IpAddr = host.parse().map_err(refused)?;
    Ok(message_id::offset_id(
        SocketAddr::new(address, port),
        physical_offset,
    ))
}

fn refused(error: impl std::fmt::Display) -> PyErr {
    PyValueError::new_err(error.to_string())
}
