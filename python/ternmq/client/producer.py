"""The producer: checks, encoding, bounds; what happens to an accepted send is in `sender`."""

from __future__ import annotations

import asyncio
import logging
import zlib
from collections.abc import Mapping, Sequence
from datetime import timedelta
from types import TracebackType
from typing import Any, Generic, TypeVar

from ternmq import _core
from ternmq.client import arguments, loops
from ternmq.client.codecs import Codec
from ternmq.client.delays import exact_level
from ternmq.client.filters import check_tag
from ternmq.client.in_flight_limit import InFlightLimit
from ternmq.client.parts import ParentClient, Parts
from ternmq.client.pending_send import PendingSend
from ternmq.client.publish_info import TopicPublishInfo, send_header
from ternmq.client.receipts import SendReceipt
from ternmq.client.sender import Sender
from ternmq.errors import ClientClosedError, CodecError, ConfigError, ForkedClientError, MessageIllegalError
from ternmq.protocol.codes import RequestCode
from ternmq.wording import counted

T = TypeVar("T")

_log = logging.getLogger(__name__)

_ZLIB_LEVEL = 5
_INLINE_COMPRESSION = 64 * 1024
"""Larger bodies are compressed on a thread, so that the event loop goes on."""
_SEND: int = RequestCode.SEND_MESSAGE_V2
_MAX_PROPERTIES = 32767
_WAIT = "WAIT\x01true\x02"
"""The broker answers when the message is as safe as it is configured to be."""
_MAX_MESSAGE = 4 * 1024 * 1024


