"""Disks that fail, hang or are slow, one process at a time: a library that is compiled here and preloaded."""

import errno
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.preloading import preload

_SOURCE = Path(__file__).with_name("disk") / "disk_trouble.c"
_CALLS = ("write", "sync", "reserve", "open")


@dataclass(frozen=True)
class Trouble:
    """What becomes of a kind of call on some files.

    Args:
        call: write, sync, reserve (fallocate) or open (for writing).
        part: a part of the files' paths.
        error: name of the error that it ends with, as `EIO`; none if it ends well.
        milliseconds: how long it lasts before it ends.
    """

    call: str
    part: str
    error: str | None = None
    milliseconds: int = 0

    def __str__(self) -> str:
        return f"{self.error or 'slow'}-{self.call}-{self.part.strip('/')}"

    def line(self) -> str:
        """As the library reads it."""
        assert self.call in _CALLS
        return f"{self.call} {self.part} {getattr(errno, self.error) if self.error else 0} {self.milliseconds}\n"


@dataclass(frozen=True)
class Hit:
    """A call that failed as it was told to."""

    monotonic: float
    call: str
    path: str


class DiskTroubles:
    """Troubles of the disks of processes that were started after this was made; skips the test without a C compiler.

    Args:
        folder: for the library and for what it reads and writes.
        monkeypatch: for the environment that those processes inherit.
    """

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder = folder / "disk-troubles"
        preload(self._folder, _SOURCE, "DISK_TROUBLE", monkeypatch)

    def begin(self, pid: int, *troubles: Trouble) -> None:
        """From now on the calls of a process meet these; with none, all is well again."""
        new = self._folder / "new"
        new.write_text("".join(trouble.line() for trouble in troubles))
        # Read at any moment: never half of it.
        new.replace(self._folder / str(pid))

    def hits(self, pid: int) -> list[Hit]:
        """Calls of a process that failed as they were told to, in their order."""
        try:
            lines = (self._folder / f"{pid}.hits").read_text().splitlines()
        except FileNotFoundError:
            return []
        parts = [line.split(" ", 2) for line in lines]
        return [Hit(int(when) / 1e9, call, path) for when, call, path in parts]

    def exit_code(self, pid: int) -> int | None:
        """What a process ended with; none if it lives, or was killed."""
        try:
            return int((self._folder / f"{pid}.exit").read_text())
        except FileNotFoundError:
            return None
