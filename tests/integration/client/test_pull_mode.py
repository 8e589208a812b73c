"""Batches, explicit commits and seeking at real brokers."""

import asyncio
from datetime import UTC, datetime, timedelta

import ternmq
from support.cluster import Cluster
from support.reading import fresh, until, with_client


def _numbers(batch: ternmq.Batch[bytes]) -> list[int]:
    return [int(message.body) for message in batch]


def test_an_acknowledged_batch_is_where_the_next_reader_begins(cluster: Cluster) -> None:
    async def scenario(mq: ternmq.Client) -> None:
        topic, group = fresh("batches"), fresh("g")
        await mq.admin.create_topic(topic, queues=1)
        async with mq.producer("p") as out:
            await out.send_batch(topic, [str(number).encode() for number in range(100)])
        async with mq.consumer(group, topic, mode="pull", start="earliest") as log:
            batch = await anext(log.batches(max_size=60, max_wait=5))
            assert _numbers(batch) == list(range(60))
            await batch.ack()
            assert _numbers(await anext(log.batches(max_size=40, max_wait=5))) == list(range(60, 100))
        async with mq.consumer(group, topic, mode="pull") as log:
            assert _numbers(await anext(log.batches(max_size=40, max_wait=5))) == list(range(60, 100))

    with_client(cluster.nameservers, scenario)


def test_seeking_goes_to_a_time_an_offset_and_the_ends(cluster: Cluster) -> None:
    async def scenario(mq: ternmq.Client) -> None:
        topic, group = fresh("seeking"), fresh("g")
        await mq.admin.create_topic(topic, queues=1)
        async with mq.producer("p") as out, mq.consumer(group, topic, mode="pull") as log:
            for number in range(3):
                await out.send(topic, str(number).encode())
            early = await anext(log.batches(max_size=3, max_wait=5))
            moment = early[2].stored_at + timedelta(milliseconds=1)
            await until(lambda: datetime.now(UTC) > moment, "the clock to move on")
            for number in range(3, 6):
                await out.send(topic, str(number).encode())
            (queue,) = log.queues
            for to, seen in ((moment, [3, 4, 5]), ("earliest", [0, 1, 2, 3, 4, 5]), ({queue: 4}, [4, 5])):
                await log.seek(to=to)  # type: ignore[arg-type]
                assert _numbers(await anext(log.batches(max_size=len(seen), max_wait=5))) == seen
            await log.seek(to="latest")
            waiting = asyncio.create_task(anext(log.batches(max_wait=0.1)))
            await out.send(topic, b"6")
            assert _numbers(await waiting) == [6]

    with_client(cluster.nameservers, scenario)
