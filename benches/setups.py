"""What is compared: a mode and a flush on one side, and what an acknowledgement means there."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benches.figures import APACHE, OURS
from benches.servers.apache import apache
from benches.servers.ours import ours
from benches.servers.running import Servers
from ternmq.config.settings import Flush
from ternmq.config.topology import Mode

MODES: tuple[Mode, ...] = ("multi-master", "async-slave", "sync-double-write", "raft")
FLUSHES: tuple[Flush, ...] = ("sync", "async")
SIDES = (OURS, APACHE)
# What Apache calls it.
THEIR_NAMES: dict[Mode, str] = {
    "multi-master": "ASYNC_MASTER alone",
    "async-slave": "ASYNC_MASTER, SLAVE",
    "sync-double-write": "SYNC_MASTER, SLAVE, inSyncReplicas=2",
    "raft": "DLedger of 3",
}
_DISK, _PAGES = "on the master's disk", "in the master's page cache"
_PROMISES: dict[tuple[Mode, Flush], str] = {
    ("multi-master", "sync"): _DISK,
    ("multi-master", "async"): _PAGES,
    ("async-slave", "sync"): _DISK,
    ("async-slave", "async"): _PAGES,
    ("sync-double-write", "sync"): "on the disks of both",
    ("sync-double-write", "async"): "in the page caches of both",
    ("raft", "sync"): "on the disks of a majority",
}
# Where Apache promises less than ours at the same setting.
_THEIR_PROMISES: dict[tuple[Mode, Flush], str] = {
    ("sync-double-write", "sync"): "on the master's disk, in the slave's page cache",
    ("raft", "async"): "in the page caches of a majority",
}


@dataclass(frozen=True)
class Setup:
    """One cluster: three NameServers and broker groups.

    Args:
        mode: how the groups replicate.
        side: `ours` or `apache`.
        flush: when a message counts as written.
        groups: broker groups.
    """

    mode: Mode
    side: str
    flush: Flush
    groups: int = 1

    @property
    def promise(self) -> str:
        """What an acknowledgement means."""
        key = self.mode, self.flush
        return _THEIR_PROMISES[key] if self.side == APACHE and key in _THEIR_PROMISES else _PROMISES[key]

    @property
    def is_pair(self) -> bool:
        """Whether a group has a slave, which reads are served from when its master is gone."""
        return self.mode in ("async-slave", "sync-double-write")

    def __str__(self) -> str:
        groups = "" if self.groups == 1 else f", {self.groups} groups"
        return f"{self.side}, {self.mode}, {self.flush} flush{groups}"

    @contextlib.contextmanager
    def running(self, folder: Path) -> Iterator[Servers]:
        """Run the cluster for the time of a block."""
        start = apache if self.side == APACHE else ours
        with start(folder, groups=self.groups, mode=self.mode, flush=self.flush) as servers:
            yield servers


def setups(modes: Sequence[Mode], sides: Sequence[str], flushes: Sequence[Flush], groups: int) -> list[Setup]:
    """Every cluster that was asked for and that there is.

    Raft of ours flushes before it acknowledges, and DLedger does not: each is what it is, whatever flush is asked for.
    """
    found: list[Setup] = []
    for mode in modes:
        for flush in flushes:
            for side in sides:
                if mode == "raft":
                    flush_of_raft: Flush = "sync" if side == OURS else "async"
                    found.append(Setup(mode, side, flush_of_raft, groups))
                else:
                    found.append(Setup(mode, side, flush, groups))
    return list(dict.fromkeys(found))
