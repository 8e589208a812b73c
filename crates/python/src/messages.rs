//! Messages as clients write them, and the small codecs around them.

use std::net::{IpAddr, SocketAddr};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString};
use tern_wire::message_id;
use tern_wire::{batch, properties, tags};

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
            properties: properties.as_str().into(),
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

pub(crate) fn refused(error: impl std::fmt::Display) -> PyErr {
    PyValueError::new_err(error.to_string())
}
