"""Changes of the routing table: one after another, and never for long without giving the event loop back."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ternmq.errors import RegistrationRefusedError
from ternmq.namesrv.placements import Steps, Value
from ternmq.protocol.codes import ResponseCode

_SLICE_SECONDS = 0.003
MAX_WAITING_BYTES = 16 << 20


class TableTurns:
    """Lets one change at a time work on the table, in the order in which they were asked for.

    So an unregistration that follows a registration over the same connection comes after it, and of two registrations
    of a group the later one stays. Routes, questions (322) and heartbeats never wait for a turn.

    Args:
        max_waiting_bytes: bodies of registrations that wait for their turn; one that goes beyond is refused, as the
            engine's room for requests is for clients, too. The first that waits is always taken.
    """

    def __init__(self, max_waiting_bytes: int = MAX_WAITING_BYTES) -> None:
        self._lock = asyncio.Lock()
        self._max_waiting_bytes = max_waiting_bytes
        self._waiting_bytes = 0
        self._waiting = Counter[int]()
        self._closed: set[int] = set()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait until all changes that were asked for before are done, and keep those that come later waiting."""
        async with self._lock:
            yield

    @asynccontextmanager
    async def turn_of(self, connection_id: int, bytes_waiting: int) -> AsyncIterator[None]:
        """Do the same for a registration.

        Args:
            connection_id: the connection over which it came.
            bytes_waiting: size of its body.

        Raises:
            RegistrationRefusedError: too much waits, or the connection closed meanwhile: a broker that is entered after
                that would be shown until it counts as silent.
        """
        if self._waiting_bytes and self._waiting_bytes + bytes_waiting > self._max_waiting_bytes:
            raise RegistrationRefusedError(
                f"[OVERLOAD]system busy, {self._waiting_bytes} bytes of registrations wait",
                code=ResponseCode.SYSTEM_BUSY,
            )
        self._waiting[connection_id] += 1
        self._waiting_bytes += bytes_waiting
        try:
            async with self._lock:
                if connection_id in self._closed:
                    raise RegistrationRefusedError(
                        "the connection closed before the registration's turn", code=ResponseCode.SYSTEM_ERROR
                    )
                yield
        finally:
            self._waiting_bytes -= bytes_waiting
            self._waiting[connection_id] -= 1
            if not self._waiting[connection_id]:
                del self._waiting[connection_id]
                self._closed.discard(connection_id)

    def has_closed(self, connection_id: int) -> bool:
        """Say whether the connection closed since the registration that has its turn was asked for."""
        return connection_id in self._closed

    def connection_closed(self, connection_id: int) -> None:
        """Take note that registrations which wait came over a connection that is no more."""
        if connection_id in self._waiting:
            self._closed.add(connection_id)


async def in_slices(steps: Steps[Value]) -> Value:
    """Do steps, and let the event loop do everything else that waits every few milliseconds."""
    until = time.perf_counter() + _SLICE_SECONDS
    while True:
        try:
            next(steps)
        except StopIteration as end:
            value: Value = end.value
            return value
        if time.perf_counter() > until:
            await asyncio.sleep(0)
            until = time.perf_counter() + _SLICE_SECONDS
