"""Pull mode: batches, explicit commits, seeking."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from support.memory.client import cluster_with_topic, connect, now, numbers, send
from support.memory.cluster import BORN_MS, MemoryCluster
from support.memory.virtual_time import run
from ternmq.client.batches import Batch
from ternmq.client.consumer import Consumer
from ternmq.client.message_queue import MessageQueue
from ternmq.errors import ConfigError, MQError, SettlementLostError

QUEUE = MessageQueue("t", "a", 0)


def _offset(cluster: MemoryCluster, queue: int = 0) -> int:
    return cluster.groups["a"].offsets["g", "t", queue]


async def _next(log: Consumer[bytes], size: int = 100) -> Batch[bytes]:
    return await anext(log.batches(max_size=size))


def test_only_an_acknowledged_batch_moves_the_offset_and_its_ack_is_answered_by_the_broker() -> None:
    async def scenario() -> None:
        cluster = cluster_with_topic()
        await send(cluster, range(10))
        async with connect(cluster) as mq, mq.consumer("g", "t", mode="pull", start="earliest") as log:
            first, second = await _next(log, 4), await _next(log, 4)
            assert (numbers(first), numbers(second[:2]), len(second), second[0].body) == ([0, 1, 2, 3], [4, 5], 4, b"4")
            await asyncio.sleep(20)
            assert _offset(cluster) == 0
            await second.ack()
            assert _offset(cluster) == 0, "an older batch is not acknowledged"
            await first.ack()
            assert _offset(cluster) == 8
            with pytest.raises(RuntimeError):
                await first.ack()
            with pytest.raises(RuntimeError, match="batch"):
                await first[0].ack()
            await asyncio.sleep(20)  # so that the next poll starts
        assert _offset(cluster) == 8
        assert not [fields for _, fields in cluster.network.sent(11) if int(fields["sysFlag"]) & 1]
        async with connect(cluster) as mq, mq.consumer("g", "t", mode="pull") as log:
            assert numbers(await _next(log)) == [8, 9]

    run(scenario())


def test_a_batch_is_as_large_as_asked_or_what_came_in_time() -> None:
    async def scenario() -> None:
        cluster = cluster_with_topic(queues=2)
        async with connect(cluster) as mq, mq.consumer("g", "t", mode="pull") as log, asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(anext(log.batches(max_size=4, max_wait=5)))
            await asyncio.sleep(30)
            assert not waiting.done(), "a batch is never empty"
            began = now()
            await send(cluster, range(3))
            assert sorted(numbers(await waiting)) == [0, 1, 2]
            assert 5 <= now() - began < 5.1
            began = now()
            await send(cluster, range(4))
            assert len(await anext(log.batches(max_size=4, max_wait=5))) == 4
            assert now() - began < 1

    run(scenario())


def test_a_reader_that_never_acknowledges_reads_on() -> None:
    async def scenario() -> None:
        cluster = cluster_with_topic()
        await send(cluster, range(300))
        seen: list[int] = []
        async with (
            connect(cluster) as mq,
            mq.consumer("g", "t", mode="pull", start="earliest", max_in_flight=20) as log,
        ):
            async for batch in log.batches(max_size=10):
                seen += numbers(batch)
                if len(seen) == 300:
                    break
        assert seen == list(range(300))
        assert _offset(cluster) == 0

    run(scenario())


def test_seeking_goes_anywhere_and_the_offset_follows_with_the_next_ack() -> None:
    async def scenario() -> None:
        cluster = cluster_with_topic()
        await send(cluster, range(3))
        await asyncio.sleep(10)
        moment = datetime.fromtimestamp(BORN_MS / 1000 + now(), UTC)
        await asyncio.sleep(10)
        await send(cluster, range(3, 6))
        async with connect(cluster) as mq, mq.consumer("g", "t", mode="pull", start="earliest") as log:
            old = await _next(log)
            await old.ack()
            places: list[tuple[Any, list[int]]] = [
                ("earliest", [0, 1, 2, 3, 4, 5]), (moment, [3, 4, 5]), ({QUEUE: 2}, [2, 3, 4, 5]),
            ]  # fmt: skip
            for to, seen in places:
                await log.seek(to=to)
                assert numbers(await _next(log)) == seen
            assert _offset(cluster) == 6
            await log.seek(to="latest")
            await send(cluster, [6])
            assert numbers(await _next(log)) == [6]
            await log.seek(to={QUEUE: 1})
            await (await _next(log, 2)).ack()
            assert _offset(cluster) == 3

    run(scenario())


def test_what_was_read_before_a_seek_cannot_be_acknowledged() -> None:
    async def scenario() -> None:
        cluster = cluster_with_topic(queues=2)
        await send(cluster, range(8))
        async with connect(cluster) as mq, mq.consumer("g", "t", mode="pull", start="earliest") as log:
            batch = await _next(log)
            assert len(batch) == 8
            await log.seek(to={QUEUE: 2})
            with pytest.raises(SettlementLostError, match="t@a#0"):
                await batch.ack()
            assert (_offset(cluster, 0), _offset(cluster, 1)) == (0, 4), "the other queue's part counts"

    run(scenario())


def test_an_answer_that_has_come_but_is_not_used_yet_when_a_seek_comes_is_dropped() -> None:
    async def scenario() -> None:
        cluster = cluster_with_topic()
        await send(cluster, range(3))
        async with connect(cluster) as mq, mq.consumer("g", "t", mode="pull", start="earliest") as log:
            assert numbers(await _next(log)) == [0, 1, 2]
            assert log._assignment is not None
            (puller,) = log._assignment.pullers.values()
            pull = puller._pull
            sought: list[Any] = []

            async def pull_and_seek(address: str) -> Any:
                outcome = await pull(address)
                if not sought:
                    sought.append(outcome)
                    puller.restart(0)
                return outcome

            puller._pull = pull_and_seek  # type: ignore[method-assign]
            await asyncio.sleep(20)
            sought.clear()
            await send(cluster, [3])
            assert numbers(await _next(log)) == [0, 1, 2, 3]

    run(scenario())


def test_an_answer_that_was_on_its_way_when_a_seek_came_is_not_used() -> None:
    async def scenario() -> None:
        cluster = cluster_with_topic()
        await send(cluster, range(100))
        async with connect(cluster) as mq, mq.consumer("g", "t", mode="pull", start="earliest", pull_batch=7) as log:
            cluster.network.transports[0].latency = 0.05
            for first in (90, 10, 50, 0, 93):
                await log.seek(to={QUEUE: first})
                assert numbers(await _next(log, 5)) == list(range(first, first + 5))

    run(scenario())


def test_an_ack_that_fails_may_be_repeated() -> None:
    async def scenario() -> None:
        cluster = cluster_with_topic()
        await send(cluster, range(3))
        async with connect(cluster) as mq, mq.consumer("g", "t", mode="pull", start="earliest") as log:
            batch = await _next(log)
            cluster.stop("a0:1")
            with pytest.raises(MQError):
                await batch.ack()
            cluster.network.stopped.clear()
            await batch.ack()
            assert _offset(cluster) == 3

    run(scenario())


def test_a_batch_of_a_queue_that_went_to_another_member_comes_again_there() -> None:
    async def scenario() -> None:
        cluster = cluster_with_topic()
        await send(cluster, range(3))
        loser, winner = connect(cluster), connect(cluster)
        loser.client_id, winner.client_id = "b", "a"
        async with loser as one, winner as two, one.consumer("g", "t", mode="pull", start="earliest") as first:
            batch = await _next(first)
            async with two.consumer("g", "t", mode="pull") as second:
                assert numbers(await _next(second)) == [0, 1, 2]
                with pytest.raises(SettlementLostError):
                    await batch.ack()

    run(scenario())


def test_closing_ends_the_iteration() -> None:
    async def scenario() -> None:
        async with connect(cluster_with_topic()) as mq:
            log = await mq.consumer("g", "t", mode="pull").open()
            waiting = asyncio.create_task(anext(log.batches(), None))
            await asyncio.sleep(1)
            await log.close()
            assert await waiting is None

    run(scenario())


def test_a_puller_does_not_claim_retries_and_each_mode_has_its_own_way_to_read() -> None:
    async def scenario() -> None:
        cluster = cluster_with_topic()
        async with connect(cluster) as mq:
            async with mq.consumer("g", "t", mode="pull") as log:
                entry: Any = cluster.brokers["a0:1"].heartbeats[-1]["consumerDataSet"]
                assert entry[0]["consumeType"] == "CONSUME_ACTIVELY"
                assert [read["topic"] for read in entry[0]["subscriptionDataSet"]] == ["t"]
                with pytest.raises(ConfigError):
                    await anext(log)
                with pytest.raises(ConfigError):
                    await log.run(lambda message: asyncio.sleep(0))
                with pytest.raises(ConfigError, match="t@a#7"):
                    await log.seek(to={MessageQueue("t", "a", 7): 0})
                with pytest.raises(ConfigError):
                    await log.seek(to=datetime(2026, 1, 1))  # noqa: DTZ001
                with pytest.raises(ConfigError):
                    log.batches(max_size=0)
            async with mq.consumer("g", "t") as inbox:
                with pytest.raises(ConfigError):
                    inbox.batches()
                with pytest.raises(ConfigError):
                    await inbox.seek(to="earliest")

    run(scenario())
