"""`ternmq cluster health` and `ternmq broker raft` against a cluster that loses one member after the other."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.processes import wait_for
from support.tern import PROGRAM, TernCluster

SECONDS = 60


def ask(cluster: TernCluster, *command: str, named: bool = False) -> tuple[int, dict[str, Any]]:
    where = ["--endpoints", cluster.nameservers] if named else ["--data", str(cluster.directory)]
    ran = subprocess.run([PROGRAM, *command, "--json", *where], capture_output=True, text=True, timeout=SECONDS)
    assert ran.stdout, ran.stderr
    shown = json.loads(ran.stdout)
    assert shown["healthy"] is (ran.returncode == 0)
    return ran.returncode, shown


def levels(shown: dict[str, Any]) -> dict[str, str]:
    """What is said of each, but for the disk, which is the machine's."""
    return {item["subject"]: item["level"] for item in shown["items"] if "disk" not in item["finding"]}


def kill(cluster: TernCluster, name: str) -> None:
    os.kill(cluster.identity(name).pid, signal.SIGKILL)
    wait_for(lambda: not cluster.identity(name).is_alive(), 10, f"{name} to be dead")


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[TernCluster]:
    running = TernCluster(tmp_path / "cluster")
    try:
        running.up()
        yield running
    finally:
        running.down()


def test_a_cluster_is_well_until_members_are_gone_and_says_which_are_and_what_that_means(cluster: TernCluster) -> None:
    group = cluster.group
    _, shown = ask(cluster, "cluster", "health")
    assert set(levels(shown)) == {*cluster.nameserver_addresses, group}
    assert set(levels(shown).values()) == {"ok"}

    code, raft = ask(cluster, "broker", "raft")
    rows = {f"{row['group']}/{row['member']}": row for row in raft["items"]}
    master = cluster.master()
    assert master is not None
    assert (code, set(rows)) == (0, set(cluster.brokers))
    assert [name for name, row in rows.items() if row["role"] == "leader"] == [master]
    assert rows[master]["cause"] == "started"
    assert all(len(row["in_reach"]) == 2 for row in rows.values())
    assert len({row["state_hash"] for row in rows.values()}) == 1

    kill(cluster, master)
    wait_for(lambda: cluster.master() not in (None, master), 20, "another master")
    code, shown = ask(cluster, "cluster", "health")
    assert (code, levels(shown)[group]) == (1, "warning")
    (said,) = (item for item in shown["items"] if item["subject"] == group)
    assert said["advice"] == f"start {master} again"
    code, raft = ask(cluster, "broker", "raft", group)
    rows = {f"{row['group']}/{row['member']}": row for row in raft["items"]}
    assert (code, rows[master]["role"]) == (1, "silent")
    assert [row["cause"] for row in rows.values() if row["role"] == "leader"] == ["leader_gone"]

    second = cluster.master()
    assert second is not None
    kill(cluster, second)
    (last,) = set(cluster.brokers) - {master, second}
    sentence = f"{last} has known no leader for "
    wait_for(lambda: sentence in cluster.log(last).read_text(), 10, f"{last} to say that it has no majority")
    assert "2 of 3 must run and reach each other before sends are taken" in cluster.log(last).read_text()
    code, shown = ask(cluster, "cluster", "health")
    assert (code, levels(shown)[group]) == (1, "critical")

    kill(cluster, last)
    # NameServers forget who is gone, and only the topology says that there was a group.
    wait_for(lambda: group not in levels(ask(cluster, "cluster", "health", named=True)[1]), 20, "it to be forgotten")
    code, shown = ask(cluster, "cluster", "health")
    assert (code, levels(shown)[group]) == (1, "critical")

    cluster.start(*cluster.brokers)
    wait_for(lambda: set(levels(ask(cluster, "cluster", "health")[1]).values()) == {"ok"}, 30, "all to be well again")
