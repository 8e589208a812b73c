"""Where a failed message goes: back to its broker (36), else to the retry topic, else it stays here for a while."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

from ternmq.client import loops
from ternmq.client.delays import LEVEL_SECONDS, retry_level
from ternmq.client.inbox import NOTHING_TO_AWAIT, Inbox
from ternmq.client.leader_calls import LeaderCalls
from ternmq.client.message_queue import retry_topic
from ternmq.client.messages import DEAD_LETTER, DEAD_LETTER_REASON, ORIGIN_QUEUE, Failure, Message
from ternmq.client.metadata import Metadata
from ternmq.client.pending_send import PendingSend
from ternmq.client.publish_info import SendHeader, TopicPublishInfo
from ternmq.client.rate_limited_log import RateLimitedLog
from ternmq.client.sender import Sender
from ternmq.client.topic_route import QueueCounts, TopicRoute, make_route
from ternmq.errors import MQError, RouteNotFoundError, SettlementLostError, UnsupportedError
from ternmq.protocol.codes import RequestCode, ResponseCode
from ternmq.protocol.names import DEFAULT_TOPIC
from ternmq.protocol.responses import response_error
from ternmq.protocol.topics import PERM_READ_WRITE
from ternmq.remoting import Answer, Endpoint

T = TypeVar("T")

_log = logging.getLogger("ternmq.client.returns")  # Public: users filter by it.

MAX_ATTEMPTS = 16
_SEND_BACK_SECONDS = 5.0
_SEND_SECONDS = 3.0
_SEND_TRIES = 3
_LOCAL_PAUSE = 5.0
_LONGEST_KEPT = 60.0
_MOST_UNSUBSCRIBED = 1000
_INNER_PRODUCER = "CLIENT_INNER_PRODUCER"
_COMPRESSION = 0x1 | 0x700
"""Bits of sysFlag that say how the body is compressed; set here only where it could not be inflated."""
_MAX_REASON = 1000
"""Characters of a reason that go with a dead letter."""
_OF_ONE_JOURNEY = frozenset(
    {
        "DELAY", "REAL_TOPIC", "REAL_QID", "RECONSUME_TIME", "MAX_RECONSUME_TIMES", "MIN_OFFSET", "MAX_OFFSET",
        "CONSUME_START_TIME", "TRAN_MSG", "WAIT",
    }
)  # fmt: skip
"""Properties that belong to the way a message has come, not to the message."""


class FailureHandler(Generic[T]):
    """Returns failed messages of one consumer to their brokers; none is ever forgotten.

    A message leaves the inbox only when a broker has acknowledged it, as a send-back (36) or as a send to the group's
    retry topic. Until then its offset is not committed.

    Args:
        endpoint: the network.
        metadata: routes and leaders.
        group: consumer group.
        ordered: failures stay in their queue, and only dead letters leave it.
        max_attempts: how often a message is delivered before it becomes a dead letter; None for no end.
        wall_clock_ms: milliseconds since 1970.
        on_sent_back: called with a broker name when a message will come again through the retry topic.
        keeps_here: whether failures stay here for a while, because the retry topic may bring them to a member that does
            not read their topic.

    Source: RocketMQ, DefaultMQPushConsumerImpl#sendMessageBack.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        metadata: Metadata,
        group: str,
        *,
        ordered: bool,
        max_attempts: int | None,
        wall_clock_ms: Callable[[], int],
        on_sent_back: Callable[[str], None],
        keeps_here: Callable[[], bool] = lambda: False,
    ) -> None:
        self.inbox: Inbox[T] | None = None
        self._endpoint = endpoint
        self._metadata = metadata
        self._group = group
        self._topic = retry_topic(group)
        self._ordered = ordered
        self._max_attempts = max_attempts
        self._wall_clock_ms = wall_clock_ms
        self._on_sent_back = on_sent_back
        self._keeps_here = keeps_here
        self._unsubscribed_topics: set[str] = set()
        self._calls = LeaderCalls(endpoint, metadata)
        self._refusal_log = RateLimitedLog(_log, logging.INFO)
        self._kept_log = RateLimitedLog(_log, logging.WARNING)
        self._loop = asyncio.get_running_loop()
        self._sender: Sender | None = None  # made when a send-back fails for the first time
        self._tasks: set[asyncio.Task[Any]] = set()

    def handle(self, message: Message[T], failure: Failure) -> Awaitable[MQError | None]:
        """Take a failed message; gives the reason if it does not come again as asked.

        Raises:
            ForeignLoopError: called in another event loop than the consumer's.
        """
        loops.check(self._loop, f"consumer {self._group}")
        # Decided here and not by the broker, which does not see every delivery.
        if self._max_attempts is not None and message.attempt >= self._max_attempts:
            failure = failure._replace(level=DEAD_LETTER.level)
        if failure.level >= 0 and (self._ordered or self._keeps_here()):
            self._retry_here(message, failure.pause if self._ordered else _pause_of(message, failure))
            return NOTHING_TO_AWAIT
        task = self._loop.create_task(self._return_to_broker(message, failure))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return asyncio.shield(task)  # the caller that awaits it may be cancelled, the return must not

    def return_unsubscribed(self, message: Message[T]) -> None:
        """Return a message that came through the retry topic to a client where no consumer reads its topic."""
        if message.topic not in self._unsubscribed_topics and len(self._unsubscribed_topics) < _MOST_UNSUBSCRIBED:
            self._unsubscribed_topics.add(message.topic)
            _log.warning(
                "group %s: messages of topic %s come again to this client, which does not read that topic; they go "
                "back until another member gets them, and become dead letters after %d times",
                self._group, message.topic, MAX_ATTEMPTS,
            )  # fmt: skip
        task = self._loop.create_task(self._return_unsubscribed(message))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self, within: float) -> None:
        """Wait until what has failed is at a broker; what is not in time is left to the next owner of its queue."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=within)
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._sender is not None:
            self._sender.close()
        self._refusal_log.close()
        self._kept_log.close()

    async def _return_to_broker(self, message: Message[T], failure: Failure) -> MQError | None:
        """Have a message come again by way of its broker, by the retry topic, or from here: the first that works.

        A send-back keeps count at the broker, and a send to the retry topic works while the message's own broker does
        not. The queue is looked at before each, as it may have gone to another member, which delivers the message then.
        """
        try:
            if await self._is_settled_elsewhere(message):
                self._forget(message)
                return None
            try:
                return self._lost_queue_error(message) or await self._send_back(message, failure)
            except MQError as error:
                self._refusal_log.log(f"{message!r} is not taken back, it goes to {self._topic}: {error}")
            lost = self._lost_queue_error(message)
            if lost is not None:
                return lost
            await self._send_to_retry_topic(message, failure)
        except Exception as error:
            self._kept_log.log(f"{message!r} comes again here after {_LOCAL_PAUSE:g} s: {error}")
            self._retry_here(message, _LOCAL_PAUSE)
            return error if isinstance(error, MQError) else MQError(f"{message!r} cannot be given back: {error}")
        self._forget(message)
        return None

    async def _return_unsubscribed(self, message: Message[T]) -> None:
        while not message.process_queue.dropped:
            try:
                answer = await self._request_send_back(message, Failure(), MAX_ATTEMPTS)
                if answer.code == ResponseCode.SUCCESS:
                    break
                error = response_error(answer.code, answer.remark, broker=message.queue.broker)
            except MQError as failed:
                error = failed
            _log.info("%r is not taken back yet: %s", message, error)
            await asyncio.sleep(_LOCAL_PAUSE)
        if self.inbox is not None:
            self.inbox.discard(message)

    async def _is_settled_elsewhere(self, message: Message[T]) -> bool:
        """Whether the member that had the queue before has acknowledged the message, or given it back itself."""
        handover = message.process_queue.handover
        if handover is None:
            return False
        try:
            settled = await handover.has_settled(message.queue_offset)
        except MQError as error:
            _log.info("%r may come again twice, another member may have given it back too: %s", message, error)
            return False
        if settled:
            _log.info("%r failed here, but the member that had %s before has settled it", message, message.queue)
        return settled

    def _lost_queue_error(self, message: Message[T]) -> MQError | None:
        """Why a message is not given back: its next owner gets it, as its offset was not committed."""
        if not message.process_queue.dropped:
            return None
        return SettlementLostError(f"{message!r} is no longer held by this consumer; it comes again")

    async def _request_send_back(self, message: Message[T], failure: Failure, most: int) -> Answer:
        fields = {
            "offset": str(message.details.physical_offset),
            "group": self._group,
            "delayLevel": str(failure.level),
            "originMsgId": _origin(message),
            "originTopic": message.topic,
            "unitMode": "false",
            "maxReconsumeTimes": str(max(0, most - 1)),
            "bname": message.queue.broker,
            "attempts": str(message.attempt),  # this and the next are ours; Apache's brokers pass over them
        }
        if failure.level < 0 and failure.reason:
            fields["reason"] = _printable(failure.reason)
        code = RequestCode.CONSUMER_SEND_MSG_BACK
        return await self._calls.ask(message.queue.broker, code, fields, within=_SEND_BACK_SECONDS)

    async def _send_back(self, message: Message[T], failure: Failure) -> MQError | None:
        queue = message.queue
        answer = await self._request_send_back(message, failure, self._attempt_limit(failure))
        if answer.code == ResponseCode.SUCCESS:
            self._forget(message)
            return None
        if answer.code == ResponseCode.REQUEST_CODE_NOT_SUPPORTED:
            self._retry_here(message, failure.pause)
            return UnsupportedError(
                f"{queue.broker} has neither retries nor dead letters; {message!r} comes again from the consumer",
                code=answer.code,
                broker=queue.broker,
                remark=answer.remark,
            )
        raise response_error(answer.code, answer.remark, broker=queue.broker)

    async def _send_to_retry_topic(self, message: Message[T], failure: Failure) -> None:
        """Send a copy to the retry topic; a broker that keeps count makes it a dead letter where it is due."""
        deadline = self._loop.time() + _SEND_SECONDS
        route = await self._retry_route(message, deadline)
        times = message.attempt - 1
        properties = {name: value for name, value in message.details.properties.items() if name not in _OF_ONE_JOURNEY}
        if "RETRY_TOPIC" not in properties:
            properties[ORIGIN_QUEUE] = f"{message.queue.broker}:{message.queue.id}:{message.queue_offset}"
        if failure.level < 0 and failure.reason:
            properties[DEAD_LETTER_REASON] = _printable(failure.reason)
        properties.setdefault("RETRY_TOPIC", message.topic)
        properties.setdefault("ORIGIN_MESSAGE_ID", _origin(message))
        properties["WAIT"] = "true"
        if failure.level >= 0:
            properties["DELAY"] = str(failure.level or retry_level(times))
        # RECONSUME_TIME and MAX_RECONSUME_TIMES travel as the header fields j and l.
        fields = {
            "a": _INNER_PRODUCER,
            "b": self._topic,
            "c": DEFAULT_TOPIC,
            "d": "1",
            "f": str(message.details.sys_flag & _COMPRESSION),
            "h": str(message.details.flag),
            "j": str(times + 1),
            "k": "false",
            "l": str(self._attempt_limit(failure)),
            "m": "false",
        }
        if self._sender is None:
            self._sender = Sender(self._endpoint, self._metadata, self._wall_clock_ms, _ended)
        future: asyncio.Future[object] = self._loop.create_future()
        self._sender.submit(
            PendingSend(
                TopicPublishInfo(route, SendHeader(fields, fields, fields)),
                RequestCode.SEND_MESSAGE_V2,
                fields,
                _text(properties),
                message.body,
                None,
                deadline,
                _SEND_TRIES,
                future,
                id="",
                born_ms=message.details.born_ms,
            )
        )
        await future

    async def _retry_route(self, message: Message[T], deadline: float) -> TopicRoute:
        """The retry topic's route; before it exists, its one queue where a broker creates it at the first send."""
        try:
            return await self._metadata.find(self._topic, deadline)
        except RouteNotFoundError:
            broker = message.queue.broker
            return make_route(self._topic, {broker: QueueCounts(1, 1, PERM_READ_WRITE)}, {})

    def _attempt_limit(self, failure: Failure) -> int:
        if failure.level < 0:
            return 0  # every count is above it, so that a send to the retry topic becomes a dead letter too
        return MAX_ATTEMPTS if self._max_attempts is None else self._max_attempts

    def _forget(self, message: Message[T]) -> None:
        if self.inbox is not None:
            self.inbox.remove(message)
        self._on_sent_back(message.queue.broker)

    def _retry_here(self, message: Message[T], pause: float) -> None:
        if self.inbox is not None:
            self.inbox.retry(message, pause)


def _pause_of(message: Message[T], failure: Failure) -> float:
    """How long a message rests here that the broker would have kept; not as long, as it holds up its queue's offset."""
    return min(float(LEVEL_SECONDS[(failure.level or retry_level(message.attempt - 1)) - 1]), _LONGEST_KEPT)


def _origin(message: Message[T]) -> str:
    """Offset id of the first copy of a message."""
    return message.details.properties.get("ORIGIN_MESSAGE_ID") or message.details.offset_id


def _printable(reason: str) -> str:
    """A reason as a header and a property can have it."""
    return reason[:_MAX_REASON].translate({1: " ", 2: " "}).encode(errors="replace").decode()


def _text(properties: dict[str, str]) -> str:
    """Properties as they came, also values with an 01 inside, which others may send."""
    return "".join(f"{name}\x01{value}\x02" for name, value in properties.items())


def _ended(_count: int, _size: int) -> None:
    """Nothing is counted here: the tasks themselves are."""
