"""How much memory this process and its page cache may use: what the machine has, or less by a control group."""

import os
from collections.abc import Iterator
from pathlib import Path

_SELF = Path("/proc/self/cgroup")
_MOUNTED = Path("/sys/fs/cgroup")


def usable_memory_bytes(own: Path = _SELF, mounted: Path = _MOUNTED) -> int:
    """Give the least of the machine's memory and the limits of the control groups that this process is in.

    Page cache that a process brings in is counted against its control group, so a limit bounds that, too.

    Args:
        own: file that names the process's control groups.
        mounted: where control groups of version 1 and 2 are mounted.
    """
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min((physical, *_limits(own, mounted)))


def _limits(own: Path, mounted: Path) -> Iterator[int]:
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return  # no Linux, or no control groups
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            for root in (mounted, mounted / "unified"):
                yield from _limits_above(root, path, "memory.max")
        elif "memory" in controllers.split(","):
            yield from _limits_above(mounted / controllers, path, "memory.limit_in_bytes")


def _limits_above(root: Path, path: str, name: str) -> Iterator[int]:
    """Limits of a group and of all above it: each holds. In a container the group's own folder may be the root."""
    inner = Path(path.lstrip("/"))
    for folder in (inner, *inner.parents):
        try:
            text = (root / folder / name).read_text().strip()
        except OSError:
            continue
        if text.isdecimal():  # "max" is no limit; version 1 says a number beyond any memory
            yield int(text)
