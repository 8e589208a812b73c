"""Locks of queues that are read in order: one client of a group reads a queue at a time."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from ternmq.client.leader_calls import LeaderCalls
from ternmq.client.message_queue import MessageQueue
from ternmq.errors import MQError, UnsupportedError
from ternmq.protocol.codes import RequestCode
from ternmq.protocol.fastjson import decode_as
from ternmq.remoting import Answer

_log = logging.getLogger(__name__)

RENEW_SECONDS = 20.0
HOLD_SECONDS = 30.0
"""How long a lock is trusted after the request that got it; brokers keep it for 60 s."""


class _Queue(msgspec.Struct, rename="camel"):
    topic: str
    broker_name: str
    queue_id: int


class _Locked(msgspec.Struct):
    queues: list[_Queue] = msgspec.field(default_factory=list, name="lockOKMQSet")


class Grants(NamedTuple):
    """What brokers answered to one round of locking.

    Args:
        until: queues that are ours, and the time of the loop until which they are.
        asked: broker names that answered; a queue that is not ours there is another member's.
    """

    until: dict[MessageQueue, float]
    asked: set[str]


class QueueLocks:
    """Takes, renews and gives back the locks of one client in one group.

    Args:
        calls: reaches the leaders.
        group: consumer group.
        client_id: identity of this client.

    Source: RocketMQ, ConsumeMessageOrderlyService and RebalanceImpl; the times are theirs.
    """

    def __init__(self, calls: LeaderCalls, group: str, client_id: str) -> None:
        self._calls = calls
        self._group = group
        self._client_id = client_id
        self._loop = asyncio.get_running_loop()
        self._maybe_held: set[MessageQueue] = set()  # asked for, and not known to be refused or given back

    async def lock(self, queues: Iterable[MessageQueue], within: float) -> Grants:
        """Take or renew locks; brokers that do not answer in time are left out.

        Raises:
            UnsupportedError: a broker has no locks.
        """
        grants = Grants({}, set())

        async def one(broker: str, wanted: list[MessageQueue]) -> None:
            self._maybe_held.update(wanted)
            until = self._loop.time() + HOLD_SECONDS  # counted from before the request, so that the broker's is longer
            try:
                answer = await self._call(RequestCode.LOCK_BATCH_MQ, broker, wanted, within)
                locked = decode_as(answer.body, _Locked, "LockBatchResponse").queues
            except UnsupportedError:
                raise
            except MQError as error:
                _log.info("queues of %s are not locked: %s", broker, error)
                return
            grants.asked.add(broker)
            self._maybe_held.difference_update(wanted)
            for queue in locked:
                ours = MessageQueue(queue.topic, queue.broker_name, queue.queue_id)
                grants.until[ours] = until
                self._maybe_held.add(ours)

        await asyncio.gather(*(one(broker, wanted) for broker, wanted in _by_broker(queues).items()))
        return grants

    async def unlock(self, queues: Iterable[MessageQueue], within: float) -> None:
        """Give locks back; what fails ends by itself."""

        async def one(broker: str, held: list[MessageQueue]) -> None:
            try:
                await self._call(RequestCode.UNLOCK_BATCH_MQ, broker, held, within)
            except MQError as error:
                _log.info("queues of %s are not unlocked: %s", broker, error)
                return
            self._maybe_held.difference_update(held)

        await asyncio.gather(*(one(broker, held) for broker, held in _by_broker(queues).items()))

    async def close(self, within: float) -> None:
        """Give back what may still be ours, for example where a request was given up before its answer."""
        await self.unlock(tuple(self._maybe_held), within)

    async def _call(self, code: int, broker: str, queues: list[MessageQueue], within: float) -> Answer:
        body = {
            "clientId": self._client_id,
            "consumerGroup": self._group,
            "mqSet": [{"brokerName": queue.broker, "queueId": queue.id, "topic": queue.topic} for queue in queues],
            "onlyThisBroker": False,
        }
        return await self._calls.demand(
            broker, code, {}, json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode(), within=within
        )


def _by_broker(queues: Iterable[MessageQueue]) -> dict[str, list[MessageQueue]]:
    found: dict[str, list[MessageQueue]] = defaultdict(list)
    for queue in queues:
        found[queue.broker].append(queue)
    return found
