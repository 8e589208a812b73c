"""A group is added under load, topics are spread over it, its master is killed, it is emptied and taken away again."""

import asyncio
import json
import subprocess
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest

import ternmq
from support.tern import PROGRAM, TernCluster

TOPIC, ORDERED = "orders", "steps"
SENDERS = 4
SHARDS = 3
WITHIN_S = 60.0
# What spreads evenly is seen in so many.
COUNTED = 2_000


@dataclass
class History:
    """What was acknowledged, where, and what was read in which order."""

    bodies: set[bytes] = field(default_factory=set)
    by_group: Counter[str] = field(default_factory=Counter)
    ordered_groups: set[str] = field(default_factory=set)
    read: set[bytes] = field(default_factory=set)
    ordered: dict[bytes, list[int]] = field(default_factory=dict)
    ordered_sent: Counter[bytes] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)

    def is_read(self) -> bool:
        counted = {shard: sorted(set(numbers)) for shard, numbers in self.ordered.items()}
        return self.bodies <= self.read and all(
            counted.get(shard) == list(range(count)) for shard, count in self.ordered_sent.items()
        )


class Operator:
    """Commands against a cluster, as somebody at a shell gives them."""

    def __init__(self, cluster: TernCluster) -> None:
        self._folder = cluster.directory

    def run(self, *words: str, code: int = 0) -> dict[str, Any]:
        done = subprocess.run(
            [str(PROGRAM), *words, "--data", str(self._folder), "--json"], capture_output=True, text=True, timeout=180
        )
        assert done.returncode == code, done.stderr
        return json.loads(done.stdout) if done.stdout else {"said": done.stderr}

    async def ask(self, *words: str, code: int = 0) -> dict[str, Any]:
        return await asyncio.to_thread(self.run, *words, code=code)


async def send(history: History, out: ternmq.Producer[bytes], number: int, stop: asyncio.Event) -> None:
    count = 0
    while not stop.is_set():
        body = b"%d-%d" % (number, count)
        count += 1
        try:
            receipt = await out.send(TOPIC, body)
        except ternmq.MQError as error:
            history.errors.append(repr(error))
        else:
            history.bodies.add(body)
            history.by_group[receipt.queue.broker] += 1


async def send_in_order(history: History, out: ternmq.Producer[bytes], shard: bytes, stop: asyncio.Event) -> None:
    while not stop.is_set():
        number = history.ordered_sent[shard]
        try:
            receipt = await out.send(ORDERED, b"%s %d" % (shard, number), shard=shard.decode())
        except ternmq.MQError as error:
            history.errors.append(repr(error))
        else:
            history.ordered_sent[shard] += 1
            history.ordered_groups.add(receipt.queue.broker)


async def read(history: History, inbox: ternmq.Consumer[bytes]) -> None:
    async for message in inbox:
        async with message:
            history.read.add(message.body)


async def read_in_order(history: History, inbox: ternmq.Consumer[bytes]) -> None:
    async for message in inbox:
        async with message:
            shard, number = message.body.split()
            history.ordered.setdefault(shard, []).append(int(number))


async def until(condition: Any) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not condition():  # noqa: ASYNC110  # the load fills it
            await asyncio.sleep(0.02)


async def widen(operator: Operator, history: History) -> None:
    """Add a group and spread topics over it; returns when both groups get messages."""
    added = await operator.ask("cluster", "add-group")
    assert [item["name"] for item in added["items"]] == ["group-b/n0", "group-b/n1", "group-b/n2"]
    shown = await operator.ask("cluster", "rebalance")
    assert not history.by_group["group-b"], "a plan changes nothing"
    assert [(item["step"], item["name"]) for item in shown["items"] if item["step"] != "copy"] == [
        ("widen", TOPIC),
        ("stay", ORDERED),
    ]
    assert (await operator.ask("cluster", "rebalance", "--yes"))["items"] == shown["items"]
    assert not [item for item in (await operator.ask("cluster", "rebalance"))["items"] if item["step"] != "stay"]
    await until(lambda: history.by_group["group-b"] > 0)


async def load(cluster: TernCluster) -> History:
    history, stop, operator = History(), asyncio.Event(), Operator(cluster)
    async with (
        ternmq.connect(cluster.nameservers) as mq,
        mq.producer("p", timeout=20) as out,
        # The one that would miss what a new queue got before it has met it.
        mq.consumer("late", TOPIC, start="latest") as inbox,
        mq.consumer("in-order", ORDERED, start="earliest", ordered=True) as ordered,
    ):
        reading = [asyncio.create_task(read(history, inbox)), asyncio.create_task(read_in_order(history, ordered))]
        # A group that begins at the end has begun when it has read something.
        await until_read_something(out, history)
        sending = [asyncio.create_task(send(history, out, number, stop)) for number in range(SENDERS)]
        sending += [asyncio.create_task(send_in_order(history, out, b"s%d" % number, stop)) for number in range(SHARDS)]
        await widen(operator, history)
        before = Counter(history.by_group)
        await until(lambda: (history.by_group - before).total() > COUNTED)
        even = history.by_group - before
        assert abs(even["group-a"] - even["group-b"]) <= 0.1 * even.total(), even
        await operator.ask("kill-leader", "group-b")
        await until(lambda: history.by_group["group-b"] > before["group-b"] + even["group-b"] + 100)
        refused = await operator.ask("cluster", "remove-group", "group-b", code=1)
        assert "drain-group group-b" in refused["said"]
        refused = await operator.ask("cluster", "drain-group", "group-a", code=1)
        assert f"topic {ORDERED} can be sent to on no other group" in refused["said"]
        drained = await operator.ask("cluster", "drain-group", "group-b")
        assert (drained["drained"], drained["items"]) == (True, [])
        last = history.by_group["group-b"]
        await operator.ask("cluster", "remove-group", "group-b")
        left = Counter(history.by_group)
        await until(lambda: (history.by_group - left)["group-a"] > COUNTED)
        assert history.by_group["group-b"] == last
        stop.set()
        await asyncio.gather(*sending)
        await until(history.is_read)
        for task in reading:
            task.cancel()
    return history


async def until_read_something(out: ternmq.Producer[bytes], history: History) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not history.read:
            await out.send(TOPIC, b"first")
            await asyncio.sleep(0.05)


def test_a_group_comes_and_goes_under_load_and_nothing_is_lost(
    cluster: TernCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Clients ask for routes every half minute; the test need not wait so long.
    monkeypatch.setattr("ternmq.client.metadata.POLL_SECONDS", 1.0)
    operator = Operator(cluster)
    for name, kind in ((TOPIC, "normal"), (ORDERED, "fifo")):
        operator.run("topic", "create", name, "--type", kind)
    history = asyncio.run(load(cluster))
    assert history.errors == []
    assert history.is_read()
    assert history.ordered_groups == {"group-a"}, "ordered topics stay put"
    for shard, numbers in history.ordered.items():
        first_seen = list(dict.fromkeys(numbers))
        assert first_seen == sorted(first_seen), shard
    names = {item["group"] for item in operator.run("cluster", "info")["items"]}
    assert names == {"group-a"}
    assert "group-b" not in (cluster.directory / "topology.toml").read_text()
