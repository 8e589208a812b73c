"""The local cluster is found from below, as git finds a repository; never another user's, never one that has ended."""

import json
import os
from pathlib import Path

import pytest

import ternmq
from ternmq import ConfigError, local


@pytest.fixture(autouse=True)
def _nothing_around(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TERNMQ_ENDPOINTS", raising=False)
    monkeypatch.delenv("NAMESRV_ADDR", raising=False)


def _cluster(folder: Path, pid: int) -> None:
    folder.mkdir(parents=True)
    nodes = [
        {"name": "ns1", "kind": "namesrv", "address": "127.0.0.1:9876"},
        {"name": "ns2", "kind": "namesrv", "address": "127.0.0.1:9877"},
        {"name": "group-a/n0", "kind": "broker", "address": "127.0.0.1:10911"},
    ]
    (folder / "state.json").write_text(json.dumps({"supervisor_pid": pid, "nodes": nodes}))


def test_connect_without_a_word_takes_the_nearest_cluster_above(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _cluster(tmp_path / ".ternmq", os.getpid())
    below = tmp_path / "src" / "shop"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert ternmq.connect().nameservers == ("127.0.0.1:9876", "127.0.0.1:9877")
    monkeypatch.setenv("NAMESRV_ADDR", "elsewhere:9876")
    assert ternmq.connect().nameservers == ("elsewhere:9876",)


def test_a_cluster_whose_supervisor_has_ended_is_none(tmp_path: Path) -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    _cluster(tmp_path / ".ternmq", child)
    with pytest.raises(ConfigError, match="ternmq up"):
        ternmq.connect()


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"supervisor_pid": "x", "nodes": []}', '{"supervisor_pid": 1e99}']
)
def test_a_state_file_that_cannot_be_read_is_no_cluster(tmp_path: Path, text: str) -> None:
    (tmp_path / ".ternmq").mkdir()
    (tmp_path / ".ternmq" / "state.json").write_text(text)
    assert local.nameservers(tmp_path / ".ternmq") == ()


def test_a_folder_of_another_user_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _cluster(tmp_path / ".ternmq", os.getpid())
    assert local.find_folder() == tmp_path / ".ternmq"
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
    assert local.find_folder() is None
