"""Where the sends to one topic go: queues in turn, shard keys to theirs, and the header that they share."""

from __future__ import annotations

import random
from typing import NamedTuple

from ternmq.client.leaders import Leaders
from ternmq.client.message_queue import MessageQueue
from ternmq.client.sharding import shard_index
from ternmq.client.topic_route import TopicRoute
from ternmq.protocol.names import DEFAULT_TOPIC

_COMPRESSED = str(0x1 | 0x300)
"""sysFlag: the body is compressed, with zlib."""
_ALL_QUEUES = "1024"
"""How many queues a topic is to get that this send creates: a broker gives as many as its template TBW102 has."""


class SendHeader(NamedTuple):
    """Header fields, under their short names, that are the same in all sends to a topic.

    The engine reads each of these objects once for all sends of a flush that share it.

    Args:
        plain: of a message.
        compressed: of a message with a compressed body.
        batch: of several messages in one request.
    """

    plain: dict[str, str]
    compressed: dict[str, str]
    batch: dict[str, str]


def send_header(group: str, topic: str) -> SendHeader:
    """The header of a producer group's sends to a topic."""
    plain = {
        "a": group,
        "b": topic,
        "c": DEFAULT_TOPIC,
        "d": _ALL_QUEUES,
        "f": "0",
        "h": "0",
        "j": "0",
        "k": "false",
        "m": "false",
    }
    return SendHeader(plain, {**plain, "f": _COMPRESSED}, {**plain, "m": "true"})


class TopicPublishInfo:
    """What all sends of a producer to one topic share.

    Args:
        route: the topic's route when it was made.
        header: header fields that do not change from one send to the next.

    Attributes:
        confirmed: the topic exists on every group of the route; else the first send that is stored there makes it.
    """

    __slots__ = ("_leaders_version", "_queue_index", "_targets", "confirmed", "header", "route", "topic")

    def __init__(self, route: TopicRoute, header: SendHeader) -> None:
        self.topic = route.topic
        self.header = header
        self._queue_index = random.randrange(1 << 16)
        self.take_route(route)

    def take_route(self, route: TopicRoute) -> None:
        """Choose by another route from now on."""
        self.route = route
        self.confirmed = not route.promised
        self._targets: list[tuple[MessageQueue, str]] = []
        self._leaders_version = -1  # of the masters in the list

    def next_target(self, leaders: Leaders, avoid: str | None = None) -> tuple[MessageQueue, str] | None:
        """The next queue in turn whose group has a master, and that master; None if there is none.

        Args:
            leaders: masters by broker group.
            avoid: a group that is taken only if there is no other.
        """
        if self._leaders_version != leaders.version:
            self._find_targets(leaders)
        targets = self._targets
        if not targets:
            return None
        for _ in targets:
            self._queue_index = index = self._queue_index + 1
            target = targets[index % len(targets)]
            if target[0].broker != avoid:
                break
        return target

    def shard_queue(self, shard: str) -> MessageQueue | None:
        """The queue of a shard key, whether its group has a master now or not; None if the topic has no queue."""
        queues = self.route.writable
        return queues[shard_index(shard, len(queues))] if queues else None

    def _find_targets(self, leaders: Leaders) -> None:
        masters = ((queue, leaders.master(queue.broker)) for queue in self.route.writable)
        self._targets = [(queue, address) for queue, address in masters if address is not None]
        self._leaders_version = leaders.version
