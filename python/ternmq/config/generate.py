"""The topology of a local cluster: every port written out, taken blocks skipped.

Peers' ports are near the client port, not at port + 30000: 40911 lies in the range from which the system takes the
ports of outgoing connections, so a restarted replica could find it taken.
"""

import itertools
import socket
import string
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from ternmq.config.rules import EPHEMERAL_RANGE, check_topology
from ternmq.config.secrets import make_secret_file
from ternmq.config.settings import Flush
from ternmq.config.topology import (
    BROKER_PORT,
    NAMESERVER_PORT,
    ClusterSection,
    DefaultsSection,
    GroupSection,
    MemberSection,
    Mode,
    NameServerSection,
    Topology,
)
from ternmq.errors import ConfigError

BLOCK = 10
MEMBERS: dict[Mode, int] = {"raft": 3, "multi-master": 1, "async-slave": 2, "sync-double-write": 2}
"""Members of a group of each mode, unless somebody asks for others."""
SECRET_FILE = "cluster.secret"
# A block begins with the fast port, two below the client port.
_FAST, _HA, _RAFT, _METRICS = -2, 1, 3, 4


def port_is_free(port: int) -> bool:
    """Say whether a server could listen on this loopback port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _free_nameserver_ports(first: int, last: int, is_free: Callable[[int], bool]) -> Iterator[int]:
    return (port for port in range(first, last) if is_free(port))


def _free_blocks(first: int, is_free: Callable[[int], bool]) -> Iterator[int]:
    for port in itertools.count(first, BLOCK):
        if port + BLOCK > EPHEMERAL_RANGE[0]:
            raise ConfigError(
                f"no free block of {BLOCK} ports from {first} to {EPHEMERAL_RANGE[0]}; start elsewhere with --base-port"
            )
        if all(is_free(port + distance) for distance in (_FAST, 0, _HA, _RAFT, _METRICS)):
            yield port


def _member(number: int, port: int) -> MemberSection:
    return MemberSection(
        id=f"n{number}",
        host="127.0.0.1",
        port=port,
        fast=port + _FAST,
        ha=port + _HA,
        raft=port + _RAFT,
        metrics=port + _METRICS,
    )


def generate_topology(
    directory: Path,
    *,
    groups: int = 2,
    replicas: int | None = None,
    nameservers: int = 3,
    mode: Mode = "raft",
    flush: Flush = "sync",
    base_port: int | None = None,
    is_free: Callable[[int], bool] = port_is_free,
) -> Topology:
    """Lay out a cluster on this machine and make its secret.

    Args:
        directory: where the topology file will lie; made if missing. The secret is written there.
        groups: number of broker groups.
        replicas: members of each; without it 3 of a Raft group, a master and a slave, or one master.
        nameservers: number of NameServers.
        mode: how the groups replicate.
        flush: when a message counts as written; a Raft group always syncs.
        base_port: NameServers from here, blocks of ten for the replicas from 10 above; without it 9876 and 10911.
        is_free: says whether a port can be listened on.

    Returns:
        A checked topology; write it with `dump_topology`.

    Raises:
        ConfigError: counts out of bounds, or no free ports left below the range of outgoing connections.
    """
    if not 1 <= groups <= len(string.ascii_lowercase):
        raise ConfigError(f"{groups} groups; use 1 to {len(string.ascii_lowercase)}")
    if not 1 <= nameservers <= BLOCK:
        raise ConfigError(f"{nameservers} NameServers; use 1 to {BLOCK}")
    if base_port is not None and not 1024 <= base_port < EPHEMERAL_RANGE[0]:
        raise ConfigError(f"base port {base_port}; use 1024 to {EPHEMERAL_RANGE[0] - 1}")
    first_server = NAMESERVER_PORT if base_port is None else base_port
    first_broker = BROKER_PORT if base_port is None else base_port + BLOCK - _FAST
    last_server = first_broker + _FAST
    server_ports = list(itertools.islice(_free_nameserver_ports(first_server, last_server, is_free), nameservers))
    if len(server_ports) < nameservers:
        raise ConfigError(
            f"fewer than {nameservers} free ports from {first_server} to {last_server - 1}; start elsewhere with"
            " --base-port"
        )
    blocks = _free_blocks(first_broker, is_free)
    members = MEMBERS[mode] if replicas is None else replicas
    directory.mkdir(parents=True, exist_ok=True)
    make_secret_file(directory / SECRET_FILE)
    topology = Topology(
        cluster=ClusterSection(secret=f"file:{SECRET_FILE}"),
        # Sizes for nine processes on one machine.
        defaults=DefaultsSection(segment_size="64MiB", frame_ring="16MiB", in_flight="64MiB", flush=flush),
        nameserver=tuple(
            NameServerSection(id=f"ns{number}", listen=f"127.0.0.1:{port}")
            for number, port in enumerate(server_ports, start=1)
        ),
        group=tuple(
            GroupSection(
                name=f"group-{letter}",
                mode=mode,
                dev=mode == "raft" and members == 1,
                members=tuple(_member(number, next(blocks)) for number in range(members)),
            )
            for letter in string.ascii_lowercase[:groups]
        ),
        base=directory.resolve(),
    )
    check_topology(topology)
    return topology


def add_group(topology: Topology, name: str, *, is_free: Callable[[int], bool] = port_is_free) -> Topology:
    """Lay out one more group on this machine, like the first one of a cluster that was laid out here.

    Args:
        topology: the cluster, every port written out.
        name: of the group.
        is_free: says whether a port can be listened on.

    Returns:
        A checked topology with the group at its end.

    Raises:
        ConfigError: the name is taken or is none, or no free ports are left.
    """
    like = topology.group[0]
    last = max(member.port or group.port for group in topology.group for member in group.members)
    blocks = _free_blocks(last + BLOCK, is_free)
    members = tuple(_member(number, next(blocks)) for number in range(len(like.members)))
    group = msgspec.structs.replace(like, name=name, members=members)
    wider = msgspec.structs.replace(topology, group=(*topology.group, group))
    check_topology(wider)
    return wider


def remove_group(topology: Topology, name: str) -> Topology:
    """Give a topology without a group.

    Raises:
        ConfigError: no such group, or it is the only one.
    """
    left = tuple(group for group in topology.group if group.name != name)
    if len(left) == len(topology.group):
        raise ConfigError(f"there is no group {name}; groups here: {', '.join(group.name for group in left)}")
    if not left:
        raise ConfigError(f"{name} is the only group: stop the cluster instead")
    return msgspec.structs.replace(topology, group=left)
