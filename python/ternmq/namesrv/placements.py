"""Which groups hold which topics. Topics that are held alike share what is kept, and so do their answers.

A route does not name its topic. With 300 groups that hold 20,000 topics there are six million pairs, but only as many
different routes as there are kinds of topics. So a topic refers to a placement, the groups that hold it and with which
queues, which never changes; a topic whose queues change goes to another placement, with all topics that change like it.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Collection, Generator, Iterator, Mapping
from itertools import islice
from operator import attrgetter
from typing import TypeVar

import msgspec

from ternmq.namesrv.broker_group import BrokerGroup, GroupQueues
from ternmq.protocol.topics import QueueShape, TopicConfig, queue_shape

_CHUNK = 1_024
_group_name = attrgetter("group.name")

Value = TypeVar("Value")
Steps = Generator[None, None, Value]
"""Work in steps of a millisecond or less; whoever drives it may do something else between two of them."""


def finish(steps: Steps[Value]) -> Value:
    """Do all the steps at once."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            value: Value = end.value
            return value


class Placement(msgspec.Struct, eq=False, gc=False):
    """The queues of all groups that hold some topics; never changes but for its topics.

    Args:
        queues: one for each group, in order of the groups' names.
        topics: who is held so, with None; in the order in which they came, which sorts faster than a set's.
    """

    queues: tuple[GroupQueues, ...]
    topics: dict[str, None] = {}

    def shown(self) -> list[GroupQueues]:
        """Give the queues of groups that are not gone."""
        return [queues for queues in self.queues if not queues.group.is_gone]

    def of(self, group: BrokerGroup) -> GroupQueues | None:
        """Give a group's queues."""
        at = self._find(group.name)
        return self.queues[at] if at < len(self.queues) and self.queues[at].group is group else None

    def _find(self, name: str) -> int:
        return bisect_left(self.queues, name, key=_group_name)

    def with_queues(self, mine: GroupQueues) -> tuple[GroupQueues, ...]:
        """Give the queues with those of one group in place of what was there under its name."""
        at = self._find(mine.group.name)
        taken = at < len(self.queues) and self.queues[at].group.name == mine.group.name
        return (*self.queues[:at], mine, *self.queues[at + taken :])

    def without(self, group: BrokerGroup) -> tuple[GroupQueues, ...]:
        """Give the queues without those of one group."""
        return tuple(queues for queues in self.queues if queues.group is not group)


_NOWHERE = Placement(())


class Placements:
    """Topics and their placements. What changes many topics is done in steps; see `Steps`.

    A topic has the queues of one group all at once. Between two steps some topics of a table are as it says and others
    as before, each of them as some client might have been told a moment earlier or later.

    Attributes:
        generation: grows with every change.
    """

    def __init__(self) -> None:
        self.generation = 0
        self._of_topic: dict[str, Placement] = {}
        self._alike: dict[tuple[GroupQueues, ...], Placement] = {}

    def get(self, topic: str) -> Placement | None:
        """Give the placement of a topic."""
        return self._of_topic.get(topic)

    def names(self) -> list[str]:
        """Name all topics, in order."""
        return sorted(self._of_topic)

    def __iter__(self) -> Iterator[Placement]:
        """Go through all placements; each topic has one."""
        return iter(self._alike.values())

    def place(self, topic: str, queues: GroupQueues) -> None:
        """Give one topic queues of a group."""
        finish(self._placing_alike([topic], self._of_topic.get(topic, _NOWHERE), queues))

    def remove(self, topic: str, group: BrokerGroup) -> None:
        """Take a group's queues from one topic."""
        placement = self._of_topic.get(topic)
        if placement is not None and placement.of(group) is not None:
            self._move([topic], placement, placement.without(group))

    def placing(self, group: BrokerGroup, topics: Mapping[str, TopicConfig | QueueShape], mask: int) -> Steps[None]:
        """Give topics their queues of one group; those that have them already cost a look.

        Args:
            group: the group.
            topics: what its table says.
            mask: bits of `perm` that count.
        """
        alike: dict[tuple[Placement, QueueShape], list[str]] = defaultdict(list)
        items = iter(topics.items())
        while chunk := list(islice(items, _CHUNK)):
            for topic, told in chunk:
                shape = told if isinstance(told, QueueShape) else queue_shape(told)
                alike[self._of_topic.get(topic, _NOWHERE), shape].append(topic)
            yield
        for (placement, shape), names in alike.items():
            yield from self._placing_alike(names, placement, group.queues(_masked(shape, mask)))

    def keeping_only(self, group: BrokerGroup, topics: Mapping[str, object]) -> Steps[None]:
        """Take a group's queues from every topic that its table does not name."""
        for placement in list(self):
            if placement.of(group) is not None:
                missing = placement.topics.keys() - topics.keys()
                yield from self._moving(missing, placement, placement.without(group))
            yield

    def clearing(self, group: BrokerGroup) -> Steps[None]:
        """Take a group's queues from every topic."""
        return self.keeping_only(group, {})

    def changing_perm(self, group: BrokerGroup, change: Callable[[int], int]) -> Steps[int]:
        """Change what a group permits on all its topics; gives their number."""
        # Their topics are noted before the first is moved, as one placement may get the topics of another.
        held = []
        for placement in list(self):
            queues = placement.of(group)
            if queues is not None:
                held.append((placement, queues, tuple(placement.topics)))
            yield
        for placement, queues, topics in held:
            yield from self._placing_alike(topics, placement, group.queues(_with_perm(queues.shape, change)))
        return sum(len(topics) for _, _, topics in held)

    def _placing_alike(self, topics: Collection[str], placement: Placement, queues: GroupQueues) -> Steps[None]:
        held = placement.of(queues.group)
        if held is None or held.shape != queues.shape:
            yield from self._moving(topics, placement, placement.with_queues(queues))

    def _moving(self, topics: Collection[str], source: Placement, queues: tuple[GroupQueues, ...]) -> Steps[None]:
        names = iter(topics)
        while chunk := list(islice(names, _CHUNK)):
            self._move(chunk, source, queues)
            yield

    def _move(self, names: list[str], source: Placement, queues: tuple[GroupQueues, ...]) -> None:
        """Bring topics from one placement to the one of these queues; a topic without queues is forgotten."""
        self.generation += 1
        if source is not _NOWHERE:
            for name in names:
                del source.topics[name]
            if not source.topics:
                del self._alike[source.queues]
        if not queues:
            for name in names:
                del self._of_topic[name]
            return
        target = self._alike.get(queues)
        if target is None:
            target = self._alike[queues] = Placement(queues)
        target.topics.update(dict.fromkeys(names))
        self._of_topic.update(dict.fromkeys(names, target))


def _masked(shape: QueueShape, mask: int) -> QueueShape:
    return _with_perm(shape, lambda perm: perm & mask) if shape.perm & ~mask else shape


def _with_perm(shape: QueueShape, change: Callable[[int], int]) -> QueueShape:
    return QueueShape(change(shape.perm), shape.read_queue_nums, shape.topic_sys_flag, shape.write_queue_nums)
