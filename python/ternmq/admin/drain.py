"""Empty a broker group before it is taken away: producers leave, consumers finish, then nothing is taken any more.

Two steps, as clients learn of a group by routes, which they ask for every 30 s. First the group is shown as read-only:
whoever asks for routes sends elsewhere, and what others still send is taken, as refusing it would be an error to an
asynchronous sender of RocketMQ's clients. When no more comes, sends are rejected, so that what is counted afterwards is
all that there will be.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from ternmq.admin.contents import GroupContents, is_ordered, read_all_contents
from ternmq.admin.masters import GroupMasters
from ternmq.errors import NotDrainedError
from ternmq.protocol.codes import RequestCode
from ternmq.protocol.names import (
    BROKER_PERMISSION,
    REJECT_SENDS,
    RETRY_PREFIX,
    belongs_to_brokers,
    is_system_topic,
)
from ternmq.protocol.statistics import decode_topic_stats
from ternmq.protocol.tables import decode_kv_table
from ternmq.protocol.topics import PERM_READ, PERM_READ_WRITE, PERM_WRITE

ROUTE_PERIOD_S = 30.0
"""How often stock clients ask for routes."""
_QUIET_S = 2.0
_LOOK_EVERY_S = 0.5
_AT_ONCE = 32
_PUT_TOTAL = "msgPutTotalTodayNow"
_DELAY_LEVEL = "scheduleMessageOffset_"


@dataclass(frozen=True)
class Unread:
    """Messages of a group that somebody has still to read.

    Args:
        topic: where they are.
        consumer_group: who has not read them; None where no consumer group has ever read the topic.
        messages: how many.
    """

    topic: str
    consumer_group: str | None
    messages: int


def why_not_drained(group: str, contents: Mapping[str, GroupContents], own_names: Collection[str]) -> list[str]:
    """Say what speaks against emptying a group: one sentence each.

    Args:
        group: broker name.
        contents: of every group of its cluster.
        own_names: names of clusters and broker groups.
    """
    others = {name: held for name, held in contents.items() if name != group and held.is_writable}
    if not others:
        return [f"no other group takes messages: add one first (`ternmq cluster add-group`), or {group} stays the last"]
    reasons = []
    mine = {
        name: config
        for name, config in contents[group].topics.items()
        if config.perm & PERM_WRITE and not belongs_to_brokers(name, own_names)
    }
    alone = [name for name in mine if not any(_takes(held, name) for held in others.values())]
    if alone:
        reasons.append(
            f"{_some(alone)} can be sent to on no other group: spread topics first (`ternmq cluster rebalance`)"
        )
    ordered = [name for name, config in mine.items() if is_ordered(config)]
    if ordered:
        reasons.append(
            f"{_some(ordered)} is ordered: without the queues here its keys go to other queues, and may be read out of"
            " order until these are read"
        )
    return reasons


async def set_read_only(masters: GroupMasters, group: str, *, read_only: bool) -> None:
    """Show a group's topics as read-only, or as before; returns when the NameServers that answer show it.

    Args:
        masters: of the cluster.
        group: broker name.
        read_only: False takes it back, and takes sends again.

    Raises:
        MQError: its master refused, or does not answer.
    """
    lines = [f"{BROKER_PERMISSION}={PERM_READ if read_only else PERM_READ_WRITE}"]
    if not read_only:
        lines.append(f"{REJECT_SENDS}=false")
    await masters.ask(group, RequestCode.UPDATE_BROKER_CONFIG, body="\n".join(lines).encode())


async def reject_sends_when_quiet(
    masters: GroupMasters, group: str, report: Callable[[str], None], *, patience_s: float = ROUTE_PERIOD_S + 10
) -> None:
    """Reject sends as soon as none has come for a while.

    Args:
        masters: of the cluster.
        group: broker name; it must be read-only.
        report: learns what is waited for.
        patience_s: whoever still sends after so many seconds is refused, and sends elsewhere.

    Raises:
        MQError: its master refused, or does not answer.
    """
    deadline = time.monotonic() + patience_s
    put, changed = await _put_total(masters, group), time.monotonic()
    while time.monotonic() < min(deadline, changed + _QUIET_S):
        await asyncio.sleep(_LOOK_EVERY_S)
        now = await _put_total(masters, group)
        if now != put:
            report(f"producers still send to {group}; they ask for routes every {ROUTE_PERIOD_S:g} s")
            put, changed = now, time.monotonic()
    await masters.ask(group, RequestCode.UPDATE_BROKER_CONFIG, body=f"{REJECT_SENDS}=true".encode())


async def _put_total(masters: GroupMasters, group: str) -> str:
    answer = await masters.ask(group, RequestCode.GET_BROKER_RUNTIME_INFO)
    return decode_kv_table(answer.body).get(_PUT_TOTAL, "0")


async def find_unread(masters: GroupMasters, group: str, contents: Mapping[str, GroupContents]) -> list[Unread]:
    """Find messages of a group that a consumer group has still to read, or that wait for their time.

    Whoever reads a topic on any group of the cluster reads it here, too. Readers without offsets (broadcasting,
    `reader`) are not known to any broker.

    Args:
        masters: of the cluster.
        group: broker name.
        contents: of every group of its cluster, as it is now.

    Returns:
        The most first; empty if all is read.

    Raises:
        MQError: a master does not answer.
    """
    gate = asyncio.Semaphore(_AT_ONCE)

    async def in_topic(topic: str) -> list[Unread]:
        async with gate:
            answer = await masters.ask(group, RequestCode.GET_TOPIC_STATS_INFO, {"topic": topic})
        queues = {
            queue.queue_id: (row.min_offset, row.max_offset)
            for queue, row in decode_topic_stats(answer.body).offsets.items()
        }
        stored = sum(most - least for least, most in queues.values())
        if not stored:
            return []
        readers = _readers(topic, contents)
        if not readers:
            return [Unread(topic, None, stored)]
        offsets = contents[group].offsets
        unread = [
            Unread(topic, reader, _behind(queues, offsets.get((topic, reader), {}))) for reader in sorted(readers)
        ]
        return [row for row in unread if row.messages]

    topics = [name for name in contents[group].topics if not is_system_topic(name)]
    found = [row for rows in await asyncio.gather(*map(in_topic, topics)) for row in rows]
    found += await _delayed(masters, group)
    return sorted(found, key=lambda row: (-row.messages, row.topic, row.consumer_group or ""))


def _readers(topic: str, contents: Mapping[str, GroupContents]) -> set[str]:
    readers = set().union(*(held.readers(topic) for held in contents.values()))
    if topic.startswith(RETRY_PREFIX):
        # Its own group reads it, also before it has committed anything there.
        readers.add(topic.removeprefix(RETRY_PREFIX))
    return readers


def _behind(queues: Mapping[int, tuple[int, int]], committed: Mapping[int, int]) -> int:
    return sum(max(0, most - max(least, committed.get(queue, least))) for queue, (least, most) in queues.items())


async def _delayed(masters: GroupMasters, group: str) -> list[Unread]:
    """Messages whose time has not come: they will be stored once more, in their own topics."""
    table = decode_kv_table((await masters.ask(group, RequestCode.GET_BROKER_RUNTIME_INFO)).body)
    waiting = 0
    for key, value in table.items():
        if key.startswith(_DELAY_LEVEL):
            put, stored = (int(number) for number in value.split(","))
            waiting += max(0, stored - put)
    return [Unread("SCHEDULE_TOPIC_XXXX", None, waiting)] if waiting else []


def describe_unread(unread: Collection[Unread]) -> str:
    """Put unread messages into a sentence, the five largest of them by name."""
    parts = [f"{row.messages} of {row.topic} by {row.consumer_group or 'nobody so far'}" for row in list(unread)[:5]]
    more = len(unread) - len(parts)
    return "unread: " + ", ".join(parts) + (f", and {more} more" if more else "")


async def wait_until_read(
    masters: GroupMasters,
    group: str,
    groups: Collection[str],
    report: Callable[[str], None],
    *,
    within_s: float,
) -> list[Unread]:
    """Wait until consumers have read all that a group holds.

    Args:
        masters: of the cluster.
        group: broker name; it must reject sends.
        groups: names of the groups of its cluster, itself included.
        report: learns what is waited for.
        within_s: longest wait.

    Returns:
        What is still unread then.

    Raises:
        MQError: a master does not answer.
    """
    deadline = time.monotonic() + within_s
    said = ""
    while True:
        unread = await find_unread(masters, group, await read_all_contents(masters, groups))
        if not unread or time.monotonic() >= deadline:
            return unread
        if describe_unread(unread) != said:
            said = describe_unread(unread)
            report(said)
        await asyncio.sleep(_LOOK_EVERY_S)


async def check_drained(masters: GroupMasters, group: str, groups: Collection[str]) -> None:
    """Refuse a group from which something would be missed.

    Args:
        masters: of the cluster.
        group: broker name.
        groups: names of the groups of its cluster, itself included.

    Raises:
        NotDrainedError: it takes messages, or some are unread.
        MQError: a master does not answer.
    """
    contents = await read_all_contents(masters, groups)
    held = contents[group]
    if held.permission & PERM_WRITE or not held.rejects_sends:
        raise NotDrainedError(f"{group} takes messages: `ternmq cluster drain-group {group}` first", broker=group)
    unread = await find_unread(masters, group, contents)
    if unread:
        raise NotDrainedError(
            f"{group} has messages that somebody may still read; {describe_unread(unread)}", broker=group
        )


def _takes(held: GroupContents, topic: str) -> bool:
    config = held.topics.get(topic)
    return config is not None and bool(config.perm & PERM_WRITE)


def _some(topics: Collection[str]) -> str:
    listed = sorted(topics)
    more = len(listed) - 3
    return f"topic {', '.join(listed[:3])}" + (f" and {more} more" if more > 0 else "")
