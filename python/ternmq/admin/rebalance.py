"""Spread topics over all groups of a cluster that take messages: a plan, pure, and the way to carry it out.

No message moves. A topic gets as many queues on a group that lacks it, or has fewer, as it has where it has most; what
is sent from then on is spread evenly. Ordered topics stay where they are: their keys are spread over the number of
queues, and another number would put later messages of a key beside earlier ones.

No message is passed over: a consumer group that begins at the end of queues which it meets for the first time would
miss what comes before it has met them. So new queues can only be read at first, get the offset 0 for every consumer
group that reads the topic anywhere, and are opened for writing after that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from ternmq.admin.contents import GroupContents, is_ordered
from ternmq.admin.masters import GroupMasters
from ternmq.protocol.codes import RequestCode
from ternmq.protocol.groups import GroupConfig
from ternmq.protocol.names import DEFAULT_TOPIC, belongs_to_brokers
from ternmq.protocol.tables import decode_group_list
from ternmq.protocol.topics import PERM_READ, PERM_WRITE, TopicConfig

Item = TypeVar("Item")

_AT_ONCE = 32


@dataclass(frozen=True)
class CopyConsumerGroup:
    """A consumer group that a broker group does not know gets the configuration that it has elsewhere.

    Args:
        group: broker group that gets it.
        config: its configuration.
    """

    group: str
    config: GroupConfig


@dataclass(frozen=True)
class WidenTopic:
    """A topic gets queues on a group.

    Args:
        group: broker group that gets them.
        config: the topic as it is where it has most queues.
        present: the topic as it is there now; None if it is not.
        holders: broker groups that have it.
        committed: consumer group to queues in which it has an offset there.
    """

    group: str
    config: TopicConfig
    present: TopicConfig | None
    holders: tuple[str, ...]
    committed: Mapping[str, frozenset[int]]

    @property
    def new_queues(self) -> range:
        """Ids of the queues that are new: all, where nothing could be written yet."""
        is_open = self.present is not None and self.present.perm & PERM_WRITE
        first = self.present.write_queue_nums if self.present is not None and is_open else 0
        return range(first, self.config.write_queue_nums)


@dataclass(frozen=True)
class StaysPut:
    """A topic that is not spread over all groups, and why that remains so.

    Args:
        topic: its name.
        groups: where it lies.
        reason: a sentence.
    """

    topic: str
    groups: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class RebalancePlan:
    """What is to be done, in this order: groups of consumers first.

    Args:
        copies: consumer groups.
        widenings: topics.
        stays: topics that stay put.
    """

    copies: tuple[CopyConsumerGroup, ...]
    widenings: tuple[WidenTopic, ...]
    stays: tuple[StaysPut, ...]


def plan_rebalance(
    contents: Mapping[str, GroupContents], own_names: Collection[str], topics: Collection[str] | None = None
) -> RebalancePlan:
    """Say what spreads topics over all groups that take messages.

    Args:
        contents: of every group of one cluster.
        own_names: names of clusters and broker groups, whose topics are the brokers' own.
        topics: only these; None for all.
    """
    targets = [name for name, held in sorted(contents.items()) if held.is_writable]
    widenings: list[WidenTopic] = []
    stays: list[StaysPut] = []
    for topic in _users_topics(contents, own_names, topics):
        holders = {name: held.topics[topic] for name, held in contents.items() if topic in held.topics}
        widest = max(holders.values(), key=lambda config: config.write_queue_nums)
        short = [name for name in targets if _lacks_queues(holders.get(name), widest)]
        if not short:
            continue
        reason = _why_it_stays(holders)
        if reason is not None:
            stays.append(StaysPut(topic, tuple(sorted(holders)), reason))
            continue
        readers = set().union(*(held.readers(topic) for held in contents.values()))
        for name in short:
            there = contents[name].offsets
            committed = {reader: frozenset(there.get((topic, reader), ())) for reader in sorted(readers)}
            widenings.append(WidenTopic(name, widest, holders.get(name), tuple(sorted(holders)), committed))
    return RebalancePlan(tuple(_copies(contents, targets)), tuple(widenings), tuple(stays))


def _users_topics(
    contents: Mapping[str, GroupContents], own_names: Collection[str], wanted: Collection[str] | None
) -> list[str]:
    known = set().union(*(held.topics for held in contents.values()))
    return sorted(
        topic for topic in known if not belongs_to_brokers(topic, own_names) and (wanted is None or topic in wanted)
    )


def _lacks_queues(present: TopicConfig | None, widest: TopicConfig) -> bool:
    if present is None or present.write_queue_nums < widest.write_queue_nums:
        return True
    # One queue that was not opened yet: a plan that was broken off.
    return widest.write_queue_nums == 1 and not present.perm & PERM_WRITE and bool(widest.perm & PERM_WRITE)


def _why_it_stays(holders: Mapping[str, TopicConfig]) -> str | None:
    if any(is_ordered(config) for config in holders.values()):
        return "ordered: its keys are spread over the queues that it has"
    if not any(config.perm & PERM_WRITE for config in holders.values()):
        return "nothing is sent to it: it is read-only"
    return None


def _copies(contents: Mapping[str, GroupContents], targets: Iterable[str]) -> Iterable[CopyConsumerGroup]:
    known: dict[str, GroupConfig] = {}
    for held in contents.values():
        for name, config in held.consumer_groups.items():
            known.setdefault(name, config)
    for target in targets:
        for name in sorted(known.keys() - contents[target].consumer_groups.keys()):
            yield CopyConsumerGroup(target, known[name])


async def carry_out(masters: GroupMasters, plan: RebalancePlan, report: Callable[[str], None]) -> None:
    """Do what a plan says; what is done already is done once more without harm.

    Args:
        masters: of the cluster.
        plan: what to do.
        report: receives one line for each topic.

    Raises:
        MQError: a master refused, or could not be reached in time. What was done before stays; a plan that is made
            anew has the rest.
    """
    await _each(
        plan.copies,
        lambda copy: masters.ask(
            copy.group, RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, body=copy.config.encode()
        ),
    )

    async def widen(step: WidenTopic) -> None:
        await _widen(masters, step)
        report(f"{step.config.topic_name}: {len(step.new_queues)} queues on {step.group}")

    await _each(plan.widenings, widen)


async def _widen(masters: GroupMasters, step: WidenTopic) -> None:
    topic = step.config.topic_name
    # The order of the three loses nothing. One write queue and no permission tell a later plan that this was broken
    # off.
    if step.present is None:
        await _put(masters, step, 1, step.config.perm & ~PERM_WRITE | PERM_READ)
    else:
        await _put(masters, step, step.present.write_queue_nums, step.present.perm)
    readers = {reader: step.committed.get(reader, frozenset()) for reader in await _readers(masters, step)}
    commits = [
        {"consumerGroup": reader, "topic": topic, "queueId": str(queue), "commitOffset": "0"}
        for reader, committed in (readers | dict(step.committed)).items()
        for queue in step.new_queues
        if queue not in committed
    ]
    await _each(commits, lambda fields: masters.ask(step.group, RequestCode.UPDATE_CONSUMER_OFFSET, fields))
    await _put(masters, step, step.config.write_queue_nums, step.config.perm)


async def _readers(masters: GroupMasters, step: WidenTopic) -> set[str]:
    """Name consumer groups that are connected and read the topic, also those that have committed nothing yet."""
    fields = {"topic": step.config.topic_name}
    answers = await asyncio.gather(
        *(masters.ask(holder, RequestCode.QUERY_TOPIC_CONSUME_BY_WHO, fields) for holder in step.holders)
    )
    return {group for answer in answers for group in decode_group_list(answer.body)}


async def _put(masters: GroupMasters, step: WidenTopic, write_queues: int, perm: int) -> None:
    config = step.config
    attributes = ",".join(f"+{key}={value}" for key, value in config.attributes.items())
    fields = {
        "topic": config.topic_name,
        "defaultTopic": DEFAULT_TOPIC,
        "readQueueNums": str(max(config.read_queue_nums, config.write_queue_nums)),
        "writeQueueNums": str(write_queues),
        "perm": str(perm),
        "topicFilterType": config.topic_filter_type,
        "topicSysFlag": str(config.topic_sys_flag),
        "order": "true" if config.order else "false",
        "attributes": attributes if step.present is None else "",
    }
    await masters.ask(step.group, RequestCode.UPDATE_AND_CREATE_TOPIC, fields)


async def _each(items: Sequence[Item], work: Callable[[Item], Awaitable[object]]) -> None:
    """Do something with every item, so many at once."""
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(item: Item) -> None:
        async with gate:
            await work(item)

    await asyncio.gather(*map(one, items))
