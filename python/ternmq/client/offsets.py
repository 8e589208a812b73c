"""Where a group stands in each queue: start positions and commits, always at the group's leader."""

from __future__ import annotations

from datetime import datetime

from ternmq.client.arguments import Start
from ternmq.client.leader_calls import LeaderCalls
from ternmq.client.message_queue import MessageQueue, retry_topic
from ternmq.errors import ServerError
from ternmq.protocol.codes import RequestCode, ResponseCode
from ternmq.protocol.responses import response_error
from ternmq.remoting import Answer


class Offsets:
    """Stored offsets of one consumer group.

    Args:
        calls: reaches the leaders.
        group: the consumer group.
        start: where the group begins in a queue for which it has no offset.
    """

    def __init__(self, calls: LeaderCalls, group: str, start: Start) -> None:
        self._calls = calls
        self._group = group
        self._start = start
        self.resumed = False
        """The group had an offset in a queue of a topic that was asked for: `start` means nothing there."""

    async def first(self, queue: MessageQueue, within: float, entered_ms: int | None = None) -> int:
        """The queue offset to read first; where the group had none, it is fixed at the broker before this returns.

        Fixed at once, because "latest" would mean another offset after a crash: messages in between would be lost.

        Args:
            queue: the queue.
            within: seconds.
            entered_ms: for a queue that appears later, when the consumer had its first assignment: "latest" then means
                that moment, so that no message sent since is passed over.

        Raises:
            MQError: the leader did not answer in time, or refused.
        """
        # Without the last field, brokers from 5.0 on answer 0 for young queues whatever the group asks for.
        fields = {**self._fields(queue), "setZeroIfNotFound": "false"}
        answer = await self._calls.ask(
            queue.broker, RequestCode.QUERY_CONSUMER_OFFSET, fields, within=within, or_slave=True
        )
        if answer.code == ResponseCode.SUCCESS:
            self.resumed |= queue.topic != retry_topic(self._group)
            return _offset(answer, queue)
        if answer.code != ResponseCode.QUERY_NOT_FOUND:
            raise response_error(answer.code, answer.remark, broker=queue.broker)
        # Messages of the retry topic were delivered before: none of them may be passed over.
        start = "earliest" if queue.topic == retry_topic(self._group) else self._start
        first = await self._position(queue, start, within, entered_ms)
        await self.commit(queue, first, within)
        return first

    async def stored(self, queue: MessageQueue, within: float) -> int:
        """The group's offset in a queue; 0 where it has none.

        Raises:
            MQError: the leader did not answer in time, or refused.
        """
        fields = {**self._fields(queue), "setZeroIfNotFound": "false"}
        answer = await self._calls.ask(
            queue.broker, RequestCode.QUERY_CONSUMER_OFFSET, fields, within=within, or_slave=True
        )
        if answer.code == ResponseCode.QUERY_NOT_FOUND:
            return 0
        if answer.code != ResponseCode.SUCCESS:
            raise response_error(answer.code, answer.remark, broker=queue.broker)
        return _offset(answer, queue)

    async def position(self, queue: MessageQueue, to: Start, within: float, entered_ms: int | None = None) -> int:
        """The queue offset of the first message, of the end, or of a time; nothing is stored.

        Args:
            queue: the queue.
            to: which.
            within: seconds.
            entered_ms: as in `first`.

        Raises:
            MQError: the leader did not answer in time, or refused.
        """
        return await self._position(queue, to, within, entered_ms)

    async def commit(self, queue: MessageQueue, queue_offset: int, within: float) -> None:
        """Store the group's offset in a queue.

        Raises:
            MQError: the leader did not answer in time, or refused.
        """
        fields = {**self._fields(queue), "commitOffset": str(queue_offset)}
        await self._calls.demand(queue.broker, RequestCode.UPDATE_CONSUMER_OFFSET, fields, within=within)

    async def _position(self, queue: MessageQueue, start: Start, within: float, entered_ms: int | None) -> int:
        fields = {"topic": queue.topic, "queueId": str(queue.id)}
        if isinstance(start, datetime):
            code = RequestCode.SEARCH_OFFSET_BY_TIMESTAMP
            fields["timestamp"] = str(round(start.timestamp() * 1000))
        elif start == "earliest":
            code = RequestCode.GET_MIN_OFFSET
        elif entered_ms is not None:
            code = RequestCode.SEARCH_OFFSET_BY_TIMESTAMP
            fields["timestamp"] = str(entered_ms)
        else:
            code = RequestCode.GET_MAX_OFFSET
        return _offset(await self._calls.demand(queue.broker, code, fields, within=within, or_slave=True), queue)

    def _fields(self, queue: MessageQueue) -> dict[str, str]:
        return {"consumerGroup": self._group, "topic": queue.topic, "queueId": str(queue.id)}


def _offset(answer: Answer, queue: MessageQueue) -> int:
    try:
        return int(answer.fields["offset"])
    except (KeyError, ValueError) as error:
        raise ServerError(f"{queue.broker} answered without an offset of {queue}", broker=queue.broker) from error
