"""`ternmq up` beside others of its kind, a second time, and what a person does next."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.ports import free_block
from support.tern import PROGRAM

_WITHIN = 120
README_PROGRAM = """
import asyncio
import ternmq

async def main():
    async with ternmq.connect() as mq:
        async with mq.producer("shop") as out:
            await out.send("orders", b"two apples")
    print("sent")

asyncio.run(main())
"""


def _up(folder: Path, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [PROGRAM, "up", "--detach", "--json", "--groups", "1", "--data", folder, *options],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def _run(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [PROGRAM, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=_WITHIN, check=False, cwd=cwd)


@pytest.fixture
def folders(tmp_path: Path) -> Iterator[list[Path]]:
    """Folders for clusters, each stopped at the end."""
    found = [tmp_path / f"place-{number}" / ".ternmq" for number in range(4)]
    yield found
    for folder in found:
        if folder.exists():
            with contextlib.suppress(subprocess.TimeoutExpired):
                _run("down", "--data", folder)


def _numbers(folder: Path) -> list[int]:
    text = (folder / "topology.toml").read_text()
    members = re.findall(r"\b(?:fast|raft) = (\d+)", text)
    return [int(number) for number in (*members, *re.findall(r'listen = "127.0.0.1:(\d+)"', text))]


def test_clusters_that_start_at_the_same_time_share_no_port(folders: list[Path]) -> None:
    starting = [_up(folder) for folder in folders]
    told = [one.communicate(timeout=_WITHIN) for one in starting]
    assert [one.returncode for one in starting] == [0] * 4, [stderr for _, stderr in told]
    ports = [port for folder in folders for port in _numbers(folder)]
    assert len(ports) == len(set(ports)) == 4 * (3 + 2 * 3)


def _up_against_a_thief(folder: Path) -> tuple[subprocess.Popen[str], str, int]:
    """Start a cluster while another program takes a port of its last node; the port, or 0 if the node was faster."""
    thief, is_over = socket.socket(), threading.Event()

    def steal() -> None:
        while not is_over.is_set():
            with contextlib.suppress(OSError, ValueError):
                (*_, last) = [
                    int(port) for port in re.findall(r"\braft = (\d+)", (folder / "topology.toml").read_text())
                ]
                thief.bind(("127.0.0.1", last))
                thief.listen(1)
                return
            time.sleep(0.001)

    stealing = threading.Thread(target=steal)
    stealing.start()
    try:
        starting = _up(folder, "--base-port", str(free_block(80)))
        _, told = starting.communicate(timeout=_WITHIN)
        is_over.set()
        stealing.join()
        return starting, told, thief.getsockname()[1]
    finally:
        is_over.set()
        thief.close()


def test_a_new_cluster_that_loses_a_port_while_it_starts_draws_others(folders: list[Path]) -> None:
    for folder in folders:
        starting, told, stolen = _up_against_a_thief(folder)
        assert starting.returncode == 0, told
        if stolen:
            assert "drawing other ports" in told
            assert stolen not in _numbers(folder)
            return
    pytest.fail("the thief came too late every time")


def test_up_in_the_background_shows_a_cluster_that_runs_already(folders: list[Path]) -> None:
    folder, options = folders[0], ("--base-port", str(free_block(80)))
    # Three at the same time in one folder: one starts it, the others wait until it is ready.
    all_three = [_up(folder, *options) for _ in range(3)]
    answers = [one.communicate(timeout=_WITHIN) for one in all_three]
    assert [one.returncode for one in all_three] == [0, 0, 0], answers
    assert sorted("it runs already" in stderr for _, stderr in answers) == [False, True, True]
    pids = [{item["name"]: item["pid"] for item in json.loads(stdout)["items"]} for stdout, _ in answers]
    assert pids[0] == pids[1] == pids[2]
    other = _run("up", "--detach", "--groups", "2", "--data", folder)
    assert other.returncode == 1
    assert "laid out with --groups 1, not 2" in other.stderr


def test_after_up_a_shell_gets_its_endpoints_and_programs_find_the_cluster_from_a_folder_below(
    folders: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TERNMQ_ENDPOINTS", raising=False)
    monkeypatch.delenv("NAMESRV_ADDR", raising=False)
    folder = folders[0]
    starting = _up(folder, "--base-port", str(free_block(80)))
    stdout, told = starting.communicate(timeout=_WITHIN)
    assert starting.returncode == 0, told
    served = [item["address"] for item in json.loads(stdout)["items"] if item["kind"] == "namesrv"]
    assert f"export TERNMQ_ENDPOINTS='{';'.join(served)}'" in told
    assert "ternmq produce orders" in told
    assert "ternmq consume orders" in told
    below = folder.parent / "src" / "shop"
    below.mkdir(parents=True)
    ps = _run("ps", "--json", cwd=below)
    assert [item["address"] for item in json.loads(ps.stdout)["items"] if item["kind"] == "namesrv"] == served
    program = subprocess.run(
        [sys.executable, "-c", README_PROGRAM], capture_output=True, text=True, timeout=60, check=False, cwd=below
    )
    assert program.stdout == "sent\n", program.stderr
    read = _run("consume", "orders", "--from", "earliest", "--count", "1", "--quiet", cwd=below)
    assert read.stdout == "two apples\n", read.stderr
    assert _run("down", cwd=below).returncode == 0
    after = subprocess.run(
        [sys.executable, "-c", README_PROGRAM], capture_output=True, text=True, timeout=60, check=False, cwd=below
    )
    assert "ternmq up" in after.stderr.splitlines()[-1]
