"""The group consumer: iterate, settle, or run a handler."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import timedelta
from types import TracebackType
from typing import Generic, TypeVar, get_args

from ternmq.client import arguments, loops, signals
from ternmq.client.arguments import Mode, OnDecodeError, Start
from ternmq.client.assignment import Assignment
from ternmq.client.batches import Batch, Batches
from ternmq.client.codecs import Codec
from ternmq.client.failure_handler import MAX_ATTEMPTS, FailureHandler
from ternmq.client.fetched_message import RELEASED
from ternmq.client.filters import parse_filter
from ternmq.client.handler_check import check_handler, outcome_refusal
from ternmq.client.inbox import Inbox
from ternmq.client.leader_calls import LeaderCalls
from ternmq.client.locks import QueueLocks
from ternmq.client.membership import ConsumerSubscription
from ternmq.client.message_queue import MessageQueue, retry_topic
from ternmq.client.messages import Message
from ternmq.client.offsets import Offsets
from ternmq.client.parts import ParentClient, Parts
from ternmq.client.process_queue import ProcessQueue
from ternmq.client.pulling import Puller, PullSettings
from ternmq.client.rate_limited_log import RateLimitedLog
from ternmq.client.unsettled import UnsettledWatch
from ternmq.errors import ClientClosedError, ConfigError, ForkedClientError
from ternmq.wording import counted

T = TypeVar("T")

_log = logging.getLogger(__name__)

_DRAIN_SECONDS = 30.0
"""How long closing waits for handlers of `run`."""
_RETURN_SECONDS = 10.0
"""How long closing waits until failed messages are given back."""
_ENTER_SECONDS = 10.0
"""Least time for the first assignment: an election may be under way."""


class Consumer(Generic[T]):
    """Reads a topic as a member of a group; made by `Client.consumer`, used as an async context manager.

    The members of a group share the topic's queues. Entering returns after the first assignment, with all start
    positions fixed: a message sent afterwards is seen. ``async for`` walks the messages; several tasks may do so. In
    pull mode there are `batches` and `seek` instead, and only acknowledged batches move the group's offsets.

    Delivery is at least once: what was delivered and not yet committed comes again after a crash.
    """

    def __init__(
        self,
        client: ParentClient,
        group: str,
        topic: str,
        codec: Codec[T],
        *,
        filter: str,
        start: Start,
        max_in_flight: int,
        max_bytes: int,
        max_total_bytes: int,
        pull_batch: int,
        max_processing: float | timedelta,
        mode: Mode,
        ordered: bool,
        max_attempts: int | None,
        on_decode_error: OnDecodeError,
    ) -> None:
        self.group = arguments.group_name(group)
        self.topic = arguments.topic_name(topic)
        self._client = client
        self._codec = codec
        self._start = arguments.start_position(start)
        self._max_processing = arguments.seconds(max_processing, "max_processing")
        if mode not in get_args(Mode):
            raise ConfigError(f"mode is {mode!r}, but must be one of {', '.join(get_args(Mode))}")
        self._is_pull_mode = mode == "pull"
        self._ordered = bool(ordered)
        if self._is_pull_mode and ordered:
            raise ConfigError("ordered belongs to push mode; in pull mode the batches of one queue are in order anyway")
        if on_decode_error not in get_args(OnDecodeError):
            raise ConfigError(
                f"on_decode_error is {on_decode_error!r}, but must be one of {', '.join(get_args(OnDecodeError))}"
            )
        self._on_decode_error: OnDecodeError = on_decode_error
        if max_attempts is not None:
            max_attempts = arguments.count(max_attempts, "max_attempts", at_most=1_000_000)
        self._max_attempts = max_attempts if max_attempts is not None or ordered else MAX_ATTEMPTS
        self._settings = PullSettings(
            group=group,
            tags=parse_filter(filter),
            version=time.time_ns() // 1_000_000,
            batch=arguments.count(pull_batch, "pull_batch", at_most=1024),
            max_in_flight=arguments.count(max_in_flight, "max_in_flight", at_most=65535),
            max_bytes=arguments.count(max_bytes, "max_bytes"),
            max_total_bytes=arguments.count(max_total_bytes, "max_total_bytes"),
            ordered=self._ordered,
            commits=not self._is_pull_mode,
        )
        self._parts: Parts | None = None
        self._assignment: Assignment[T] | None = None
        self._inbox: Inbox[T] | None = None
        self._offsets: Offsets | None = None
        self._failure_handler: FailureHandler[T] | None = None
        self._watch: UnsettledWatch[T] | None = None
        self._lost_log: RateLimitedLog | None = None
        self._subscription: ConsumerSubscription | None = None
        self._batch_number = 0
        self._open = False
        self._loop: asyncio.AbstractEventLoop | None = None  # since it was opened
        self._is_iterated = False
        self._forked: str | None = None
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._room_notified = True
        self._workers: set[asyncio.Task[None]] = set()

    @property
    def _name(self) -> str:
        return f"consumer {self.group} of {self.topic}"

    def __repr__(self) -> str:
        if not self._open or self._inbox is None:
            return f"<Consumer {self.group}@{self.topic} {'not open' if self._loop is None else 'closed'}>"
        inbox = self._inbox
        return (
            f"<Consumer {self.group}@{self.topic} {counted(len(self.queues), 'queue')},"
            f" {counted(inbox.ready_count, 'message')} ready, {inbox.delivered_count} not settled>"
        )

    @property
    def queues(self) -> list[MessageQueue]:
        """The queues of the topic that this consumer reads now, sorted; without those of the group's retry topic."""
        if self._assignment is None:
            return []
        return sorted(queue for queue in self._assignment.pullers if queue.topic == self.topic)

    @property
    def resumed(self) -> bool:
        """Whether the group had a stored offset in a queue that this consumer took: there `start` meant nothing."""
        return self._offsets is not None and self._offsets.resumed

    async def open(self) -> Consumer[T]:
        """Join the group and take the first assignment; `async with` does it.

        Raises:
            ConfigError: the group reads the topic with another filter in this process, or it was opened before.
            RouteNotFoundError: no such topic.
            UnsupportedError: ordered, and a broker has no locks.
            UnreachableError: no NameServer answers.
            MQError: members or start positions could not be learnt in time.
            ClientClosedError: the client is not open.
        """
        parts = self._client.parts()
        if self._assignment is not None:
            raise ConfigError(f"consumer {self.group} was opened before; make a new one")
        settings = self._settings
        other = self._client.other_filter(self.group, self.topic, settings.tags)
        if other is not None:
            raise ConfigError(
                f"filter {settings.tags.normal!r} of topic {self.topic} differs from {other!r}, with which group "
                f"{self.group} reads it in this process, and each would pass over what the other one wants; give one "
                "of them a group of its own"
            )
        local_consumers = parts.membership.local_consumers(self.group)
        self._parts = parts
        self._loop = loop = asyncio.get_running_loop()
        self._failure_handler = failures = FailureHandler[T](
            parts.endpoint,
            parts.metadata,
            self.group,
            ordered=self._ordered,
            max_attempts=self._max_attempts,
            wall_clock_ms=parts.wall_clock_ms,
            on_sent_back=self._sent_back,
            keeps_here=lambda: self._assignment is not None and self._assignment.keeps_failures,
        )
        self._lost_log = lost_log = RateLimitedLog(_log, logging.WARNING)
        self._inbox = failures.inbox = inbox = Inbox[T](
            self._max_processing,
            loop.time,
            self._codec,
            on_waiting=self._wake_waiters,
            on_room=self._room_changed,
            on_failed=failures.handle,
            on_decode_error=self._on_decode_error,
            on_lost=lost_log.log,
        )
        calls = LeaderCalls(parts.endpoint, parts.metadata)
        self._offsets = offsets = Offsets(calls, self.group, self._start)

        def is_unsubscribed(message: Message[T]) -> bool | None:
            return local_consumers.is_unsubscribed(assignment, message.topic)

        def make_puller(queue: MessageQueue, first: int) -> Puller[T]:
            return Puller(
                parts.endpoint, parts.metadata, inbox, queue, first, settings, self._room_changed, is_unsubscribed,
                failures.return_unsubscribed,
            )  # fmt: skip

        self._assignment = assignment = Assignment(
            parts.endpoint,
            parts.metadata,
            parts.membership,
            local_consumers,
            offsets,
            inbox,
            self.group,
            self.topic,
            settings.tags,
            None if self._is_pull_mode else retry_topic(self.group),
            make_puller,
            parts.wall_clock_ms,
            locks=QueueLocks(calls, self.group, parts.membership.client_id) if self._ordered else None,
            commits=not self._is_pull_mode,
        )
        within = max(parts.timeout, _ENTER_SECONDS)
        self._subscription = subscription = ConsumerSubscription(
            self.topic, settings.tags, settings.version, self._start == "earliest", pushed=not self._is_pull_mode
        )
        # Before anything is awaited: another consumer of the group that opens meanwhile must see this one.
        local_consumers.join(assignment)
        self._open = True
        self._client.attach(self)
        try:
            # The route first: heartbeats go to the brokers that it names, and only a known member gets queues.
            await parts.metadata.find(self.topic, loop.time() + parts.timeout)
            await parts.membership.add_consumer(self.group, subscription, assignment.rebalance_soon)
            await assignment.start(within)
        except BaseException:
            await self.close()
            raise
        if not self._is_pull_mode:
            self._watch = UnsettledWatch(
                self._name, inbox, assignment.pullers.values, lambda: bool(self._workers), self._max_processing
            )
        _log.info("%s is open", self._name)
        return self

    async def close(self) -> None:
        """Stop reading, wait for running handlers, commit the positions, leave the group.

        Raises:
            ForeignLoopError: it was opened in another event loop.
        """
        subscription = self._subscription
        if not self._open or self._assignment is None or self._parts is None or subscription is None:
            return
        self._check_loop()
        # Readers end first, then handlers, then failures are returned: each step can still settle messages of the next.
        # Offsets are committed after all of them, and the group is left last: its other members take over at once.
        self._open = False
        self._wake_all()
        others = self._workers - {asyncio.current_task()}
        if others:
            await asyncio.wait(others, timeout=_DRAIN_SECONDS)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._watch is not None:
            self._watch.close()
        if self._failure_handler is not None:
            await self._failure_handler.close(_RETURN_SECONDS)
        unsettled = self._inbox.delivered_count if self._inbox is not None else 0
        await self._assignment.close()
        self._client.detach(self)
        await self._parts.membership.remove_consumer(self.group, subscription, self._assignment.rebalance_soon)
        if self._lost_log is not None:
            self._lost_log.close()
        left = f"; {counted(unsettled, 'message')} not settled, to come again" if unsettled else ""
        _log.info("%s is closed%s", self._name, left)

    def abandon(self, why: str) -> None:
        """Raise `ForkedClientError` with this text at every use, in a child process; its messages are the parent's."""
        self._open = False
        self._forked, self._loop = why, None
        self._waiters.clear()
        if self._inbox is not None:
            self._inbox.abandon(why)

    async def __aenter__(self) -> Consumer[T]:
        return await self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # -- delivery ------------------------------------------------------------------------------------------------

    def __aiter__(self) -> Consumer[T]:
        self._check_open()
        self._is_iterated = True
        return self

    async def __anext__(self) -> Message[T]:
        inbox = self._inbox
        if self._is_pull_mode:
            raise ConfigError("this consumer has mode='pull': iterate its batches()")
        if self._room_notified:  # nothing was settled in this turn yet: one look a turn is enough
            self._check_loop()
        has_waited = False
        while self._open and inbox is not None:
            message = inbox.take()
            if message is not None:
                if self._timer is None:
                    self._set_timer(inbox)
                return message
            await self._wait()
            has_waited = True
        if self._forked is not None or not (has_waited or self._is_iterated):
            raise self._not_open()
        raise StopAsyncIteration

    async def run(
        self,
        handler: Callable[[Message[T]], Awaitable[None]],
        concurrency: int = 1,
        *,
        stop_on: Collection[int] = (),
    ) -> None:
        """Handle messages until cancelled, closed or told by a signal; each is acknowledged when its handler returns.

        A handler that raises is logged and its message comes again; `Reject` makes it a dead letter. In order at most
        one handler has a message of a queue. Cancelling lets running handlers
        end and settle first; cancelling once more cancels them too, and their messages stay unsettled.

        Args:
            handler: takes one message; an ``async def`` function.
            concurrency: handlers at the same time.
            stop_on: signals at which it returns, such as ``(signal.SIGTERM, signal.SIGINT)``: no handler begins any
                more, and those that run end and settle. Closing the consumer then commits. At a second one it does not
                wait for handlers: they are cancelled, and their messages come again.

        Raises:
            ConfigError: the handler is no coroutine function, concurrency is not a number from 1 on, the consumer has
                mode ``pull``, or signals cannot be caught here (outside the main thread, for example).
            ClientClosedError: the consumer is not open.
        """
        if self._is_pull_mode:
            raise ConfigError("this consumer has mode='pull': iterate its batches()")
        check_handler(handler)
        arguments.count(concurrency, "concurrency", at_most=100_000)
        self._check_open()
        stopping = asyncio.Event()
        workers: list[asyncio.Task[None]] = []

        def told_to_stop() -> None:
            if stopping.is_set():
                for worker in workers:
                    worker.cancel()
            stopping.set()
            self._wake_all()

        with signals.caught(stop_on, told_to_stop):
            workers += [asyncio.create_task(self._work(handler, stopping)) for _ in range(concurrency)]
            self._workers.update(workers)
            try:
                await asyncio.wait(workers)
            except asyncio.CancelledError:
                stopping.set()
                self._wake_all()
                await asyncio.wait(workers)
                raise
            finally:
                for worker in workers:
                    worker.cancel()
                self._workers.difference_update(workers)
        errors = [worker.exception() for worker in workers if not worker.cancelled()]  # all have been looked at
        for error in errors:
            if error is not None:
                raise error

    async def _work(self, handler: Callable[[Message[T]], Awaitable[None]], stopping: asyncio.Event) -> None:
        inbox = self._inbox
        refusal: ConfigError | None = None
        is_checked = False
        while self._open and inbox is not None and not stopping.is_set():
            message = inbox.take()
            if message is None:
                await self._wait()
                continue
            if self._timer is None:
                self._set_timer(inbox)
            async with message:
                outcome = handler(message)
                if not is_checked:
                    refusal, is_checked = outcome_refusal(handler, outcome), True
                if refusal is None:
                    await outcome
                else:
                    inbox.settle(message, RELEASED)  # the next reader of the inbox gets it
            if refusal is not None:
                stopping.set()
                self._wake_all()
                raise refusal

    # -- pull mode -----------------------------------------------------------------------------------------------

    def batches(self, *, max_size: int = 500, max_wait: float | timedelta = 0.2) -> Batches[T]:
        """Iterate messages in batches, in pull mode; an iteration ends when the consumer is closed.

        A batch that is not acknowledged comes again when the queue is taken over anew, here or elsewhere; until then
        the queue's offset stays before it.

        Args:
            max_size: most messages of a batch.
            max_wait: seconds that a batch waits for more after its first message.

        Raises:
            ConfigError: an argument is wrong, or the consumer has mode ``push``.
            ClientClosedError: the consumer is not open.
        """
        self._demand_pull_mode("batches")
        self._check_open()
        arguments.count(max_size, "max_size", at_most=1_000_000)
        wait = arguments.seconds(max_wait, "max_wait")
        return Batches(lambda: self._next_batch(max_size, wait))

    async def seek(self, to: Start | Mapping[MessageQueue, int]) -> None:
        """Read on from elsewhere, in pull mode; the group's offsets follow with the next acknowledged batch.

        Args:
            to: ``earliest``, ``latest`` or a datetime with time zone, for all queues that this consumer reads now; or
                a queue offset for each of some queues.

        Raises:
            ConfigError: another word, a datetime without time zone, a queue that this consumer does not read, or the
                consumer has mode ``push``.
            ClientClosedError: the consumer is not open.
            MQError: a leader did not answer in time, or refused; nothing has changed.
        """
        self._demand_pull_mode("seek")
        self._check_loop()
        if self._assignment is None or self._offsets is None or self._parts is None or not self._open:
            raise self._not_open()
        pullers, offsets, within = dict(self._assignment.pullers), self._offsets, self._parts.timeout
        if isinstance(to, Mapping):
            strangers = sorted(str(queue) for queue in to if queue not in pullers)
            if strangers:
                raise ConfigError(f"seek to {', '.join(strangers)}: not read by this consumer now")
            found = {queue: arguments.count(offset, f"offset of {queue}", at_least=0) for queue, offset in to.items()}
        else:
            position = arguments.start_position(to)
            answers = await asyncio.gather(*(offsets.position(queue, position, within) for queue in pullers))
            found = dict(zip(pullers, answers, strict=True))
        for queue, first in found.items():
            if self._assignment.pullers.get(queue) is pullers[queue]:
                pullers[queue].restart(first)

    async def _next_batch(self, max_size: int, max_wait: float) -> Batch[T] | None:
        loop = asyncio.get_running_loop()
        inbox = self._inbox
        self._check_loop()
        while self._open and inbox is not None:
            if not inbox.ready_count:
                await self._wait()
                continue
            if inbox.ready_count < max_size:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout_at(loop.time() + max_wait):
                        while inbox.ready_count < max_size and self._open:
                            await self._wait()
            self._batch_number += 1
            messages, process_queues = inbox.take_batch(max_size, self._batch_number)
            if messages:
                return Batch(messages, process_queues, self._batch_number, self._commit_batch)
        if self._forked is not None:
            raise self._not_open()
        return None

    async def _commit_batch(self, process_queues: list[ProcessQueue[Message[T]]]) -> None:
        if self._assignment is None or self._parts is None or self._forked is not None:
            raise self._not_open()
        self._check_loop()
        commit, within = self._assignment.commit, self._parts.timeout
        outcomes = await asyncio.gather(
            *(commit(process_queue.queue, within) for process_queue in process_queues), return_exceptions=True
        )
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome

    def _check_open(self) -> None:
        if not self._open:
            raise self._not_open()
        self._check_loop()

    def _check_loop(self) -> None:
        loops.check(self._loop, self._name)

    def _not_open(self) -> ClientClosedError:
        if self._forked is not None:
            return ForkedClientError(self._forked)
        if self._loop is not None:
            return ClientClosedError(f"consumer {self.group} is closed; client.consumer() makes a new one")
        return ClientClosedError(f"consumer {self.group} is not open; use `async with client.consumer(...)`")

    def _demand_pull_mode(self, what: str) -> None:
        if not self._is_pull_mode:
            raise ConfigError(f"{what} needs mode='pull'")

    # -- waking --------------------------------------------------------------------------------------------------

    async def _wait(self) -> None:
        self._check_loop()
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self._wake_waiters()  # the wake-up was for a message: another reader takes it
            raise

    def _wake_waiters(self) -> None:
        """Wake as many readers as there are messages ready, and come back when a paused one is due."""
        inbox = self._inbox
        if inbox is None:
            return
        if self._assignment is not None:
            self._assignment.note_settled()
        ready = inbox.ready_count
        while ready and self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                ready -= 1
        self._set_timer(inbox)

    def _set_timer(self, inbox: Inbox[T]) -> None:
        due = inbox.next_due()
        if self._timer is not None:
            if due is None or self._timer.when() <= due:
                return
            self._timer.cancel()
            self._timer = None
        if due is not None and self._open:
            self._timer = asyncio.get_running_loop().call_at(due, self._timer_fired)

    def _timer_fired(self) -> None:
        self._timer = None
        if self._inbox is not None:
            self._inbox.tick()
            self._wake_waiters()

    def _wake_all(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)

    def _sent_back(self, broker: str) -> None:
        if self._assignment is not None:
            self._assignment.find_retry_topic_soon(broker)

    def _room_changed(self) -> None:
        """Tell the pullers, once for all messages that are settled in this turn of the loop."""
        if self._room_notified:
            self._check_loop()
            self._room_notified = False
            asyncio.get_running_loop().call_soon(self._notify_room)

    def _notify_room(self) -> None:
        self._room_notified = True
        if self._assignment is not None:
            self._assignment.note_settled()
            for puller in self._assignment.pullers.values():
                puller.room_changed()
