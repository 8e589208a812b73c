"""Log lines that come by the message: the first is written at once, the others as a number now and then."""

from __future__ import annotations

import asyncio
import logging

SUMMARY_SECONDS = 10.0


class RateLimitedLog:
    """One kind of line: the first is written at once, those of the next ten seconds are counted.

    Args:
        logger: where to.
        level: how grave.
    """

    def __init__(self, logger: logging.Logger, level: int) -> None:
        self._logger = logger
        self._level = level
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._count = 0
        self._last = ""

    def log(self, text: str) -> None:
        """Write a line, or count it if another one was written a short while ago."""
        if self._timer is not None:
            self._count += 1
            self._last = text
            return
        self._logger.log(self._level, "%s", text)
        self._timer = self._loop.call_later(SUMMARY_SECONDS, self._sum_up)

    def close(self) -> None:
        """Write what was counted."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._write()

    def _sum_up(self) -> None:
        self._timer = None
        if self._write():
            self._timer = self._loop.call_later(SUMMARY_SECONDS, self._sum_up)

    def _write(self) -> bool:
        count, self._count = self._count, 0
        if count:
            self._logger.log(self._level, "%d more in %g s, the last: %s", count, SUMMARY_SECONDS, self._last)
        return count > 0
