"""The supervisor and its children."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import psutil
import pytest

from support.stage import Stage, until
from ternmq.cluster.identity import ProcessIdentity
from ternmq.cluster.restarts import RestartPolicy
from ternmq.cluster.state import read_state
from ternmq.cluster.supervisor import Supervisor
from ternmq.errors import LaunchError

pytestmark = pytest.mark.asyncio


def _identity(supervisor: Supervisor, name: str) -> ProcessIdentity:
    return ProcessIdentity.of(supervisor.processes()[name])


async def test_it_is_ready_when_the_nameserver_shows_the_whole_group(stage: Stage) -> None:
    supervisor = stage.supervisor()
    try:
        await supervisor.start()
        items = {item["name"]: item for item in await supervisor.ps()}
    finally:
        await supervisor.stop()
    assert {name: item["role"] for name, item in items.items()} == {
        "ns1": "serving", "group-a/n0": "leader", "group-a/n1": "follower",
    }  # fmt: skip
    assert set(items["ns1"]) == {"name", "kind", "group", "pid", "address", "role"}
    assert items["ns1"]["group"] is None
    assert items["group-a/n0"]["address"] == stage.address("group-a/n0")


async def test_it_waits_while_a_member_is_missing(stage: Stage) -> None:
    stage.shown = {"group-a/n0"}
    supervisor = stage.supervisor()
    start = asyncio.create_task(supervisor.start())
    try:
        await until(lambda: any("shows 1 of 2 in group-a" in line for line in stage.said))
        assert not start.done()
        stage.shown = {"group-a/n0", "group-a/n1"}
        await start
    finally:
        await supervisor.stop()


async def test_a_node_that_fails_to_start_stops_all_and_its_own_sentence_is_told(stage: Stage) -> None:
    stage.fail("group-a/n1", "the segment size differs from the group's")
    supervisor = stage.supervisor()
    with pytest.raises(
        LaunchError, match=r"group-a/n1 ended with code 1 .*the segment size differs from the group's"
    ) as caught:
        await supervisor.start()
    assert caught.value.hint == f"read {stage.data.log('group-a/n1')}"
    assert supervisor.processes() == {}
    assert not stage.data.state.exists()


async def test_a_taken_port_is_named_with_its_setting_before_anything_starts(stage: Stage) -> None:
    port = stage.ports["group-a/n0"]
    refused = pytest.raises(LaunchError, match=rf"port {port} .*`port` of group-a/n0")
    with socket.create_server(("127.0.0.1", port)), refused:
        await stage.supervisor().start()
    assert stage.events() == []


async def test_brokers_drain_before_nameservers(stage: Stage) -> None:
    supervisor = stage.supervisor()
    await supervisor.start()
    await supervisor.stop()
    ends = [line for line in stage.events() if line.startswith("drained")]
    assert sorted(ends[:2]) == ["drained group-a-n0", "drained group-a-n1"]
    assert ends[2:] == ["drained ns1"]
    assert not stage.data.state.exists()


async def test_a_second_signal_kills_what_does_not_drain(stage: Stage) -> None:
    stage.stubborn("group-a/n0")
    supervisor = stage.supervisor()
    await supervisor.start()
    stopping = asyncio.create_task(supervisor.stop())
    await until(lambda: "drained group-a-n1" in stage.events())
    assert not stopping.done()
    supervisor.kill_now()
    await asyncio.wait_for(stopping, 5)
    assert supervisor.processes() == {}


async def test_a_stopped_process_is_woken_to_drain(stage: Stage) -> None:
    supervisor = stage.supervisor()
    await supervisor.start()
    os.kill(supervisor.processes()["group-a/n0"], signal.SIGSTOP)
    await asyncio.wait_for(supervisor.stop(), 10)
    assert "drained group-a-n0" in stage.events()


async def test_a_node_that_dies_is_started_again(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ternmq.cluster.restarts.FIRST_DELAY_S", 0.05)
    supervisor = stage.supervisor(RestartPolicy())
    try:
        await supervisor.start()
        before = _identity(supervisor, "group-a/n1")
        os.kill(before.pid, signal.SIGKILL)
        await until(lambda: stage.up("group-a/n1") == 2)
        assert _identity(supervisor, "group-a/n1") != before
        assert any("group-a/n1 was ended by SIGKILL; starts again in 0.05 s" in line for line in stage.said)
    finally:
        await supervisor.stop()


async def test_without_restarts_a_dead_node_stays_dead_until_it_is_started(stage: Stage) -> None:
    supervisor = stage.supervisor(RestartPolicy(False))
    try:
        await supervisor.start()
        os.kill(supervisor.processes()["group-a/n1"], signal.SIGKILL)
        await until(lambda: any("stays dead until `ternmq start group-a/n1`" in line for line in stage.said))
        assert "group-a/n1" not in supervisor.processes()
        item = await supervisor.start_node("group-a/n1")
        assert item["pid"] == supervisor.processes()["group-a/n1"]
        assert stage.up("group-a/n1") == 2
    finally:
        await supervisor.stop()


async def test_two_who_start_a_node_at_once_get_one_process(stage: Stage) -> None:
    supervisor = stage.supervisor(RestartPolicy(False))
    try:
        await supervisor.start()
        await supervisor.kill("group-a/n1")
        starts = [supervisor.start_node("group-a/n1") for _ in range(2)]
        one, other = await asyncio.gather(*starts, return_exceptions=True)
        assert isinstance(one, dict)
        assert isinstance(other, LaunchError)
        assert str(other) == f"group-a/n1 runs already (pid {one['pid']})"
        assert stage.up("group-a/n1") == 2
    finally:
        await supervisor.stop()


async def test_a_killed_leader_stays_dead_even_with_restarts(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ternmq.cluster.restarts.FIRST_DELAY_S", 0.01)
    supervisor = stage.supervisor(RestartPolicy())
    try:
        await supervisor.start()
        leader = await supervisor.leader()
        assert leader.name == "group-a/n0"
        killed = await supervisor.kill(leader.name)
        assert not psutil.pid_exists(killed["pid"])
        # A node that may restart comes back meanwhile; the one that was killed on purpose does not.
        os.kill(supervisor.processes()["group-a/n1"], signal.SIGKILL)
        await until(lambda: stage.up("group-a/n1") == 2)
        assert stage.up("group-a/n0") == 1
        assert next(item for item in await supervisor.ps() if item["name"] == "group-a/n0")["role"] == "dead"
        state = read_state(stage.data.state)
        assert state is not None
        assert [node.name for node in state.nodes if node.held] == ["group-a/n0"]
        await supervisor.start_node("group-a/n0")
        assert stage.up("group-a/n0") == 2
    finally:
        await supervisor.stop()


async def test_what_cannot_be_done_is_said_with_what_can(stage: Stage) -> None:
    supervisor = stage.supervisor()
    try:
        await supervisor.start()
        with pytest.raises(LaunchError, match="no group group-z"):
            await supervisor.leader("group-z")
        with pytest.raises(LaunchError, match="no node ns9"):
            await supervisor.start_node("ns9")
        with pytest.raises(LaunchError, match="ns1 runs already"):
            await supervisor.start_node("ns1")
        await supervisor.kill("group-a/n1")
        with pytest.raises(LaunchError, match="group-a/n1 does not run"):
            await supervisor.kill("group-a/n1")
        stage.fail("group-a/n1", "the disk is full")
        with pytest.raises(LaunchError, match="ended while it started: the disk is full"):
            await supervisor.start_node("group-a/n1")
        stage.leader = "group-a/n1"
        with pytest.raises(LaunchError, match="no leader at the moment"):
            await supervisor.leader("group-a")
    finally:
        await supervisor.stop()


async def test_the_state_file_names_every_process(stage: Stage) -> None:
    supervisor = stage.supervisor()
    try:
        await supervisor.start()
        state = read_state(stage.data.state)
        assert state is not None
        assert state.ready
        assert state.supervisor_pid == os.getpid()
        assert {node.name: node.pid for node in state.nodes} == supervisor.processes()
    finally:
        await supervisor.stop()


async def test_children_die_with_a_supervisor_that_is_killed(stage: Stage) -> None:
    program = textwrap.dedent(f"""
        import asyncio, sys
        from pathlib import Path
        sys.path.insert(0, {str(Path(__file__).parents[2])!r})
        from support.stage import Stage
        async def main():
            supervisor = Stage(Path({str(stage.data.root)!r})).supervisor()
            await supervisor.start()
            print(*supervisor.processes().values(), flush=True)
            await asyncio.Event().wait()
        asyncio.run(main())
    """)
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=subprocess.PIPE)
    assert parent.stdout is not None
    children = [ProcessIdentity.of(int(pid)) for pid in (await parent.stdout.readline()).split()]
    assert len(children) == 3
    parent.kill()
    await parent.wait()
    try:
        await until(lambda: all(child.find() is None for child in children))
    finally:
        for process in filter(None, (child.find() for child in children)):
            process.kill()


async def test_a_group_is_added_beside_the_others_and_taken_away_again(stage: Stage) -> None:
    supervisor = stage.supervisor(RestartPolicy())
    added = ["group-b/n0", "group-b/n1"]
    stage.plan(added)
    try:
        await supervisor.start()
        before = supervisor.processes()
        items = await supervisor.add_nodes(stage.specs(added))
        assert [(item["name"], item["role"]) for item in items] == [
            ("group-b/n0", "leader"),
            ("group-b/n1", "follower"),
        ]
        state = read_state(stage.data.state)
        assert state is not None
        assert [node.name for node in state.nodes if node.pid is not None] == [*before, *added]
        assert (await supervisor.leader("group-b")).name == "group-b/n0"
        await supervisor.remove_nodes(added)
        assert supervisor.processes() == before
        assert {item["name"] for item in await supervisor.ps()} == set(before)
        assert stage.up("group-b/n0") == 1, "nobody starts it again"
    finally:
        await supervisor.stop()


async def test_a_group_that_does_not_start_is_gone_and_the_others_go_on(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ternmq.cluster.supervisor.READY_WITHIN_S", 0.5)
    supervisor = stage.supervisor()
    added = ["group-b/n0", "group-b/n1"]
    stage.plan(added)
    stage.shown -= {"group-b/n1"}
    try:
        await supervisor.start()
        before = supervisor.processes()
        with pytest.raises(LaunchError, match="shows 1 of 2 in group-b"):
            await supervisor.add_nodes(stage.specs(added))
        assert supervisor.processes() == before
        with pytest.raises(LaunchError, match="no group group-b"):
            await supervisor.leader("group-b")
    finally:
        await supervisor.stop()
