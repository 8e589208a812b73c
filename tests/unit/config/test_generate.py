"""The topology of a local cluster: every port written out, taken ones skipped, the same after writing and reading."""

from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ternmq.config import broker_config, dump_topology, generate_topology, load_topology
from ternmq.config.generate import add_group, remove_group
from ternmq.config.topology import GroupSection, Mode, member_ports
from ternmq.config.topology_file import parse_topology
from ternmq.errors import ConfigError
from ternmq.local import MODES


def everything_free(port: int) -> bool:
    return True


def test_ports_start_where_rocketmq_users_look_for_them(tmp_path: Path) -> None:
    topology = generate_topology(tmp_path, is_free=everything_free)
    assert [server.listen for server in topology.nameserver] == [f"127.0.0.1:{port}" for port in (9876, 9877, 9878)]
    assert [group.name for group in topology.group] == ["group-a", "group-b"]
    ports = [member_ports(group, member) for group in topology.group for member in group.members]
    assert ports[0] == (10911, 10909, 10912, 10914, 10915)
    assert [port.client for port in ports] == [10911, 10921, 10931, 10941, 10951, 10961]


def test_a_base_port_moves_everything_into_its_neighbourhood(tmp_path: Path) -> None:
    topology = generate_topology(tmp_path, base_port=20000, is_free=everything_free)
    assert topology.nameserver[0].listen == "127.0.0.1:20000"
    assert min(member_ports(topology.group[0], topology.group[0].members[0])) == 20010


def test_a_taken_nameserver_port_and_a_block_with_a_taken_port_are_skipped(tmp_path: Path) -> None:
    taken = {9877, 10914}
    topology = generate_topology(tmp_path, is_free=lambda port: port not in taken)
    assert [server.listen[-4:] for server in topology.nameserver] == ["9876", "9878", "9879"]
    assert topology.group[0].members[0].port == 10921


def test_no_port_lies_where_outgoing_connections_take_theirs(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--base-port"):
        generate_topology(tmp_path, base_port=32700, is_free=everything_free)


def test_no_free_port_is_said_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="start elsewhere with --base-port"):
        generate_topology(tmp_path, is_free=lambda port: False)


@pytest.mark.parametrize("mode", MODES)
def test_a_group_of_each_mode_has_its_usual_members(tmp_path: Path, mode: Mode) -> None:
    topology = generate_topology(tmp_path, is_free=everything_free, mode=mode, flush="async")
    members = {"raft": 3, "multi-master": 1, "async-slave": 2, "sync-double-write": 2}
    assert [(group.mode, len(group.members)) for group in topology.group] == [(mode, members[mode])] * 2
    assert parse_topology(dump_topology(topology).encode(), "t", topology.base) == topology


def test_the_modes_of_the_command_line_are_those_of_the_file() -> None:
    assert get_args(Mode) == MODES


@pytest.mark.parametrize(
    "counts",
    [{"groups": 0}, {"groups": 27}, {"nameservers": 0}, {"nameservers": 11}, {"replicas": 2}, {"base_port": 80}],
)
def test_counts_out_of_bounds_are_refused(tmp_path: Path, counts: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        generate_topology(tmp_path, is_free=everything_free, **counts)


def test_the_secret_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    generate_topology(tmp_path, is_free=everything_free)
    path = tmp_path / "cluster.secret"
    before = path.read_bytes()
    assert path.stat().st_mode & 0o077 == 0
    topology = generate_topology(tmp_path, is_free=everything_free)
    assert path.read_bytes() == before
    assert broker_config(topology, "group-a/n0").secret == before.strip()


@settings(max_examples=25, deadline=None)
@given(
    groups=st.integers(1, 6),
    replicas=st.sampled_from([1, 3, 5]),
    nameservers=st.integers(1, 5),
    taken=st.sets(st.integers(10900, 11000), max_size=20),
)
def test_a_written_topology_reads_back_equal(
    tmp_path_factory: pytest.TempPathFactory, groups: int, replicas: int, nameservers: int, taken: set[int]
) -> None:
    folder = tmp_path_factory.mktemp("topology")
    topology = generate_topology(
        folder, groups=groups, replicas=replicas, nameservers=nameservers, is_free=lambda port: port not in taken
    )
    path = folder / "topology.toml"
    path.write_text(dump_topology(topology))
    assert load_topology(path) == topology
    used = {port for group in topology.group for member in group.members for port in member_ports(group, member)}
    assert not used & taken


def test_a_group_is_added_like_the_first_behind_the_last_ports(tmp_path: Path) -> None:
    before = generate_topology(tmp_path, groups=2, is_free=everything_free)
    last = max(member.port or 0 for member in before.group[1].members)
    after = add_group(before, "group-x", is_free=lambda port: port != last + 10)
    assert after.group[:2] == before.group
    added = after.group[2]
    assert (added.name, added.mode, [member.id for member in added.members]) == ("group-x", "raft", ["n0", "n1", "n2"])
    assert [member.port for member in added.members] == [last + 20, last + 30, last + 40]
    assert load_topology_text(dump_topology(after)) == after.group
    assert remove_group(after, "group-x") == before


def test_a_group_with_a_name_that_is_taken_or_none_is_refused(tmp_path: Path) -> None:
    topology = generate_topology(tmp_path, groups=1, is_free=everything_free)
    for name in ("group-a", "a/b", ""):
        with pytest.raises(ConfigError):
            add_group(topology, name, is_free=everything_free)
    with pytest.raises(ConfigError, match="no group group-b"):
        remove_group(topology, "group-b")
    with pytest.raises(ConfigError, match="only group"):
        remove_group(topology, "group-a")


def load_topology_text(text: str) -> tuple[GroupSection, ...]:
    return parse_topology(text.encode(), "text", Path()).group
