"""Failed messages come again from the broker, and end as dead letters; sends wait as long as they are told."""

import asyncio
import time
from datetime import timedelta

import pytest

import ternmq
from support.cluster import Cluster, MakeCluster
from support.reading import fresh, read, until, with_client
from support.speaker import MAX_OFFSET, ask
from ternmq import Message, Origin, Reject, UnsupportedError


def test_a_failed_message_comes_again_after_ten_seconds_as_if_from_its_own_topic(cluster: Cluster) -> None:
    async def scenario(mq: ternmq.Client) -> None:
        topic, group = fresh("retry"), fresh("g")
        await mq.admin.create_topic(topic, queues=1)
        async with mq.producer("p") as out, mq.consumer(group, topic, filter="x") as inbox:
            await out.send(topic, b"1", tag="x", keys=["k"], properties={"a": "b"})
            async with await anext(inbox) as first:
                began = time.monotonic()
                raise ValueError("as the test wants it")
            (again,) = await read(inbox, 1)
            assert 9.5 < time.monotonic() - began < 15
        assert (again.topic, again.attempt, again.body, again.tag) == (topic, 2, b"1", "x")
        assert (again.id, again.keys, again.properties) == (first.id, ["k"], {"a": "b"})

    with_client(cluster.nameservers, scenario)


def test_rejected_and_exhausted_messages_are_dead_letters_that_say_where_they_stood_and_why(cluster: Cluster) -> None:
    async def scenario(mq: ternmq.Client) -> None:
        topic, group = fresh("dead"), fresh("g")
        await mq.admin.create_topic(topic, queues=1)
        attempts: list[int] = []
        async with mq.producer("p") as out, mq.consumer(group, topic, max_attempts=1) as inbox:
            await out.send_batch(topic, [b"rejected", b"exhausted"])
            async with await anext(inbox) as rejected:
                raise Reject("as the test wants it")
            async with await anext(inbox) as exhausted:
                attempts.append(exhausted.attempt)
                raise ValueError("once is enough")
        assert attempts == [1]

        async def is_shown() -> bool:
            return f"%DLQ%{group}" in await mq.admin.topics()

        await until(is_shown, "the dead-letter topic to be shown")
        async with mq.consumer(fresh("g"), f"%DLQ%{group}", start="earliest") as dead:
            letters = {message.body: message.origin for message in await read(dead, 2)}
        reasons = {b"rejected": "as the test wants it", b"exhausted": "ValueError: once is enough"}
        assert letters == {
            message.body: Origin(
                topic, message.queue, message.queue_offset, message.id, attempts=1, reason=reasons[message.body]
            )
            for message in (rejected, exhausted)
        }

    with_client(cluster.nameservers, scenario)


def test_a_retry_outlives_the_leader_that_took_it(make_cluster: MakeCluster) -> None:
    cluster = make_cluster()

    async def scenario(mq: ternmq.Client) -> None:
        topic = fresh("survives")
        await mq.admin.create_topic(topic, queues=1)
        seen: list[tuple[bytes, int]] = []

        async def handle(message: Message[bytes]) -> None:
            seen.append((message.body, message.attempt))
            if message.attempt == 1:
                raise ValueError("as the test wants it")

        async with mq.producer("p", timeout=15) as out, mq.consumer(fresh("g"), topic, start="earliest") as inbox:
            serving = asyncio.create_task(inbox.run(handle))
            bodies = [str(number).encode() for number in range(20)]
            await out.send_batch(topic, bodies)
            await until(lambda: len(seen) == 20, "every message to fail once")
            leader = await asyncio.to_thread(cluster.leader)

            async def all_wait() -> bool:
                place = {"topic": "SCHEDULE_TOPIC_XXXX", "queueId": "2"}
                answer = await asyncio.to_thread(ask, cluster.address(leader), MAX_OFFSET, place)
                return answer.fields.get("offset") == str(len(bodies))

            await until(
                all_wait, "the leader to have taken every message back, to be held for the ten seconds of level 3"
            )
            await asyncio.to_thread(cluster.kill, leader)
            await until(lambda: {body for body, attempt in seen if attempt > 1} == set(bodies), "every message again")
            serving.cancel()

    with_client(cluster.nameservers, scenario)


def test_a_delayed_message_is_seen_when_its_time_has_come(cluster: Cluster) -> None:
    async def scenario(mq: ternmq.Client) -> None:
        topic = fresh("delayed")
        await mq.admin.create_topic(topic, queues=1)
        async with mq.producer("p") as out, mq.consumer(fresh("g"), topic) as inbox:
            with pytest.raises(UnsupportedError):
                await out.send(topic, b"never", delay=7)
            began = time.monotonic()
            await out.send(topic, b"late", delay=timedelta(seconds=5))
            await out.send(topic, b"soon", delay=1)
            assert [message.body for message in await read(inbox, 2)] == [b"soon", b"late"]
            assert time.monotonic() - began > 4.9, "never early"

    with_client(cluster.nameservers, scenario)
