"""What an open client shares with its producers, consumers and readers, and what they and it know of each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from ternmq.client.filters import TagFilter
from ternmq.client.membership import Membership
from ternmq.client.metadata import Metadata
from ternmq.remoting import Endpoint


class Parts(NamedTuple):
    """What the objects of an open client share.

    Args:
        endpoint: the network.
        metadata: routes and leaders.
        membership: heartbeats.
        timeout: seconds for one request.
        wall_clock_ms: milliseconds since 1970.
    """

    endpoint: Endpoint
    metadata: Metadata
    membership: Membership
    timeout: float
    wall_clock_ms: Callable[[], int]


class Closable(Protocol):
    """A producer or consumer, as the client sees it."""

    async def close(self) -> None:
        """Drain and leave."""

    def abandon(self, why: str) -> None:
        """Raise `ForkedClientError` with this text at every use, in a child process."""


class ParentClient(Protocol):
    """The client that made a producer, consumer or reader, as these see it."""

    def parts(self) -> Parts:
        """What the objects of an open client share.

        Raises:
            ClientClosedError: the client is not open.
        """

    def attach(self, child: Closable) -> None:
        """Close this one, too, when the client closes."""

    def detach(self, child: Closable) -> None:
        """End `attach`: it has closed."""

    def other_filter(self, group: str, topic: str, tags: TagFilter) -> str | None:
        """A filter other than `tags` with which a client of this process reads the topic as the group."""
