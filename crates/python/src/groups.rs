//! Subscription groups as dicts, by the names that RocketMQ's `SubscriptionGroupConfig` has in JSON.

use pyo3::prelude::*;
use pyo3::types::PyDict;
use tern_state::{GroupConfig, RetryPolicy};

use crate::dicts::field;

const WHAT: &str = "a subscription group";
const EXPONENTIAL: &str = "EXPONENTIAL";

/// A group; of its retry policy only what is chosen.
pub(crate) fn to_dict<'py>(py: Python<'py>, config: &GroupConfig) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("groupName", &*config.name)?;
    dict.set_item("consumeEnable", config.consume_enable)?;
    dict.set_item("consumeFromMinEnable", config.consume_from_min_enable)?;
    dict.set_item("consumeBroadcastEnable", config.consume_broadcast_enable)?;
    dict.set_item("consumeMessageOrderly", config.consume_message_orderly)?;
    dict.set_item("retryQueueNums", config.retry_queue_nums)?;
    dict.set_item("retryMaxTimes", config.retry_max_times)?;
    dict.set_item("brokerId", config.broker_id)?;
    let slow = config.which_broker_when_consume_slowly;
    dict.set_item("whichBrokerWhenConsumeSlowly", slow)?;
    let notify = config.notify_consumer_ids_changed_enable;
    dict.set_item("notifyConsumerIdsChangedEnable", notify)?;
    dict.set_item("groupSysFlag", config.group_sys_flag)?;
    dict.set_item("consumeTimeoutMinute", config.consume_timeout_minute)?;
    dict.set_item(
        "groupRetryPolicy",
        policy_to_dict(py, &config.retry_policy)?,
    )?;
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
    let attributes: std::collections::BTreeMap<String, String> = field(dict, WHAT, "attributes")?;
    Ok(GroupConfig {
        name: field::<String>(dict, WHAT, "groupName")?.into(),
        consume_enable: field(dict, WHAT, "consumeEnable")?,
        consume_from_min_enable: field(dict, WHAT, "consumeFromMinEnable")?,
        consume_broadcast_enable: field(dict, WHAT, "consumeBroadcastEnable")?,
        consume_message_orderly: field(dict, WHAT, "consumeMessageOrderly")?,
        retry_queue_nums: field(dict, WHAT, "retryQueueNums")?,
        retry_max_times: field(dict, WHAT, "retryMaxTimes")?,
        broker_id: field(dict, WHAT, "brokerId")?,
        which_broker_when_consume_slowly: field(dict, WHAT, "whichBrokerWhenConsumeSlowly")?,
        notify_consumer_ids_changed_enable: field(dict, WHAT, "notifyConsumerIdsChangedEnable")?,
        group_sys_flag: field(dict, WHAT, "groupSysFlag")?,
        consume_timeout_minute: field(dict, WHAT, "consumeTimeoutMinute")?,
        retry_policy: policy_from_dict(&field(dict, WHAT, "groupRetryPolicy")?)?,
        attributes: attributes.into_iter().collect(),
    })
}

fn policy_to_dict<'py>(py: Python<'py>, policy: &RetryPolicy) -> PyResult<Bound<'py, PyDict>> {
    let (dict, chosen) = (PyDict::new(py), PyDict::new(py));
    match policy {
        RetryPolicy::Customized(pauses) => {
            dict.set_item("type", "CUSTOMIZED")?;
            if !pauses.is_empty() {
                chosen.set_item("next", pauses)?;
                dict.set_item("customizedRetryPolicy", chosen)?;
            }
        }
        RetryPolicy::Exponential {
            initial_ms,
            max_ms,
            multiplier,
        } => {
            dict.set_item("type", EXPONENTIAL)?;
            chosen.set_item("initial", initial_ms)?;
            chosen.set_item("max", max_ms)?;
            chosen.set_item("multiplier", multiplier)?;
            dict.set_item("exponentialRetryPolicy", chosen)?;
        }
    }
    Ok(dict)
}

fn policy_from_dict(dict: &Bound<'_, PyDict>) -> PyResult<RetryPolicy> {
    let what = "a subscription group's groupRetryPolicy";
    if field::<String>(dict, what, "type")? == EXPONENTIAL {
        let chosen: Bound<'_, PyDict> = field(dict, what, "exponentialRetryPolicy")?;
        return Ok(RetryPolicy::Exponential {
            initial_ms: field(&chosen, what, "initial")?,
            max_ms: field(&chosen, what, "max")?,
            multiplier: field(&chosen, what, "multiplier")?,
        });
    }
    let has_pauses = dict.contains("customizedRetryPolicy")?;
    let pauses = has_pauses.then(|| {
        let chosen: Bound<'_, PyDict> = field(dict, what, "customizedRetryPolicy")?;
        field(&chosen, what, "next")
    });
    Ok(RetryPolicy::Customized(
        pauses.transpose()?.unwrap_or_default(),
    ))
}
