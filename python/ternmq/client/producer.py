"""The producer: checks, encoding, bounds; what happens to an accepted send is in `sending`."""

from __future__ import annotations

import asyncio
import zlib
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ternmq import _core
from ternmq.client import arguments
from ternmq.client.codecs import Codec
from ternmq.client.delays import exact_level
from ternmq.client.filters import check_tag
from ternmq.client.messages import SendReceipt
from ternmq.client.sending import Plan, Send, Sender
from ternmq.errors import ClientClosedError, CodecError, ConfigError, MessageIllegalError
from ternmq.protocol.codes import RequestCode

if TYPE_CHECKING:
    from ternmq.client.connection import Client, Parts

T = TypeVar("T")

_COMPRESSED = 0x1 | 0x300
"""sysFlag: the body is compressed, with zlib."""
_ZLIB_LEVEL = 5
_INLINE_COMPRESSION = 64 * 1024
"""Larger bodies are compressed on a thread, so that the event loop goes on."""
_MAX_PROPERTIES = 32767
_MAX_MESSAGE = 4 * 1024 * 1024


class Producer(Generic[T]):
    """Sends messages of one payload type; made by `Client.producer`, used as an async context manager.

    At most `max_pending` sends and `max_pending_bytes` of their bodies are unanswered at any time; beyond that `send`,
    `post` and `send_batch` wait. Nothing is ever dropped. Every try of a send carries the same message id.
    """

    def __init__(
        self,
        client: Client,
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
        self._max_pending = arguments.count(max_pending, "max_pending", at_most=1_000_000)
        self._max_pending_bytes = arguments.count(max_pending_bytes, "max_pending_bytes")
        self._compress_over = arguments.count(compress_over, "compress_over")
        self._max_message = arguments.count(max_message, "max_message", at_most=_MAX_MESSAGE)
        self._pending = 0
        self._pending_bytes = 0
        self._room: deque[asyncio.Future[None]] = deque()
        self._idle: asyncio.Future[None] | None = None
        self._sender: Sender | None = None
        self._parts: Parts | None = None
        self._clock: Callable[[], int] = int  # the client's, once it is open
        self._loop: asyncio.AbstractEventLoop | None = None

    async def open(self) -> Producer[T]:
        """Start; `async with` does it.

        Raises:
            ClientClosedError: the client is not open.
            ConfigError: opened before.
        """
        if self._loop is not None:
            raise ConfigError(f"producer {self.group} was opened before; make a new one")
        self._parts = parts = self._client.parts()
        self._clock = parts.wall_clock_ms
        self._loop = asyncio.get_running_loop()
        self._sender = Sender(parts.endpoint, parts.routing, self._done)
        parts.membership.add_producer(self.group)
        self._client.attach(self)
        return self

    async def close(self) -> None:
        """Take no more, wait until every accepted send has ended, leave the group."""
        sender, self._sender = self._sender, None
        if sender is None or self._loop is None or self._parts is None:
            return
        for waiter in self._room:
            if not waiter.done():
                waiter.set_exception(ClientClosedError(f"producer {self.group} is closed"))
        self._room.clear()
        if self._pending:
            self._idle = self._loop.create_future()
            await self._idle
        sender.close()
        self._client.detach(self)
        await self._parts.membership.remove_producer(self.group)

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
            UnreachableError: nobody could be reached; the message is not stored.
            OutcomeUnknownError: no answer; the message may be stored.
            ClientClosedError: the producer is closed.
        """
        receipt: SendReceipt = await (await self._accept(topic, value, tag, keys, properties, shard, delay))
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
        return await self._accept(topic, value, tag, keys, properties, shard, delay)

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
        if not values:
            raise ConfigError("send_batch needs at least one message")
        common = self._common_properties(topic, tag, keys, properties, shard)
        ids: list[str] = []
        items: list[tuple[int, bytes, str]] = []
        for value in values:
            ident = _core.unique_id()
            ids.append(ident)
            items.append((0, self._encode(value), _own_properties(ident) + common))
        body = _core.encode_batch(items)
        self._check_size(len(body))
        plan = await self._plan(topic)
        fields = plan.fields.copy()
        # Properties in the header are copied to every item by older brokers, so none that differ may stand there.
        fields["i"] = "WAIT\x01true\x02"
        fields["m"] = "true"
        receipts: list[SendReceipt] = await (
            await self._start(plan, RequestCode.SEND_BATCH_MESSAGE, fields, body, ids, shard)
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
        common = self._common_properties(topic, tag, keys, properties, shard, delay)
        body, flags = await self._pack(self._encode(value))
        plan = await self._plan(topic)
        parts = self._parts
        assert parts is not None
        queue = plan.next_queue(parts.routing, None) if shard is None else plan.shard_queue(shard)
        broker = queue.broker if queue is not None else next(iter(plan.route.groups), "")
        address = await parts.routing.wait_for_master(broker, self._now() + self._timeout)
        fields = self._fields(plan, _core.unique_id(), common, flags)
        fields["e"] = str(queue.id if queue is not None else -1)
        parts.endpoint.oneway(address, RequestCode.SEND_MESSAGE_V2, fields, body)

    # -- acceptance ----------------------------------------------------------------------------------------------

    async def _accept(
        self,
        topic: str,
        value: T,
        tag: str | None,
        keys: Sequence[str],
        properties: Mapping[str, str] | None,
        shard: str | None,
        delay: float | timedelta | None,
    ) -> asyncio.Future[Any]:
        self._check_open()
        common = self._common_properties(topic, tag, keys, properties, shard, delay)
        body = self._encode(value)
        flags = 0
        if len(body) >= self._compress_over:
            body, flags = await self._pack(body)
        plan = self._known_plan(topic) or await self._plan(topic)
        ident = _core.unique_id()
        fields = self._fields(plan, ident, common, flags)
        return await self._start(plan, RequestCode.SEND_MESSAGE_V2, fields, body, [ident], shard)

    async def _start(
        self, plan: Plan, code: int, fields: dict[str, str], body: bytes, ids: list[str], shard: str | None
    ) -> asyncio.Future[Any]:
        """Wait for room, then hand the send over."""
        deadline = self._now() + self._timeout
        size = len(body)
        if self._room or self._is_full(size):
            await self._wait_for_room(size)
            deadline = self._now() + self._timeout
        sender = self._check_open()
        assert self._loop is not None
        self._pending += 1
        self._pending_bytes += size
        future: asyncio.Future[Any] = self._loop.create_future()
        queue = plan.shard_queue(shard) if shard is not None else None
        sender.submit(Send(plan, code, fields, body, ids, shard, queue, deadline, self._tries, future))
        return future

    def _done(self, send: Send) -> None:
        self._pending -= 1
        self._pending_bytes -= send.size
        while self._room and not self._is_full(0):
            waiter = self._room.popleft()
            if not waiter.done():
                waiter.set_result(None)
                break
        if self._idle is not None and not self._pending and not self._idle.done():
            self._idle.set_result(None)

    def _is_full(self, size: int) -> bool:
        if self._pending >= self._max_pending:
            return True
        # A body larger than the whole bound still goes out, alone.
        return self._pending > 0 and self._pending_bytes + size > self._max_pending_bytes

    async def _wait_for_room(self, size: int) -> None:
        """Wait in line; each send that ends lets one in."""
        first = True
        while first or self._is_full(size):
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            if first:
                self._room.append(waiter)
            else:
                self._room.appendleft(waiter)
            first = False
            try:
                await waiter
            except asyncio.CancelledError:
                if waiter in self._room:
                    self._room.remove(waiter)
                elif self._room and not self._is_full(0):
                    self._wake_next()
                raise

    def _wake_next(self) -> None:
        waiter = self._room.popleft()
        if not waiter.done():
            waiter.set_result(None)

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

    async def _pack(self, body: bytes) -> tuple[bytes, int]:
        """Compress a large body, if that makes it smaller."""
        if len(body) < self._compress_over:
            return body, 0
        if len(body) <= _INLINE_COMPRESSION:
            packed = zlib.compress(body, _ZLIB_LEVEL)
        else:
            packed = await asyncio.to_thread(zlib.compress, body, _ZLIB_LEVEL)
        return (packed, _COMPRESSED) if len(packed) < len(body) else (body, 0)

    def _common_properties(
        self,
        topic: str,
        tag: str | None,
        keys: Sequence[str],
        properties: Mapping[str, str] | None,
        shard: str | None,
        delay: float | timedelta | None = None,
    ) -> str:
        """Check what the caller gave, and write it as the wire has it."""
        if self._sender is None or topic not in self._sender.plans:
            arguments.topic_name(topic)
        text = ""
        if tag is not None:
            check_tag(tag, f"tag {tag!r}")
            text = f"TAGS\x01{tag}\x02"
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

    def _fields(self, plan: Plan, ident: str, common: str, flags: int) -> dict[str, str]:
        fields = plan.fields.copy()
        fields["g"] = str(self._clock())
        fields["i"] = f"UNIQ_KEY\x01{ident}\x02WAIT\x01true\x02{common}"
        if flags:
            fields["f"] = str(flags)
        return fields

    # -- routes --------------------------------------------------------------------------------------------------

    def _known_plan(self, topic: str) -> Plan | None:
        return self._sender.plans.get(topic) if self._sender is not None else None

    async def _plan(self, topic: str) -> Plan:
        """The topic's plan; looks its route up once."""
        plan = self._known_plan(topic)
        if plan is None:
            assert self._parts is not None
            route = await self._parts.routing.find(topic, self._now() + self._timeout, create=True)
            sender = self._check_open()
            plan = sender.plans.setdefault(topic, Plan(route, self._constant_fields(topic)))
        return plan

    def _constant_fields(self, topic: str) -> dict[str, str]:
        """Short names of SEND_MESSAGE_V2; e, g, i and sometimes f are set by each send."""
        return {
            "a": self.group,
            "b": topic,
            "c": "TBW102",
            "d": "4",
            "e": "0",
            "f": "0",
            "g": "0",
            "h": "0",
            "i": "",
            "j": "0",
            "k": "false",
            "m": "false",
        }

    def _now(self) -> float:
        assert self._loop is not None
        return self._loop.time()

    def _check_open(self) -> Sender:
        if self._sender is None:
            raise ClientClosedError(f"producer {self.group} is not open")
        return self._sender


def _own_properties(ident: str) -> str:
    return f"UNIQ_KEY\x01{ident}\x02WAIT\x01true\x02"


def _utf8_size(text: str) -> int:
    try:
        return len(text.encode())
    except UnicodeEncodeError as error:
        raise ConfigError(f"tag, keys, shard and properties must be writable as UTF-8: {error.reason}") from error
