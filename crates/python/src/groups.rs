//! Subscription groups as dicts, by the names of their fields.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use tern_state::{GroupConfig, RetryPolicy};

/// `pauses_ms` is the list of fixed pauses; `exponential` is first pause, longest pause and factor, or `None`.
pub(crate) fn to_dict<'py>(py: Python<'py>, config: &GroupConfig) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("name", &*config.name)?;
    dict.set_item("consume_enable", config.consume_enable)?;
    dict.set_item("consume_from_min_enable", config.consume_from_min_enable)?;
    dict.set_item("consume_broadcast_enable", config.consume_broadcast_enable)?;
    dict.set_item("consume_message_orderly", config.consume_message_orderly)?;
    dict.set_item("retry_queue_nums", config.retry_queue_nums)?;
    dict.set_item("retry_max_times", config.retry_max_times)?;
    dict.set_item("broker_id", config.broker_id)?;
    dict.set_item(
        "which_broker_when_consume_slowly",
        config.which_broker_when_consume_slowly,
    )?;
    dict.set_item(
        "notify_consumer_ids_changed_enable",
        config.notify_consumer_ids_changed_enable,
    )?;
    dict.set_item("group_sys_flag", config.group_sys_flag)?;
    dict.set_item("consume_timeout_minute", config.consume_timeout_minute)?;
    let (pauses, exponential) = match &config.retry_policy {
        RetryPolicy::Customized(pauses) => (pauses.clone(), None),
        RetryPolicy::Exponential {
            initial_ms,
            max_ms,
            multiplier,
        } => (Vec::new(), Some((*initial_ms, *max_ms, *multiplier))),
    };
    dict.set_item("pauses_ms", pauses)?;
    dict.set_item("exponential", exponential)?;
    let attributes = PyDict::new(py);
    for (key, value) in &config.attributes {
        attributes.set_item(key, value)?;
    }
    dict.set_item("attributes", attributes)?;
    Ok(dict)
}

/// The same form; every field is required.
///
/// # Errors
/// `ValueError` names the field that is missing or of a wrong type.
pub(crate) fn from_dict(dict: &Bound<'_, PyDict>) -> PyResult<GroupConfig> {
    let name: String = field(dict, "name")?;
    let exponential: Option<(u64, u64, u64)> = field(dict, "exponential")?;
    let retry_policy = match exponential {
        Some((initial_ms, max_ms, multiplier)) => RetryPolicy::Exponential {
            initial_ms,
            max_ms,
            multiplier,
        },
        None => RetryPolicy::Customized(
            field::<Option<Vec<u64>>>(dict, "pauses_ms")?.unwrap_or_default(),
        ),
    };
    let attributes = dict
        .get_item("attributes")?
        .and_then(|value| value.cast_into::<PyDict>().ok())
        .ok_or_else(|| wrong("attributes"))?
        .iter()
        .map(|(key, value)| Ok((key.extract()?, value.extract()?)))
        .collect::<PyResult<_>>()
        .map_err(|_| wrong("attributes"))?;
    Ok(GroupConfig {
        name: name.into(),
        consume_enable: field(dict, "consume_enable")?,
        consume_from_min_enable: field(dict, "consume_from_min_enable")?,
        consume_broadcast_enable: field(dict, "consume_broadcast_enable")?,
        consume_message_orderly: field(dict, "consume_message_orderly")?,
        retry_queue_nums: field(dict, "retry_queue_nums")?,
        retry_max_times: field(dict, "retry_max_times")?,
        broker_id: field(dict, "broker_id")?,
        which_broker_when_consume_slowly: field(dict, "which_broker_when_consume_slowly")?,
        notify_consumer_ids_changed_enable: field(dict, "notify_consumer_ids_changed_enable")?,
        group_sys_flag: field(dict, "group_sys_flag")?,
        consume_timeout_minute: field(dict, "consume_timeout_minute")?,
        retry_policy,
        attributes,
    })
}

fn field<'py, T>(dict: &Bound<'py, PyDict>, name: &str) -> PyResult<T>
where
    T: for<'a> FromPyObject<'a, 'py>,
{
    let value = dict.get_item(name)?.ok_or_else(|| wrong(name))?;
    value.extract().map_err(|_| wrong(name))
}

fn wrong(name: &str) -> PyErr {
    PyValueError::new_err(format!(
        "a subscription group's {name} is missing or of a wrong type"
    ))
}
