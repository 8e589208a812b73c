"""Groups: where they start, how they share, what they do with failures."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

import ternmq
from support.cluster import Cluster
from support.reading import fresh, read, until, with_client
from ternmq import Consumer, Message


@pytest.mark.parametrize(("start", "seen"), [("earliest", {"1", "2", "3"}), ("latest", {"3"})])
def test_a_new_group_begins_where_it_was_told(cluster: Cluster, start: ternmq.Start, seen: set[str]) -> None:
    async def scenario(mq: ternmq.Client) -> None:
        topic = fresh("start")
        await mq.admin.create_topic(topic, queues=2)
        async with mq.producer("p") as out:
            for body in (b"1", b"2"):
                await out.send(topic, body)
            async with mq.consumer(fresh("g"), topic, start=start) as inbox:
                await out.send(topic, b"3")
                assert {message.body.decode() for message in await read(inbox, len(seen))} == seen

    with_client(cluster.nameservers, scenario)


def test_a_new_group_may_begin_at_a_time(cluster: Cluster) -> None:
    async def scenario(mq: ternmq.Client) -> None:
        topic = fresh("moment")
        await mq.admin.create_topic(topic, queues=2)
        async with mq.producer("p") as out, mq.consumer(fresh("g"), topic) as inbox:
            for body in (b"1", b"2", b"3"):
                await out.send(topic, body)
            last = max(message.stored_at for message in await read(inbox, 3))
            after = last + timedelta(milliseconds=1)
            await until(lambda: datetime.now(UTC) > after, "the clock to move on")
            async with mq.consumer(fresh("g"), topic, start=after) as later:
                await out.send(topic, b"4")
                assert [message.body for message in await read(later, 1)] == [b"4"]
            async with mq.consumer(fresh("g"), topic, start=last - timedelta(days=1)) as earlier:
                assert len(await read(earlier, 4)) == 4

    with_client(cluster.nameservers, scenario)


def test_a_group_goes_on_where_it_ended(cluster: Cluster) -> None:
    async def scenario(mq: ternmq.Client) -> None:
        topic, group = fresh("resume"), fresh("g")
        await mq.admin.create_topic(topic, queues=1)
        async with mq.producer("p") as out:
            await out.send_batch(topic, [str(number).encode() for number in range(10)])
        async with mq.consumer(group, topic, start="earliest") as inbox:
            assert [int(message.body) for message in await read(inbox, 4)] == [0, 1, 2, 3]
        async with ternmq.connect(cluster.nameservers) as other, other.consumer(group, topic) as inbox:
            assert [int(message.body) for message in await read(inbox, 6)] == [4, 5, 6, 7, 8, 9]

    with_client(cluster.nameservers, scenario)


def test_a_message_whose_block_failed_comes_again(cluster: Cluster) -> None:
    async def scenario(mq: ternmq.Client) -> None:
        topic = fresh("failed")
        await mq.admin.create_topic(topic, queues=1)
        async with mq.producer("p") as out, mq.consumer(fresh("g"), topic) as inbox:
            await out.send_batch(topic, [b"1", b"2"])
            attempts: list[tuple[bytes, int]] = []
            async for message in inbox:
                async with message:
                    attempts.append((message.body, message.attempt))
                    if attempts[-1] == (b"1", 1):
                        raise ValueError("as the test wants it")
                if len(attempts) == 3:
                    break
        assert attempts == [(b"1", 1), (b"2", 1), (b"1", 2)]

    with_client(cluster.nameservers, scenario)


def test_members_share_the_queues_and_nothing_is_lost_when_one_leaves(cluster: Cluster) -> None:
    async def scenario(mq: ternmq.Client) -> None:
        topic, group = fresh("shared"), fresh("g")
        await mq.admin.create_topic(topic, queues=8)
        seen: list[int] = []

        async def note(message: Message[bytes]) -> None:
            seen.append(int(message.body))

        async def send() -> None:
            async with mq.producer("p") as out:
                for number in range(500):
                    await out.send(topic, str(number).encode())

        async with (
            ternmq.connect(cluster.nameservers) as other,
            asyncio.TaskGroup() as tasks,
            mq.consumer(group, topic, start="earliest") as first,
        ):
            assert len(first.queues) == 8
            tasks.create_task(first.run(note, concurrency=4))
            async with other.consumer(group, topic, start="earliest") as second:
                await until(lambda: _is_fair(first, second), "both members to have four queues")
                tasks.create_task(second.run(note, concurrency=4))
                await send()
            await until(lambda: len(first.queues) == 8, "the first to take over")
            await until(lambda: set(seen) == set(range(500)), "every message to be read")
        assert len(seen) < 600, "few come twice when queues move"

    with_client(cluster.nameservers, scenario)


def _is_fair(first: Consumer[bytes], second: Consumer[bytes]) -> bool:
    return len(first.queues) == len(second.queues) == 4 and not set(first.queues) & set(second.queues)
