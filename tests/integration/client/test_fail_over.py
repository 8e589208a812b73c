"""A leader is killed or stopped while the client works."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from functools import partial

import pytest

import ternmq
from support.cluster import Cluster, MakeCluster
from support.reading import fresh, until, with_client
from ternmq import Message


def _kill(cluster: Cluster, leader: str) -> None:
    cluster.kill(leader)


def _pause(cluster: Cluster, leader: str) -> None:
    cluster.pause(leader)


@pytest.mark.parametrize("fault", [_kill, _pause], ids=["killed", "stopped"])
def test_sends_wait_for_the_new_leader_and_a_consumer_goes_on_by_itself(
    make_cluster: MakeCluster, fault: Callable[[Cluster, str], None]
) -> None:
    cluster = make_cluster()

    async def scenario(mq: ternmq.Client) -> None:
        topic = fresh("fail-over")
        await mq.admin.create_topic(topic, queues=4)
        acknowledged: list[str] = []
        seen: list[str] = []
        stop = asyncio.Event()

        async def send(key: str) -> None:
            number = 0
            while not stop.is_set():
                body = f"{key}/{number}"
                await out.send(topic, body.encode(), shard=key)
                acknowledged.append(body)
                number += 1

        async def note(message: Message[bytes]) -> None:
            seen.append(message.body.decode())

        async with (
            mq.producer("p", timeout=15) as out,
            mq.consumer(fresh("g"), topic, start="earliest") as inbox,
            asyncio.TaskGroup() as tasks,
        ):
            for key in ("a", "b", "c", "d"):
                tasks.create_task(send(key))
            reading = tasks.create_task(inbox.run(note))
            await until(lambda: len(acknowledged) > 200, "some messages before the fault")
            leader = await asyncio.to_thread(cluster.leader)
            await asyncio.to_thread(fault, cluster, leader)
            began, before = time.monotonic(), len(acknowledged)
            await until(lambda: len(acknowledged) > before + 400, "sends to go on at the new leader")
            assert time.monotonic() - began < 14
            assert await asyncio.to_thread(cluster.leader, other_than=leader) != leader
            stop.set()
            await until(lambda: set(acknowledged) <= set(seen), "every acknowledged message to be read")
            reading.cancel()
        for key in ("a", "b", "c", "d"):
            numbers = [int(body.split("/")[1]) for body in dict.fromkeys(seen) if body.startswith(key)]
            assert numbers == sorted(numbers), "first copies of a key are in order"

    with_client(cluster.nameservers, scenario)


def test_pipelined_posts_survive_a_kill_each_acknowledged_once_and_none_lost(make_cluster: MakeCluster) -> None:
    cluster = make_cluster()

    async def scenario(mq: ternmq.Client) -> None:
        topic = fresh("pipelined")
        await mq.admin.create_topic(topic, queues=4)
        ended: Counter[int] = Counter()
        posted: list[asyncio.Future[ternmq.SendReceipt]] = []

        def note(number: int, _: object) -> None:
            ended[number] += 1

        async def post() -> None:
            while len(posted) < before_kill + 20_000:
                number = len(posted)
                future = await out.post(topic, str(number).encode())
                future.add_done_callback(partial(note, number))
                posted.append(future)
                await asyncio.sleep(0)

        before_kill = 1 << 40
        async with mq.producer("p", timeout=15, max_pending=4096) as out:
            posting = asyncio.create_task(post())
            await until(lambda: len(ended) > 1000, "some acknowledged messages before the kill")
            await asyncio.to_thread(cluster.kill, await asyncio.to_thread(cluster.leader))
            before_kill = len(posted)
            await posting
            receipts = await asyncio.gather(*posted)
        await until(lambda: len(ended) == len(posted), "the last callbacks")
        assert set(ended.values()) == {1}
        assert len({receipt.id for receipt in receipts}) == len(posted)
        stored: dict[tuple[int, int], int] = {}
        async with mq.consumer(fresh("g"), topic, mode="pull", start="earliest", pull_batch=512) as log:
            async for batch in log.batches(max_size=2000):
                stored.update({(message.queue.id, message.queue_offset): int(message.body) for message in batch})
                if set(stored.values()) >= set(range(len(posted))):
                    break
        places = [(receipt.queue.id, receipt.queue_offset) for receipt in receipts]
        assert [stored[place] for place in places] == list(range(len(posted)))

    with_client(cluster.nameservers, scenario)
