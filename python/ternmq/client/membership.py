"""This client as the brokers know it: heartbeats to every replica, member lists, leaving."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from ternmq.client.filters import ALL, TagFilter, parse_filter
from ternmq.client.local_consumers import LocalConsumers
from ternmq.client.message_queue import retry_topic
from ternmq.client.metadata import Metadata
from ternmq.protocol.codes import RequestCode
from ternmq.remoting import Endpoint, Request

BEAT_SECONDS = 30.0
_RETRY_SECONDS = 1.0
_CALL_SECONDS = 3.0
_LEAVE_SECONDS = 1.0
_PATIENCE_SECONDS = 1.0
"""How long entering a group waits for replicas that may have stopped."""
_KEEP_SECONDS = 60.0
"""How long a replica that routes show no more is tried: it may come back, and lead before routes are read again."""


class ConsumerSubscription(NamedTuple):
    """What one consumer of this client reads.

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

    What a heartbeat says and which replicas get it is decided here; the engine keeps sending it on its own threads, so
    that an event loop that is blocked does not cost the membership. Brokers forget a client with its connection: after
    a reconnect the heartbeat goes out at once.

    Args:
        endpoint: the network.
        metadata: knows the addresses.
        client_id: identity of this client; unique in the cluster.
        interval: seconds between two heartbeats.
    """

    def __init__(self, endpoint: Endpoint, metadata: Metadata, client_id: str, interval: float = BEAT_SECONDS) -> None:
        self.client_id = client_id
        self._interval = interval
        self._loop = asyncio.get_running_loop()
        self._endpoint = endpoint
        self._metadata = metadata
        self._producers: dict[str, int] = {}  # how many producers of this client share the group
        self._consumers: dict[str, list[ConsumerSubscription]] = {}
        self._on_members_changed: dict[str, list[Callable[[], None]]] = {}
        self._local_consumers: dict[str, LocalConsumers] = {}
        self._version = 0  # of what the heartbeats say
        self._body = b""
        self._addresses: list[str] = []  # that the engine sends them to
        self._shown: set[str] = set()  # by routes
        self._gone: dict[str, float] = {}  # no more shown, and since when
        self._forgetting: asyncio.TimerHandle | None = None
        self._reached: set[str] = set()  # with the current version, or found dead
        self._target_reached = asyncio.Event()
        self._closed = False
        endpoint.on_push(RequestCode.NOTIFY_CONSUMER_IDS_CHANGED, self._members_changed)
        metadata.on_change(self._targets_changed)

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

    def local_consumers(self, group: str) -> LocalConsumers:
        """The consumers of a group in this client."""
        return self._local_consumers.setdefault(group, LocalConsumers(group))

    def other_filter(self, group: str, topic: str, tags: TagFilter) -> str | None:
        """A filter other than this one with which a consumer of a group in this client reads a topic."""
        local_consumers = self._local_consumers.get(group)
        return None if local_consumers is None else local_consumers.other_filter(topic, tags)

    async def add_consumer(
        self, group: str, subscription: ConsumerSubscription, on_members_changed: Callable[[], None]
    ) -> None:
        """Belong to a consumer group; returns when every replica that can be reached knows it.

        Args:
            group: name of the group.
            subscription: what one consumer of it reads; the client reads what all of them do.
            on_members_changed: called when a broker says that the members changed.
        """
        self._consumers.setdefault(group, []).append(subscription)
        self._on_members_changed.setdefault(group, []).append(on_members_changed)
        self._changed()
        await self._until_known()

    async def remove_consumer(
        self, group: str, subscription: ConsumerSubscription, on_members_changed: Callable[[], None]
    ) -> None:
        """Leave a consumer group with the last consumer of it, so that the others take over its queues at once."""
        if subscription not in self._consumers.get(group, ()):
            return
        self._consumers[group].remove(subscription)
        self._on_members_changed[group].remove(on_members_changed)
        if self._consumers[group]:
            self._changed()
            return
        # Out of the heartbeats first: one that came after the request to unregister would register the group again.
        del self._consumers[group], self._on_members_changed[group]
        if self._local_consumers[group].is_empty:
            del self._local_consumers[group]
        self._changed()
        await self._leave({"clientID": self.client_id, "consumerGroup": group})

    async def heartbeat_now(self) -> None:
        """Send a heartbeat to all addresses in use and wait a moment for the answers; what fails is tried again."""
        self._announce()
        await self._until_known()

    async def close(self) -> None:
        """Stop the heartbeats."""
        self._closed = True
        if self._forgetting is not None:
            self._forgetting.cancel()
        self._metadata.forget(self._targets_changed)
        self._set_targets([])

    def _changed(self) -> None:
        self._body = heartbeat_body(self.client_id, self._producers, self._consumers)
        self._announce()

    def _announce(self) -> None:
        """Tell every replica at once what this client belongs to."""
        self._version += 1
        self._reached.clear()
        self._set_targets(self._in_use())

    def _targets_changed(self) -> None:
        """Routes have changed: tell replicas that are new, and in a while forget those that are gone."""
        addresses = self._in_use()
        if addresses != self._addresses:
            self._set_targets(addresses)

    def _in_use(self) -> list[str]:
        """Where heartbeats go: all replicas that routes show, or showed a short while ago."""
        if self._closed or not (self._producers or self._consumers):
            self._shown, self._gone = set(), {}
            return []
        now = self._loop.time()
        shown = self._metadata.addresses_in_use()
        self._gone.update(dict.fromkeys(self._shown - shown, now))
        self._gone = {
            address: since
            for address, since in self._gone.items()
            if address not in shown and since > now - _KEEP_SECONDS
        }
        self._shown = shown
        self._forget_later()
        return sorted(shown | self._gone.keys())

    def _forget_later(self) -> None:
        if self._forgetting is not None:
            self._forgetting.cancel()
            self._forgetting = None
        if self._gone:
            self._forgetting = self._loop.call_at(min(self._gone.values()) + _KEEP_SECONDS, self._targets_changed)

    def _set_targets(self, addresses: list[str]) -> None:
        self._addresses = addresses
        self._endpoint.beat(
            self._version,
            RequestCode.HEART_BEAT,
            self._body,
            addresses,
            interval=self._interval,
            retry=_RETRY_SECONDS,
            timeout=_CALL_SECONDS,
            on_beaten=self._heartbeat_ended,
        )

    def _heartbeat_ended(self, version: int, address: str, _answered: bool) -> None:
        if version == self._version:
            self._reached.add(address)
            self._target_reached.set()

    async def _until_known(self) -> None:
        """Wait until all replicas have answered a heartbeat or are out of reach, but not for long."""
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                while not self._reached.issuperset(self._shown):
                    self._target_reached.clear()
                    await self._target_reached.wait()
        except TimeoutError:
            pass

    async def _leave(self, fields: dict[str, str]) -> None:
        calls = (
            self._endpoint.call(address, RequestCode.UNREGISTER_CLIENT, fields, timeout=_LEAVE_SECONDS)
            for address in self._metadata.addresses_in_use()
        )
        await asyncio.gather(*calls, return_exceptions=True)  # brokers forget us with the connection anyway

    def _members_changed(self, push: Request) -> None:
        for callback in self._on_members_changed.get(push.fields.get("consumerGroup", ""), ()):
            callback()


def heartbeat_body(
    client_id: str, producers: Mapping[str, int], consumers: Mapping[str, Sequence[ConsumerSubscription]]
) -> bytes:
    """Write HeartbeatData as fastjson writes it: members in alphabetical order.

    ``sharesByTopic`` is ours: brokers of ours tell it to the other members, Apache's pass over it.

    Args:
        client_id: identity of the client.
        producers: producer groups, with how many producers each has.
        consumers: consumer groups and what they read.
    """
    body = {
        "clientID": client_id,
        "consumerDataSet": [_consumer_data(group, subscriptions) for group, subscriptions in sorted(consumers.items())],
        "heartbeatFingerprint": 0,
        "producerDataSet": [{"groupName": group} for group in sorted(producers)],
        "withoutSub": False,
    }
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()


def _consumer_data(group: str, subscriptions: Sequence[ConsumerSubscription]) -> dict[str, object]:
    last = {each.topic: each for each in subscriptions}  # those of one topic have the same filter
    read = [_subscription_data(each.topic, each.tags, each.version) for each in last.values()]
    pushed = any(each.pushed for each in subscriptions)
    if pushed:
        version = max(each.version for each in subscriptions)
        read.append(_subscription_data(retry_topic(group), parse_filter(ALL), version))
    from_first = any(each.from_first for each in subscriptions)
    return {
        "consumeFromWhere": "CONSUME_FROM_FIRST_OFFSET" if from_first else "CONSUME_FROM_LAST_OFFSET",
        "consumeType": "CONSUME_PASSIVELY" if pushed else "CONSUME_ACTIVELY",
        "groupName": group,
        "messageModel": "CLUSTERING",
        "sharesByTopic": True,
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
