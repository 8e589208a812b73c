"""Several consumers of one group, in one client or in several; on a network in memory, in virtual time."""

import asyncio
import logging

import pytest

from support.memory.client import connect, now, numbers, read
from support.memory.cluster import MemoryCluster
from support.memory.virtual_time import run
from ternmq.client.connection import Client
from ternmq.client.consumer import Consumer
from ternmq.errors import ConfigError


def _cluster(queues: int = 4) -> MemoryCluster:
    cluster = MemoryCluster()
    cluster.create_topic("t", queues)
    cluster.create_topic("u", queues)
    return cluster


async def _send(mq: Client, topic: str, count: int) -> None:
    async with mq.producer("p") as out:
        for number in range(count):
            await out.send(topic, str(number).encode())


async def _fail_first(inbox: Consumer[bytes], count: int) -> list[tuple[str, int]]:
    """Read so many deliveries and let each message fail at its first attempt."""
    seen: list[tuple[str, int]] = []
    while len(seen) < count:
        async with await anext(inbox) as message:
            seen.append((message.topic, message.attempt))
            if message.attempt == 1:
                raise ValueError("as the test wants it")
    return seen


@pytest.mark.parametrize("one_client", [True, False])
def test_what_comes_again_comes_to_a_consumer_of_its_topic(one_client: bool) -> None:
    async def scenario() -> None:
        cluster = _cluster()
        began = now()
        async with connect(cluster) as mq, connect(cluster) as another:
            other = mq if one_client else another
            async with mq.consumer("g", "t") as of_t, other.consumer("g", "u") as of_u:
                await asyncio.sleep(2)
                assert (len(of_t.queues), len(of_u.queues)) == (4, 4)
                await _send(mq, "t", 4)
                await _send(mq, "u", 4)
                t, u = await asyncio.gather(_fail_first(of_t, 8), _fail_first(of_u, 8))
                assert sorted(t) == [("t", 1)] * 4 + [("t", 2)] * 4
                assert sorted(u) == [("u", 1)] * 4 + [("u", 2)] * 4
                assert now() - began < 60

    run(scenario())


def test_the_offset_of_what_comes_again_waits_for_the_slowest_consumer_and_a_closed_one_loses_nothing() -> None:
    async def scenario() -> None:
        cluster = _cluster(queues=1)
        async with connect(cluster) as mq, mq.consumer("g", "t") as of_t:
            of_u = await mq.consumer("g", "u").open()
            for topic, inbox in (("u", of_u), ("t", of_t)):  # in this order they come again
                await _send(mq, topic, 1)
                await (await anext(inbox)).nack()
                await asyncio.sleep(1)
            slow = await anext(of_u)
            await read(of_t, 1)
            await asyncio.sleep(20)
            key = ("g", "%RETRY%g", 0)
            assert cluster.groups["a"].offsets[key] == 0, "the first is not settled"
            assert slow.attempt == 2
            await of_u.close()
            await asyncio.sleep(20)
            assert len(cluster.network.sent(36)) == 3, "nobody here reads its topic any more: it goes back"
            await read(of_t, 1)  # once more: what was not settled there is read anew, and what follows it
            await asyncio.sleep(6)
            assert cluster.groups["a"].offsets[key] >= 2
            async with mq.consumer("g", "u") as of_u:
                (again,) = await read(of_u, 1)
                assert (again.topic, again.attempt) == ("u", 3)

    run(scenario())


def test_two_consumers_of_one_topic_in_one_client_never_hold_a_queue_both() -> None:
    async def scenario() -> None:
        cluster = _cluster()
        async with connect(cluster) as mq, mq.consumer("g", "t", ordered=True, start="earliest") as first:
            await _send(mq, "t", 8)
            held = await anext(first)  # its queue stays with the first until it is settled
            async with mq.consumer("g", "t", ordered=True, start="earliest") as second:
                for _ in range(100):
                    assert not set(first.queues) & set(second.queues)
                    await asyncio.sleep(0.1)
                await held.ack()
                await asyncio.sleep(3)
                assert (len(first.queues), len(second.queues)) == (2, 2)
                rest = await asyncio.gather(*(_all_now(inbox) for inbox in (first, second)))
                assert sorted([int(held.body), *rest[0], *rest[1]]) == list(range(8))
            await asyncio.sleep(1)
            assert len(first.queues) == 4

    run(scenario())


