"""The state file."""

import json
import os
import stat
from pathlib import Path

from ternmq.cluster.identity import ProcessIdentity
from ternmq.cluster.state import ClusterState, NodeState, read_state, write_state


def _state() -> ClusterState:
    own = ProcessIdentity.of(os.getpid())
    return ClusterState(
        supervisor_pid=own.pid,
        supervisor_started_at_s=own.started_at_s,
        ready=True,
        nodes=[
            NodeState("ns1", "namesrv", None, "127.0.0.1:9876", pid=7, started_at_s=1.5),
            NodeState("group-a/n0", "broker", "group-a", "127.0.0.1:10911", held=True),
        ],
    )


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    write_state(tmp_path / "state.json", _state())
    assert read_state(tmp_path / "state.json") == _state()
    assert json.loads((tmp_path / "state.json").read_text())["schema"] == "ternmq.cluster-state/1"


def test_only_the_owner_may_read_it_and_no_half_written_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    write_state(path, _state())
    write_state(path, _state())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["state.json"]


def test_a_missing_a_damaged_and_a_foreign_file_read_as_none(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    assert read_state(path) is None
    path.write_text('{"supervisor_pid": 1')
    assert read_state(path) is None
    path.write_text("[]")
    assert read_state(path) is None
    write_state(path, ClusterState(1, 1.0, [], schema="ternmq.cluster-state/99"))
    assert read_state(path) is None


def test_the_nameservers_are_named_without_the_brokers() -> None:
    assert _state().nameservers == ["127.0.0.1:9876"]


def test_a_process_is_known_by_its_pid_and_its_start() -> None:
    own = ProcessIdentity.of(os.getpid())
    found = own.find()
    assert found is not None
    assert found.pid == os.getpid()
    assert ProcessIdentity(own.pid, own.started_at_s - 60).find() is None
    assert NodeState("ns1", "namesrv", None, "127.0.0.1:9876").identity is None