class Producer(Generic[T]):
    """Sends messages of one payload type; made by `Client.producer`, used as an async context manager.

    At most `max_pending` sends and `max_pending_bytes` of their bodies are unanswered at any time; beyond that `send`,
    `post` and `send_batch` wait. Nothing is ever dropped. Every try of a send carries the same message id.
    """

    def __init__(
        self,
        client: ParentClient,
        group: str,
        codec: Codec[T],
        *,
        retries: int,
        timeout: float | timedelta,
        max_pending: int,
        max_pending_bytes: int,
        compress_over: int,
        max_message: int,
    ) -> None:
        self.group = arguments.group_name(group)
        self._client = client
        self._codec = codec
        self._tries = 1 + arguments.count(retries, "retries", at_least=0, at_most=100)
        self._timeout = arguments.seconds(timeout, "timeout")
        self._in_flight = InFlightLimit(
            arguments.count(max_pending, "max_pending", at_most=1_000_000),
            arguments.count(max_pending_bytes, "max_pending_bytes"),
        )
        self._compress_over = arguments.count(compress_over, "compress_over")
        self._max_message = arguments.count(max_message, "max_message", at_most=_MAX_MESSAGE)
        self._sender: Sender | None = None
        self._publish_infos: dict[str, TopicPublishInfo] = {}  # the sender's, while it is open
        self._parts: Parts | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._forked: str | None = None

    def __repr__(self) -> str:
        if self._sender is None:
            return f"<Producer {self.group} {'not open' if self._loop is None else 'closed'}>"
        unanswered = counted(self._in_flight.count, "send")
        return f"<Producer {self.group} {counted(len(self._publish_infos), 'topic')}, {unanswered} unanswered>"

    async def open(self) -> Producer[T]:
        """Start; `async with` does it.

        Raises:
            ClientClosedError: the client is not open.
            ConfigError: opened before.
        """
        if self._loop is not None:
            raise ConfigError(f"producer {self.group} was opened before; make a new one")
        self._parts = parts = self._client.parts()
        self._loop = asyncio.get_running_loop()
        self._sender = Sender(parts.endpoint, parts.metadata, parts.wall_clock_ms, self._in_flight.release)
        self._publish_infos = self._sender.publish_infos
        parts.membership.add_producer(self.group)
        self._client.attach(self)
        _log.info("producer %s is open", self.group)
        return self

    async def close(self) -> None:
        """Take no more, wait until every accepted send has ended, leave the group.

        Raises:
            ForeignLoopError: it was opened in another event loop.
        """
        if self._sender is not None:
            self._check_loop()
        sender, self._sender = self._sender, None
        if sender is None or self._loop is None or self._parts is None:
            return
        # No send is accepted from here on, or the wait for the last one might never end.
        self._publish_infos = {}
        self._in_flight.fail_waiters(ClientClosedError(f"producer {self.group} is closed"))
        await self._in_flight.wait_idle()
        sender.close()
        self._client.detach(self)
        await self._parts.membership.remove_producer(self.group)
        _log.info("producer %s is closed", self.group)

    def abandon(self, why: str) -> None:
        """Raise `ForkedClientError` with this text at every use, in a child process."""
        self._sender, self._publish_infos, self._forked, self._loop = None, {}, why, None

    async def __aenter__(self) -> Producer[T]:
        return await self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def send(
        self,
        topic: str,
        value: T,
        *,
        tag: str | None = None,
        keys: Sequence[str] = (),
        properties: Mapping[str, str] | None = None,
        shard: str | None = None,
        delay: float | timedelta | None = None,
    ) -> SendReceipt:
        """Send a message and wait until the broker has it.

        Args:
            topic: where to; an unknown topic is created where brokers allow it.
            value: the payload.
            tag: one word by which consumers filter.
            keys: index keys, by which the message can be found.
            properties: names and values of your own.
            shard: messages with the same key keep their order; at most one of them is unanswered at a time.
            delay: seconds, or a timedelta, until consumers see it: one of the 18 fixed delays; not with a shard.

        Raises:
            ConfigError: an argument is wrong; nothing was sent.
            UnsupportedError: not one of the fixed delays; nothing was sent.
            CodecError: the payload does not encode; nothing was sent.
            MessageIllegalError: empty or too large; nothing was sent.
            RouteNotFoundError: no such topic.
            RejectedError: refused; the message is not stored.
            UnreachableError: no broker could be reached; the message is not stored.
            OutcomeUnknownError: no answer; the message may be stored.
            ClientClosedError: the producer is not open.
        """
        receipt: SendReceipt = await (
            await self.post(topic, value, tag=tag, keys=keys, properties=properties, shard=shard, delay=delay)
        )
        return receipt

    async def post(
        self,
        topic: str,
        value: T,
        *,
        tag: str | None = None,
        keys: Sequence[str] = (),
        properties: Mapping[str, str] | None = None,
        shard: str | None = None,
        delay: float | timedelta | None = None,
    ) -> asyncio.Future[SendReceipt]:
        """Accept a message and return a future of its receipt; waits only while too much is unanswered.

        Arguments and errors are those of `send`; errors after acceptance come with the future.
        """
        publish_info = self._publish_infos.get(topic)
        text = _WAIT
        if publish_info is None or tag is not None or keys or properties or shard is not None or delay is not None:
            self._check_open()
            text = self._properties(topic, tag, keys, properties, shard, delay)
        body = self._encode(value)
        packed = False
        if len(body) >= self._compress_over:
            body, packed = await self._pack(body)
        if publish_info is None:
            publish_info = await self._find_publish_info(topic)
        if not self._in_flight.try_acquire(len(body)):
            self._check_loop()
            await self._in_flight.acquire(len(body))
        fields = publish_info.header.compressed if packed else publish_info.header.plain
        return self._submit(publish_info, _SEND, fields, text, body, shard)

    async def send_batch(
        self,
        topic: str,
        values: Sequence[T],
        *,
        tag: str | None = None,
        keys: Sequence[str] = (),
        properties: Mapping[str, str] | None = None,
        shard: str | None = None,
    ) -> list[SendReceipt]:
        """Send several messages in one request, to one queue; all are stored or none.

        Args:
            topic: where to.
            values: the payloads, at least one; together at most `max_message` bytes.
            tag: of each message.
            keys: of each message.
            properties: of each message.
            shard: of each message.

        Returns:
            A receipt for each message, in order.

        Raises:
            MQError: as `send`.
        """
        self._check_open()
        self._check_loop()
        if not values:
            raise ConfigError("send_batch needs at least one message")
        common = self._properties(topic, tag, keys, properties, shard)
        ids = [_core.unique_id() for _ in values]
        items = [
            (0, self._encode(value), f"UNIQ_KEY\x01{ident}\x02{common}")
            for value, ident in zip(values, ids, strict=True)
        ]
        body = _core.encode_batch(items)
        self._check_size(len(body))
        publish_info = await self._find_publish_info(topic)
        if not self._in_flight.try_acquire(len(body)):
            self._check_loop()
            await self._in_flight.acquire(len(body))
        # Properties in the header are copied to every item by older brokers, so none that differ may stand there.
        receipts: list[SendReceipt] = await self._submit(
            publish_info, RequestCode.SEND_BATCH_MESSAGE, publish_info.header.batch, _WAIT, body, shard, ids
        )
        return receipts

    async def send_oneway(
        self,
        topic: str,
        value: T,
        *,
        tag: str | None = None,
        keys: Sequence[str] = (),
        properties: Mapping[str, str] | None = None,
        shard: str | None = None,
        delay: float | timedelta | None = None,
    ) -> None:
        """Send a message that no broker answers: whether it is stored is never known, and it is not sent again.

        Args:
            topic: where to.
            value: the payload.
            tag: one word by which consumers filter.
            keys: index keys.
            properties: names and values of your own.
            shard: chooses the queue.
            delay: as `send`.

        Raises:
            ConfigError: an argument is wrong; nothing was sent.
            UnsupportedError: not one of the fixed delays; nothing was sent.
            CodecError: the payload does not encode; nothing was sent.
            MessageIllegalError: empty or too large; nothing was sent.
            RouteNotFoundError: no such topic.
            NotWritableError: no leader in time; nothing was sent.
        """
        self._check_open()
        self._check_loop()
        text = self._properties(topic, tag, keys, properties, shard, delay)
        body, packed = await self._pack(self._encode(value))
        publish_info = await self._find_publish_info(topic)
        parts = self._parts
        assert parts is not None
        queue = publish_info.shard_queue(shard) if shard is not None else None
        if queue is None:
            target = publish_info.next_target(parts.metadata.leaders)
            queue = target[0] if target is not None else None
        broker = queue.broker if queue is not None else next(iter(publish_info.route.brokers), "")
        address = await parts.metadata.wait_for_master(broker, self._deadline())
        fields = {
            **(publish_info.header.compressed if packed else publish_info.header.plain),
            "e": str(queue.id if queue is not None else -1),
            "g": str(parts.wall_clock_ms()),
            "i": f"UNIQ_KEY\x01{_core.unique_id()}\x02{text}",
        }
        parts.endpoint.oneway(address, _SEND, fields, body)

    # -- acceptance ----------------------------------------------------------------------------------------------

    def _submit(
        self,
        publish_info: TopicPublishInfo,
        code: int,
        fields: dict[str, str],
        text: str,
        body: bytes,
        shard: str | None,
        batch: list[str] | None = None,
    ) -> asyncio.Future[Any]:
        """Hand over a send that counts as in flight: from here on it ends with its future."""
        sender, loop = self._sender, self._loop
        if sender is None or loop is None:
            self._in_flight.release(1, len(body))
            raise self._not_open()
        if not sender.unflushed and not loops.is_here(loop):  # once a flush: what joins it is of the same turn
            self._in_flight.release(1, len(body))
            self._check_loop()
        future: asyncio.Future[Any] = loop.create_future()
        deadline = loop.time() + self._timeout
        ident = None if batch is None else ""
        sender.submit(
            PendingSend(publish_info, code, fields, text, body, shard, deadline, self._tries, future, ident, batch)
        )
        return future

    def _deadline(self) -> float:
        assert self._loop is not None
        return self._loop.time() + self._timeout

    # -- encoding ------------------------------------------------------------------------------------------------

    def _encode(self, value: T) -> bytes:
        try:
            body = self._codec.encode(value)
        except CodecError:
            raise
        except Exception as error:
            raise CodecError(f"the payload does not encode: {error}") from error
        if type(body) is not bytes:  # the engine reads nothing else, and refuses all that crosses with it
            raise CodecError(f"the codec encoded to {type(body).__name__}, but must encode to bytes")
        if not body:  # brokers take it for a missing one
            raise MessageIllegalError("the body is empty, and brokers refuse that; nothing was sent", code=13)
        self._check_size(len(body))
        return body

    def _check_size(self, size: int) -> None:
        if size > self._max_message:
            raise MessageIllegalError(
                f"the body has {size} bytes, but max_message allows {self._max_message}; nothing was sent", code=13
            )

    async def _pack(self, body: bytes) -> tuple[bytes, bool]:
        """Compress a large body, if that makes it smaller; tells whether it did."""
        if len(body) < self._compress_over:
            return body, False
        if len(body) <= _INLINE_COMPRESSION:
            packed = zlib.compress(body, _ZLIB_LEVEL)
        else:
            packed = await asyncio.to_thread(zlib.compress, body, _ZLIB_LEVEL)
        return (packed, True) if len(packed) < len(body) else (body, False)

    def _properties(
        self,
        topic: str,
        tag: str | None,
        keys: Sequence[str],
        properties: Mapping[str, str] | None,
        shard: str | None,
        delay: float | timedelta | None = None,
    ) -> str:
        """Check what the caller gave, and write it as the wire has it."""
        if topic not in self._publish_infos:
            arguments.topic_name(topic)
        text = _WAIT
        if tag is not None:
            check_tag(tag, f"tag {tag!r}")
            text += f"TAGS\x01{tag}\x02"
        if keys:
            text += f"KEYS\x01{arguments.joined_keys(keys)}\x02"
        if shard is not None:
            text += f"__SHARDINGKEY\x01{arguments.shard_key(shard)}\x02"
        if delay is not None:
            if shard is not None:
                raise ConfigError("a message with a shard keeps its place in the order and cannot have a delay")
            text += f"DELAY\x01{exact_level(delay)}\x02"
        if properties:
            text += arguments.user_properties(properties)
        if not text.isascii() or len(text) > _MAX_PROPERTIES // 4:
            size = _utf8_size(text)
            if size > _MAX_PROPERTIES - 512:  # room for what the broker adds
                raise MessageIllegalError(
                    f"tag, keys and properties have {size} bytes, but {_MAX_PROPERTIES - 512} are allowed", code=13
                )
        return text

    # -- routes --------------------------------------------------------------------------------------------------

    async def _find_publish_info(self, topic: str) -> TopicPublishInfo:
        """What sends to the topic share; looks its route up once."""
        publish_info = self._publish_infos.get(topic)
        if publish_info is None:
            assert self._parts is not None
            self._check_loop()
            route = await self._parts.metadata.find(topic, self._deadline(), create=True)
            sender = self._check_open()
            publish_info = sender.publish_infos.setdefault(
                topic, TopicPublishInfo(route, send_header(self.group, topic))
            )
        return publish_info

    def _check_open(self) -> Sender:
        if self._sender is None:
            raise self._not_open()
        return self._sender

    def _check_loop(self) -> None:
        loops.check(self._loop, f"producer {self.group}")

    def _not_open(self) -> ClientClosedError:
        if self._forked is not None:
            return ForkedClientError(self._forked)
        if self._loop is not None:
            return ClientClosedError(f"producer {self.group} is closed; client.producer() makes a new one")
        return ClientClosedError(f"producer {self.group} is not open; use `async with client.producer(...)`")


def _utf8_size(text: str) -> int:
    try:
        return len(text.encode())
    except UnicodeEncodeError as error:
        raise ConfigError(f"tag, keys, shard and properties must be writable as UTF-8: {error.reason}") from error
