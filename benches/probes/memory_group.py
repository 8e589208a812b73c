"""A control group with a limit of memory, page cache included, for the servers of a run. Needs root."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

MOUNTED = Path("/sys/fs/cgroup")


class NoMemoryGroupError(Exception):
    """Memory cannot be limited here; the text says why."""


class MemoryGroup:
    """A group below the root of the memory controller, of version 1 or 2.

    Args:
        name: of its folder.
        limit_bytes: what its processes and their page cache may take together.

    Raises:
        NoMemoryGroupError: it cannot be made.
    """

    def __init__(self, name: str, limit_bytes: int) -> None:
        version_1 = MOUNTED / "memory"
        self._is_version_1 = (version_1 / "memory.limit_in_bytes").exists()
        self._root = version_1 if self._is_version_1 else MOUNTED
        self._folder = self._root / name
        try:
            if not self._is_version_1:
                (self._root / "cgroup.subtree_control").write_text("+memory")
            self._folder.mkdir()
            limit = "memory.limit_in_bytes" if self._is_version_1 else "memory.max"
            (self._folder / limit).write_text(str(limit_bytes))
        except OSError as error:
            raise NoMemoryGroupError(
                f"memory cannot be limited here, which needs root and the memory controller of control groups: {error}"
            ) from error

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Have this process in the group for the time of a block: what it starts meanwhile stays there."""
        back = self._own_group() / "cgroup.procs"
        (self._folder / "cgroup.procs").write_text(str(os.getpid()))
        try:
            yield
        finally:
            back.write_text(str(os.getpid()))

    def used_bytes(self) -> int:
        """Memory that is charged to the group now, page cache included."""
        name = "memory.usage_in_bytes" if self._is_version_1 else "memory.current"
        return int((self._folder / name).read_text())

    def remove(self) -> None:
        """Take it away; its processes must have ended."""
        self._folder.rmdir()

    def _own_group(self) -> Path:
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if ("memory" in controllers.split(",")) if self._is_version_1 else controllers == "":
                return self._root / path.lstrip("/")
        return self._root
