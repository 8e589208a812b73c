"""Lines of what must go one after the other: of each shard key's sends, one is on its way and the rest wait."""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class ShardLines(Generic[T]):
    """A line for each topic and shard key that has something on its way."""

    __slots__ = ("_lines",)

    def __init__(self) -> None:
        self._lines: dict[tuple[str, str], deque[T]] = {}

    def join(self, topic: str, shard: str, item: T) -> bool:
        """Put an item at the end of its line; whether it is the first, and may go."""
        line = self._lines.get((topic, shard))
        if line is None:
            self._lines[topic, shard] = deque((item,))
            return True
        line.append(item)
        return False

    def leave(self, topic: str, shard: str) -> T | None:
        """Take off the first of a line; gives the one that is first now, and may go."""
        line = self._lines[topic, shard]
        line.popleft()
        if line:
            return line[0]
        del self._lines[topic, shard]
        return None
