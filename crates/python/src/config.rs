//! The configuration of a replica, from the dict that Python makes of it.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;

use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use tern_broker::{Mode, NodeOptions, Settings, TableLimits};
use tern_replication::{RaftMember, Timing, member_number};

use crate::dicts::field;

/// A required entry of the configuration.
fn entry<'py, T>(config: &Bound<'py, PyDict>, name: &str) -> PyResult<T>
where
    T: for<'a> FromPyObject<'a, 'py>,
{
    field(config, "the broker's configuration", name)
}

/// What a replica is started with.
///
/// # Errors
/// `ValueError` names an entry that is missing, of a wrong type or unknown; `RuntimeError` a host without an address.
pub(crate) fn options_of(config: &Bound<'_, PyDict>) -> PyResult<NodeOptions> {
    let port: u16 = entry(config, "port")?;
    let listen_host: String = entry(config, "listen_host")?;
    let advertise_host: String = entry(config, "advertise_host")?;
    let fast_port: Option<u16> = entry(config, "fast_port")?;
    let ticks = |name: &str| entry::<u32>(config, name).map(|ms| ms / 10);
    let mode: String = entry(config, "mode")?;
    let settings = Settings {
        cluster: entry(config, "cluster")?,
        group: entry(config, "group")?,
        store_host: address(&entry::<String>(config, "store_host")?, port)?,
        auto_create_group: entry(config, "auto_create_group")?,
        max_message_bytes: entry(config, "max_message_bytes")?,
        slave_read: entry(config, "slave_read")?,
        limits: TableLimits {
            topics: entry(config, "max_topics")?,
            groups: entry(config, "max_groups")?,
        },
    };
    Ok(NodeOptions {
        settings,
        member: entry(config, "member")?,
        members: members_of(config)?,
        mode: match mode.as_str() {
            "raft" => Mode::Raft,
            "multi-master" => Mode::MultiMaster,
            other => {
                return Err(PyValueError::new_err(format!(
                    "mode {other:?} is not there yet: use raft or multi-master"
                )));
            }
        },
        listen: address(&listen_host, port)?,
        fast_listen: fast_port
            .map(|port| address(&listen_host, port))
            .transpose()?,
        peer_listen: address(
            &entry::<String>(config, "peer_host")?,
            entry(config, "peer_port")?,
        )?,
        advertise: format!("{advertise_host}:{port}"),
        data: entry::<PathBuf>(config, "data")?,
        secret: entry(config, "secret")?,
        timing: Timing {
            heartbeat_ticks: ticks("heartbeat_ms")?,
            election_min_ticks: ticks("election_min_ms")?,
            election_max_ticks: ticks("election_max_ms")?,
        },
        segment_size: entry(config, "segment_size_bytes")?,
        ring_bytes: entry(config, "frame_ring_bytes")?,
        in_flight_bytes: entry(config, "in_flight_bytes")?,
        auto_create_topic: entry(config, "auto_create_topic")?,
        default_topic_queues: entry(config, "default_topic_queues")?,
        control_codes: entry(config, "python_codes")?,
    })
}

fn members_of(config: &Bound<'_, PyDict>) -> PyResult<Vec<RaftMember>> {
    let members: Vec<(String, String, u16)> = entry(config, "members")?;
    members
        .into_iter()
        .map(|(id, host, port)| {
            let number =
                member_number(&id).map_err(|error| PyValueError::new_err(error.to_string()))?;
            Ok(RaftMember {
                id,
                number,
                address: format!("{host}:{port}"),
            })
        })
        .collect()
}

/// Names are resolved here: records and message ids carry addresses.
fn address(host: &str, port: u16) -> PyResult<SocketAddr> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(SocketAddr::new(ip, port));
    }
    (host, port)
        .to_socket_addrs()
        .ok()
        .and_then(|mut addresses| addresses.next())
        .ok_or_else(|| {
            PyRuntimeError::new_err(format!(
                "{host:?} has no address; name a host that resolves, or an IP address"
            ))
        })
}