async def _all_now(inbox: Consumer[bytes]) -> list[int]:
    found: list[int] = []
    try:
        async with asyncio.timeout(5):
            while True:
                found += numbers(await read(inbox, 1))
    except TimeoutError:
        return found


@pytest.mark.parametrize("one_client", [True, False])
@pytest.mark.parametrize("at_once", [True, False])
def test_another_filter_in_the_same_process_is_refused(one_client: bool, at_once: bool) -> None:
    async def scenario() -> None:
        cluster = _cluster()
        async with connect(cluster) as mq, connect(cluster) as another:
            other = mq if one_client else another
            first, second = mq.consumer("g", "t", filter="x||y"), other.consumer("g", "t", filter="x")
            if at_once:
                outcomes = [*await asyncio.gather(first.open(), second.open(), return_exceptions=True)]
            else:
                outcomes = [await first.open(), *await asyncio.gather(second.open(), return_exceptions=True)]
            assert isinstance(outcomes[1], ConfigError)
            assert "'x'" in str(outcomes[1])
            assert "'x || y'" in str(outcomes[1])
            async with other.consumer("h", "t", filter="x"), other.consumer("g", "u", filter="x"):
                pass
            await first.close()
            async with other.consumer("g", "t", filter="x"):
                pass

    run(scenario())


def test_a_client_whose_event_loop_ended_without_a_close_keeps_no_filter() -> None:
    async def left_open() -> list[object]:
        mq = connect(_cluster())
        await mq.open()
        consumer = mq.consumer("g", "t", filter="x||y")
        await consumer.open()
        return [mq, consumer]

    async def later() -> None:
        async with connect(_cluster()) as mq, mq.consumer("g", "t", filter="x"):
            pass

    kept = run(left_open())
    run(later())
    assert len(kept) == 2, "they were not collected meanwhile"


def test_a_stock_broker_does_not_tell_who_reads_what_and_the_whole_group_shares(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario() -> None:
        cluster = _cluster()
        cluster.tells_subscriptions = False
        async with connect(cluster) as mq, connect(cluster) as other:
            async with mq.consumer("g", "t") as alone, other.consumer("g", "u"):
                await asyncio.sleep(2)
                assert len(alone.queues) == 2, "as with Java: docs/decisions.md"
                await asyncio.sleep(200)
                (warning,) = _warnings(caplog)  # of the one whose heartbeat comes first: the other's is the last one
                assert "do not read topic t" in warning
                assert mq.client_id in warning
                assert other.client_id in warning
            async with mq.consumer("h", "t") as of_t, mq.consumer("h", "u") as of_u:
                await asyncio.sleep(2)
                assert (len(of_t.queues), len(of_u.queues)) == (4, 4), "one client is one member that reads both"

    run(scenario())


def test_a_dispute_is_one_warning_for_each_change(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        cluster = _cluster()
        async with connect(cluster) as mq, mq.consumer("g", "t"), mq.consumer("g", "u"):
            broker = cluster.brokers["a0:1"]
            transport = next(iter(broker.members["g"].values()))
            for client in ("java@1", "java@2"):
                broker.members["g"][client] = transport
                broker.said["g", client] = {"sharesByTopic": False, "subscriptions": {"t": "x"}}
                await asyncio.sleep(100)
                assert client in _warnings(caplog)[-1]
            assert len(_warnings(caplog)) == 2, "two consumers here, and one line for each change"
            await asyncio.sleep(100)
            assert len(_warnings(caplog)) == 2

    with caplog.at_level(logging.WARNING):
        run(scenario())


def _warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [text for record in caplog.records if "disagree" in (text := record.getMessage())]
