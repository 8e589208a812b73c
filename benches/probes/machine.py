"""How busy the cores and the disk were, as the kernel counts it."""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class CoreTime:
    """Time of all cores since the machine started, in ticks."""

    busy: int
    all: int

    @classmethod
    def now(cls) -> "CoreTime":
        """Read it. Waiting for a disk is idle time; what the hypervisor took away is not ours to use, so it is busy."""
        fields = [int(word) for word in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
        return cls(busy=sum(fields) - fields[3] - fields[4], all=sum(fields))

    def share_until(self, later: "CoreTime") -> float:
        """Busy share of all cores between two readings."""
        return (later.busy - self.busy) / max(1, later.all - self.all)


@dataclass(frozen=True)
class DiskUse:
    """What was given so far to the disk on which a folder lies, whoever gave it; zeros if it lies on none.

    Not the processes' own counters of bytes: those count a page again each time it is made dirty, and where the file
    system keeps large folios a whole one for each small write, which came to a hundred times what the disk was given.

    Args:
        written: bytes.
        flushes: of its cache, which each sync asks for; those that waited for each other are one.
    """

    written: int
    flushes: int

    @classmethod
    def now(cls, folder: Path) -> "DiskUse":
        """Read it."""
        device = os.stat(folder).st_dev  # noqa: PTH116  # the device number, not a path
        counters = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}/stat")
        if not counters.exists():
            return cls(0, 0)
        fields = [int(word) for word in counters.read_text().split()]
        return cls(written=fields[6] * 512, flushes=fields[15])


def data_segments() -> int:
    """TCP segments with data that this machine has sent so far, repeated ones not counted."""
    names, values = [line.split() for line in Path("/proc/net/netstat").read_text().splitlines()[:2]]
    return int(dict(zip(names, values, strict=True))["TCPOrigDataSent"])
