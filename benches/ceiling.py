"""What a message's syncs and round trips cost raw on the same machine: the part of its cost that no server can save."""

from dataclasses import dataclass

from benches.figures import Figures
from benches.probes.disk import RawDisk
from benches.probes.loopback import RawLoopback


@dataclass(frozen=True)
class Ceiling:
    """Raw costs of one message of a row, microseconds of the kernel's CPU.

    Args:
        sync_bytes: written for each sync.
        disk_us: its writes and syncs.
        loopback_us: its round trips, both ends.
        share: both of the CPU that servers and load took for it.
    """

    sync_bytes: float
    disk_us: float
    loopback_us: float
    share: float

    @classmethod
    def of(cls, figures: Figures, disk: RawDisk, loopback: RawLoopback) -> "Ceiling | None":
        """Price what a row has counted; None if it counts none of it.

        The load's CPU is part of the whole, as one end of each of its round trips is the load's.
        """
        cpu = (figures.server_cpu_per_million or 0) + (figures.client_cpu_us or 0)
        if figures.syncs is None or figures.round_trips is None or not figures.count or not cpu:
            return None
        written = (figures.written_mb_per_second or 0) * 1e6 * figures.seconds / figures.count
        sync_bytes = written / figures.syncs if figures.syncs else 0.0
        disk_us = figures.syncs * disk.sync_cpu_us(sync_bytes)
        loopback_us = figures.round_trips * loopback.trip_cpu_us
        return cls(sync_bytes, disk_us, loopback_us, (disk_us + loopback_us) / cpu)
