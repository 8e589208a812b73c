"""What a row came to."""

from dataclasses import asdict, dataclass, field
from typing import Any

from benches.probes.window import Used

OURS, APACHE = "ours", "apache"


@dataclass
class Figures:
    """Figures of one row on one side; what a row does not measure stays None."""

    row: str
    side: str
    count: int = 0
    seconds: float = 0.0
    per_second: float | None = None
    p50_ms: float | None = None
    p99_ms: float | None = None
    server_cpu_per_million: float | None = None
    """CPU-seconds of all servers for a million messages, which is microseconds for one."""
    waits: float | None = None
    """Voluntary context switches of all servers' threads for a message: what a message is woken for."""
    preempted: float | None = None
    """Context switches that they did not ask for, for a message."""
    client_cpu_us: float | None = None
    busy: float | None = None
    """Share of all cores that was busy."""
    written_mb_per_second: float | None = None
    syncs: float | None = None
    """Flushes of the disk's cache for a message."""
    round_trips: float | None = None
    """Pairs of TCP segments with data for a message, of the load and between servers."""
    value: float | None = None
    """The one figure of a row that is no rate: seconds, MB or percent."""
    worst: float | None = None
    others: dict[str, int] = field(default_factory=dict)
    """What was not acknowledged with SEND_OK, by status or error."""
    missing: int = 0
    """Acknowledged and not found when it was read back."""
    doubled: int = 0
    note: str = ""

    def share_of_others(self, cores: int) -> float | None:
        """Share of all cores that neither the servers nor the load had while others were busy.

        Args:
            cores: of the machine.
        """
        if self.busy is None or not self.seconds:
            return None
        own = (self.server_cpu_per_million or 0) + (self.client_cpu_us or 0)
        return max(0.0, self.busy - own * self.count / 1e6 / self.seconds / cores)

    @property
    def is_whole(self) -> bool:
        """Whether reading back found everything acknowledged, once."""
        return self.missing == 0 and self.doubled == 0

    def as_json(self) -> dict[str, Any]:
        """Leave out what was not measured."""
        return {name: value for name, value in asdict(self).items() if value not in (None, "", {})}


def rated(row: str, side: str, measured: dict[str, Any], used: Used) -> Figures:
    """Figures of a row with a rate.

    Args:
        row: its name.
        side: whose servers.
        measured: the program's own line: `count`, `seconds`, and latencies where it has them.
        used: what was used meanwhile.
    """
    count, seconds = int(measured["count"]), float(measured["seconds"])
    per = 1e6 / max(1, count)
    others = dict(measured.get("others") or {})
    if measured.get("failed"):
        others["failed"] = int(measured["failed"])
    return Figures(
        row=row,
        side=side,
        count=count,
        seconds=seconds,
        per_second=count / max(1e-6, seconds),
        p50_ms=measured.get("p50_ms"),
        p99_ms=measured.get("p99_ms"),
        server_cpu_per_million=used.server_cpu * per,
        waits=used.switches.waits / max(1, count),
        preempted=used.switches.preempted / max(1, count),
        client_cpu_us=used.client_cpu * per,
        busy=used.busy,
        written_mb_per_second=used.written_mb_per_second,
        syncs=used.syncs / max(1, count),
        round_trips=used.segments / 2 / max(1, count),
        others=others,
    )
