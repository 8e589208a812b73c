"""A leader is killed or stopped while the client works."""

import asyncio
import time
from collections.abc import Callable

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
