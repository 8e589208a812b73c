"""From the first start to the last stop of a local cluster."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from pathlib import Path

import psutil

from support.cluster import Cluster, MakeCluster
from support.processes import wait_for
from support.tern import PROGRAM


def _run(*arguments: str | Path, within: float = 60) -> subprocess.CompletedProcess[str]:
    return subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, check=False, timeout=within)


def _supervisor(cluster: Cluster) -> int:
    return int(json.loads((cluster.directory / "state.json").read_text())["supervisor_pid"])


def test_what_was_stored_is_there_after_down_and_up(make_cluster: MakeCluster) -> None:
    cluster = make_cluster()
    sent = subprocess.run(
        [PROGRAM, "produce", "kept", "--data", cluster.directory], input=b"a\nb\n", capture_output=True, timeout=60
    )
    assert sent.returncode == 0, sent.stderr
    pids = [node.identity for node in cluster.nodes.values()]
    assert _run("down", "--data", cluster.directory).returncode == 0
    assert not any(identity.is_alive() for identity in pids)
    assert not (cluster.directory / "state.json").exists()
    up = _run("up", "--detach", "--json", "--data", cluster.directory)
    assert up.returncode == 0, up.stderr
    assert [item["address"] for item in json.loads(up.stdout)["items"]] == [
        node.address for node in cluster.nodes.values()
    ]
    read = _run("consume", "kept", "--from", "earliest", "--count", "2", "--data", cluster.directory)
    assert sorted(read.stdout.splitlines()) == ["a", "b"]


def test_a_killed_supervisor_takes_its_nodes_along_and_the_next_one_goes_on(make_cluster: MakeCluster) -> None:
    cluster = make_cluster()
    os.kill(_supervisor(cluster), signal.SIGKILL)
    identities = [node.identity for node in cluster.nodes.values()]
    wait_for(lambda: not any(one.is_alive() for one in identities), 10, "all nodes to die with their supervisor")
    ps = _run("ps", "--data", cluster.directory)
    assert ps.returncode == 1
    assert "no cluster runs in" in ps.stderr
    up = _run("up", "--detach", "--json", "--data", cluster.directory)
    assert up.returncode == 0, up.stderr
    assert "ended without stopping its nodes" in up.stderr


def test_a_taken_port_is_named_with_its_setting(make_cluster: MakeCluster) -> None:
    cluster = make_cluster()
    assert _run("down", "--data", cluster.directory).returncode == 0
    host, port = cluster.address("group-a/n1").split(":")
    with socket.create_server((host, int(port))):
        up = _run("up", "--detach", "--json", "--data", cluster.directory)
    assert up.returncode == 1
    assert up.stdout == ""
    assert f"port {port}" in up.stderr
    assert "`port` of group-a/n1" in up.stderr


def test_a_node_that_cannot_start_stops_all_and_its_sentence_is_told(make_cluster: MakeCluster) -> None:
    cluster = make_cluster()
    assert _run("down", "--data", cluster.directory).returncode == 0
    folder = cluster.directory / "data" / "group-a" / "n0"
    assert folder.is_dir()
    folder.rename(folder.with_name("aside"))
    folder.touch()  # a file where the node wants its folder
    up = _run("up", "--detach", "--json", "--data", cluster.directory)
    assert up.returncode == 1
    assert up.stdout == ""
    assert "group-a/n0 ended with code" in up.stderr
    assert not [
        process for process in psutil.process_iter(["cmdline"])
        if str(cluster.directory) in " ".join(process.info["cmdline"] or [])
    ]  # fmt: skip


def test_ctrl_c_in_the_foreground_drains_everything(make_cluster: MakeCluster) -> None:
    cluster = make_cluster()
    assert _run("down", "--data", cluster.directory).returncode == 0
    with subprocess.Popen(
        [PROGRAM, "up", "--json", "--data", cluster.directory],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        items = json.loads(process.stdout.readline())["items"]
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "brokers drain, NameServers stop last" in told
    assert not any(psutil.pid_exists(item["pid"]) for item in items)


def test_down_where_nothing_ever_ran_is_a_negative_answer(tmp_path: Path) -> None:
    done = _run("down", "--data", tmp_path / "nothing")
    assert done.returncode == 1
    assert "no cluster runs in" in done.stderr
