"""Who this client is to the brokers: heartbeats to every replica, member lists, leaving."""

from __future__ import annotations

import asyncio
import functools
import json
import logging
from collections.abc import Callable
from typing import NamedTuple

from ternmq.client.filters import ALL, TagFilter, parse_filter
from ternmq.client.messages import retry_topic
from ternmq.client.routing import Routing
from ternmq.errors import MQError
from ternmq.protocol.codes import RequestCode
from ternmq.remoting import Endpoint, Request

_log = logging.getLogger(__name__)

BEAT_SECONDS = 30.0
_RETRY_SECONDS = 1.0
_CALL_SECONDS = 3.0
_LEAVE_SECONDS = 1.0
_PATIENCE_SECONDS = 1.0
"""How long entering a group waits for replicas that may have stopped."""
_KEEP_SECONDS = 60.0
"""How long a replica that routes show no more is tried: it may come back, and lead before routes are read again."""


class Subscription(NamedTuple):
    """What one consumer group of this client reads.

    Args:
        topic: name of the topic.
        tags: which messages.
        version: milliseconds; grows with each change.
        from_first: whether a group without offset starts at the first message.
        pushed: what fails comes again through the group's retry topic; else the client pulls as it likes.
    """

    topic: str
    tags: TagFilter
    version: int
    from_first: bool
    pushed: bool = True


