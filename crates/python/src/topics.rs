//! Topics as the tuples that Python sees.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use tern_state::TopicConfig;

/// Name, read and write queues, perm, flags, order, filter type, attributes.
pub(crate) fn topic_row<'py>(
    py: Python<'py>,
    config: &TopicConfig,
) -> PyResult<Bound<'py, PyTuple>> {
    let attributes = PyDict::new(py);
    for (name, value) in &config.attributes {
        attributes.set_item(name, value)?;
    }
    let filter_type = if config.multi_tag {
        "MULTI_TAG"
    } else {
        "SINGLE_TAG"
    };
    (
        &*config.name,
        config.read_queues,
        config.write_queues,
        config.perm,
        config.sys_flag,
        config.order,
        filter_type,
        attributes,
    )
        .into_pyobject(py)
}
