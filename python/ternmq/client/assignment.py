"""Which queues a consumer holds: rebalancing with the other members, and commits."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from ternmq.client.allocation import allocate_average
from ternmq.client.inbox import Inbox
from ternmq.client.membership import Membership
from ternmq.client.messages import MessageQueue
from ternmq.client.offsets import Offsets
from ternmq.client.pulling import Puller
from ternmq.client.routing import Routing
from ternmq.errors import MQError
from ternmq.protocol.codes import RequestCode, ResponseCode
from ternmq.protocol.tables import decode_consumer_list
from ternmq.remoting import Endpoint

T = TypeVar("T")

_log = logging.getLogger(__name__)

REBALANCE_SECONDS = 20.0
COMMIT_SECONDS = 5.0
_AGAIN_SECONDS = 1.0
_CALL_SECONDS = 3.0
_RELEASE_SECONDS = 1.0
_HANDOVER_SECONDS = 0.1
"""What a member gets from others it starts a moment later, so that their last commit is there: fewer duplicates."""


class Assignment(Generic[T]):
    """The queues of one consumer, kept in step with the members of its group and the topic's route.

    Args:
        endpoint: the network.
        routing: routes and leaders.
        membership: this client among the members.
        offsets: where the group stands.
        inbox: holds the messages of the queues.
        group: consumer group.
        topic: what it reads.
        make_puller: starts to pull a queue from an offset on.
        wall_clock: milliseconds since 1970.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        routing: Routing,
        membership: Membership,
        offsets: Offsets,
        inbox: Inbox[T],
        group: str,
        topic: str,
        make_puller: Callable[[MessageQueue, int], Puller[T]],
        wall_clock: Callable[[], int],
    ) -> None:
        self.pullers: dict[MessageQueue, Puller[T]] = {}
        self._endpoint = endpoint
        self._routing = routing
        self._membership = membership
        self._offsets = offsets
        self._inbox = inbox
        self._group = group
        self._topic = topic
        self._make_puller = make_puller
        self._wall_clock = wall_clock
        self._entered_ms: int | None = None
        self._loop = asyncio.get_running_loop()
        self._asked = asyncio.Event()
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
                if await self._round(max(0.1, deadline - self._loop.time())):
                    break
            except MQError as error:
                if self._loop.time() >= deadline:
                    if not self.pullers:
                        raise
                    _log.warning("group %s begins without some queues of %s: %s", self._group, self._topic, error)
                    break
            if self._loop.time() >= deadline:
                raise MQError(f"no broker of {self._topic} has shown the members of group {self._group} in time")
            await asyncio.sleep(_HANDOVER_SECONDS)
        self._entered_ms = entered_ms
        self._routing.on_change(self.ask)
        self._tasks = [self._loop.create_task(self._rebalance()), self._loop.create_task(self._commit_often())]

    def ask(self) -> None:
        """Rebalance soon: members or routes have changed."""
        self._asked.set()

    async def close(self) -> None:
        """Stop pulling and commit every queue's position; returns when the leaders have answered."""
        if self._tasks:
            self._routing.forget(self.ask)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._release(tuple(self.pullers), _CALL_SECONDS)

    # -- rebalancing ---------------------------------------------------------------------------------------------

    async def _rebalance(self) -> None:
        pause = REBALANCE_SECONDS
        while True:
            try:
                async with asyncio.timeout(pause):
                    await self._asked.wait()
            except TimeoutError:
                pass
            self._asked.clear()
            try:
                balanced = await self._round(_CALL_SECONDS)
            except MQError as error:
                _log.info("group %s: rebalancing failed and is tried again: %s", self._group, error)
                balanced = False
            pause = REBALANCE_SECONDS if balanced else _AGAIN_SECONDS

    async def _round(self, within: float) -> bool:
        """Take over and give up queues; False if it has to be tried again soon.

        Raises:
            MQError: the start position of a queue could not be learnt.
        """
        route = self._routing.known(self._topic) or await self._routing.find(self._topic, self._loop.time() + within)
        members = await self._members(within)
        if members is None:
            return False  # no leader answers: everybody keeps what it has
        if self._membership.client_id not in members:
            await self._membership.beat_now()  # a leader that does not know us yet
            return False
        wanted = allocate_average(route.readable, sorted(members), self._membership.client_id)
        await self._release(self.pullers.keys() - set(wanted), _RELEASE_SECONDS)
        gained = [queue for queue in wanted if queue not in self.pullers]
        if gained and len(members) > 1:
            await asyncio.sleep(_HANDOVER_SECONDS)
        await self._take_over(gained, within)
        return True

    async def _members(self, within: float) -> list[str] | None:
        """Client ids of the group, from the first broker of the topic that leads and knows them; None if none does.

        All members ask the brokers in the same order, so that they see the same list.
        """
        route = self._routing.known(self._topic)
        for broker in route.groups if route is not None else ():
            address = self._routing.master(broker)
            if address is None:
                continue
            fields = {"consumerGroup": self._group}
            try:
                answer = await self._endpoint.call(
                    address, RequestCode.GET_CONSUMER_LIST_BY_GROUP, fields, timeout=min(within, _CALL_SECONDS)
                )
            except MQError as error:
                if error.refresh_route:
                    self._routing.reject(broker, address)
                continue
            if answer.code == ResponseCode.SUCCESS:
                return decode_consumer_list(answer.body)
        return None

    async def _take_over(self, queues: Iterable[MessageQueue], within: float) -> None:
        async def one(queue: MessageQueue) -> None:
            first = await self._offsets.first(queue, within, self._entered_ms)
            self.pullers[queue] = self._make_puller(queue, first)

        outcomes = await asyncio.gather(*(one(queue) for queue in queues), return_exceptions=True)
        for outcome in outcomes:  # those that worked are kept; the rest is tried again
            if isinstance(outcome, BaseException):
                raise outcome

    async def _release(self, queues: Iterable[MessageQueue], within: float) -> None:
        """Give queues up: nothing of them is delivered any more, and their positions are committed."""
        released = [self.pullers.pop(queue) for queue in tuple(queues)]
        positions = [(puller, puller.place.watermark) for puller in released]
        for puller in released:
            self._inbox.drop(puller.place)
        await asyncio.gather(*(puller.stop() for puller in released))
        await asyncio.gather(*(self._commit(puller, position, within) for puller, position in positions))

    # -- commits -------------------------------------------------------------------------------------------------

    async def _commit_often(self) -> None:
        while True:
            await asyncio.sleep(COMMIT_SECONDS)
            pullers = tuple(self.pullers.values())
            await asyncio.gather(*(self._commit(each, each.place.watermark, _CALL_SECONDS) for each in pullers))

    async def _commit(self, puller: Puller[T], position: int, within: float) -> None:
        async with puller.commit_lock:  # one after the other, so that a late one never takes a newer one back
            if position <= puller.committed:
                return
            try:
                await self._offsets.commit(puller.queue, position, within)
                puller.committed = position
            except MQError as error:
                _log.info("offset %d of %s is not committed yet: %s", position, puller.queue, error)
