"""The bound of a producer: how many sends, and how many bytes of them, may be unanswered. No socket, no clock."""

from __future__ import annotations

import asyncio
from collections import deque

from ternmq.errors import MQError


class Window:
    """Counts unanswered sends; whoever finds it full waits in line.

    Args:
        most: sends.
        most_bytes: bytes of their bodies.
    """

    __slots__ = ("_idle", "_line", "_most", "_most_bytes", "bytes", "count")

    def __init__(self, most: int, most_bytes: int) -> None:
        self.count = 0
        self.bytes = 0
        self._most = most
        self._most_bytes = most_bytes
        self._line: deque[tuple[asyncio.Future[None], int]] = deque()
        self._idle: asyncio.Future[None] | None = None

    def enter(self, size: int) -> bool:
        """Count a send with a body of this size, if there is room and nobody waits for it."""
        if self._line or self._is_full(size):
            return False
        self.count += 1
        self.bytes += size
        return True

    async def enter_in_turn(self, size: int) -> None:
        """Count a send as soon as there is room; whoever came first goes first.

        Raises:
            MQError: given to `refuse` meanwhile.
        """
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        place = (waiter, size)
        self._line.append(place)
        try:
            await waiter
        except asyncio.CancelledError:
            if not waiter.cancelled():
                self.leave(1, size)  # it was let in meanwhile
            elif place in self._line:
                self._line.remove(place)
                self._let_in()  # it may have been too large for the room there is
            raise

    def leave(self, count: int, size: int) -> None:
        """Take off sends that have ended, of so many bytes together, and let others in."""
        self.count -= count
        self.bytes -= size
        if self._line:
            self._let_in()
        if self._idle is not None and not self.count and not self._idle.done():
            self._idle.set_result(None)

    def refuse(self, error: MQError) -> None:
        """Give everybody who waits an error."""
        for waiter, _ in self._line:
            if not waiter.done():
                waiter.set_exception(error)
        self._line.clear()

    async def drained(self) -> None:
        """Wait until nothing is unanswered."""
        if self.count:
            self._idle = asyncio.get_running_loop().create_future()
            await self._idle

    def _is_full(self, size: int) -> bool:
        if self.count >= self._most:
            return True
        # A body larger than the whole bound still goes out, alone.
        return self.count > 0 and self.bytes + size > self._most_bytes

    def _let_in(self) -> None:
        """Count the first in line, as many as there is room for, and wake them."""
        line = self._line
        while line and not self._is_full(line[0][1]):
            waiter, size = line.popleft()
            if not waiter.done():
                self.count += 1
                self.bytes += size
                waiter.set_result(None)
