//! Names and numbers that both languages use, said once: Python reads them from the module.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use tern_replication::TICK_MS;
use tern_state::delay::DELAYS_MS;
use tern_state::{
    BUILT_IN_GROUPS, DEFAULT_TOPIC, MAX_QUEUES, RESERVED_TOPICS, SYSTEM_PREFIX, perm, sys_flag,
};
use tern_wire::codes::{request, response};
use tern_wire::{names, properties, version};

use crate::event_kinds::KINDS;

/// Puts them into the module.
pub(crate) fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    module.add("EVENT_KINDS", by_name(py, KINDS)?)?;
    module.add("REQUEST_CODES", by_name(py, request::ALL)?)?;
    module.add("RESPONSE_CODES", by_name(py, response::ALL)?)?;
    module.add("TICK_MS", TICK_MS)?;
    module.add("OWN_VERSION", version::OWN)?;
    module.add("PROPERTY_NAMES", PyTuple::new(py, properties::names::ALL)?)?;
    module.add("RETRY_PREFIX", names::RETRY_PREFIX)?;
    module.add("DLQ_PREFIX", names::DLQ_PREFIX)?;
    module.add("SYSTEM_PREFIX", SYSTEM_PREFIX)?;
    module.add("SYSTEM_TOPICS", PyTuple::new(py, RESERVED_TOPICS)?)?;
    module.add("SYSTEM_GROUPS", PyTuple::new(py, BUILT_IN_GROUPS)?)?;
    module.add("DEFAULT_TOPIC", DEFAULT_TOPIC)?;
    module.add("MAX_TOPIC_LENGTH", names::MAX_TOPIC)?;
    module.add("MAX_GROUP_LENGTH", names::MAX_GROUP)?;
    module.add("MAX_RETRY_TOPIC_LENGTH", names::MAX_LEGACY)?;
    module.add("MAX_QUEUES", MAX_QUEUES)?;
    module.add("DELAYS_MS", PyTuple::new(py, DELAYS_MS)?)?;
    module.add("PERM_INHERIT", perm::INHERIT)?;
    module.add("PERM_WRITE", perm::WRITE)?;
    module.add("PERM_READ", perm::READ)?;
    module.add("SYS_FLAG_UNIT", sys_flag::UNIT)?;
    module.add("SYS_FLAG_UNIT_SUB", sys_flag::UNIT_SUB)
}

fn by_name<'py, T>(py: Python<'py>, rows: &[(&str, T)]) -> PyResult<Bound<'py, PyDict>>
where
    T: Copy + IntoPyObject<'py>,
{
    let dict = PyDict::new(py);
    for &(name, number) in rows {
        dict.set_item(name, number)?;
    }
    Ok(dict)
}
