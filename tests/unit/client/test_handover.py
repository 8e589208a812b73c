"""A queue that moves from one member of a group to another while its messages fail."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from support.memory.client import cluster_with_topic, connect, now, send
from support.memory.cluster import MemoryCluster
from support.memory.virtual_time import run
from ternmq.client.messages import Message


async def _members(
    cluster: MemoryCluster,
    handle: Callable[[Message[bytes]], Awaitable[None]],
    after: float,
    until: float,
    concurrency: int = 1,
) -> None:
    """One member, and so many seconds after its first message a second one that takes half of its queues."""
    async with (
        connect(cluster) as one,
        connect(cluster) as two,
        one.consumer("g", "t", start="earliest", max_attempts=1) as first,
    ):
        serving = [asyncio.create_task(first.run(handle, concurrency))]
        await asyncio.sleep(after)
        async with two.consumer("g", "t", start="earliest", max_attempts=1) as second:
            serving.append(asyncio.create_task(second.run(handle, concurrency)))
            await asyncio.sleep(until)
            for task in serving:
                task.cancel()


def _dead(cluster: MemoryCluster) -> list[int]:
    return sorted(int(stored.body) for stored in cluster.groups["a"].queues["%DLQ%g", 0])


@pytest.mark.parametrize("after", [0.0, 0.05, 0.1, 0.2, 0.4])
def test_messages_on_their_way_back_when_their_queue_moves_come_again_once(after: float) -> None:
    async def scenario() -> None:
        cluster = cluster_with_topic(queues=2)
        await send(cluster, range(20))
        cluster.brokers["a0:1"].back_seconds = 0.5

        async def fail(message: Message[bytes]) -> None:
            await asyncio.sleep(0.02)
            raise ValueError("as the test wants it")

        await _members(cluster, fail, after, 20)
        assert _dead(cluster) == list(range(20))

    run(scenario())


def test_messages_that_fail_at_both_members_before_the_first_knows_of_the_second_come_again_once() -> None:
    async def scenario() -> None:
        cluster = cluster_with_topic(queues=2)
        await send(cluster, range(20))
        cluster.brokers["a0:1"].notice_seconds = 0.5

        async def fail(message: Message[bytes]) -> None:
            await asyncio.sleep(0.05)
            raise ValueError("as the test wants it")

        await _members(cluster, fail, 0.1, 20, concurrency=20)
        assert _dead(cluster) == list(range(20))

    run(scenario())


def test_a_message_that_the_member_before_has_in_its_handler_comes_again_once() -> None:
    async def scenario() -> None:
        cluster = cluster_with_topic(queues=2)
        await send(cluster, range(2))

        async def fail(message: Message[bytes]) -> None:
            await asyncio.sleep(0.8)
            raise ValueError("as the test wants it")

        await _members(cluster, fail, 0.1, 20)
        assert _dead(cluster) == [0, 1]

    run(scenario())


def test_a_message_that_the_member_before_never_settles_comes_again_once() -> None:
    async def scenario() -> None:
        cluster = cluster_with_topic(queues=2)
        await send(cluster, range(2))
        seen: list[tuple[int, float]] = []

        async def fail(message: Message[bytes]) -> None:
            seen.append((int(message.body), now()))
            await asyncio.sleep(10 if len(seen) == 1 else 0)
            raise ValueError("as the test wants it")

        await _members(cluster, fail, 0.1, 30)
        assert _dead(cluster) == [0, 1]

    run(scenario())
