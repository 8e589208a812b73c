//! The messages of a pull answer: places and bodies in one crossing, everything else of a message when it is looked at.

use pyo3::exceptions::PyIndexError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString};
use tern_wire::record::{self, Record};
use tern_wire::{compression, properties, sys_flag};

use crate::messages::refused;

/// Stored messages of one pull answer.
#[pyclass(frozen, module = "ternmq._core")]
pub(crate) struct Records {
    data: Py<PyBytes>,
    known: Vec<Known>,
}

/// What was found out about a record when it was decoded.
struct Known {
    start: usize,
    /// Of the body as it was handed out.
    sys_flag: i32,
}

type Details<'py> = (u64, i32, i32, i64, i64, String, i32, Bound<'py, PyDict>);
type Decoded<'py> = (
    Records,
    Bound<'py, PyList>,
    Bound<'py, PyList>,
    Bound<'py, PyList>,
);

#[pymethods]
impl Records {
    fn __len__(&self) -> usize {
        self.known.len()
    }

    fn place(&self, py: Python<'_>, number: usize) -> PyResult<(String, i32)> {
        let record = self.record(py, number)?;
        Ok((record.topic().to_owned(), record.queue_id()))
    }

    fn details<'py>(&self, py: Python<'py>, number: usize) -> PyResult<Details<'py>> {
        let record = self.record(py, number)?;
        let known = &self.known[number];
        Ok((
            record.physical_offset(),
            record.flag(),
            known.sys_flag,
            record.born_timestamp_ms(),
            record.store_timestamp_ms(),
            record.store_host().to_string(),
            record.reconsume_times(),
            properties_of(py, record.properties())?,
        ))
    }
}

impl Records {
    fn record<'a>(&'a self, py: Python<'a>, number: usize) -> PyResult<Record<'a>> {
        let known = self.known.get(number);
        let known = known.ok_or_else(|| PyIndexError::new_err(format!("no record {number}")))?;
        Record::parse(&self.data.as_bytes(py)[known.start..]).map_err(refused)
    }
}

#[pyfunction]
pub(crate) fn decode_messages<'py>(
    py: Python<'py>,
    body: Bound<'py, PyBytes>,
    max_body: usize,
) -> PyResult<Decoded<'py>> {
    let mut known = Vec::new();
    let (mut offsets, mut bodies) = (Vec::new(), Vec::new());
    let closed = PyList::empty(py);
    let mut start = 0;
    for record in record::iter(body.as_bytes()) {
        let record = record.map_err(refused)?;
        record.check_crc().map_err(refused)?;
        let (opened, sys_flag) = body_of(py, &record, max_body);
        if sys_flag & sys_flag::COMPRESSED != 0 {
            closed.append(known.len())?;
        }
        known.push(Known { start, sys_flag });
        offsets.push(record.queue_offset());
        bodies.push(opened);
        start += record.size();
    }
    let records = Records {
        data: body.unbind(),
        known,
    };
    Ok((
        records,
        PyList::new(py, offsets)?,
        PyList::new(py, bodies)?,
        closed,
    ))
}

/// The body in the clear, and the flag that goes with it. One that cannot be opened stays as it is, and its flag goes on
/// saying so.
fn body_of<'py>(
    py: Python<'py>,
    record: &Record<'_>,
    max_body: usize,
) -> (Bound<'py, PyBytes>, i32) {
    let flag = record.sys_flag();
    if flag & sys_flag::COMPRESSED != 0
        && let Ok(inflated) = py.detach(|| compression::inflate(flag, record.body(), max_body))
    {
        let in_the_clear = flag & !(sys_flag::COMPRESSED | sys_flag::COMPRESSION_MASK);
        return (PyBytes::new(py, &inflated), in_the_clear);
    }
    (PyBytes::new(py, record.body()), flag)
}

fn properties_of<'py>(py: Python<'py>, text: &str) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for (name, value) in properties::iter(text) {
        dict.set_item(PyString::intern(py, name), PyString::new(py, value))?;
    }
    Ok(dict)
}
