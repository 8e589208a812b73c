"""What goes out and what comes in: queues, receipts, messages."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Literal, NamedTuple, Protocol, TypeVar

from ternmq import _core
from ternmq.client.arguments import RESERVED, RESERVED_PREFIXES, seconds
from ternmq.client.delays import LEVEL_SECONDS, level_at_least
from ternmq.errors import CodecError, Reject, SettlementLostError

if TYPE_CHECKING:
    from ternmq.client.inbox import Inbox, ProcessQueue

T = TypeVar("T")

_log = logging.getLogger(__name__)

SendStatus = Literal["ok", "flush_disk_timeout", "flush_slave_timeout", "slave_not_available"]

WAITING = 0
DELIVERED = 1
ACKED = 2
FAILED = 3
RELEASED = 4
EXPIRED = 5
BATCHED = 6

_NOT_ASKED_FOR: Any = object()
"""The value of a message that nobody has decoded: most readers ask once, and an exception would cost them more."""

RETRY_PAUSE = 1.0
"""Seconds until a failed message comes again from the consumer itself."""
_SHORTEST_PAUSE = 0.01
_LONGEST_PAUSE = 30.0
"""Bounds of the time that an ordered queue stands still."""


def retry_topic(group: str) -> str:
    """The topic through which a group's failed messages come again."""
    return f"%RETRY%{group}"


