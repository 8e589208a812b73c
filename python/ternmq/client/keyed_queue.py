"""Queues of what must go one after the other: of each shard key's sends, one is in flight and the rest wait."""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class KeyedQueue(Generic[T]):
    """A queue for each topic and shard key that has a send in flight; its head is that send."""

    __slots__ = ("_queues",)

    def __init__(self) -> None:
        self._queues: dict[tuple[str, str], deque[T]] = {}

    def push(self, topic: str, shard: str, item: T) -> bool:
        """Put an item at the end of its key's queue; whether it is the head, and may go."""
        queue = self._queues.get((topic, shard))
        if queue is None:
            self._queues[topic, shard] = deque((item,))
            return True
        queue.append(item)
        return False

    def pop(self, topic: str, shard: str) -> T | None:
        """Take off the head, which has ended; gives the next head, which may go now."""
        queue = self._queues[topic, shard]
        queue.popleft()
        if queue:
            return queue[0]
        del self._queues[topic, shard]
        return None
