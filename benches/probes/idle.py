"""What processes use while nobody asks them for anything."""

import time
from collections.abc import Sequence

from benches.probes.processes import cpu_seconds

SETTLE_SECONDS = 3.0
SECONDS = 25.0


def idle_percent(pids: Sequence[int]) -> float:
    """CPU of one process, percent of a core, averaged over all of them and half a minute."""
    time.sleep(SETTLE_SECONDS)
    before, begin = cpu_seconds(pids), time.monotonic()
    time.sleep(SECONDS)
    return (cpu_seconds(pids) - before) / (time.monotonic() - begin) / len(pids) * 100