class Failure(NamedTuple):
    """How a message is to come again.

    Args:
        level: delay level; 0 leaves it to the broker, -1 makes the message a dead letter.
        pause: seconds until it comes again where the consumer keeps it: in order, or at a broker without retries.
        reason: why it failed, for whoever finds it among the dead letters; empty for none.
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


class Origin(NamedTuple):
    """Where a message stood that comes again, or that is a dead letter.

    Args:
        topic: the one that it was sent to.
        queue: its queue there; None if the broker that took it back did not note it, as Apache's do not.
        queue_offset: its number in that queue; None likewise.
        id: the message id, which stays the same.
        attempts: how often it had been delivered before it came here.
        reason: why a consumer gave it up: what `Reject` said, or the last exception; None if nobody said.
    """

    topic: str
    queue: MessageQueue | None
    queue_offset: int | None
    id: str
    attempts: int
    reason: str | None


class SendReceipt(NamedTuple):
    """Proof that a message is stored.

    Args:
        id: message id made by the producer (UNIQ_KEY); the same over retries.
        queue: where it is stored; of a delayed message, where it will be.
        queue_offset: its number in that queue; of a delayed message, among those that wait as long.
        status: ``ok``, or how far a broker of another mode got.
    """

    id: str
    queue: MessageQueue
    queue_offset: int
    status: SendStatus


class Details(NamedTuple):
    """What a stored record says beside offset and body.

    Args:
        physical_offset: where it begins in the broker's log, in bytes.
        flag: the sender's number, passed on as it is.
        sys_flag: how the body is packed, and more.
        born_ms: when it was made, by the producer's clock.
        stored_ms: when it was stored, by the broker's.
        store_host: the broker that stored it, ``host:port``.
        reconsume_times: how often it has come again.
        properties: all of them, with those of the protocol.
    """

    physical_offset: int
    flag: int
    sys_flag: int
    born_ms: int
    stored_ms: int
    store_host: str
    reconsume_times: int
    properties: dict[str, str]

    @property
    def offset_id(self) -> str:
        """The id by which a broker finds the message: where it is stored."""
        host, _, port = self.store_host.rpartition(":")
        return _core.offset_id(host.strip("[]"), int(port), self.physical_offset)


class Records(Protocol):
    """The answer that messages came in; the engine's, or a test's."""

    def details(self, number: int, /) -> tuple[int, int, int, int, int, str, int, dict[str, str]]:
        """Items of `Details` of a record."""


class Message(Generic[T]):
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

    __slots__ = (
        "_inbox", "_known", "_number", "_records", "_repeats", "_state", "_value", "body", "process_queue",
        "queue_offset",
    )  # fmt: skip

    def __init__(
        self,
        records: Records,
        number: int,
        queue_offset: int,
        body: bytes,
        process_queue: ProcessQueue[T],
        inbox: Inbox[T],
        repeats: int = 0,
    ) -> None:
        self.queue_offset = queue_offset
        self.body = body
        self._records = records
        self._number = number
        self.process_queue = process_queue
        self._inbox = inbox
        self._repeats = repeats
        self._known: Details | None = None
        self._value: Any = _NOT_ASKED_FOR
        self._state = WAITING

    @property
    def _details(self) -> Details:
        """Decoded when something asks for it: most readers look at the body alone."""
        if self._known is None:
            self._known = Details._make(self._records.details(self._number))
        return self._known

    @property
    def id(self) -> str:
        """Message id made by the producer, else the offset id that the broker gave."""
        named = self._details.properties
        return named.get("UNIQ_KEY") or named.get("ORIGIN_MESSAGE_ID") or self._details.offset_id

    @property
    def queue(self) -> MessageQueue:
        """Where it is stored; for a message that comes again, a queue of the group's retry topic."""
        return self.process_queue.queue

    @property
    def attempt(self) -> int:
        """1 at the first delivery."""
        return 1 + self._details.reconsume_times + self._repeats

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
        if self.queue.topic.startswith("%RETRY%"):
            return self._details.properties.get("RETRY_TOPIC", self.queue.topic)
        return self.queue.topic

    @property
    def origin(self) -> Origin | None:
        """Where it stood first, for a dead letter and a message that comes again; None for one where it was sent to."""
        named = self._details.properties
        topic = named.get("RETRY_TOPIC")
        if topic is None or not self.queue.topic.startswith(("%DLQ%", "%RETRY%")):
            return None
        broker, _, position = named.get(ORIGIN_QUEUE, "").partition(":")
        number, _, offset = position.partition(":")
        queue, queue_offset = None, None
        if number.isdecimal() and offset.isdecimal():
            queue, queue_offset = MessageQueue(topic, broker, int(number)), int(offset)
        return Origin(topic, queue, queue_offset, self.id, self._details.reconsume_times, named.get(DEAD_LETTER_REASON))

    @property
    def tag(self) -> str | None:
        """The tag by which consumers filter."""
        return self._details.properties.get("TAGS")

    @property
    def keys(self) -> list[str]:
        """The index keys."""
        return self._details.properties.get("KEYS", "").split()

    @property
    def shard(self) -> str | None:
        """The key whose messages keep their order."""
        return self._details.properties.get("__SHARDINGKEY")

    @property
    def properties(self) -> dict[str, str]:
        """The sender's own properties, without those of the protocol."""
        return {
            name: value
            for name, value in self._details.properties.items()
            if name not in RESERVED and not name.startswith(RESERVED_PREFIXES)
        }

    @property
    def born_at(self) -> datetime:
        """When the producer made it, by the producer's clock."""
        return datetime.fromtimestamp(self._details.born_ms / 1000, UTC)

    @property
    def stored_at(self) -> datetime:
        """When the broker stored it, by the broker's clock."""
        return datetime.fromtimestamp(self._details.stored_ms / 1000, UTC)

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
            reason: for whoever finds it there, as `Origin.reason`.

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
            _log.warning("message %s at %s is rejected: %s", self.id, self._where(), error)
        elif isinstance(error, Exception):
            _log.warning("message %s at %s failed; it comes again", self.id, self._where(), exc_info=error)
        if self._state == DELIVERED:
            self._settle_block(error)
        elif self._state == EXPIRED:
            self._inbox.on_lost(f"message {self.id} at {self._where()} took longer than max_processing; it comes again")
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

    def _again(self) -> Message[T]:
        """The same message for its next delivery; this object stays settled."""
        again = Message(
            self._records,
            self._number,
            self.queue_offset,
            self.body,
            self.process_queue,
            self._inbox,
            self._repeats + 1,
        )
        again._known = self._known
        return again

    def _where(self) -> str:
        return f"{self.queue} offset {self.queue_offset}"

    def __repr__(self) -> str:
        return f"<Message {self.id} {self._where()} attempt {self.attempt}>"
