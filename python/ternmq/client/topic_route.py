"""A topic's route as a client uses it: queues to write, queues to read, addresses. Pure."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from ternmq.client.message_queue import MessageQueue
from ternmq.protocol.cluster_info import decode_cluster_info
from ternmq.protocol.routes import decode_route
from ternmq.protocol.topics import PERM_READ, PERM_WRITE

_log = logging.getLogger("ternmq.client.routes")  # Public: users filter by it.


@dataclass(frozen=True, slots=True)
class QueueCounts:
    """What one group holds of a topic.

    Args:
        read: queues to read, numbered from 0.
        write: queues to write, numbered from 0.
        perm: permission bits, 4 read and 2 write.
    """

    read: int
    write: int
    perm: int


@dataclass(frozen=True, slots=True)
class TopicRoute:
    """Where a topic lies.

    Args:
        topic: name of the topic.
        groups: by broker name, sorted.
        brokers: addresses by broker name and broker id; id 0 is the master.
        writable: all queues that may be written, also those of groups without a master, and those that a first send
            makes; sorted.
        readable: all queues that may be read; sorted.
        promised: queues that groups have as soon as a send there creates the topic, by broker name. Nobody can read
            there yet, so they are in `writable` alone.
    """

    topic: str
    groups: Mapping[str, QueueCounts]
    brokers: Mapping[str, Mapping[int, str]]
    writable: tuple[MessageQueue, ...] = field(default=())
    readable: tuple[MessageQueue, ...] = field(default=())
    promised: Mapping[str, int] = field(default_factory=dict)

    @property
    def derived(self) -> bool:
        """Whether the topic exists nowhere, as far as is known; a broker creates it at the first send."""
        return not self.groups and bool(self.promised)


def make_route(
    topic: str,
    groups: Mapping[str, QueueCounts],
    brokers: Mapping[str, Mapping[int, str]],
    *,
    order: str = "",
) -> TopicRoute:
    """Build a route with its queue lists.

    Args:
        topic: name of the topic.
        groups: what each group holds.
        brokers: addresses of each group.
        order: ``broker:count;...``, the fixed list of queues to write of an ordered topic; empty for none.

    Source: RocketMQ, MQClientInstance#topicRouteData2TopicPublishInfo and 2TopicSubscribeInfo. Deliberate difference:
    queues of a group without a master stay in the list, so that shard keys do not move while a group elects.
    """
    ordered = dict(sorted(groups.items()))
    fixed = _read_order(topic, order)
    if fixed:
        writable = tuple(MessageQueue(topic, broker, number) for broker, count in fixed for number in range(count))
    else:
        writable = tuple(
            MessageQueue(topic, broker, number)
            for broker, counts in ordered.items()
            if counts.perm & PERM_WRITE
            for number in range(counts.write)
        )
    readable = tuple(
        MessageQueue(topic, broker, number)
        for broker, counts in ordered.items()
        if counts.perm & PERM_READ
        for number in range(counts.read)
    )
    return TopicRoute(topic, ordered, dict(brokers), writable, readable)


def read_route(topic: str, body: bytes) -> TopicRoute:
    """Read a NameServer's answer to 105.

    Raises:
        BodyError: not readable.
    """
    data = decode_route(body)
    return make_route(
        topic,
        {
            item.broker_name: QueueCounts(item.read_queue_nums, item.write_queue_nums, item.perm)
            for item in data.queue_datas
        },
        {item.broker_name: item.broker_addrs for item in data.broker_datas},
        order=data.order_topic_conf or "",
    )


def read_cluster(body: bytes) -> dict[str, dict[int, str]]:
    """Addresses by broker name and broker id, from a NameServer's answer to 106.

    Raises:
        BodyError: not readable.
    """
    return {name: data.broker_addrs for name, data in decode_cluster_info(body).broker_addr_table.items()}


def derived_route(topic: str, template: TopicRoute) -> TopicRoute:
    """Route that a topic gets where brokers create it at the first send.

    Args:
        topic: name of the topic that does not exist yet.
        template: route of TBW102, which only brokers have that create topics by themselves.
    """
    promised = {broker: counts.write for broker, counts in template.groups.items()}
    return _with_promised(make_route(topic, {}, template.brokers), promised, template.brokers)


def with_missing_groups(route: TopicRoute, before: TopicRoute, recent: Iterable[str]) -> TopicRoute:
    """Keep groups that a NameServer left out but that were seen a short time ago.

    A group that only promised its queues goes on promising them: until a send has made the topic there, nobody may
    read there or ask there who belongs to a consumer group.

    Args:
        route: the new route.
        before: the route until now.
        recent: broker names that were seen lately.
    """
    missing = [broker for broker in recent if broker not in route.groups]
    kept = {broker: before.groups[broker] for broker in missing if broker in before.groups}
    promised = {broker: before.promised[broker] for broker in missing if broker in before.promised}
    if kept:
        brokers = {**{broker: before.brokers.get(broker, {}) for broker in kept}, **route.brokers}
        merged = make_route(route.topic, {**route.groups, **kept}, brokers)
        route = replace(merged, writable=tuple(sorted(merged.writable)), readable=tuple(sorted(merged.readable)))
    return _with_promised(route, promised, before.brokers) if promised else route


def _with_promised(
    route: TopicRoute, promised: Mapping[str, int], brokers: Mapping[str, Mapping[int, str]]
) -> TopicRoute:
    """Add queues that a first send makes, and where to send it."""
    queues = (
        MessageQueue(route.topic, broker, number) for broker, count in promised.items() for number in range(count)
    )
    return replace(
        route,
        brokers={**{broker: brokers.get(broker, {}) for broker in promised}, **route.brokers},
        writable=tuple(sorted((*route.writable, *queues))),
        promised=dict(sorted(promised.items())),
    )


def _read_order(topic: str, text: str) -> list[tuple[str, int]]:
    """Read ``broker:count;...``; a malformed text counts as none, for Java clients crash on it."""
    entries = []
    for part in filter(None, text.split(";")):
        broker, _, count = part.partition(":")
        if not broker or not count.isdecimal() or not 0 < int(count) <= 1024:
            _log.warning("order configuration %r of topic %s is malformed and ignored", text, topic)
            return []
        entries.append((broker, int(count)))
    return entries
