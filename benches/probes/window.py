"""Counters of servers, client and machine at the two ends of what is measured."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benches.probes.machine import CoreTime, DiskUse, data_segments
from benches.probes.processes import cpu_seconds
from benches.probes.threads import ContextSwitches, context_switches, switched


@dataclass(frozen=True)
class Reading:
    """All counters at one moment."""

    at: float
    server_cpu: float
    client_cpu: float
    disk: DiskUse
    segments: int
    cores: CoreTime
    switches: dict[int, ContextSwitches]
    """Of each thread of the servers."""

    @classmethod
    def take(cls, servers: Sequence[int], client: int, folder: Path) -> "Reading":
        """Read them: processes, and the disk on which the folder lies."""
        return cls(
            at=time.monotonic(),
            server_cpu=cpu_seconds(servers),
            client_cpu=cpu_seconds([client]),
            disk=DiskUse.now(folder),
            segments=data_segments(),
            cores=CoreTime.now(),
            switches=context_switches(servers),
        )


@dataclass(frozen=True)
class Used:
    """What was used between two readings."""

    seconds: float
    server_cpu: float
    client_cpu: float
    written_mb_per_second: float
    syncs: int
    segments: int
    busy: float
    switches: ContextSwitches

    @classmethod
    def between(cls, first: Reading, last: Reading) -> "Used":
        """Subtract."""
        seconds = max(1e-6, last.at - first.at)
        return cls(
            seconds=seconds,
            server_cpu=last.server_cpu - first.server_cpu,
            client_cpu=last.client_cpu - first.client_cpu,
            written_mb_per_second=(last.disk.written - first.disk.written) / seconds / 1e6,
            syncs=last.disk.flushes - first.disk.flushes,
            segments=last.segments - first.segments,
            busy=first.cores.share_until(last.cores),
            switches=switched(first.switches, last.switches),
        )
