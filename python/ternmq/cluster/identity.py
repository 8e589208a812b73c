"""Which process is meant: a pid alone may have been given to another program since."""

from __future__ import annotations

from dataclasses import dataclass

import psutil

# Start times come from clock ticks and the boot time; a corrected system clock moves the latter a little.
_START_TOLERANCE_S = 2.0


@dataclass(frozen=True)
class ProcessIdentity:
    """A process by its pid and its start.

    Args:
        pid: process id.
        started_at_s: start as seconds since the epoch.
    """

    pid: int
    started_at_s: float

    @classmethod
    def of(cls, pid: int) -> ProcessIdentity:
        """Look at a running process.

        Raises:
            psutil.NoSuchProcess: it has ended.
        """
        return cls(pid, psutil.Process(pid).create_time())

    def find(self) -> psutil.Process | None:
        """Return this very process, or None when it has ended or its pid belongs to another one."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started_at_s) <= _START_TOLERANCE_S
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.Error:
            return None
