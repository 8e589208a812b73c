"""What a local cluster consists of: its topology file, made once, and one specification a node."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass

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
from ternmq.config.settings import Flush
from ternmq.config.topology import NAMESERVER_PORT, Mode
from ternmq.errors import LaunchError

DEFAULT_GROUPS = 2


@dataclass(frozen=True)
class Layout:
    """What a person asked for; what is None is as in the folder, or as usual in a new one.

    Args:
        groups: number of broker groups; usually two.
        base_port: where ports start.
        mode: how the groups replicate; usually "raft".
        flush: when a message counts as written; usually "sync".
    """

    groups: int | None = None
    base_port: int | None = None
    mode: Mode | None = None
    flush: Flush | None = None


def topology_for(data: DataDir, layout: Layout, report: Callable[[str], None], claims: PortClaims) -> Topology:
    """Read a folder's topology, or lay out a new one.

    Args:
        data: the cluster's folder.
        layout: what a person asked for.
        report: learns that usual ports were taken.
        claims: takes the ports of a new one while they are drawn.

    Raises:
        LaunchError: the folder holds a cluster that was laid out differently.
        ConfigError: its topology cannot be used, or no ports are free.
    """
    if data.topology.exists():
        topology = load_topology(data.topology)
        check_fits(data, topology, layout)
        return topology
    topology = generate_topology(
        data.root,
        groups=DEFAULT_GROUPS if layout.groups is None else layout.groups,
        base_port=layout.base_port,
        mode=layout.mode or "raft",
        flush=layout.flush or "sync",
        is_free=lambda port: port_is_free(port) and claims.take(port),
    )
    write_topology(data, topology)
    first = nameserver_config(topology, topology.nameserver[0].id).port
    wanted = NAMESERVER_PORT if layout.base_port is None else layout.base_port
    if first != wanted:
        report(f"port {wanted} is taken: NameServers start at {first}")
    return topology


def write_topology(data: DataDir, topology: Topology) -> None:
    """Replace a folder's topology as a whole."""
    fresh = data.topology.with_suffix(".new")
    fresh.write_text(dump_topology(topology))
    fresh.replace(data.topology)


def check_fits(data: DataDir, topology: Topology, layout: Layout) -> None:
    """Refuse another layout than a folder has.

    Raises:
        LaunchError: its cluster was laid out with other groups, ports, mode or flush.
    """
    elsewhere = "leave the option out to continue that cluster, or choose another --data folder"
    has = {"groups": len(topology.group), "mode": topology.group[0].mode, "flush": topology.defaults.flush}
    for option, there in has.items():
        wanted = getattr(layout, option)
        if wanted not in (None, there):
            raise LaunchError(
                f"the cluster in {data.root} was laid out with --{option} {there}, not {wanted}", elsewhere
            )
    base_port = layout.base_port
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
