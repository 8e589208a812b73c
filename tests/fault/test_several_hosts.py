"""A cluster on three machines, started as an operator starts it: `ternmq run` on each, with addresses of its own."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.machines import Machine, can_be_made, machines
from support.processes import wait_for
from support.tern import PROGRAM

MESSAGES = 200


@pytest.fixture
def hosts() -> Iterator[list[Machine]]:
    """Three machines on one network."""
    if not can_be_made():
        pytest.skip("needs root: network namespaces stand for machines")
    with machines(3) as made:
        yield made


@pytest.fixture
def topology(hosts: list[Machine], tmp_path: Path) -> Path:
    """A NameServer and a member of a Raft group on each, and a master and its slave on two."""
    (tmp_path / "cluster.secret").write_text("a secret of sixteen or more\n")
    (tmp_path / "cluster.secret").chmod(0o600)
    servers = "".join(
        f'[[nameserver]]\nid = "ns{at}"\nlisten = "{host.address}:9876"\n' for at, host in enumerate(hosts, start=1)
    )

    def group(name: str, mode: str, port: int, members: int) -> str:
        lines = "".join(
            f'  {{ id = "n{at}", host = "{host.address}", raft = {port + 3}, metrics = {port + 4} }},\n'
            for at, host in enumerate(hosts[:members])
        )
        return f'[[group]]\nname = "{name}"\nmode = "{mode}"\nport = {port}\nmembers = [\n{lines}]\n'

    file = tmp_path / "topology.toml"
    file.write_text(
        '[cluster]\nsecret = "file:cluster.secret"\n[defaults]\nsegment_size = "64MiB"\nframe_ring = "16MiB"\n'
        + servers + group("raft-a", "raft", 10911, 3) + group("pair-b", "sync-double-write", 10931, 2)
    )  # fmt: skip
    return file


def test_a_cluster_on_three_machines_goes_on_when_one_is_unplugged_and_takes_it_back(
    hosts: list[Machine], topology: Path
) -> None:
    for at, host in enumerate(hosts):
        run(host, topology, "namesrv", f"ns{at + 1}")
        run(host, topology, "broker", f"raft-a/n{at}")
    for at, host in enumerate(hosts[:2]):
        run(host, topology, "broker", f"pair-b/n{at}")
    wait_for(
        lambda: shown(hosts[0], hosts) == {"raft-a": 3, "pair-b": 2}, 60, "everybody to be shown by all NameServers"
    )
    ternmq(hosts[2], hosts, "topic", "create", "orders")
    send(hosts[2], hosts, range(MESSAGES))

    # The third machine, on which nobody but a member of the Raft group and a NameServer is.
    *others, unplugged = hosts
    if leader_of(others[0], hosts, "raft-a") != unplugged.address:
        ternmq(others[0], hosts, "cluster", "transfer-leader", "raft-a", "--to", "n2")
    unplugged.unplug()
    wait_for(
        lambda: leader_of(others[0], others, "raft-a") not in (None, unplugged.address), 60, "another leader", every=0.2
    )
    send(others[0], others, range(MESSAGES, 2 * MESSAGES))
    unplugged.plug()
    wait_for(lambda: shown(hosts[0], hosts) == {"raft-a": 3, "pair-b": 2}, 90, "the machine to be back", every=0.2)
    read = ternmq(hosts[2], hosts, "consume", "orders", "--from", "earliest", "--count", str(2 * MESSAGES))
    assert {int(line) for line in read.splitlines()} == set(range(2 * MESSAGES))

    for host in hosts:
        for process in host.processes:
            process.send_signal(signal.SIGTERM)
    for host in hosts:
        assert [process.wait(30) for process in host.processes] == [0] * len(host.processes)


def run(host: Machine, topology: Path, kind: str, node: str) -> None:
    log = topology.parent / f"{node.replace('/', '-')}.log"
    host.start([PROGRAM, "run", kind, "--topology", topology, "--node", node, "--insecure"], log)


def ternmq(host: Machine, asked: list[Machine], *arguments: str, said: str | None = None) -> str:
    endpoints = ";".join(f"{each.address}:9876" for each in asked)
    return host.run([PROGRAM, *arguments, "-n", endpoints], said=said)


def send(host: Machine, asked: list[Machine], numbers: range) -> None:
    said = "".join(f"{number}\n" for number in numbers)
    (item,) = json.loads(ternmq(host, asked, "produce", "orders", "--json", said=said))["items"]
    assert item["acknowledged"] == len(numbers)


def members(host: Machine, asked: list[Machine]) -> list[dict[str, object]]:
    try:
        items: list[dict[str, object]] = json.loads(ternmq(host, asked, "cluster", "info", "--json"))["items"]
    except AssertionError:
        return []
    return items


def shown(host: Machine, asked: list[Machine]) -> dict[str, int]:
    """Members of each group that all NameServers show, if each shows a master of all."""
    items = [item for item in members(host, asked) if len(item["nameservers"]) == len(asked)]  # type: ignore[arg-type]
    groups = {str(item["group"]) for item in items if item["role"] == "leader"}
    return {group: sum(item["group"] == group for item in items) for group in groups}


def leader_of(host: Machine, asked: list[Machine], group: str) -> str | None:
    for item in members(host, asked):
        if item["group"] == group and item["role"] == "leader" and len(item["nameservers"]) == len(asked):  # type: ignore[arg-type]
            return str(item["address"]).rpartition(":")[0]
    return None
