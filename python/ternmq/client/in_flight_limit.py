"""The bound of a producer: how many sends, and how many bytes of them, may be unanswered. No socket, no clock."""

from __future__ import annotations

import asyncio
from collections import deque

from ternmq.errors import MQError


class InFlightLimit:
    """Counts unanswered sends; a sender that finds it full waits, and the first to come is the first to go on.

    Args:
        most: sends.
        most_bytes: bytes of their bodies.
    """

    __slots__ = ("_idle", "_most", "_most_bytes", "_waiters", "bytes", "count")

    def __init__(self, most: int, most_bytes: int) -> None:
        self.count = 0
        self.bytes = 0
        self._most = most
        self._most_bytes = most_bytes
        self._waiters: deque[tuple[asyncio.Future[None], int]] = deque()
        self._idle: asyncio.Future[None] | None = None

    def try_acquire(self, size: int) -> bool:
        """Count a send with a body of this size, if there is room and no other send waits for it."""
        if self._waiters or self._is_full(size):
            return False
        self.count += 1
        self.bytes += size
        return True

    async def acquire(self, size: int) -> None:
        """Count a send as soon as there is room, behind those that have waited longer.

        Raises:
            MQError: given to `fail_waiters` meanwhile.
        """
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (waiter, size)
        self._waiters.append(entry)
        try:
            await waiter
        except asyncio.CancelledError:
            if not waiter.cancelled():
                self.release(1, size)  # it was let in meanwhile
            elif entry in self._waiters:
                self._waiters.remove(entry)
                self._let_waiters_in()  # it may have been too large for the room there is
            raise

    def release(self, count: int, size: int) -> None:
        """Take off sends that have ended, of so many bytes together, and let others in."""
        self.count -= count
        self.bytes -= size
        if self._waiters:
            self._let_waiters_in()
        if self._idle is not None and not self.count and not self._idle.done():
            self._idle.set_result(None)

    def fail_waiters(self, error: MQError) -> None:
        """Raise an error in every `acquire` that waits."""
        for waiter, _ in self._waiters:
            if not waiter.done():
                waiter.set_exception(error)
        self._waiters.clear()

    async def wait_idle(self) -> None:
        """Wait until nothing is unanswered."""
        if self.count:
            self._idle = asyncio.get_running_loop().create_future()
            await self._idle

    def _is_full(self, size: int) -> bool:
        if self.count >= self._most:
            return True
        # A body larger than the whole bound still goes out, alone.
        return self.count > 0 and self.bytes + size > self._most_bytes

    def _let_waiters_in(self) -> None:
        """Count those that have waited longest, as many as there is room for, and wake them.

        They are counted here and not when they run: else a send that comes in between would take their room.
        """
        waiters = self._waiters
        while waiters and not self._is_full(waiters[0][1]):
            waiter, size = waiters.popleft()
            if not waiter.done():
                self.count += 1
                self.bytes += size
                waiter.set_result(None)
