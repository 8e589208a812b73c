"""What a crashed supervisor leaves behind."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ternmq.cluster.identity import ProcessIdentity
from ternmq.cluster.layout import DataDir
from ternmq.cluster.leftovers import clear_leftovers
from ternmq.cluster.locking import folder_lock, is_locked
from ternmq.cluster.state import ClusterState, NodeState, write_state
from ternmq.errors import LaunchError


@pytest.fixture
def sleeper() -> Iterator[ProcessIdentity]:
    """A process that would run for long."""
    with subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"]) as process:
        yield ProcessIdentity.of(process.pid)
        process.kill()


def _crashed(data: DataDir, node: ProcessIdentity) -> None:
    data.create()
    data.control.touch()
    state = NodeState("ns1", "namesrv", None, "127.0.0.1:9876", pid=node.pid, started_at_s=node.started_at_s)
    write_state(data.state, ClusterState(supervisor_pid=1, supervisor_started_at_s=0.0, nodes=[state]))


def test_a_node_that_still_runs_is_ended(tmp_path: Path, sleeper: ProcessIdentity) -> None:
    data = DataDir.at(tmp_path)
    _crashed(data, sleeper)
    found = clear_leftovers(data)
    assert len(found) == 2
    assert f"ns1 still ran (pid {sleeper.pid})" in found[1]
    assert sleeper.find() is None
    assert not data.state.exists()
    assert not data.control.exists()


def test_a_foreign_process_with_the_same_pid_is_left_alone(tmp_path: Path, sleeper: ProcessIdentity) -> None:
    data = DataDir.at(tmp_path)
    _crashed(data, ProcessIdentity(sleeper.pid, sleeper.started_at_s - 3600))
    assert len(clear_leftovers(data)) == 1
    assert sleeper.find() is not None


def test_after_a_clean_stop_nothing_is_found(tmp_path: Path) -> None:
    assert clear_leftovers(DataDir.at(tmp_path)) == []


def test_a_folder_has_one_supervisor(tmp_path: Path) -> None:
    data = DataDir.at(tmp_path)
    with folder_lock(data):
        assert is_locked(data)
        with pytest.raises(LaunchError, match=r"a cluster runs in .* already"), folder_lock(data):
            pass
    assert not is_locked(data)
    assert not is_locked(DataDir.at(tmp_path / "nowhere"))
