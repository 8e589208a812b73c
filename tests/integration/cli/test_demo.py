"""The demonstration, in its short form."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import psutil
import pytest

from support.ports import free_block
from support.tern import PROGRAM

_PORTS = 90


def _demo(*options: str) -> list[str]:
    return [str(PROGRAM), "demo", "--base-port", str(free_block(_PORTS)), *options]


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the demonstration puts its folder; empty afterwards if it cleaned up."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


def test_nothing_is_lost_and_nothing_is_left_behind(temporary: Path) -> None:
    done = subprocess.run(_demo("--seconds", "4", "--json"), capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["schema"] == "ternmq.demo/1"
    (figures,) = document["items"]
    assert figures["acknowledged"] == figures["delivered"] > 100
    assert figures["lost"] == 0
    assert figures["order_held"] is True
    assert figures["killed_master"] != figures["new_master"]
    assert figures["killed_nameservers"] == ["ns1", "ns2"]
    assert 0 < figures["election_ms"] < 10_000
    assert len(figures["rss_bytes"]) == 9
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(("mode", "processes"), [("multi-master", 5), ("async-slave", 7), ("sync-double-write", 7)])
def test_every_mode_shows_that_it_keeps_its_promise(temporary: Path, mode: str, processes: int) -> None:
    done = subprocess.run(
        _demo("--seconds", "3", "--mode", mode, "--json"), capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout.splitlines()[-1])
    (item,) = figures["items"]
    assert figures["mode"] == mode
    assert figures["acknowledged"] == figures["delivered"] + item["lost_as_allowed"] > 100
    assert figures["lost"] == 0
    assert item["lost_as_allowed"] == 0 or mode == "async-slave"
    assert len(item["rss_bytes"]) == processes
    assert item["new_master"] is None
    assert item["only_on_killed_master"] == {"multi-master": None, "sync-double-write": 0}.get(
        mode, item["only_on_killed_master"]
    )


def test_ctrl_c_cleans_up(temporary: Path) -> None:
    with subprocess.Popen(_demo(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "producers send" in line:
                break
        children = psutil.Process(process.pid).children(recursive=True)
        assert len(children) == 9
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode == 130
    assert not any(child.is_running() for child in children)
    assert list(temporary.iterdir()) == []
