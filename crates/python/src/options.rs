//! The configuration of a replica, from the dict that Python makes of its table of settings.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use tern_broker::{Flush, Mode, NodeOptions, Settings, TableLimits};
use tern_replication::{RaftMember, TICK_MS, Timing, member_number};

use crate::dicts::Entries;

/// The options that a dict says, each under its own name.
///
/// # Errors
/// `ValueError` names an entry that is missing, of a wrong type or unknown; `RuntimeError` a host without an address.
pub(crate) fn options_of(config: &Bound<'_, PyDict>) -> PyResult<NodeOptions> {
    let mut entries = Entries::of(config, "the broker's configuration");
    let options = read(&mut entries)?;
    entries.finish()?;
    Ok(options)
}

fn read(from: &mut Entries<'_, '_>) -> PyResult<NodeOptions> {
    let port: u16 = from.take("port")?;
    let listen_host: String = from.take("listen_host")?;
    let fast_port: Option<u16> = from.take("fast_port")?;
    let peer_host: String = from.take("peer_host")?;
    let advertise_host: String = from.take("advertise_host")?;
    let memory_bytes = from.take("memory_bytes")?;
    Ok(NodeOptions {
        settings: settings_of(from, port, memory_bytes)?,
        member: from.take("member")?,
        members: members_of(from.take("members")?)?,
        mode: mode_of(&from.take::<String>("mode")?)?,
        open: from.take("open")?,
        flush: flush_of(&from.take::<String>("flush")?)?,
        listen: address(&listen_host, port)?,
        fast_listen: fast_port
            .map(|port| address(&listen_host, port))
            .transpose()?,
        peer_listen: address(&peer_host, from.take("peer_port")?)?,
        advertise: format!("{advertise_host}:{port}"),
        data: from.take("data")?,
        secret: from.take("secret")?,
        timing: timing_of(from)?,
        slow_sync_ns: from.take::<u64>("slow_disk_ms")? * 1_000_000,
        segment_size: from.take("segment_size_bytes")?,
        ring_bytes: from.take("frame_ring_bytes")?,
        memory_bytes,
        in_flight_bytes: from.take("in_flight_bytes")?,
        auto_create_topic: from.take("auto_create_topic")?,
        default_topic_queues: from.take("default_topic_queues")?,
        control_codes: from.take("python_codes")?,
    })
}

fn settings_of(from: &mut Entries<'_, '_>, port: u16, memory: u64) -> PyResult<Settings> {
    Ok(Settings {
        cluster: from.take("cluster")?,
        group: from.take("group")?,
        store_host: address(&from.take::<String>("store_host")?, port)?,
        auto_create_group: from.take("auto_create_group")?,
        max_message_bytes: from.take("max_message_bytes")?,
        lock_lease_ms: Settings::LOCK_LEASE_MS,
        slave_read: from.take("slave_read")?,
        far_behind_bytes: Settings::far_behind(memory, from.take("access_in_memory_percent")?),
        limits: TableLimits {
            topics: from.take("max_topics")?,
            groups: from.take("max_groups")?,
        },
    })
}

fn timing_of(from: &mut Entries<'_, '_>) -> PyResult<Timing> {
    let mut ticks = |name| from.take::<u32>(name).map(|ms| ms / TICK_MS);
    Ok(Timing {
        heartbeat_ticks: ticks("heartbeat_ms")?,
        election_min_ticks: ticks("election_min_ms")?,
        election_max_ticks: ticks("election_max_ms")?,
    })
}

fn mode_of(mode: &str) -> PyResult<Mode> {
    match mode {
        "raft" => Ok(Mode::Raft),
        "multi-master" => Ok(Mode::MultiMaster),
        "async-slave" => Ok(Mode::AsyncSlave),
        "sync-double-write" => Ok(Mode::SyncDoubleWrite),
        other => Err(PyValueError::new_err(format!(
            "mode {other:?}: use raft, multi-master, async-slave or sync-double-write"
        ))),
    }
}

fn flush_of(flush: &str) -> PyResult<Flush> {
    match flush {
        "sync" => Ok(Flush::Sync),
        "async" => Ok(Flush::EVERY_HALF_SECOND),
        other => Err(PyValueError::new_err(format!(
            "flush {other:?}: use sync or async"
        ))),
    }
}

/// Members as Python has them: id, host, peers' port.
fn members_of(members: Vec<(String, String, u16)>) -> PyResult<Vec<RaftMember>> {
    members
        .into_iter()
        .map(|(id, host, port)| {
            let number =
                member_number(&id).map_err(|error| PyValueError::new_err(error.to_string()))?;
            Ok(RaftMember {
                id,
                number,
                // Without a host it comes and says where it is.
                address: if host.is_empty() {
                    String::new()
                } else {
                    format!("{host}:{port}")
                },
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
