"""Where queues stand and how far groups are: 43, 202, 208, 300.

The answers read messages for their store times: not on the event loop. Rates of single topics and groups are not
counted yet and are shown as 0.
"""

import asyncio
from collections.abc import Callable, Iterable

from ternmq.broker.engine import Engine
from ternmq.broker.handlers.admin.topics import find_topic
from ternmq.broker.inspection import groups_of_topic, newest_store_times, queue_ranges
from ternmq.errors import MQError
from ternmq.protocol.codes import ResponseCode
from ternmq.protocol.fields import text_field
from ternmq.protocol.statistics import (
    ConsumeStats,
    QueueName,
    QueueOffsets,
    QueueProgress,
    TopicStats,
    encode_consumer_offsets,
)
from ternmq.protocol.tables import encode_group_list
from ternmq.protocol.topics import DataVersion
from ternmq.remoting import Reply, Request


class StatisticsHandlers:
    """Requests about offsets.

    Args:
        engine: what knows them.
        group: broker name, part of every queue's name.
    """

    def __init__(self, engine: Callable[[], Engine], group: str) -> None:
        self._engine = engine
        self._group = group

    async def topic(self, request: Request) -> Reply:
        """202: range and last change of each queue of a topic.

        Source: RocketMQ 5.x, AdminBrokerProcessor#getTopicStatsInfo.
        """
        topic = text_field(request.fields, "topic")
        engine = self._engine()
        find_topic(engine, topic)
        stats = await asyncio.to_thread(self._queues, engine, topic)
        return Reply(body=stats.encode())

    async def group(self, request: Request) -> Reply:
        """208: how far a group is in each queue of its topics, or of those named.

        Source: RocketMQ 5.x, AdminBrokerProcessor#getConsumeStats.
        """
        fields = request.fields
        group = text_field(fields, "consumerGroup")
        named = [topic for topic in (fields.get("topic") or fields.get("topicList") or "").split(";") if topic.strip()]
        stats = await asyncio.to_thread(self._progress, group, named)
        return Reply(body=stats.encode())

    def groups_of_topic(self, request: Request) -> Reply:
        """300: groups that are connected with a subscription to a topic, and those with offsets in it."""
        topic = text_field(request.fields, "topic")
        return Reply(body=encode_group_list(groups_of_topic(self._engine(), topic)))

    def all_offsets(self, request: Request) -> Reply:
        """43: all committed offsets; Java's slaves copy them."""
        engine = self._engine()
        offsets: dict[tuple[str, str], dict[int, int]] = {}
        for group in engine.groups():
            for topic, queue_id, offset in engine.offsets(group):
                offsets.setdefault((topic, group), {})[queue_id] = offset
        return Reply(body=encode_consumer_offsets(DataVersion(), offsets))

    def _queues(self, engine: Engine, topic: str) -> TopicStats:
        ranges = queue_ranges(engine, topic)
        times = newest_store_times(engine, topic, ranges)
        return TopicStats(
            {
                QueueName(self._group, queue_id, topic): QueueOffsets(last_ms, end, begin)
                for (queue_id, begin, end), last_ms in zip(ranges, times, strict=True)
            }
        )

    def _progress(self, group: str, named: Iterable[str]) -> ConsumeStats:
        engine = self._engine()
        committed: dict[str, dict[int, int]] = {}
        for topic, queue_id, offset in engine.offsets(group):
            committed.setdefault(topic, {})[queue_id] = offset
        connected = engine.consumers(group)
        subscribed = {row[0] for row in connected[4]} if connected is not None else set()
        rows: dict[QueueName, QueueProgress] = {}
        for topic in named or sorted(committed):
            # A group with members is measured by what they subscribe to now.
            if not subscribed or topic in subscribed:
                rows |= self._progress_in(engine, topic, committed.get(topic, {}))
        return ConsumeStats(rows)

    def _progress_in(self, engine: Engine, topic: str, committed: dict[int, int]) -> dict[QueueName, QueueProgress]:
        try:
            queues = find_topic(engine, topic).read_queue_nums
        except MQError as error:
            if error.code == ResponseCode.TOPIC_NOT_EXIST:
                return {}
            raise
        ranges = [row for row in queue_ranges(engine, topic) if row[0] < queues]
        # Of the last message that was consumed; before offset 0 there is none.
        consumed = {queue_id: committed[queue_id] - 1 for queue_id, *_ in ranges if committed.get(queue_id, 0) > 0}
        times = dict(zip(consumed, engine.store_times(topic, list(consumed.items())), strict=True))
        return {
            QueueName(self._group, queue_id, topic): QueueProgress(
                end, committed.get(queue_id, 0), times.get(queue_id, 0), committed.get(queue_id, 0)
            )
            for queue_id, _, end in ranges
        }
