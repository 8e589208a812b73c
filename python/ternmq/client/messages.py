"""A message as a program has it, and its settlement."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from ternmq.client.arguments import RESERVED, RESERVED_PREFIXES, OnDecodeError, seconds
from ternmq.client.codecs import Codec
from ternmq.client.delays import LEVEL_SECONDS, level_at_least
from ternmq.client.fetched_message import ACKED, DELIVERED, EXPIRED, RELEASED, WAITING, DecodedRecords, FetchedMessage
from ternmq.client.message_queue import MessageQueue
from ternmq.client.process_queue import ProcessQueue
from ternmq.errors import CodecError, MQError, Reject, SettlementLostError
from ternmq.protocol.names import DLQ_PREFIX, RETRY_PREFIX

T = TypeVar("T")

_log = logging.getLogger(__name__)

_NOT_ASKED_FOR: Any = object()
"""The value of a message that is not decoded yet: most readers ask once, and an exception would cost them more."""

RETRY_PAUSE = 1.0
"""Seconds until a failed message comes again from the consumer itself."""
_SHORTEST_PAUSE = 0.01
_LONGEST_PAUSE = 30.0
"""Bounds of the time that an ordered queue stands still."""


class Failure(NamedTuple):
    """How a message is to come again.

    Args:
        level: delay level; 0 leaves it to the broker, -1 makes the message a dead letter.
        pause: seconds until it comes again where the consumer keeps it: in order, or at a broker without retries.
        reason: why it failed, for people that find it among the dead letters; empty for none.
    """

    level: int = 0
    pause: float = RETRY_PAUSE
    reason: str = ""


DEAD_LETTER = Failure(level=-1)

ORIGIN_QUEUE = "TERNMQ_ORIGIN_QUEUE"
"""Property of a message that comes again: ``broker name:queue id:queue offset`` of its first copy."""
DEAD_LETTER_REASON = "TERNMQ_DEAD_LETTER_REASON"
"""Property of a dead letter: why it was given up. Both are properties of a user to other clients."""


def _reason(error: Exception) -> str:
    """What an exception says, for a dead letter; of `Reject` only what the user wrote."""
    text = str(error)
    return text if isinstance(error, Reject) else f"{type(error).__name__}: {text}"


class Origin(NamedTuple):
    """Where a message stood that comes again, or that is a dead letter.

    Args:
        topic: the one that it was sent to.
        queue: its queue there; None if the broker that took it back did not note it, as Apache's do not.
        queue_offset: its number in that queue; None likewise.
        id: the message id, which stays the same.
        attempts: how often it had been delivered before it came here.
        reason: why a consumer gave it up: what `Reject` said, or the last exception; None if no consumer said.
    """

    topic: str
    queue: MessageQueue | None
    queue_offset: int | None
    id: str
    attempts: int
    reason: str | None


class Settlement(Protocol[T]):
    """What a message needs of the inbox that delivered it."""

    @property
    def codec(self) -> Codec[T]:
        """Of the payloads."""

    @property
    def on_decode_error(self) -> OnDecodeError:
        """What the end of its block makes of a message whose value does not decode."""

    @property
    def on_lost(self) -> Callable[[str], None]:
        """Called with a sentence when a block has ended whose message could not be settled any more."""

    def settle(self, message: Message[T], outcome: int) -> None:
        """End a delivery: acknowledged, or released."""

    def fail(self, message: Message[T], failure: Failure) -> Awaitable[MQError | None]:
        """End a delivery that failed; awaited, it gives why the message does not come again as asked."""

    def check(self, message: Message[T]) -> None:
        """Make sure that a message can still be settled."""


class Message(FetchedMessage, Generic[T]):
    """A message as a consumer gets it, and its settlement.

    ``async with message:`` settles it: leaving the block normally acknowledges; an exception is logged and the message
    comes again, from the broker after 10 s, 30 s, 1 min ... or in order after 1 s; `Reject` makes it a dead letter, as
    does a value that does not decode if the consumer has ``on_decode_error="dead_letter"``;
    cancellation leaves it unsettled, and it is delivered again. If the queue went to another consumer in the meantime,
    leaving the block is logged, and the message comes again there.

    Attributes:
        queue_offset: its number in its queue.
        body: the bytes as sent; inflated if they were compressed.
    """

    __slots__ = ("_inbox", "_repeats", "_value")

    process_queue: ProcessQueue[Message[T]]

    def __init__(
        self,
        records: DecodedRecords,
        number: int,
        queue_offset: int,
        body: bytes,
        process_queue: ProcessQueue[Message[T]],
        inbox: Settlement[T],
        repeats: int = 0,
    ) -> None:
        self.queue_offset = queue_offset
        self.body = body
        self.process_queue = process_queue
        self.state = WAITING
        self._records = records
        self._number = number
        self._known = None
        self._inbox = inbox
        self._repeats = repeats
        self._value: Any = _NOT_ASKED_FOR

    @property
    def id(self) -> str:
        """Message id made by the producer, else the offset id that the broker gave."""
        named = self.details.properties
        return named.get("UNIQ_KEY") or named.get("ORIGIN_MESSAGE_ID") or self.details.offset_id

    @property
    def queue(self) -> MessageQueue:
        """Where it is stored; for a message that comes again, a queue of the group's retry topic."""
        return self.process_queue.queue

    @property
    def attempt(self) -> int:
        """1 at the first delivery."""
        return 1 + self.details.reconsume_times + self._repeats

    @property
    def value(self) -> T:
        """The payload; decoded once, so what is changed in it stays. A message that comes again has a new one.

        Raises:
            CodecError: the body does not decode.
        """
        value: T = self._value
        if value is not _NOT_ASKED_FOR:
            return value
        try:
            value = self._value = self._inbox.codec.decode(self.body)
        except CodecError:
            raise
        except Exception as error:
            raise CodecError(f"message {self.id} does not decode: {error}") from error
        return value

    @property
    def topic(self) -> str:
        """The topic that it was sent to, also when it comes again through the group's retry topic."""
        if self.queue.topic.startswith(RETRY_PREFIX):
            return self.details.properties.get("RETRY_TOPIC", self.queue.topic)
        return self.queue.topic

    @property
    def origin(self) -> Origin | None:
        """Where it stood first, for a dead letter and a message that comes again; None for one where it was sent to."""
        named = self.details.properties
        topic = named.get("RETRY_TOPIC")
        if topic is None or not self.queue.topic.startswith((DLQ_PREFIX, RETRY_PREFIX)):
            return None
        broker, _, position = named.get(ORIGIN_QUEUE, "").partition(":")
        number, _, offset = position.partition(":")
        queue, queue_offset = None, None
        if number.isdecimal() and offset.isdecimal():
            queue, queue_offset = MessageQueue(topic, broker, int(number)), int(offset)
        return Origin(topic, queue, queue_offset, self.id, self.details.reconsume_times, named.get(DEAD_LETTER_REASON))

    @property
    def tag(self) -> str | None:
        """The tag by which consumers filter."""
        return self.details.properties.get("TAGS")

    @property
    def keys(self) -> list[str]:
        """The index keys."""
        return self.details.properties.get("KEYS", "").split()

    @property
    def shard(self) -> str | None:
        """The key whose messages keep their order."""
        return self.details.properties.get("__SHARDINGKEY")

    @property
    def properties(self) -> dict[str, str]:
        """The sender's own properties, without those of the protocol."""
        return {
            name: value
            for name, value in self.details.properties.items()
            if name not in RESERVED and not name.startswith(RESERVED_PREFIXES)
        }

    @property
    def born_at(self) -> datetime:
        """When the producer made it, by the producer's clock."""
        return datetime.fromtimestamp(self.details.born_ms / 1000, UTC)

    @property
    def stored_at(self) -> datetime:
        """When the broker stored it, by the broker's clock."""
        return datetime.fromtimestamp(self.details.stored_ms / 1000, UTC)

    async def ack(self) -> None:
        """Settle the message: it need not come again. The broker learns it with the next commit of offsets.

        Raises:
            SettlementLostError: the queue went to another consumer, or the time to process ran out; it comes again.
            AlreadySettledError: settled before.
        """
        self._inbox.settle(self, ACKED)

    async def extend(self, by: float | timedelta) -> None:
        """Make sure that the message is still ours; a pulled message has no lease, so there is nothing to prolong.

        Args:
            by: seconds, or a timedelta, for which it is wanted; consumers with leases use it.

        Raises:
            ConfigError: not above 0.
            SettlementLostError: as `ack`.
            AlreadySettledError: settled before.
        """
        seconds(by, "by")
        self._inbox.check(self)

    async def nack(self, delay: float | timedelta | None = None) -> None:
        """Have the message come again; returns when the broker has it, or when the consumer keeps it instead.

        Args:
            delay: seconds, or a timedelta; rounded up to one of the fixed delays, of which the longest is two hours. In
                order the queue stands still instead, between 10 ms and 30 s. None: as after an exception.

        Raises:
            ConfigError: the delay is not above 0; the message is not settled.
            UnsupportedError: the delay is above two hours; the message is not settled.
            SettlementLostError: as `ack`.
            AlreadySettledError: settled before.
        """
        failure = Failure()
        if delay is not None and self.process_queue.ordered:
            failure = Failure(pause=min(max(seconds(delay, "delay"), _SHORTEST_PAUSE), _LONGEST_PAUSE))
        elif delay is not None:
            level = level_at_least(delay)
            failure = Failure(level, float(LEVEL_SECONDS[level - 1]))
        await self._inbox.fail(self, failure)

    async def dead_letter(self, reason: str = "") -> None:
        """Put the message into the group's dead-letter topic; returns when it is there.

        Args:
            reason: for people that find it there, as `Origin.reason`.

        Raises:
            UnsupportedError: the broker has no dead letters; the message comes again.
            MQError: it could not be put there; the message comes again.
            SettlementLostError: as `ack`.
            AlreadySettledError: settled before.
        """
        error = await self._inbox.fail(self, DEAD_LETTER._replace(reason=reason))
        if error is not None:
            raise error

    async def __aenter__(self) -> Message[T]:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if isinstance(error, Reject):
            _log.warning("message %s at %s is rejected: %s", self.id, self.location, error)
        elif isinstance(error, Exception):
            _log.warning("message %s at %s failed; it comes again", self.id, self.location, exc_info=error)
        if self.state == DELIVERED:
            self._settle_block(error)
        elif self.state == EXPIRED:
            self._inbox.on_lost(f"message {self.id} at {self.location} took longer than max_processing; it comes again")
        return isinstance(error, Exception)

    def _settle_block(self, error: BaseException | None) -> None:
        try:
            if isinstance(error, Exception):
                dead = isinstance(error, Reject) or (isinstance(error, CodecError) and self._is_undecodable())
                self._inbox.fail(self, (DEAD_LETTER if dead else Failure())._replace(reason=_reason(error)))
            else:
                self._inbox.settle(self, ACKED if error is None else RELEASED)
        except SettlementLostError as lost:
            # Raised here it would end the consumer's loop at every rebalance.
            self._inbox.on_lost(str(lost))

    def _is_undecodable(self) -> bool:
        """Whether the value does not decode, and such messages are to be dead letters."""
        if self._inbox.on_decode_error == "retry":
            return False
        try:
            _ = self.value
        except CodecError:
            return True
        return False

    def __repr__(self) -> str:
        return f"<Message {self.id} {self.location} attempt {self.attempt}>"


def redelivered(message: Message[T]) -> Message[T]:
    """The same message for its next delivery; the object of the last one stays settled."""
    again = Message(
        message._records,
        message._number,
        message.queue_offset,
        message.body,
        message.process_queue,
        message._inbox,
        message._repeats + 1,
    )
    again._known = message._known
    return again
