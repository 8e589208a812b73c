"""A client that was open when its process forked: the child's copy refuses, the parent's goes on."""

import asyncio
import multiprocessing
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection

import pytest

import ternmq
from support.cluster import Cluster
from support.reading import fresh, with_client

_PATIENCE_SECONDS = 20.0
_USE_SECONDS = 5.0

Use = Callable[[], Awaitable[object]]


def _in_the_child(uses: dict[str, Use], said: Connection) -> None:
    async def outcome(use: Use) -> str:
        try:
            await asyncio.wait_for(use(), _USE_SECONDS)
        except Exception as error:
            return type(error).__name__
        return "no error"

    async def all_outcomes() -> dict[str, str]:
        return {name: await outcome(use) for name, use in uses.items()}

    said.send(asyncio.run(all_outcomes()))


def _outcomes_in_a_child(uses: dict[str, Use]) -> dict[str, str]:
    reading, writing = multiprocessing.Pipe(duplex=False)
    child = multiprocessing.get_context("fork").Process(target=_in_the_child, args=(uses, writing))
    child.start()
    try:
        assert reading.poll(_PATIENCE_SECONDS), "the child hangs"
        outcomes: dict[str, str] = reading.recv()
    finally:
        child.join(_PATIENCE_SECONDS)
        child.kill()
    return outcomes


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_after_a_fork_every_use_in_the_child_is_refused_and_the_parent_goes_on(cluster: Cluster) -> None:
    async def scenario(mq: ternmq.Client) -> None:
        topic = fresh("forks")
        await mq.admin.create_topic(topic, queues=1)
        admin = mq.admin
        async with (
            mq.producer("p", max_pending=2) as out,
            mq.consumer(fresh("g"), topic, start="earliest") as feed,
            mq.consumer(fresh("g"), topic, mode="pull", start="earliest") as log,
        ):
            for number in range(2):
                await out.send(topic, str(number).encode())
            first, second = await anext(feed), await anext(feed)
            batch = await anext(log.batches(max_size=2, max_wait=5))
            # The window is full: whoever comes now waits for these two.
            on_their_way = [await out.post(topic, str(number).encode()) for number in (2, 3)]

            async def handle(message: ternmq.Message[bytes]) -> None:
                raise AssertionError(f"{message} was handed out")

            outcomes = _outcomes_in_a_child(
                {
                    "send": lambda: out.send(topic, b"child"),
                    "post with a tag": lambda: out.post(topic, b"child", tag="T"),
                    "send to another topic": lambda: out.send("other", b"child"),
                    "send_batch": lambda: out.send_batch(topic, [b"child"]),
                    "send_oneway": lambda: out.send_oneway(topic, b"child"),
                    "next message": lambda: anext(feed),
                    "run": lambda: feed.run(handle),
                    "ack": first.ack,
                    "nack": second.nack,
                    "next batch": lambda: anext(log.batches()),
                    "ack of a batch": batch.ack,
                    "seek": lambda: log.seek("earliest"),
                    "a producer opened": mq.producer("q").open,
                    "a consumer opened": mq.consumer("q", topic).open,
                    "admin from before": lambda: admin.route(topic),
                }
            )
            assert set(outcomes.values()) == {"ForkedClientError"}, outcomes
            closed = _outcomes_in_a_child({"client": mq.close, "producer": out.close, "consumer": feed.close})
            assert set(closed.values()) == {"no error"}, closed

            assert [(await future).queue_offset for future in on_their_way] == [2, 3]
            await first.ack()
            await second.ack()
            await batch.ack()
            assert [(await anext(feed)).body for _ in range(2)] == [b"2", b"3"]

    with_client(cluster.nameservers, scenario)