class Membership:
    """Keeps this client registered at all replicas of the groups in use, so that a new leader knows its members.

    Brokers forget a client with its connection: after a reconnect the heartbeat goes out at once.

    Args:
        endpoint: the network.
        routing: knows the addresses.
        client_id: identity of this client; unique in the cluster.
    """

    def __init__(self, endpoint: Endpoint, routing: Routing, client_id: str) -> None:
        self.client_id = client_id
        self._endpoint = endpoint
        self._routing = routing
        self._loop = asyncio.get_running_loop()
        self._producers: dict[str, int] = {}  # how many producers of this client share the group
        self._consumers: dict[str, Subscription] = {}
        self._on_members_changed: dict[str, Callable[[], None]] = {}
        self._body = b""
        self._due: dict[str, float] = {}  # address to the time of its next heartbeat
        self._last_shown: dict[str, float] = {}  # address to the time at which a route last showed it
        self._wake = asyncio.Event()
        self._beats: dict[str, asyncio.Task[None]] = {}
        endpoint.on_push(RequestCode.NOTIFY_CONSUMER_IDS_CHANGED, self._members_changed)
        endpoint.on_disconnected(self._disconnected)
        routing.on_change(self._wake.set)
        self._task = self._loop.create_task(self._run())

    def add_producer(self, group: str) -> None:
        """Belong to a producer group from now on."""
        self._producers[group] = self._producers.get(group, 0) + 1
        self._changed()

    async def remove_producer(self, group: str) -> None:
        """Leave a producer group with the last producer of it."""
        self._producers[group] -= 1
        if not self._producers[group]:
            del self._producers[group]
            self._changed()
            await self._leave({"clientID": self.client_id, "producerGroup": group})

    def has_consumer(self, group: str) -> bool:
        """Whether this client belongs to a consumer group."""
        return group in self._consumers

    async def add_consumer(
        self, group: str, subscription: Subscription, on_members_changed: Callable[[], None]
    ) -> None:
        """Belong to a consumer group; returns when every replica that can be reached knows it.

        Args:
            group: name of the group; at most one consumer of it in a client.
            subscription: what it reads.
            on_members_changed: called when a broker says that the members changed.
        """
        self._consumers[group] = subscription
        self._on_members_changed[group] = on_members_changed
        self._changed()
        await self.beat_now()

    async def remove_consumer(self, group: str) -> None:
        """Leave a consumer group, so that the others take over its queues at once."""
        if self._consumers.pop(group, None) is None:
            return
        del self._on_members_changed[group]
        self._changed()
        await self._leave({"clientID": self.client_id, "consumerGroup": group})

    async def beat_now(self) -> None:
        """Send a heartbeat to all addresses in use and wait a moment for the answers; what fails is tried again."""
        addresses = self._routing.addresses_in_use()
        for address in addresses:
            self._start_beat(address)
        beats = [self._beats[address] for address in addresses]
        if beats:
            await asyncio.wait(beats, timeout=_PATIENCE_SECONDS)

    async def close(self) -> None:
        """Stop the heartbeats."""
        self._routing.forget(self._wake.set)
        tasks = [self._task, *self._beats.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            now = self._loop.time()
            next_due = now + BEAT_SECONDS
            for address in self._addresses(now):
                if address in self._beats:
                    continue
                due = self._due.get(address, now)
                if due <= now:
                    self._start_beat(address)
                else:
                    next_due = min(next_due, due)
            await self._sleep(next_due - now)

    def _addresses(self, now: float) -> set[str]:
        """Whom to send heartbeats to: all replicas that routes show, or showed a short while ago."""
        shown = self._routing.addresses_in_use() if self._producers or self._consumers else set()
        self._last_shown.update(dict.fromkeys(shown, now))
        for address in [each for each, at in self._last_shown.items() if not shown or at < now - _KEEP_SECONDS]:
            del self._last_shown[address]
            self._due.pop(address, None)
        return set(self._last_shown)

    async def _sleep(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            pass

    def _start_beat(self, address: str) -> None:
        if address not in self._beats:
            self._due[address] = self._loop.time() + BEAT_SECONDS
            task = self._beats[address] = self._loop.create_task(self._beat(address))
            task.add_done_callback(functools.partial(self._beaten, address))

    async def _beat(self, address: str) -> None:
        body = self._body
        try:
            await self._endpoint.call(address, RequestCode.HEART_BEAT, body=body, timeout=_CALL_SECONDS)
        except MQError as error:
            _log.debug("heartbeat to %s failed: %s", address, error)
            self._due[address] = self._loop.time() + _RETRY_SECONDS
            return
        self._due[address] = self._loop.time() + (BEAT_SECONDS if body is self._body else 0.0)

    def _beaten(self, address: str, _: asyncio.Task[None]) -> None:
        del self._beats[address]
        self._wake.set()

    async def _leave(self, fields: dict[str, str]) -> None:
        calls = (
            self._endpoint.call(address, RequestCode.UNREGISTER_CLIENT, fields, timeout=_LEAVE_SECONDS)
            for address in self._routing.addresses_in_use()
        )
        await asyncio.gather(*calls, return_exceptions=True)  # brokers forget us with the connection anyway

    def _changed(self) -> None:
        self._body = heartbeat_body(self.client_id, self._producers, self._consumers)
        self._due.clear()
        self._wake.set()

    def _disconnected(self, address: str) -> None:
        if address in self._due:
            self._due[address] = self._loop.time()
            self._wake.set()

    def _members_changed(self, push: Request) -> None:
        callback = self._on_members_changed.get(push.fields.get("consumerGroup", ""))
        if callback is not None:
            callback()


def heartbeat_body(client_id: str, producers: dict[str, int], consumers: dict[str, Subscription]) -> bytes:
    """Write HeartbeatData as fastjson writes it: members in alphabetical order.

    Args:
        client_id: identity of the client.
        producers: producer groups, with how many producers each has.
        consumers: consumer groups and what they read.
    """
    body = {
        "clientID": client_id,
        "consumerDataSet": [_consumer_data(group, subscription) for group, subscription in sorted(consumers.items())],
        "heartbeatFingerprint": 0,
        "producerDataSet": [{"groupName": group} for group in sorted(producers)],
        "withoutSub": False,
    }
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()


def _consumer_data(group: str, subscription: Subscription) -> dict[str, object]:
    read = [_subscription_data(subscription.topic, subscription.tags, subscription.version)]
    if subscription.pushed:
        read.append(_subscription_data(retry_topic(group), parse_filter(ALL), subscription.version))
    return {
        "consumeFromWhere": "CONSUME_FROM_FIRST_OFFSET" if subscription.from_first else "CONSUME_FROM_LAST_OFFSET",
        "consumeType": "CONSUME_PASSIVELY" if subscription.pushed else "CONSUME_ACTIVELY",
        "groupName": group,
        "messageModel": "CLUSTERING",
        "subscriptionDataSet": read,
        "unitMode": False,
    }


def _subscription_data(topic: str, tags: TagFilter, version: int) -> dict[str, object]:
    return {
        "classFilterMode": False,
        "codeSet": list(tags.codes),
        "expressionType": "TAG",
        "subString": tags.expression,
        "subVersion": version,
        "tagsSet": sorted(tags.tags),
        "topic": topic,
    }
