"""Where queues stand and how far groups are: bodies whose keys are objects."""

import json
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from ternmq.errors import BodyError
from ternmq.protocol.fastjson import decode_as, encode
from ternmq.protocol.topics import Bean, DataVersion


class QueueName(NamedTuple):
    """A queue of one broker group."""

    broker_name: str
    queue_id: int
    topic: str

    def as_key(self) -> tuple[tuple[str, str | int], ...]:
        """Give the key of a body, a MessageQueue."""
        return ("brokerName", self.broker_name), ("queueId", self.queue_id), ("topic", self.topic)


class QueueOffsets(Bean, frozen=True):
    """One queue of a topic.

    Attributes:
        last_update_timestamp: store time of the newest message, 0 if there is none.
        max_offset: offset that the next message gets.
        min_offset: oldest offset kept.
    """

    last_update_timestamp: int = 0
    max_offset: int = 0
    min_offset: int = 0


class TopicStats(NamedTuple):
    """TopicStatsTable, the answer to 202.

    Attributes:
        offsets: its queues.
        put_tps: messages put per second.
    """

    offsets: Mapping[QueueName, QueueOffsets]
    put_tps: float = 0.0

    def encode(self) -> bytes:
        """Write it."""
        return encode({"offsetTable": _table(self.offsets), "topicPutTps": self.put_tps})


class QueueProgress(Bean, frozen=True):
    """How far a group is in one queue.

    Attributes:
        broker_offset: offset that the next message gets.
        consumer_offset: committed offset, 0 if there is none.
        last_timestamp: store time of the last consumed message, 0 if there is none.
        pull_offset: the offset that it last asked for, not below the committed one.
    """

    broker_offset: int = 0
    consumer_offset: int = 0
    last_timestamp: int = 0
    pull_offset: int = 0


class ConsumeStats(NamedTuple):
    """ConsumeStats, the answer to 208.

    Attributes:
        offsets: queues of all topics of the group.
        consume_tps: messages consumed per second.
    """

    offsets: Mapping[QueueName, QueueProgress]
    consume_tps: float = 0.0

    def encode(self) -> bytes:
        """Write it."""
        return encode({"consumeTps": self.consume_tps, "offsetTable": _table(self.offsets)})


class _TopicStats(msgspec.Struct, rename="camel"):
    offset_table: dict[str, QueueOffsets] = {}
    topic_put_tps: float = 0.0


class _ConsumeStats(msgspec.Struct, rename="camel"):
    offset_table: dict[str, QueueProgress] = {}
    consume_tps: float = 0.0


class _ConsumerOffsets(msgspec.Struct, rename="camel"):
    offset_table: dict[str, dict[int, int]] = {}


class _Key(msgspec.Struct, rename="camel"):
    broker_name: str
    queue_id: int
    topic: str


def decode_topic_stats(raw: bytes) -> TopicStats:
    """Read the answer to 202.

    Raises:
        BodyError: not readable.
    """
    read = decode_as(raw, _TopicStats, "TopicStatsTable")
    return TopicStats({_queue(key): row for key, row in read.offset_table.items()}, read.topic_put_tps)


def decode_consume_stats(raw: bytes) -> ConsumeStats:
    """Read the answer to 208.

    Raises:
        BodyError: not readable.
    """
    read = decode_as(raw, _ConsumeStats, "ConsumeStats")
    return ConsumeStats({_queue(key): row for key, row in read.offset_table.items()}, read.consume_tps)


def encode_consumer_offsets(version: DataVersion, offsets: Mapping[tuple[str, str], Mapping[int, int]]) -> bytes:
    """Write the answer to 43: all committed offsets.

    Args:
        version: of the table.
        offsets: topic and group to queue id to offset.
    """
    topics_of: dict[str, list[str]] = {}
    for topic, group in offsets:
        topics_of.setdefault(group, []).append(topic)
    return encode(
        {
            "dataVersion": msgspec.to_builtins(version),
            "groupTopicMap": topics_of,
            "offsetTable": {f"{topic}@{group}": dict(queues) for (topic, group), queues in offsets.items()},
            "pullOffsetTable": {},
        }
    )


def decode_consumer_offsets(raw: bytes) -> dict[tuple[str, str], dict[int, int]]:
    """Read the answer to 43: topic and group to queue id to offset.

    Raises:
        BodyError: not readable.
    """
    offsets = {}
    for key, queues in decode_as(raw, _ConsumerOffsets, "ConsumerOffsetSerializeWrapper").offset_table.items():
        topic, at, group = key.partition("@")
        if not at:
            raise BodyError(f"the key {key!r} of an offset is no topic@group")
        offsets[topic, group] = queues
    return offsets


def _table(rows: Mapping[QueueName, Bean]) -> dict[tuple[tuple[str, str | int], ...], object]:
    return {queue.as_key(): msgspec.to_builtins(row) for queue, row in rows.items()}


def _queue(key: str) -> QueueName:
    try:
        named = msgspec.convert(json.loads(key), _Key, strict=False)
    except (ValueError, msgspec.ValidationError) as error:
        raise BodyError(f"the key {key!r} is no queue: {error}") from error
    return QueueName(named.broker_name, named.queue_id, named.topic)
