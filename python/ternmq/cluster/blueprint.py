"""What a local cluster consists of: its topology file, made once, and one specification a node."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from ternmq.cluster.claims import PortClaims
from ternmq.cluster.layout import DataDir
from ternmq.cluster.node import BROKER, NAMESRV, NodeSpec, Port
from ternmq.config import (
    BrokerConfig,
    NameServerConfig,
    Topology,
    broker_config,
    dump_topology,
    generate_topology,
    load_topology,
    nameserver_config,
)
from ternmq.config.addresses import join_address
from ternmq.config.generate import BLOCK, port_is_free
from ternmq.config.topology import NAMESERVER_PORT
from ternmq.errors import LaunchError

DEFAULT_GROUPS = 2


def topology_for(
    data: DataDir, groups: int | None, base_port: int | None, report: Callable[[str], None], claims: PortClaims
) -> Topology:
    """Read a folder's topology, or lay out a new one.

    Args:
        data: the cluster's folder.
        groups: number of broker groups; None takes what is there, or two.
        base_port: where ports start; None takes what is there, or the usual ones.
        report: learns that usual ports were taken.
        claims: takes the ports of a new one while they are drawn.

    Raises:
        LaunchError: the folder holds a cluster that was laid out differently.
        ConfigError: its topology cannot be used, or no ports are free.
    """
    if data.topology.exists():
        topology = load_topology(data.topology)
        check_fits(data, topology, groups, base_port)
        return topology
    topology = generate_topology(
        data.root,
        groups=DEFAULT_GROUPS if groups is None else groups,
        base_port=base_port,
        is_free=lambda port: port_is_free(port) and claims.take(port),
    )
    fresh = data.topology.with_suffix(".new")
    fresh.write_text(dump_topology(topology))
    fresh.replace(data.topology)
    first = nameserver_config(topology, topology.nameserver[0].id).port
    wanted = NAMESERVER_PORT if base_port is None else base_port
    if first != wanted:
        report(f"port {wanted} is taken: NameServers start at {first}")
    return topology


def check_fits(data: DataDir, topology: Topology, groups: int | None, base_port: int | None) -> None:
    """Refuse another layout than a folder has.

    Raises:
        LaunchError: its cluster was laid out with other groups or ports.
    """
    elsewhere = "leave the option out to continue that cluster, or choose another --data folder"
    if groups is not None and groups != len(topology.group):
        raise LaunchError(
            f"the cluster in {data.root} was laid out with --groups {len(topology.group)}, not {groups}", elsewhere
        )
    first = min(nameserver_config(topology, server.id).port for server in topology.nameserver)
    # New ones lie in the block that starts at the base port; taken ports in it are skipped.
    if base_port is not None and not base_port <= first < base_port + BLOCK:
        raise LaunchError(f"the ports of the cluster in {data.root} start at {first}, not at {base_port}", elsewhere)


def node_specs(topology: Topology, data: DataDir) -> list[NodeSpec]:
    """Specify all nodes, NameServers first, to be started as children of this process.

    Args:
        topology: the cluster.
        data: its folder.
    """
    servers = [_nameserver_spec(nameserver_config(topology, server.id), data) for server in topology.nameserver]
    brokers = [
        _broker_spec(broker_config(topology, f"{group.name}/{member.id}"), data)
        for group in topology.group
        for member in group.members
    ]
    return servers + brokers


def _nameserver_spec(config: NameServerConfig, data: DataDir) -> NodeSpec:
    return NodeSpec(
        name=config.id,
        kind=NAMESRV,
        group=None,
        address=join_address(config.listen_host, config.port),
        ports=(Port(config.listen_host, config.port, f"`listen` of {config.id}"),),
        command=_command(NAMESRV, config.id, data),
    )


def _broker_spec(config: BrokerConfig, data: DataDir) -> NodeSpec:
    return NodeSpec(
        name=config.name,
        kind=BROKER,
        group=config.group,
        address=config.advertised,
        ports=(
            Port(config.listen_host, config.port, f"`port` of {config.name}"),
            Port(config.listen_host, config.fast_port, f"`fast` of {config.name}"),
            Port(config.peer_host, config.peer_port, f"`raft` of {config.name}"),
        ),
        command=_command(BROKER, config.name, data),
    )


def _command(kind: str, name: str, data: DataDir) -> tuple[str, ...]:
    node = ("--topology", str(data.topology), "--node", name, "--parent-pid", str(os.getpid()))
    return (sys.executable, "-m", "ternmq.cli.main", "run", kind, *node)
