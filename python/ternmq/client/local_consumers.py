"""The consumers of one group in one client: one member to the brokers, and what falls to it is shared among them."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from ternmq.client.allocation import allocate_average
from ternmq.client.filters import TagFilter, parse_filter
from ternmq.client.group_members import GroupMembers, named
from ternmq.client.message_queue import MessageQueue

_log = logging.getLogger("ternmq.client.companions")  # Public: users filter by it.


class _ProcessQueue(Protocol):
    @property
    def watermark(self) -> int: ...


class _Puller(Protocol):
    @property
    def process_queue(self) -> _ProcessQueue: ...

    def restart(self, first: int) -> None: ...


class LocalConsumer(Protocol):
    """A consumer as the others see it: its assignment."""

    @property
    def topic(self) -> str:
        """What it reads."""

    @property
    def tags(self) -> TagFilter:
        """Which messages of it."""

    @property
    def retry_topic(self) -> str | None:
        """Through which failed messages come again to it; None for none."""

    @property
    def pullers(self) -> Mapping[MessageQueue, _Puller]:
        """What it pulls now."""

    def rebalance_soon(self) -> None:
        """Rebalance soon."""


class LocalConsumers:
    """Which of the consumers of a group in a client reads what.

    Consumers of the same topic share the queues that fall to the client. The retry topic is pulled by the first
    consumer of each topic, which takes its topic's messages out; the group's offset there is the lowest of theirs.

    Args:
        group: consumer group.
    """

    def __init__(self, group: str) -> None:
        self._group = group
        self._consumers: list[LocalConsumer] = []
        self._holders: dict[MessageQueue, LocalConsumer] = {}
        self._floors: dict[
            MessageQueue, int
        ] = {}  # of retry queues: how far a consumer had settled that pulls there no more, while others do
        self._disputes: list[str] = []
        self._last_ids: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether there is none."""
        return not self._consumers

    def join(self, consumer: LocalConsumer) -> None:
        """Count a consumer among them from now on."""
        self._consumers.append(consumer)
        self._rebalance_others(consumer)

    def leave(self, consumer: LocalConsumer) -> None:
        """End `join`, when the consumer pulls no more; others read anew what it left unsettled in the retry topic."""
        if consumer not in self._consumers:
            return
        self._consumers.remove(consumer)
        self.release(consumer, [queue for queue, holder in self._holders.items() if holder is consumer])
        for queue in tuple(self._floors):
            floor = self._floors.pop(queue)
            for puller in (other.pullers[queue] for other in self._consumers if queue in other.pullers):
                if puller.process_queue.watermark > floor:
                    puller.restart(floor)
        self._rebalance_others(consumer)

    def other_filter(self, topic: str, tags: TagFilter) -> str | None:
        """A filter other than this one with which one of them reads the topic."""
        filters = (consumer.tags.normal for consumer in self._consumers if consumer.topic == topic)
        return next((normal for normal in filters if normal != tags.normal), None)

    def share(self, consumer: LocalConsumer, queues: Sequence[MessageQueue]) -> list[MessageQueue]:
        """A consumer's part of the queues of its topic that fall to this client."""
        same = [other for other in self._consumers if other.topic == consumer.topic]
        names = [str(id(other)) for other in same]
        return allocate_average(queues, names, str(id(consumer)))

    def claim(self, consumer: LocalConsumer, queue: MessageQueue) -> bool:
        """Take a queue; False while another consumer has it. Queues of the retry topic are pulled by several."""
        return queue.topic == consumer.retry_topic or self._holders.setdefault(queue, consumer) is consumer

    def release(self, consumer: LocalConsumer, queues: Iterable[MessageQueue]) -> None:
        """Leave queues, claimed or not, to the other consumers."""
        freed = [queue for queue in queues if self._holders.get(queue) is consumer]
        for queue in freed:
            del self._holders[queue]
        if freed:
            self._rebalance_others(consumer)

    # -- the retry topic -------------------------------------------------------------------------------------------

    def pulls_retry_topic(self, consumer: LocalConsumer) -> bool:
        """Whether this consumer pulls the retry topic: the first consumer of each topic does."""
        same = (other for other in self._consumers if other.topic == consumer.topic and other.retry_topic is not None)
        return next(same, None) is consumer

    def is_unsubscribed(self, consumer: LocalConsumer, topic: str) -> bool | None:
        """Whether no consumer of this client reads the topic of a message that came through the retry topic.

        None if the message is another consumer's to deal with: one that reads the topic, or the first of all.
        """
        if topic in (consumer.topic, consumer.retry_topic):
            return False
        pushed = [other for other in self._consumers if other.retry_topic is not None]
        if any(other.topic == topic for other in pushed) or pushed[:1] != [consumer]:
            return None
        return True

    def pull_started(self, consumer: LocalConsumer, queue: MessageQueue, first: int) -> None:
        """A consumer pulls a queue from an offset on."""
        if queue.topic == consumer.retry_topic and first <= self._floors.get(queue, -1):
            del self._floors[queue]

    def pull_ended(self, consumer: LocalConsumer, queue: MessageQueue, watermark: int) -> None:
        """A consumer pulls a queue no more; of a retry queue the others may not commit beyond its watermark."""
        if queue.topic != consumer.retry_topic:
            return
        if any(queue in other.pullers for other in self._consumers if other is not consumer):
            self._floors[queue] = min(watermark, self._floors.get(queue, watermark))
        else:
            self._floors.pop(queue, None)

    def settled_by_all(self, queue: MessageQueue, position: int) -> int:
        """How far all consumers that pull a retry queue have settled it."""
        marks = [other.pullers[queue].process_queue.watermark for other in self._consumers if queue in other.pullers]
        return min([position, self._floors.get(queue, position), *marks])

    # -- lines -------------------------------------------------------------------------------------------------------

    def note_members(self, members: GroupMembers) -> None:
        """Log disagreements between the members of the group, once for each change."""
        disputes = members.disputes()
        for dispute in disputes:
            if dispute not in self._disputes:
                _log.warning("members of group %s disagree: %s", self._group, dispute)
        self._disputes = disputes

    def note_last_heartbeat(self, members: GroupMembers, said_last: Mapping[str, str]) -> None:
        """Log disagreements at a broker that does not tell which member reads what; once for the same members.

        Args:
            members: of the group.
            said_last: topics and filters of the last heartbeat; members with other ones take turns there.
        """
        if members.ids != self._last_ids:
            self._last_ids, self._disputes = members.ids, []
        for consumer in self._consumers:
            topic, mine = consumer.topic, consumer.tags.normal
            if topic not in said_last:
                dispute = f"some do not read topic {topic}, and the queues of it that fall to them are read by nobody"
            elif (other := parse_filter(said_last[topic]).normal) != mine:
                dispute = (
                    f"they read topic {topic} with different filters, {mine!r} and {other!r}, and pass over messages"
                )
            else:
                continue
            if dispute not in self._disputes:
                self._disputes.append(dispute)
                names = named([("members", list(members.ids))])
                _log.warning(
                    "members of group %s disagree: %s; give each topic and filter a group of its own (%s)",
                    self._group, dispute, names,
                )  # fmt: skip

    def _rebalance_others(self, consumer: LocalConsumer) -> None:
        for other in self._consumers:
            if other is not consumer:
                other.rebalance_soon()
