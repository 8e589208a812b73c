"""What processes have used: CPU time of all their threads, and memory."""

from collections.abc import Iterable
from pathlib import Path

TICKS_PER_SECOND = 100
PAGE_BYTES = 4096


def cpu_seconds(pids: Iterable[int]) -> float:
    """User and system time of all threads, ended ones included."""
    total = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICKS_PER_SECOND


def resident_bytes(pids: Iterable[int]) -> int:
    """Resident memory, pages shared by several processes counted for each."""
    return sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_BYTES for pid in pids)


def proportional_bytes(pids: Iterable[int]) -> int:
    """Resident memory, shared pages divided among those that share them."""
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1]) * 1024
    return total
