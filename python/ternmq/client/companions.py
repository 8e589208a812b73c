"""The consumers of one group in one client: one member to the brokers, and what falls to it is shared among them."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from ternmq.client.allocation import allocate_average
from ternmq.client.filters import TagFilter, parse_filter
from ternmq.client.members import Members, named
from ternmq.client.messages import MessageQueue

_log = logging.getLogger(__name__)


class _ProcessQueue(Protocol):
    @property
    def watermark(self) -> int: ...


class _Puller(Protocol):
    @property
    def process_queue(self) -> _ProcessQueue: ...

    def restart(self, first: int) -> None: ...


class Companion(Protocol):
    """One of the consumers, as the others see it: its assignment."""

    @property
    def topic(self) -> str:
        """What it reads."""

    @property
    def tags(self) -> TagFilter:
        """Which messages of it."""

    @property
    def again(self) -> str | None:
        """The topic through which failed messages come again to it; None for none."""

    @property
    def pullers(self) -> Mapping[MessageQueue, _Puller]:
        """What it pulls now."""

    def ask(self) -> None:
        """Rebalance soon."""


class Companions:
    """Who of the consumers of a group in a client reads what.

    Consumers of the same topic share the queues that fall to the client. What comes again is pulled by the first
    consumer of each topic, which takes its topic's messages out; the group's offset there is the lowest of them.

    Args:
        group: consumer group.
    """

    def __init__(self, group: str) -> None:
        self._group = group
        self._all: list[Companion] = []
        self._held: dict[MessageQueue, Companion] = {}
        self._floors: dict[MessageQueue, int] = {}  # of retry queues: what one has given up and others still hold
        self._disputes: list[str] = []
        self._last_ids: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether there is none."""
        return not self._all

    def join(self, companion: Companion) -> None:
        """Belong to them from now on."""
        self._all.append(companion)
        self._ask_others(companion)

    def leave(self, companion: Companion) -> None:
        """End `join`, when nothing is pulled any more; what it had not settled of what comes again is read anew."""
        if companion not in self._all:
            return
        self._all.remove(companion)
        self.free(companion, [queue for queue, holder in self._held.items() if holder is companion])
        for queue in tuple(self._floors):
            floor = self._floors.pop(queue)
            for puller in (other.pullers[queue] for other in self._all if queue in other.pullers):
                if puller.process_queue.watermark > floor:
                    puller.restart(floor)
        self._ask_others(companion)

    def other_filter(self, topic: str, tags: TagFilter) -> str | None:
        """A filter other than this one with which one of them reads the topic."""
        filters = (companion.tags.normal for companion in self._all if companion.topic == topic)
        return next((normal for normal in filters if normal != tags.normal), None)

    def share(self, companion: Companion, queues: Sequence[MessageQueue]) -> list[MessageQueue]:
        """The part of one of them in the queues of its topic that fall to this client."""
        same = [other for other in self._all if other.topic == companion.topic]
        names = [str(id(other)) for other in same]
        return allocate_average(queues, names, str(id(companion)))

    def claim(self, companion: Companion, queue: MessageQueue) -> bool:
        """Take a queue; False while another one has it. What comes again is nobody's alone."""
        return queue.topic == companion.again or self._held.setdefault(queue, companion) is companion

    def free(self, companion: Companion, queues: Iterable[MessageQueue]) -> None:
        """Leave queues, claimed or not, to the others."""
        freed = [queue for queue in queues if self._held.get(queue) is companion]
        for queue in freed:
            del self._held[queue]
        if freed:
            self._ask_others(companion)

    # -- what comes again ------------------------------------------------------------------------------------------

    def pulls_again(self, companion: Companion) -> bool:
        """Whether this one of them pulls what comes again: one does for each topic."""
        same = (other for other in self._all if other.topic == companion.topic and other.again is not None)
        return next(same, None) is companion

    def is_strange(self, companion: Companion, topic: str) -> bool | None:
        """What a message that comes again is to one that pulls it; None if it is another one's to deal with."""
        if topic in (companion.topic, companion.again):
            return False
        pushed = [other for other in self._all if other.again is not None]
        if any(other.topic == topic for other in pushed) or pushed[:1] != [companion]:
            return None
        return True

    def begun(self, companion: Companion, queue: MessageQueue, first: int) -> None:
        """One of them pulls what comes again from an offset on."""
        if queue.topic == companion.again and first <= self._floors.get(queue, -1):
            del self._floors[queue]

    def ended(self, companion: Companion, queue: MessageQueue, watermark: int) -> None:
        """One of them pulls a queue no more; the others may not commit beyond it."""
        if queue.topic != companion.again:
            return
        if any(queue in other.pullers for other in self._all if other is not companion):
            self._floors[queue] = min(watermark, self._floors.get(queue, watermark))
        else:
            self._floors.pop(queue, None)

    def settled(self, queue: MessageQueue, position: int) -> int:
        """How far all of them have settled what comes again."""
        marks = [other.pullers[queue].process_queue.watermark for other in self._all if queue in other.pullers]
        return min([position, self._floors.get(queue, position), *marks])

    # -- lines -------------------------------------------------------------------------------------------------------

    def look(self, members: Members) -> None:
        """Say in what the members of the group do not agree, once for each change."""
        disputes = members.disputes()
        for dispute in disputes:
            if dispute not in self._disputes:
                _log.warning("members of group %s disagree: %s", self._group, dispute)
        self._disputes = disputes

    def look_at_last(self, members: Members, said_last: Mapping[str, str]) -> None:
        """Say what does not agree at a broker that does not tell who reads what, once while the members are the same.

        Args:
            members: of the group.
            said_last: topic and filter of whoever sent a heartbeat last; members with others take turns there.
        """
        if members.ids != self._last_ids:
            self._last_ids, self._disputes = members.ids, []
        for companion in self._all:
            topic, mine = companion.topic, companion.tags.normal
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

    def _ask_others(self, companion: Companion) -> None:
        for other in self._all:
            if other is not companion:
                other.ask()
