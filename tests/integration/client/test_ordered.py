"""Reading in order, with locks at real brokers."""

import asyncio
from collections import defaultdict

import ternmq
from support.cluster import Cluster, MakeCluster
from support.reading import fresh, read, until, with_client
from ternmq import Message, Reject


def test_a_failure_stops_its_queue_and_the_same_message_comes_again(cluster: Cluster) -> None:
    async def scenario(mq: ternmq.Client) -> None:
        topic = fresh("in-order")
        await mq.admin.create_topic(topic, queues=1, type="fifo")
        async with mq.producer("p") as out, mq.consumer(fresh("g"), topic, ordered=True) as inbox:
            await out.send_batch(topic, [b"1", b"2", b"3"])
            async with await anext(inbox):
                raise ValueError("as the test wants it")
            async with await anext(inbox) as again:
                assert (again.body, again.attempt) == (b"1", 2)
                raise Reject("as the test wants it")
            assert [message.body for message in await read(inbox, 2)] == [b"2", b"3"]

    with_client(cluster.nameservers, scenario)


def test_keys_stay_in_order_while_members_come_and_go_and_a_leader_dies(make_cluster: MakeCluster) -> None:
    cluster = make_cluster()

    async def scenario(mq: ternmq.Client) -> None:
        topic, group = fresh("moving"), fresh("g")
        await mq.admin.create_topic(topic, queues=4, type="fifo")
        running: set[int] = set()
        seen: dict[int, list[int]] = defaultdict(list)
        bodies: set[int] = set()  # sends that were tried again may be stored twice

        async def handle(message: Message[bytes]) -> None:
            assert message.queue.id not in running, "two have a message of one queue"
            running.add(message.queue.id)
            await asyncio.sleep(0.002)
            running.discard(message.queue.id)
            seen[message.queue.id].append(message.queue_offset)
            bodies.add(int(message.body))

        def is_complete() -> bool:
            return bodies == set(range(800))

        async def send() -> None:
            for number in range(800):
                await out.send(topic, str(number).encode(), shard=str(number % 16))

        async with (
            mq.producer("p", timeout=15) as out,
            ternmq.connect(cluster.nameservers) as other,
            mq.consumer(group, topic, ordered=True, start="earliest") as first,
            asyncio.TaskGroup() as tasks,
        ):
            reading = [tasks.create_task(first.run(handle, concurrency=4))]
            sending = tasks.create_task(send())
            async with other.consumer(group, topic, ordered=True, start="earliest") as second:
                reading.append(tasks.create_task(second.run(handle, concurrency=4)))
                await until(lambda: bool(second.queues), "the second member to have a queue")
                await asyncio.to_thread(cluster.kill, await asyncio.to_thread(cluster.leader))
                await sending
                await until(lambda: len(first.queues) == len(second.queues) == 2, "both to have half of the queues")
            await until(is_complete, "every message to be read")
            for task in reading:
                task.cancel()
        for offsets in seen.values():
            first_copies = list(dict.fromkeys(offsets))
            assert first_copies == sorted(first_copies)

    with_client(cluster.nameservers, scenario)
