"""Which NameServers a command talks to."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ternmq.cli.endpoints import find_endpoints
from ternmq.cli.failures import NEGATIVE, USAGE, CommandError
from ternmq.cluster.identity import ProcessIdentity
from ternmq.cluster.state import ClusterState, NodeState, write_state


@pytest.fixture(autouse=True)
def _nothing_around(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TERNMQ_ENDPOINTS", raising=False)
    monkeypatch.delenv("NAMESRV_ADDR", raising=False)


def _cluster(folder: Path, *, started_s_ago: float = 0.0) -> None:
    """A state file whose supervisor is this process, or one that had its pid earlier."""
    folder.mkdir()
    own = ProcessIdentity.of(os.getpid())
    nodes = [
        NodeState("ns1", "namesrv", None, "127.0.0.1:9876"),
        NodeState("ns2", "namesrv", None, "127.0.0.1:9877"),
        NodeState("group-a/n0", "broker", "group-a", "127.0.0.1:10911"),
    ]
    write_state(folder / "state.json", ClusterState(own.pid, own.started_at_s - started_s_ago, nodes))


def test_the_option_comes_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TERNMQ_ENDPOINTS", "env:1")
    _cluster(tmp_path / ".ternmq")
    assert find_endpoints("option:1", None) == "option:1"


def test_a_folder_that_is_named_comes_before_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TERNMQ_ENDPOINTS", "env:1")
    _cluster(tmp_path / "cluster")
    assert find_endpoints(None, tmp_path / "cluster") == "127.0.0.1:9876;127.0.0.1:9877"


def test_our_variable_comes_before_the_one_that_rocketmq_users_know(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAMESRV_ADDR", "old:1")
    assert find_endpoints(None, None) == "old:1"
    monkeypatch.setenv("TERNMQ_ENDPOINTS", "env:1")
    assert find_endpoints(None, None) == "env:1"


def test_the_local_cluster_is_found_without_a_word(tmp_path: Path) -> None:
    _cluster(tmp_path / ".ternmq")
    assert find_endpoints(None, None) == "127.0.0.1:9876;127.0.0.1:9877"


def test_a_state_file_whose_supervisor_is_gone_is_no_cluster(tmp_path: Path) -> None:
    _cluster(tmp_path / ".ternmq", started_s_ago=3600)
    with pytest.raises(CommandError, match="no NameServer is known") as caught:
        find_endpoints(None, None)
    assert caught.value.code == USAGE
    with pytest.raises(CommandError, match="no cluster runs in") as named:
        find_endpoints(None, tmp_path / ".ternmq")
    assert named.value.code == NEGATIVE


def test_two_ways_to_name_a_cluster_contradict(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="exclude each other") as caught:
        find_endpoints("option:1", tmp_path)
    assert caught.value.code == USAGE
