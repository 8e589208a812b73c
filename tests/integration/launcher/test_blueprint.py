"""What a folder holds after its cluster was laid out, and what may be asked of it later."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from support.ports import free_block
from ternmq.cluster import blueprint
from ternmq.cluster.blueprint import node_specs
from ternmq.cluster.claims import PortClaims
from ternmq.cluster.layout import DataDir
from ternmq.config import Topology
from ternmq.config.topology import Mode
from ternmq.errors import LaunchError

_PORTS = 60


def topology_for(
    data: DataDir, groups: int | None, first: int | None, say: Callable[[str], None], mode: Mode | None = None
) -> Topology:
    """Lay out with claims that end at once: what comes next is as in another process, later."""
    with PortClaims() as claims:
        return blueprint.topology_for(data, blueprint.Layout(groups, first, mode), say, claims)


def _nothing(_text: str) -> None:
    """Take a report and keep quiet."""


@pytest.fixture
def data(tmp_path: Path) -> DataDir:
    data = DataDir.at(tmp_path / "cluster")
    data.create()
    return data


def test_a_new_folder_gets_a_topology_and_a_secret_that_only_its_owner_reads(data: DataDir) -> None:
    topology_for(data, 1, free_block(_PORTS), _nothing)
    assert stat.S_IMODE(data.root.stat().st_mode) == 0o700
    assert stat.S_IMODE(data.secret.stat().st_mode) == 0o600
    assert sorted(path.name for path in data.root.iterdir()) == ["cluster.secret", "logs", "topology.toml"]


def test_a_later_start_finds_the_same_ports_and_the_same_secret(data: DataDir) -> None:
    first = free_block(_PORTS)
    before = topology_for(data, 1, first, _nothing)
    secret = data.secret.read_bytes()
    assert topology_for(data, None, None, _nothing) == before
    assert topology_for(data, 1, first, _nothing) == before
    assert data.secret.read_bytes() == secret


def test_other_groups_or_ports_than_the_folder_has_are_refused(data: DataDir) -> None:
    first = free_block(_PORTS)
    topology_for(data, 1, first, _nothing)
    with pytest.raises(LaunchError, match="laid out with --groups 1, not 2"):
        topology_for(data, 2, None, _nothing)
    with pytest.raises(LaunchError, match=rf"start at {first}, not at {first + 20}"):
        topology_for(data, None, first + 20, _nothing)


def test_a_usual_port_that_is_taken_is_reported_and_the_next_one_used(data: DataDir) -> None:
    first = free_block(_PORTS)
    said: list[str] = []
    with socket.create_server(("127.0.0.1", first)):
        topology_for(data, 1, first, said.append)
    assert said == [f"port {first} is taken: NameServers start at {first + 1}"]
    # The folder is still the one that this base port made.
    topology_for(data, 1, first, _nothing)


def test_every_node_is_a_child_that_knows_its_parent_and_its_ports(data: DataDir) -> None:
    first = free_block(_PORTS)
    specs = node_specs(topology_for(data, 1, first, _nothing), data)
    assert [spec.name for spec in specs] == ["ns1", "ns2", "ns3", "group-a/n0", "group-a/n1", "group-a/n2"]
    for spec in specs:
        assert spec.command[-2:] == ("--parent-pid", str(os.getpid()))
        assert all(first <= port.port < first + _PORTS for port in spec.ports)
    numbers = [port.port for spec in specs for port in spec.ports]
    assert len(numbers) == len(set(numbers)) == 3 + 3 * 3
