"""What the member that had a queue before has settled of it: so that a failed message does not come again twice."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

FINISH_SECONDS = 1.0
"""How long a member that gives a queue up waits for its handlers, and for messages on their way back."""
_SETTLED_SECONDS = 3.0
"""When the former owner's last offset is stored: it hears of the change, waits, and commits, a second each."""


class Handover:
    """A queue that another member of the group may have had a moment ago.

    Both may have fetched the same messages, as the next owner does not wait for the last commit of the one before. A
    message that is handled twice is what at least once means; but if both sent it back, each copy would be tried again
    for hours and both would become dead letters. So the new owner sends a failed message back only when the former one
    is done, and only if the former one has not settled it.

    Args:
        stored_offset: asks how far the group is settled in the queue. This member's own commits never pass a message
            that it has not settled, so that a higher offset is another member's.
    """

    def __init__(self, stored_offset: Callable[[], Awaitable[int]]) -> None:
        self._stored_offset = stored_offset
        self._loop = asyncio.get_running_loop()
        self._over_at = self._loop.time() + _SETTLED_SECONDS
        self._asking = asyncio.Lock()
        self._settled: int | None = None

    async def has_settled(self, queue_offset: int) -> bool:
        """Whether the member before has settled this message; waits until that is known, and asks once.

        Raises:
            MQError: the leader did not answer in time, or refused; the next call asks again.
        """
        async with self._asking:
            if self._settled is None:
                await asyncio.sleep(max(0.0, self._over_at - self._loop.time()))
                self._settled = await self._stored_offset()
        return queue_offset < self._settled
