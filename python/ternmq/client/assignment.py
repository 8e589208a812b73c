"""Which queues a consumer holds: rebalancing with the other members, locks, and commits."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Generic, TypeVar

from ternmq.client.allocation import allocate_average
from ternmq.client.filters import TagFilter
from ternmq.client.handover import FINISH_SECONDS, Handover
from ternmq.client.inbox import Inbox
from ternmq.client.local_consumers import LocalConsumers
from ternmq.client.locks import RENEW_SECONDS, QueueLocks
from ternmq.client.member_lookup import MemberLookup
from ternmq.client.membership import Membership
from ternmq.client.message_queue import MessageQueue
from ternmq.client.metadata import Metadata
from ternmq.client.offsets import Offsets
from ternmq.client.pulling import Puller
from ternmq.client.topic_route import TopicRoute
from ternmq.errors import MQError, SettlementLostError, UnsupportedError
from ternmq.remoting import Endpoint
from ternmq.wording import counted

T = TypeVar("T")

_log = logging.getLogger(__name__)

REBALANCE_SECONDS = 20.0
COMMIT_SECONDS = 5.0
_AGAIN_SECONDS = 1.0
_CALL_SECONDS = 3.0
_RELEASE_SECONDS = 1.0
_HANDOVER_SECONDS = 0.1
"""What a member gets from others it starts a moment later, so that their last commit is there: fewer duplicates."""
_FINISH_SECONDS = 20.0
"""How long an ordered queue that is given up waits for the message that a handler has."""
_LOOK_SECONDS = 0.25
_LONGEST_LOOK_SECONDS = 20.0
"""Bounds of the pause between two questions for a topic that does not exist yet."""


class Assignment(Generic[T]):
    """The queues of one consumer, kept in step with the members of its group and the topic's route.

    Args:
        endpoint: the network.
        metadata: routes and leaders.
        membership: this client among the members.
        local_consumers: the consumers of the group in this client.
        offsets: where the group stands.
        inbox: holds the messages of the queues.
        group: consumer group.
        topic: what it reads.
        tags: which messages of it.
        retry_topic: through which failed messages come again; None for none. Brokers may create it later.
        make_puller: starts to pull a queue from an offset on.
        wall_clock: milliseconds since 1970.
        locks: of queues that are read in order; None for others.
        commits: positions are committed by themselves.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        metadata: Metadata,
        membership: Membership,
        local_consumers: LocalConsumers,
        offsets: Offsets,
        inbox: Inbox[T],
        group: str,
        topic: str,
        tags: TagFilter,
        retry_topic: str | None,
        make_puller: Callable[[MessageQueue, int], Puller[T]],
        wall_clock: Callable[[], int],
        *,
        locks: QueueLocks | None,
        commits: bool,
    ) -> None:
        self.pullers: dict[MessageQueue, Puller[T]] = {}
        self._metadata = metadata
        self._membership = membership
        self._local_consumers = local_consumers
        self._member_lookup = MemberLookup(endpoint, metadata, local_consumers, group, topic)
        self._offsets = offsets
        self._inbox = inbox
        self._group = group
        self.topic = topic
        self.tags = tags
        self.retry_topic = retry_topic
        self.keeps_failures = False
        """A member that reads the retry topic may not read this topic: failed messages come again from here."""
        self._locks = locks
        self._commits = commits
        self._make_puller = make_puller
        self._wall_clock = wall_clock
        self._entered_ms: int | None = None
        self._loop = asyncio.get_running_loop()
        self._rebalance_wanted = asyncio.Event()
        self._retry_topic_expected = asyncio.Event()
        self._message_settled = asyncio.Event()
        self._closing = False
        self._logged_share: tuple[frozenset[MessageQueue], int, int] | None = (
            None  # of the assignment, in the last line
        )
        self._releasing: dict[MessageQueue, Puller[T]] = {}  # ordered, and a handler still has a message
        self._pending_releases: set[asyncio.Task[None]] = set()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self, within: float) -> None:
        """Take the first assignment; every queue in it has a start position when this returns.

        Queues of a group that shows no leader all this time do not keep the consumer from the others: they follow when
        there is a leader, and begin where they stood now.

        Raises:
            MQError: the members, or not a single start position, could be learnt in time.
        """
        deadline = self._loop.time() + within
        entered_ms = self._wall_clock()
        while True:
            try:
                if await self._rebalance_once(max(0.1, deadline - self._loop.time())) is not None:
                    break
            except UnsupportedError:
                raise
            except MQError as error:
                if self._loop.time() >= deadline:
                    if not self.pullers:
                        raise
                    _log.warning("group %s begins without some queues of %s: %s", self._group, self.topic, error)
                    break
            if self._loop.time() >= deadline:
                raise MQError(f"no broker of {self.topic} has shown the members of group {self._group} in time")
            await asyncio.sleep(_HANDOVER_SECONDS)
        self._entered_ms = entered_ms
        self._metadata.on_change(self.rebalance_soon)
        work = [self._rebalance_often()]
        if self._commits:
            work.append(self._commit_often())
        if self._locks is not None:
            work.append(self._renew_often(self._locks))
        if self.retry_topic is not None:
            work.append(self._find_retry_topic(self.retry_topic))
        self._tasks = [self._loop.create_task(each) for each in work]

    def rebalance_soon(self) -> None:
        """Rebalance soon: members or routes have changed."""
        self._rebalance_wanted.set()

    def note_settled(self) -> None:
        """A message may have been settled."""
        self._message_settled.set()

    def find_retry_topic_soon(self, broker: str) -> None:
        """The retry topic exists now on a broker group, or will in a moment: look for it without waiting."""
        self._retry_topic_expected.set()
        route = self._metadata.known(self.retry_topic) if self.retry_topic is not None else None
        if route is not None and broker not in route.groups:
            self._metadata.refresh_soon(route.topic)

    async def commit(self, queue: MessageQueue, within: float) -> None:
        """Store how far a queue is settled.

        Raises:
            SettlementLostError: the queue is not held any more.
            MQError: the leader did not answer in time, or refused.
        """
        puller = self.pullers.get(queue)
        if puller is None:
            raise SettlementLostError(
                f"{queue} is no longer held by this consumer; what is not acknowledged comes again"
            )
        await self._store(puller, puller.process_queue.watermark, within)

    async def close(self) -> None:
        """Stop pulling and commit every queue's position; returns when the leaders have answered."""
        if self._tasks:
            self._metadata.forget(self.rebalance_soon)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        # Before the pending releases are awaited: it ends their wait for handlers, which close has given time already.
        self._closing = True
        self._message_settled.set()
        await asyncio.gather(*self._pending_releases, self._release(tuple(self.pullers), _CALL_SECONDS))
        self._local_consumers.leave(self)
        if self._locks is not None:
            await self._locks.close(_RELEASE_SECONDS)

    # -- rebalancing ---------------------------------------------------------------------------------------------

    async def _rebalance_often(self) -> None:
        pause = REBALANCE_SECONDS
        while True:
            try:
                async with asyncio.timeout(pause):
                    await self._rebalance_wanted.wait()
            except TimeoutError:
                pass
            self._rebalance_wanted.clear()
            try:
                balanced = await self._rebalance_once(_CALL_SECONDS)
            except MQError as error:
                _log.info("group %s: rebalancing failed and is tried again: %s", self._group, error)
                balanced = False
            pause = REBALANCE_SECONDS if balanced else _AGAIN_SECONDS

    async def _find_retry_topic(self, topic: str) -> None:
        """Find the retry topic as soon as there is one: brokers make it after the first member or failure."""
        pause = _LOOK_SECONDS
        while self._metadata.known(topic) is None:
            with contextlib.suppress(MQError):
                await self._metadata.find(topic, self._loop.time() + _CALL_SECONDS)
                self.rebalance_soon()
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._retry_topic_expected.wait()
            pause = _LOOK_SECONDS if self._retry_topic_expected.is_set() else min(2 * pause, _LONGEST_LOOK_SECONDS)
            self._retry_topic_expected.clear()

    async def _rebalance_once(self, within: float) -> bool | None:
        """Take over and give up queues; False if some are still held elsewhere, None if the members are not known.

        Raises:
            MQError: the start position of a queue could not be learnt.
        """
        route = self._metadata.known(self.topic) or await self._metadata.find(self.topic, self._loop.time() + within)
        members = await self._member_lookup.find(within)
        if members is None:
            return None  # no leader answers: every member keeps what it has
        sharers = members.sharers(self.topic)
        if self._membership.client_id not in sharers:
            await self._membership.heartbeat_now()  # a leader that does not know us yet
            return None
        self.keeps_failures = self.retry_topic is not None and not members.all_read(self.topic, self.retry_topic)
        wanted = self._local_consumers.share(self, self._allocate(route, sharers))
        retry_route = self._metadata.known(self.retry_topic) if self.retry_topic is not None else None
        if retry_route is not None and self._local_consumers.pulls_retry_topic(self):
            wanted += self._allocate(retry_route, members.sharers(retry_route.topic))
        await self._release(self.pullers.keys() - set(wanted), _RELEASE_SECONDS)
        missing = [queue for queue in wanted if queue not in self.pullers]
        gained = [
            queue for queue in missing if queue not in self._releasing and self._local_consumers.claim(self, queue)
        ]
        try:
            if gained and len(members.ids) > 1:
                # After the release of what is lost, and before offsets are read: other members commit meanwhile.
                await asyncio.sleep(_HANDOVER_SECONDS)
            await self._take_over(gained, within, shared=len(members.ids) > 1)
        finally:
            self._local_consumers.release(self, [queue for queue in gained if queue not in self.pullers])
        self._log_share(len(route.readable), len(sharers))
        return all(queue in self.pullers for queue in missing)

    def _log_share(self, of: int, members: int) -> None:
        """Write one line if this consumer's share of its topic has changed."""
        held = frozenset(queue for queue in self.pullers if queue.topic == self.topic)
        if (held, of, members) != self._logged_share:
            self._logged_share = held, of, members
            share = f"{len(held)} of {counted(of, 'queue')} of {self.topic}, {counted(members, 'member')}"
            _log.info("group %s: %s", self._group, share)

    def _allocate(self, route: TopicRoute, sharers: Sequence[str]) -> list[MessageQueue]:
        return allocate_average(route.readable, sharers, self._membership.client_id)

    async def _take_over(self, queues: list[MessageQueue], within: float, *, shared: bool) -> None:
        """Start to read queues; ordered ones only where the lock is got, and only then the offset is asked for.

        Args:
            queues: which.
            within: seconds.
            shared: another member may have them still.
        """
        held_until: dict[MessageQueue, float] | None = None
        if self._locks is not None and queues:
            held_until = (await self._locks.lock(queues, within)).until
            queues = [queue for queue in queues if queue in held_until]

        async def one(queue: MessageQueue) -> None:
            first = await self._offsets.first(queue, within, self._entered_ms)
            puller = self.pullers[queue] = self._make_puller(queue, first)
            self._local_consumers.pull_started(self, queue, first)
            if held_until is not None:
                puller.process_queue.held_until = held_until[queue]
            elif shared and self._commits:
                puller.process_queue.handover = Handover(lambda: self._offsets.stored(queue, _CALL_SECONDS))

        outcomes = await asyncio.gather(*(one(queue) for queue in queues), return_exceptions=True)
        for outcome in outcomes:  # those that worked are kept; the rest is tried again
            if isinstance(outcome, BaseException):
                raise outcome

    async def _release(self, queues: Iterable[MessageQueue], within: float) -> None:
        """Give queues up: nothing of them is delivered any more, and their positions are committed."""
        released = [self.pullers.pop(queue) for queue in tuple(queues)]
        if self._locks is not None and not self._closing:
            for puller in released:
                puller.process_queue.stopping = True
                if self._inbox.has_delivered(puller.process_queue):
                    self._releasing[puller.queue] = puller
                    releasing = self._loop.create_task(self._release_when_settled(puller))
                    self._pending_releases.add(releasing)
                    releasing.add_done_callback(self._pending_releases.discard)
            released = [puller for puller in released if puller.queue not in self._releasing]
        elif self._commits and not self._closing:
            await self._until_settled(released, FINISH_SECONDS)
        await self._end(released, within)

    async def _until_settled(self, pullers: list[Puller[T]], within: float) -> None:
        """Hand nothing out any more, and wait a moment for what handlers have and for what is on its way back.

        A message that is settled here in time is committed, and the next owner does not get it.
        """
        for puller in pullers:
            puller.process_queue.stopping = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                while any(self._inbox.has_delivered(puller.process_queue) for puller in pullers):
                    self._message_settled.clear()
                    await self._message_settled.wait()

    async def _release_when_settled(self, puller: Puller[T]) -> None:
        """Give up an ordered queue when its delivered message is settled: its next owner must not begin before."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FINISH_SECONDS):
                while self._inbox.has_delivered(puller.process_queue) and not self._closing:
                    self._message_settled.clear()
                    await self._message_settled.wait()
        try:
            await self._end([puller], _CALL_SECONDS)
        finally:
            del self._releasing[puller.queue]
            self.rebalance_soon()

    async def _end(self, pullers: list[Puller[T]], within: float) -> None:
        """Give queues up: forget their messages, stop pulling, commit, unlock, and leave the queues to others.

        In this order: a settlement that comes after the offset was read is refused, so the message comes again and is
        not lost. The next owner reads from the committed offset as soon as it has the lock, or the local consumers let
        it have the queue: both come after the commit.
        """
        held = [(puller, puller.process_queue.watermark) for puller in pullers if not puller.process_queue.dropped]
        for puller in pullers:
            self._inbox.drop(puller.process_queue)
            self._local_consumers.pull_ended(self, puller.queue, puller.process_queue.watermark)
        try:
            await asyncio.gather(*(puller.stop() for puller in pullers))
            if self._commits:
                await self._commit_all(held, within)
            if self._locks is not None and held:
                await self._locks.unlock([puller.queue for puller, _ in held], within)
        finally:
            self._local_consumers.release(self, [puller.queue for puller in pullers])

    # -- locks -----------------------------------------------------------------------------------------------------

    async def _renew_often(self, locks: QueueLocks) -> None:
        pause = RENEW_SECONDS
        while True:
            await asyncio.sleep(pause)
            pause = RENEW_SECONDS if await self._renew(locks) else _AGAIN_SECONDS

    async def _renew(self, locks: QueueLocks) -> bool:
        """Renew all locks; False if a broker did not answer."""
        pullers = {**self.pullers, **self._releasing}
        try:
            grants = await locks.lock(pullers, _CALL_SECONDS)
        except MQError as error:
            _log.warning("group %s: locks cannot be renewed: %s", self._group, error)
            return False
        for queue, puller in pullers.items():
            until = grants.until.get(queue)
            if until is not None and not puller.process_queue.dropped:
                puller.process_queue.held_until = until
            elif queue.broker in grants.asked or puller.process_queue.held_until <= self._loop.time():
                await self._drop_unlocked(puller)
        return {queue.broker for queue in pullers} <= grants.asked

    async def _drop_unlocked(self, puller: Puller[T]) -> None:
        """Let go of a queue whose lock is gone: its offset belongs to the member that has the lock now."""
        _log.warning("group %s has lost the lock of %s", self._group, puller.queue)
        self._inbox.drop(puller.process_queue)
        if self.pullers.get(puller.queue) is puller:
            del self.pullers[puller.queue]
            self._local_consumers.pull_ended(self, puller.queue, puller.process_queue.watermark)
            await puller.stop()
            self._local_consumers.release(self, [puller.queue])
            self.rebalance_soon()

    # -- commits -------------------------------------------------------------------------------------------------

    async def _commit_often(self) -> None:
        while True:
            await asyncio.sleep(COMMIT_SECONDS)
            pullers = [puller for puller in self.pullers.values() if not puller.process_queue.dropped]
            await self._commit_all([(puller, puller.process_queue.watermark) for puller in pullers], _CALL_SECONDS)

    async def _commit_all(self, positions: list[tuple[Puller[T], int]], within: float) -> None:
        outcomes = await asyncio.gather(
            *(self._store(puller, position, within) for puller, position in positions), return_exceptions=True
        )
        errors = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        for error in errors:
            if not isinstance(error, MQError):
                raise error
        if errors:
            _log.info(
                "group %s: offsets of %s are not committed yet, the first because %s",
                self._group, counted(len(errors), "queue"), errors[0],
            )  # fmt: skip

    async def _store(self, puller: Puller[T], position: int, within: float) -> None:
        async with puller.commit_lock:  # one after the other, so that a late one never takes a newer one back
            if puller.queue.topic == self.retry_topic:
                position = self._local_consumers.settled_by_all(puller.queue, position)
            if position > puller.committed:
                await self._offsets.commit(puller.queue, position, within)
                puller.committed = position
