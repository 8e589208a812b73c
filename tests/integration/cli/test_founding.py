"""A group of which a member was never started, as operators start it: a process and a `broker.conf` each."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.ports import free_block
from support.processes import wait_for
from support.tern import PROGRAM

_CONF = """\
brokerClusterName = RaftCluster
brokerName = RaftNode00
listenPort = {listen}
namesrvAddr = {nameserver}
storePathRootDir = {store}
enableDLegerCommitLog = true
dLegerGroup = RaftNode00
dLegerPeers = {peers}
dLegerSelfId = n{number}
"""


class _Group:
    """One NameServer and up to three brokers, each in the foreground of a process of its own."""

    def __init__(self, folder: Path, stack: contextlib.ExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self._first = free_block(60)
        self.nameserver = f"127.0.0.1:{self._first}"
        conf = folder / "namesrv.conf"
        conf.write_text(f"listenPort = {self._first}\nkvConfigPath = {folder}/kv.json\n")
        self._run("namesrv", "namesrv", conf)

    def peer(self, number: int) -> str:
        return f"127.0.0.1:{self._first + 40 + number}"

    def start(self, number: int) -> None:
        conf = self._folder / f"broker-{number}.conf"
        text = _CONF.format(
            listen=self._first + 10 + 5 * number,
            nameserver=self.nameserver,
            store=self._folder / f"n{number}",
            peers=";".join(f"n{one}-{self.peer(one)}" for one in range(3)),
            number=number,
        )
        conf.write_text(text)
        self._run(f"n{number}", "broker", conf)

    def log(self, name: str) -> str:
        return (self._folder / f"{name}.log").read_text()

    def info(self, *options: str) -> subprocess.CompletedProcess[str]:
        command: list[str | Path] = [PROGRAM, "cluster", "info", "--endpoints", self.nameserver, *options]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    def _run(self, name: str, kind: str, conf: Path) -> None:
        log = self._stack.enter_context((self._folder / f"{name}.log").open("wb"))
        process = subprocess.Popen([PROGRAM, "run", kind, "-c", conf], stdout=log, stderr=log)

        def end() -> None:
            process.terminate()
            process.wait(timeout=30)

        self._stack.callback(end)
        wait_for(lambda: "listens on" in self.log(name), 30, f"{name} to listen: {self.log(name)}")


@pytest.fixture
def group(tmp_path: Path) -> Iterator[_Group]:
    with contextlib.ExitStack() as stack:
        yield _Group(tmp_path, stack)


def test_a_founding_names_the_member_that_was_not_started_and_an_empty_cluster_is_a_sentence(group: _Group) -> None:
    group.start(0)
    group.start(2)
    for name in ("n0", "n2"):
        sentence = f"founding RaftNode00: waiting for n1 ({group.peer(1)})"
        wait_for(lambda name=name, said=sentence: said in group.log(name), 20, f"{name} to say it")  # type: ignore[misc]
    empty = group.info()
    assert empty.returncode == 1
    assert f"no broker has registered with {group.nameserver}" in empty.stderr
    assert empty.stdout == ""
    assert group.info("--json").stdout == '{"schema": "ternmq.cluster.info/1", "items": []}\n'
    group.start(1)
    wait_for(lambda: group.info().returncode == 0, 30, "the group to be founded and shown")
