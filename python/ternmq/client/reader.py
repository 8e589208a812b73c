"""Reading a topic without a group: a reader sees all of it, and leaves nothing behind at the brokers."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from types import TracebackType

from ternmq.client import arguments
from ternmq.client.arguments import Start
from ternmq.client.codecs import Raw
from ternmq.client.fetched_message import ACKED
from ternmq.client.filters import parse_filter
from ternmq.client.inbox import Inbox
from ternmq.client.leader_calls import LeaderCalls
from ternmq.client.message_queue import MessageQueue
from ternmq.client.messages import Message
from ternmq.client.offsets import Offsets
from ternmq.client.parts import ParentClient, Parts
from ternmq.client.pulling import Puller, PullSettings
from ternmq.errors import ClientClosedError, ForkedClientError, MQError

_log = logging.getLogger(__name__)

_GROUP = "TOOLS_CONSUMER"
"""Pulls must name a group that exists. Every broker has this one from its start, and no offset of it is stored."""
_WITHIN_SECONDS = 10.0
_AGAIN_SECONDS = 1.0
_MIB = 1 << 20


class Reader:
    """Every message of a topic from a position on, used as an async context manager and walked with ``async for``.

    It belongs to no group: it sends no heartbeats and commits nothing, so that two readers both see everything.
    Entering returns when its start positions are fixed: a message sent afterwards is seen. Its messages need no
    settlement.

    Args:
        client: an open client.
        topic: what to read.
        filter: ``*`` or tags, ``a || b``.
        start: ``latest``, ``earliest`` or a datetime with time zone.
    """

    def __init__(self, client: ParentClient, topic: str, *, filter: str = "*", start: Start = "latest") -> None:
        self.topic = arguments.topic_name(topic)
        self._client = client
        self._start = arguments.start_position(start)
        self._settings = PullSettings(
            group=_GROUP,
            tags=parse_filter(filter),
            version=0,
            batch=32,
            max_in_flight=1000,
            max_bytes=100 * _MIB,
            max_total_bytes=256 * _MIB,
            commits=False,
        )
        self._pullers: dict[MessageQueue, Puller[bytes]] = {}
        self._entered_ms: int | None = None
        self._follower: asyncio.Task[None] | None = None
        self._inbox: Inbox[bytes] | None = None
        self._parts: Parts | None = None
        self._changed = asyncio.Event()
        self._ready = asyncio.Event()
        self._room_notified = True
        self._forked: str | None = None

    async def open(self) -> Reader:
        """Fix where each queue is read from; `async with` does it.

        Queues without a leader do not keep the reader from the others: they follow.

        Raises:
            RouteNotFoundError: no such topic.
            MQError: no start position could be learnt in time.
            ClientClosedError: the client is not open.
        """
        self._parts = parts = self._client.parts()
        loop = asyncio.get_running_loop()
        self._inbox = Inbox(float("inf"), loop.time, Raw(), on_waiting=self._ready.set, on_room=self._room_changed)
        entered_ms = parts.wall_clock_ms()
        await parts.metadata.find(self.topic, loop.time() + parts.timeout)
        failure = await self._take_missing(max(parts.timeout, _WITHIN_SECONDS))
        if failure is not None and not self._pullers:
            raise failure
        self._entered_ms = entered_ms
        parts.metadata.on_change(self._changed.set)
        self._follower = loop.create_task(self._follow(failure))
        self._client.attach(self)
        return self

    async def close(self) -> None:
        """Stop reading."""
        follower, self._follower = self._follower, None
        if follower is None or self._parts is None:
            return
        self._parts.metadata.forget(self._changed.set)
        follower.cancel()
        await asyncio.gather(follower, *(puller.stop() for puller in self._pullers.values()), return_exceptions=True)
        self._client.detach(self)
        self._ready.set()

    def abandon(self, why: str) -> None:
        """Raise `ForkedClientError` with this text at every use, in a child process."""
        self._follower = None
        self._forked = why

    async def __aenter__(self) -> Reader:
        return await self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __aiter__(self) -> Reader:
        return self

    async def __anext__(self) -> Message[bytes]:
        if self._forked is not None:
            raise ForkedClientError(self._forked)
        if self._inbox is None:
            raise ClientClosedError(f"the reader of {self.topic} is not open; use `async with`")
        while self._follower is not None:
            self._ready.clear()
            message = self._inbox.take()
            if message is not None:
                self._inbox.settle(message, ACKED)
                return message
            await self._ready.wait()
        raise StopAsyncIteration

    async def _follow(self, failure: MQError | None) -> None:
        """Read queues that appear, and those that had no leader, too."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None if failure is None else _AGAIN_SECONDS):
                    await self._changed.wait()
            self._changed.clear()
            failure = await self._take_missing(_WITHIN_SECONDS)
            if failure is not None:
                _log.info("not all queues of %s are read yet: %s", self.topic, failure)

    async def _take_missing(self, within: float) -> MQError | None:
        """Begin with all queues that are not read yet; gives why some cannot be."""
        parts, inbox = self._parts, self._inbox
        route = None if parts is None else parts.metadata.known(self.topic)
        if parts is None or inbox is None or route is None:
            return None
        settings = self._settings
        offsets = Offsets(LeaderCalls(parts.endpoint, parts.metadata), _GROUP, self._start)

        async def one(queue: MessageQueue) -> MQError | None:
            try:
                first = await offsets.position(queue, self._start, within, self._entered_ms)
            except MQError as error:
                return error
            self._pullers[queue] = Puller(
                parts.endpoint, parts.metadata, inbox, queue, first, settings, self._room_changed
            )
            return None

        missing = [queue for queue in route.readable if queue not in self._pullers]
        outcomes = await asyncio.gather(*(one(queue) for queue in missing))
        return next((outcome for outcome in outcomes if outcome is not None), None)

    def _room_changed(self) -> None:
        """Tell the pullers, once for all messages that are taken in this turn of the loop."""
        if self._room_notified:
            self._room_notified = False
            asyncio.get_running_loop().call_soon(self._notify_room)

    def _notify_room(self) -> None:
        self._room_notified = True
        for puller in self._pullers.values():
            puller.room_changed()
