"""What goes out and what comes in: queues, receipts, messages."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Generic, Literal, NamedTuple, TypeVar

from ternmq.client.arguments import RESERVED
from ternmq.client.codecs import Codec
from ternmq.errors import CodecError, SettlementLostError

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


class SendReceipt(NamedTuple):
    """Proof that a message is stored.

    Args:
        id: message id made by the producer (UNIQ_KEY); the same over retries.
        queue: where it is stored.
        queue_offset: its number in that queue.
        status: ``ok``, or how far a broker of another mode got.
    """

    id: str
    queue: MessageQueue
    queue_offset: int
    status: SendStatus


class Message(Generic[T]):
    """A message as a consumer gets it, and its settlement.

    ``async with message:`` settles it: leaving the block normally acknowledges; an exception is logged and the message
    comes again after a pause; cancellation leaves it unsettled, and it is delivered again. If the queue went to another
    consumer in the meantime, leaving the block is logged, and the message comes again there.

    Attributes:
        id: message id made by the producer, else the offset id that the broker gave.
        queue: where it is stored.
        queue_offset: its number in that queue.
        body: the bytes as sent; inflated if they were compressed.
        attempt: 1 at the first delivery.
    """

    __slots__ = (
        "_all_properties",
        "_born_ms",
        "_codec",
        "_inbox",
        "_place",
        "_state",
        "_stored_ms",
        "attempt",
        "body",
        "id",
        "queue",
        "queue_offset",
    )

    def __init__(
        self,
        *,
        id: str,
        queue: MessageQueue,
        queue_offset: int,
        body: bytes,
        properties: Mapping[str, str],
        born_ms: int,
        stored_ms: int,
        attempt: int,
        codec: Codec[T],
        place: ProcessQueue[T],
        inbox: Inbox[T],
    ) -> None:
        self.id = id
        self.queue = queue
        self.queue_offset = queue_offset
        self.body = body
        self.attempt = attempt
        self._all_properties = properties
        self._born_ms = born_ms
        self._stored_ms = stored_ms
        self._codec = codec
        self._place = place
        self._inbox = inbox
        self._state = WAITING

    @property
    def value(self) -> T:
        """The payload; decoded at each access.

        Raises:
            CodecError: the body does not decode.
        """
        try:
            return self._codec.decode(self.body)
        except CodecError:
            raise
        except Exception as error:
            raise CodecError(f"message {self.id} does not decode: {error}") from error

    @property
    def tag(self) -> str | None:
        """The tag by which consumers filter."""
        return self._all_properties.get("TAGS")

    @property
    def keys(self) -> list[str]:
        """The index keys."""
        return self._all_properties.get("KEYS", "").split()

    @property
    def shard(self) -> str | None:
        """The key whose messages keep their order."""
        return self._all_properties.get("__SHARDINGKEY")

    @property
    def properties(self) -> dict[str, str]:
        """The sender's own properties, without those of the protocol."""
        return {
            name: value
            for name, value in self._all_properties.items()
            if name not in RESERVED and not name.startswith("__RMQ.")
        }

    @property
    def born_at(self) -> datetime:
        """When the producer made it, by the producer's clock."""
        return datetime.fromtimestamp(self._born_ms / 1000, UTC)

    @property
    def stored_at(self) -> datetime:
        """When the broker stored it, by the broker's clock."""
        return datetime.fromtimestamp(self._stored_ms / 1000, UTC)

    async def ack(self) -> None:
        """Settle the message: it need not come again. The broker learns it with the next commit of offsets.

        Raises:
            SettlementLostError: the queue went to another consumer, or the time to process ran out; it comes again.
            RuntimeError: settled before.
        """
        self._inbox.settle(self, ACKED)

    async def __aenter__(self) -> Message[T]:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if isinstance(error, Exception):
            _log.warning("message %s at %s failed; it comes again", self.id, self._where(), exc_info=error)
        if self._state == DELIVERED:
            self._settle_block(ACKED if error is None else FAILED if isinstance(error, Exception) else RELEASED)
        elif self._state == EXPIRED:
            _log.warning("message %s at %s took longer than max_processing; it comes again", self.id, self._where())
        return isinstance(error, Exception)

    def _settle_block(self, outcome: int) -> None:
        try:
            self._inbox.settle(self, outcome)
        except SettlementLostError as lost:
            # Raised here it would end the consumer's loop at every rebalance.
            _log.warning("%s", lost)

    def _again(self) -> Message[T]:
        """The same message for its next delivery; this object stays settled."""
        return Message(
            id=self.id,
            queue=self.queue,
            queue_offset=self.queue_offset,
            body=self.body,
            properties=self._all_properties,
            born_ms=self._born_ms,
            stored_ms=self._stored_ms,
            attempt=self.attempt + 1,
            codec=self._codec,
            place=self._place,
            inbox=self._inbox,
        )

    def _where(self) -> str:
        return f"{self.queue} offset {self.queue_offset}"

    def __repr__(self) -> str:
        return f"<Message {self.id} {self._where()} attempt {self.attempt}>"
