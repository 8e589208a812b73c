"""A supervisor with stand-ins for nodes: its processes are real, what NameServers say is told by the test."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from support import fake_node
from support.ports import free_block
from ternmq.cluster.layout import DataDir
from ternmq.cluster.node import BROKER, NAMESRV, NodeSpec, Port
from ternmq.cluster.readiness import GroupTable
from ternmq.cluster.restarts import RestartPolicy
from ternmq.cluster.supervisor import Supervisor

NAMES = ("ns1", "group-a/n0", "group-a/n1")


class Stage:
    """A folder, three stand-ins, and what the only NameServer says about them."""

    def __init__(self, folder: Path) -> None:
        self.data = DataDir.at(folder)
        self.data.create()
        self.said: list[str] = []
        first = free_block(len(NAMES))
        self.ports = {name: first + index for index, name in enumerate(NAMES)}
        self.leader = "group-a/n0"
        self.shown = set(NAMES[1:])

    def specs(self, names: Sequence[str] = NAMES) -> list[NodeSpec]:
        return [self._spec(name) for name in names]

    def plan(self, names: Sequence[str]) -> None:
        """Give more stand-ins their ports; the NameServer shows each once it is up."""
        first = free_block(len(names))
        self.ports |= {name: first + index for index, name in enumerate(names)}
        self.shown |= set(names)

    def supervisor(self, policy: RestartPolicy | None = None) -> Supervisor:
        return Supervisor(self.data, self.specs(), self.ask, policy or RestartPolicy(False), self.said.append)

    def fail(self, name: str, sentence: str) -> None:
        (self.data.root / f"{_plain(name)}.fails").write_text(sentence)

    def stubborn(self, name: str) -> None:
        (self.data.root / f"{_plain(name)}.stubborn").touch()

    def heal(self, name: str) -> None:
        (self.data.root / f"{_plain(name)}.fails").unlink()

    def events(self) -> list[str]:
        path = self.data.root / "events"
        return path.read_text().splitlines() if path.exists() else []

    def up(self, name: str) -> int:
        """How often a node has come up."""
        return self.events().count(f"up {_plain(name)}")

    async def ask(self, _address: str) -> GroupTable | None:
        if not self.up("ns1"):
            return None
        groups: dict[str, dict[int, str]] = {"group-a": {}}
        for name in sorted(self.shown):
            group = name.partition("/")[0]
            leads = name == self.leader or (group != "group-a" and name.endswith("n0"))
            if self.up(name):
                groups.setdefault(group, {})[0 if leads else int(name[-1]) + 1] = self.address(name)
        return groups

    def address(self, name: str) -> str:
        return f"127.0.0.1:{self.ports[name]}"

    def _spec(self, name: str) -> NodeSpec:
        port = self.ports[name]
        own_pid = str(os.getpid())
        group = name.partition("/")[0] if "/" in name else None
        return NodeSpec(
            name=name,
            kind=BROKER if group else NAMESRV,
            group=group,
            address=self.address(name),
            ports=(Port("127.0.0.1", port, f"`port` of {name}"),),
            command=(sys.executable, str(fake_node.__file__), str(port), str(self.data.root), _plain(name), own_pid),
        )


def _plain(name: str) -> str:
    return name.replace("/", "-")


async def until(condition: Callable[[], bool], within_s: float = 10.0) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110  # the condition belongs to other processes
            await asyncio.sleep(0.01)
