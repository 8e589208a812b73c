"""One assigned queue: a long poll at the group's leader, at a slave that it names, or at any without a leader."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

from ternmq import _core
from ternmq.client.filters import ALL, TagFilter, parse_filter
from ternmq.client.inbox import Inbox
from ternmq.client.message_queue import MessageQueue, retry_topic
from ternmq.client.messages import Message
from ternmq.client.metadata import Metadata
from ternmq.client.process_queue import MAX_SPAN, ProcessQueue
from ternmq.errors import MQError
from ternmq.protocol.codes import RequestCode, ResponseCode
from ternmq.protocol.routes import MASTER_ID
from ternmq.remoting import Answer, Endpoint, Outcome

T = TypeVar("T")

_log = logging.getLogger(__name__)

SUSPEND_SECONDS = 15.0
TIMEOUT_SECONDS = 30.0
_OVERDUE_SECONDS = SUSPEND_SECONDS + 1.0
"""A master that holds a poll longer may be a stopped process: the NameServers are asked."""
_MAX_INFLATED = 64 << 20
_COMMIT = 1
_SUSPEND = 2
_SUBSCRIPTION = 4
_PULLED = (
    ResponseCode.SUCCESS,
    ResponseCode.PULL_NOT_FOUND,
    ResponseCode.PULL_RETRY_IMMEDIATELY,
    ResponseCode.PULL_OFFSET_MOVED,
)
"""Answers to pulls that passed the checks: they say who should be asked next."""
_FLOW_CONTROL_SECONDS = 0.02
_EMPTY_SECONDS = 0.1
"""Pause after an answer that came at once and brought nothing."""
_FAILED_SECONDS = 0.2
_REFUSED_SECONDS = 1.0
_REROUTED_SECONDS = 0.01


class PullSettings(NamedTuple):
    """What all queues of a consumer share.

    Args:
        group: consumer group.
        tags: which messages.
        version: version of the subscription.
        batch: most messages of one pull.
        max_in_flight: fetched and unsettled messages of one queue.
        max_bytes: the same in bytes of bodies.
        max_total_bytes: bytes of all queues of the consumer.
        ordered: one message of a queue at a time.
        commits: positions are committed by themselves; else only by the acknowledgement of a batch.
    """

    group: str
    tags: TagFilter
    version: int
    batch: int
    max_in_flight: int
    max_bytes: int
    max_total_bytes: int
    ordered: bool = False
    commits: bool = True


class Puller(Generic[T]):
    """Keeps one queue's messages coming while there is room for them.

    Args:
        endpoint: the network.
        metadata: knows leaders and followers.
        inbox: takes the messages.
        queue: the queue.
        first: queue offset to read first.
        settings: limits and subscription.
        on_moved: called when the broker no longer has the next offset and reading goes on elsewhere.
        is_unsubscribed: asked of each message of a retry topic: True if no consumer of this client reads its topic;
            None if another consumer of this client sees to it.
        on_unsubscribed: takes a message that is, and discards it from the inbox when a broker has it again.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        metadata: Metadata,
        inbox: Inbox[T],
        queue: MessageQueue,
        first: int,
        settings: PullSettings,
        on_moved: Callable[[], None],
        is_unsubscribed: Callable[[Message[T]], bool | None] | None = None,
        on_unsubscribed: Callable[[Message[T]], None] | None = None,
    ) -> None:
        self.queue = queue
        self.committed = first
        self.commit_lock = asyncio.Lock()
        self.process_queue: ProcessQueue[Message[T]] = ProcessQueue(queue, first, ordered=settings.ordered)
        self._endpoint = endpoint
        self._metadata = metadata
        self._inbox = inbox
        # A message of the retry topic had passed the filter, and may be of another subscription of the group.
        is_retry = queue.topic == retry_topic(settings.group)
        # Several consumers of this client may pull it, so its offset does not travel with the pulls of one.
        self._settings = settings._replace(tags=parse_filter(ALL), commits=False) if is_retry else settings
        self._is_unsubscribed = is_unsubscribed if is_retry else None
        self._on_unsubscribed = on_unsubscribed
        self._on_moved = on_moved
        self._loop = asyncio.get_running_loop()
        self._room = asyncio.Event()
        self._poll: tuple[str, asyncio.Future[Outcome | None]] | None = None
        self._replica_index = 0
        self._suggested_id = MASTER_ID
        metadata.on_change(self._routes_changed)
        self._task = self._loop.create_task(self._run())

    async def stop(self) -> None:
        """Stop pulling; what is fetched stays in the inbox until its queue is dropped there."""
        self._metadata.forget(self._routes_changed)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    def room_changed(self) -> None:
        """Look again whether there is room."""
        self._room.set()

    def restart(self, first: int) -> None:
        """Read on from another offset; what is fetched is dropped. The offset is stored with the next commit."""
        # Dropped before it is replaced: an answer that is under way finds another queue object and is thrown away.
        self._inbox.drop(self.process_queue)
        self.process_queue = self.process_queue.restarted(first)
        self.committed = -1  # so that it is committed even if it lies before the last one
        if self._poll is not None and not self._poll[1].done():
            self._poll[1].set_result(None)
        self._room.set()

    # -- the loop ------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            try:
                await self._step()
            except Exception:
                _log.exception("pulling %s failed; it goes on", self.queue)
                await asyncio.sleep(_REFUSED_SECONDS)

    async def _step(self) -> None:
        await self._wait_for_room()
        address = self._choose()
        if address is None:
            await self._metadata.wait_for_change(_FAILED_SECONDS)
            return
        began = self._loop.time()
        process_queue = self.process_queue
        outcome = await self._pull(address)
        if outcome is None or self.process_queue is not process_queue:
            return  # the leader changed: ask the new one; or reading has moved elsewhere meanwhile
        if isinstance(outcome, MQError):
            await self._failed(address, outcome)
            return
        pause = self._take(address, outcome, self._loop.time() - began)
        if pause:
            await asyncio.sleep(pause)

    async def _wait_for_room(self) -> None:
        while not self.has_room():
            self._room.clear()
            await self._room.wait()

    def has_room(self) -> bool:
        """Whether more may be fetched."""
        settings, process_queue = self._settings, self.process_queue
        return (
            not process_queue.dropped
            and len(process_queue.in_flight) < settings.max_in_flight
            and process_queue.in_flight_bytes < settings.max_bytes
            and self._inbox.bytes < settings.max_total_bytes
            and process_queue.span < MAX_SPAN
        )

    def _choose(self) -> str | None:
        """The leader, or the slave that the last answer named; without a leader the other replicas in turn.

        All of them serve committed messages. Source of the second: Java's ``PullAPIWrapper.updatePullFromWhichNode``.
        """
        master = self._metadata.master(self.queue.broker)  # starts the search if there is none
        if master is not None and self._suggested_id != MASTER_ID:
            slave = self._metadata.leaders.replica(self.queue.broker, self._suggested_id)
            return slave or master
        addresses = self._metadata.leaders.readable(self.queue.broker)
        return addresses[self._replica_index % len(addresses)] if addresses else None

    async def _pull(self, address: str) -> Outcome | None:
        """Ask for messages; None if the leader changed while the broker held the request."""
        future: asyncio.Future[Outcome | None] = self._loop.create_future()

        def done(outcome: Outcome) -> None:
            if not future.done():
                future.set_result(outcome)

        self._poll = (address, future)
        overdue = self._loop.call_later(_OVERDUE_SECONDS, self._metadata.refresh_all)
        try:
            self._endpoint.start_call(
                address,
                RequestCode.PULL_MESSAGE,
                self._fields(address),
                b"",
                round(TIMEOUT_SECONDS * 1000),
                done,
            )
            return await future
        finally:
            self._poll = None
            overdue.cancel()

    def _fields(self, address: str) -> dict[str, str]:
        settings, process_queue = self._settings, self.process_queue
        watermark = process_queue.watermark
        leads = address == self._metadata.leaders.master(self.queue.broker)
        commit = _COMMIT if leads and watermark > 0 and settings.commits else 0
        return {
            "consumerGroup": settings.group,
            "topic": self.queue.topic,
            "queueId": str(self.queue.id),
            "queueOffset": str(process_queue.next_offset),
            "maxMsgNums": str(min(settings.batch, settings.max_in_flight - len(process_queue.in_flight))),
            "sysFlag": str(_SUBSCRIPTION | _SUSPEND | commit),
            "commitOffset": str(watermark),
            "suspendTimeoutMillis": str(round(SUSPEND_SECONDS * 1000)),
            "subscription": settings.tags.expression,
            "subVersion": str(settings.version),
            "expressionType": "TAG",
        }

    # -- answers -------------------------------------------------------------------------------------------------

    def _take(self, address: str, answer: Answer, took: float) -> float:
        """Use an answer; returns the seconds to wait before the next pull."""
        code = answer.code
        before = self.process_queue.next_offset
        if code in _PULLED:
            self._suggested_id = _suggested_id(answer)
        if code == ResponseCode.SUCCESS:
            self._put(self._messages(answer.body), _next_offset(answer, before))
        elif code in (ResponseCode.PULL_NOT_FOUND, ResponseCode.PULL_RETRY_IMMEDIATELY):
            self.process_queue.next_offset = max(before, _next_offset(answer, before))
        elif code == ResponseCode.PULL_OFFSET_MOVED:
            return self._moved(address, _next_offset(answer, before))
        elif code == ResponseCode.FLOW_CONTROL:
            return _FLOW_CONTROL_SECONDS
        else:
            return self._refused(address, answer)
        if self.process_queue.next_offset == before and took < _EMPTY_SECONDS:
            self._replica_index += 1  # a follower that lags has nothing yet; another one may
            return _EMPTY_SECONDS
        return 0.0

    def _put(self, messages: list[Message[T]], next_offset: int) -> None:
        if self._is_unsubscribed is None:
            self._inbox.put(self.process_queue, messages, next_offset)
            return
        kinds = [(message, self._is_unsubscribed(message)) for message in messages]
        withheld = [message for message, is_unsubscribed in kinds if is_unsubscribed]
        here = [message for message, is_unsubscribed in kinds if is_unsubscribed is not None]
        self._inbox.put(self.process_queue, here, next_offset, withheld)
        for message in withheld:
            if message.queue_offset in self.process_queue.in_flight and self._on_unsubscribed is not None:
                self._on_unsubscribed(message)

    def _messages(self, body: bytes) -> list[Message[T]]:
        """Decode a pull's body, and filter by the tags themselves: the broker compares only their hashes."""
        records, offsets, bodies, closed = _core.decode_messages(body, _MAX_INFLATED)
        process_queue, inbox = self.process_queue, self._inbox
        messages = [
            Message(records, number, queue_offset, content, process_queue, inbox)
            for number, (queue_offset, content) in enumerate(zip(offsets, bodies, strict=True))
        ]
        for number in closed:
            _log.warning("%r cannot be inflated", messages[number])
        if self._settings.tags.tags:
            matches = self._settings.tags.matches
            return [message for message in messages if matches(message.details.properties)]
        return messages

    def _moved(self, address: str, to: int) -> float:
        """Go on where the broker still has messages; only its leader may say so, followers just lag."""
        if address != self._metadata.leaders.master(self.queue.broker):
            self._leave()
            return _FAILED_SECONDS
        _log.warning(
            "%s: offset %d is not there any more, going on at %d", self.queue, self.process_queue.next_offset, to
        )
        self._inbox.drop(self.process_queue)
        self.process_queue = self.process_queue.restarted(to)
        self.committed = -1  # so that the new position is committed
        self._on_moved()
        return 0.0

    def _leave(self) -> None:
        """Ask another replica next: the leader, if there is one."""
        self._replica_index += 1
        self._suggested_id = MASTER_ID

    def _refused(self, address: str, answer: Answer) -> float:
        self._leave()
        if answer.code == ResponseCode.SERVICE_NOT_AVAILABLE:
            self._metadata.reject(self.queue.broker, address, answer)
            # Two replicas that name each other must not be asked in a tight circle.
            return _REROUTED_SECONDS if self._leads_elsewhere(address) else _FAILED_SECONDS
        if answer.code != ResponseCode.SYSTEM_BUSY:
            _log.warning("%s: %s refused a pull with code %d: %s", self.queue, address, answer.code, answer.remark)
        return _REFUSED_SECONDS

    def _leads_elsewhere(self, address: str) -> bool:
        return self._metadata.leaders.master(self.queue.broker) not in (None, address)

    async def _failed(self, address: str, error: MQError) -> None:
        self._leave()
        _log.debug("%s: pull from %s failed: %s", self.queue, address, error)
        if error.refresh_route and address == self._metadata.leaders.master(self.queue.broker):
            self._metadata.reject(self.queue.broker, address, error)  # and read from a follower at once
        else:
            await self._metadata.wait_for_change(_FAILED_SECONDS)

    def _routes_changed(self) -> None:
        """Give up a poll that is held by a broker that does not lead any more."""
        if self._poll is None:
            return
        address, future = self._poll
        master = self._metadata.leaders.master(self.queue.broker)
        if master is not None and address not in (master, self._choose()) and not future.done():
            future.set_result(None)


def _suggested_id(answer: Answer) -> int:
    """The broker id that should be asked next."""
    text = answer.fields.get("suggestWhichBrokerId", "")
    return int(text) if text.isdecimal() else MASTER_ID


def _next_offset(answer: Answer, otherwise: int) -> int:
    text = answer.fields.get("nextBeginOffset", "")
    return int(text) if text.isdecimal() else otherwise
