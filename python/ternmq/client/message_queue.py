"""A queue of a topic, and the topic through which a group's failed messages come again."""

from __future__ import annotations

from typing import NamedTuple

from ternmq.protocol.names import RETRY_PREFIX


class MessageQueue(NamedTuple):
    """One queue of a topic; sorts as RocketMQ sorts queues.

    Args:
        topic: name of the topic.
        broker: broker name, that is the group's name.
        id: number of the queue within that group.
    """

    topic: str
    broker: str
    id: int

    def __str__(self) -> str:
        return f"{self.topic}@{self.broker}#{self.id}"


def retry_topic(group: str) -> str:
    """The topic through which a group's failed messages come again."""
    return RETRY_PREFIX + group
