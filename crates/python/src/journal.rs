//! The engine's words as Python reads them; Python decides where they go.

use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use tern_journal::journal;

/// Logger, level, text.
type RecordTuple = (&'static str, u8, String);

#[pyfunction]
pub(crate) fn open_journal() -> PyResult<i32> {
    journal()
        .open()
        .map_err(|error| PyOSError::new_err(error.to_string()))
}

#[pyfunction]
pub(crate) fn take_journal() -> (Vec<RecordTuple>, u64) {
    let (records, dropped) = journal().take();
    let tuples = records
        .into_iter()
        .map(|record| (record.logger.name(), record.level as u8, record.text));
    (tuples.collect(), dropped)
}
