"""Heartbeat and election times of a Raft group, and what this machine can afford.

Times are local settings, not entries of the log: a group that cannot elect could not commit a change of them.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ternmq.errors import ConfigError

Profile = Literal["lan", "shared", "wan"]

TICK_MS = 10


@dataclass(frozen=True)
class Timing:
    """Times in milliseconds; the election timeout is drawn anew between the two bounds."""

    heartbeat_ms: int
    election_min_ms: int
    election_max_ms: int


PROFILES: dict[Profile, Timing] = {
    "lan": Timing(50, 150, 300),
    "shared": Timing(100, 300, 600),
    "wan": Timing(300, 1_000, 2_000),
}


def usable_cores() -> float:
    """Cores that this process may use: its affinity, and the quota of its control group if there is one."""
    cores = float(len(os.sched_getaffinity(0)))
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):
        return cores
    return cores if quota == "max" else min(cores, int(quota) / int(period))


def profile_for(brokers_on_host: int, cores: float) -> Profile:
    """Choose a profile where the file names none: a false election costs more than the 150 ms that "lan" saves."""
    return "lan" if cores / max(brokers_on_host, 1) >= 2 else "shared"


def check_timing(timing: Timing) -> None:
    """Refuse times under which a healthy group would elect again and again.

    Raises:
        ConfigError: heartbeat below 2 ticks, minimum below 3 heartbeats, or maximum below twice the minimum.
    """
    if timing.heartbeat_ms < 2 * TICK_MS:
        raise ConfigError(f"heartbeat is {timing.heartbeat_ms} ms; it must be at least {2 * TICK_MS} ms, two ticks")
    if timing.election_min_ms < 3 * timing.heartbeat_ms:
        raise ConfigError(
            f"election_min is {timing.election_min_ms} ms; it must be at least three heartbeats,"
            f" {3 * timing.heartbeat_ms} ms"
        )
    if timing.election_max_ms < 2 * timing.election_min_ms:
        raise ConfigError(
            f"election_max is {timing.election_max_ms} ms; it must be at least twice election_min,"
            f" {2 * timing.election_min_ms} ms"
        )


def worker_threads(brokers_on_host: int, cores: float) -> int:
    """Network threads of a broker: one where brokers share the cores, else half the cores."""
    return 1 if brokers_on_host > 1 else max(1, int(cores) // 2)
