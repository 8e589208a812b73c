"""What was never opened or is closed says so, instead of reading nothing; on a network in memory, in virtual time."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from support.memory.client import cluster_with_topic, connect, numbers, read, send
from support.memory.virtual_time import run
from ternmq.client.consumer import Consumer
from ternmq.client.messages import Message
from ternmq.errors import ClientClosedError


async def _handle(message: Message[bytes]) -> None:
    raise AssertionError(f"{message} was handed out")


async def _walk(inbox: Consumer[bytes]) -> None:
    async for message in inbox:
        await _handle(message)


async def _walk_batches(inbox: Consumer[bytes]) -> None:
    async for batch in inbox.batches():
        raise AssertionError(f"{batch} was handed out")


USES: dict[str, tuple[str, Callable[[Consumer[bytes]], Awaitable[Any]]]] = {
    "async for": ("push", _walk),
    "anext": ("push", anext),
    "run": ("push", lambda inbox: inbox.run(_handle)),
    "batches": ("pull", _walk_batches),
    "seek": ("pull", lambda inbox: inbox.seek("earliest")),
}


@pytest.mark.parametrize("use", USES)
def test_a_consumer_that_was_never_opened_says_so(use: str) -> None:
    mode, action = USES[use]

    async def scenario() -> None:
        async with connect(cluster_with_topic()) as mq:
            with pytest.raises(ClientClosedError, match=r"consumer g is not open; use `async with"):
                await action(mq.consumer("g", "t", mode=mode))  # type: ignore[call-overload]

    run(scenario())


@pytest.mark.parametrize("use", USES)
def test_a_consumer_that_is_closed_says_so(use: str) -> None:
    mode, action = USES[use]

    async def scenario() -> None:
        async with connect(cluster_with_topic()) as mq:
            async with mq.consumer("g", "t", mode=mode) as inbox:  # type: ignore[call-overload]
                pass
            with pytest.raises(ClientClosedError, match="consumer g is closed"):
                await action(inbox)

    run(scenario())


@pytest.mark.parametrize(
    ("is_opened", "said"), [(False, "producer p is not open; use"), (True, "producer p is closed")]
)
@pytest.mark.parametrize("verb", ["send", "post", "send_batch", "send_oneway"])
def test_a_producer_says_whether_it_was_never_opened_or_is_closed(verb: str, is_opened: bool, said: str) -> None:
    async def scenario() -> None:
        async with connect(cluster_with_topic()) as mq:
            out = mq.producer("p")
            if is_opened:
                async with out:
                    await out.send("t", b"x")
            with pytest.raises(ClientClosedError, match=said):
                await getattr(out, verb)("t", [b"x"] if verb == "send_batch" else b"x")

    run(scenario())


def test_a_client_says_whether_it_was_never_opened_or_is_closed() -> None:
    async def scenario() -> None:
        mq = connect(cluster_with_topic())
        with pytest.raises(ClientClosedError, match="the client is not open"):
            await mq.consumer("g", "t").open()
        async with mq:
            pass
        with pytest.raises(ClientClosedError, match="the client is closed"):
            await mq.producer("p").open()

    run(scenario())


@pytest.mark.parametrize("use", ["async for", "anext", "run"])
def test_a_consumer_that_is_closed_while_somebody_reads_ends_the_reading(use: str) -> None:
    async def scenario() -> None:
        async with connect(cluster_with_topic()) as mq:
            inbox = await mq.consumer("g", "t").open()
            reading = asyncio.ensure_future(USES[use][1](inbox))
            await asyncio.sleep(1)
            await inbox.close()
            outcome: object = (await asyncio.gather(reading, return_exceptions=True))[0]
            assert (type(outcome) is StopAsyncIteration) if use == "anext" else outcome is None

    run(scenario())


def test_a_loop_that_closes_its_own_consumer_ends() -> None:
    async def scenario() -> None:
        cluster = cluster_with_topic()
        await send(cluster, [1])
        seen = []
        async with connect(cluster) as mq:
            inbox = await mq.consumer("g", "t", start="earliest").open()
            async for message in inbox:
                async with message:
                    seen.append(message)
                await inbox.close()
            assert numbers(seen) == [1]

    run(scenario())


def test_what_a_reader_has_left_is_read_after_it() -> None:
    async def scenario() -> None:
        cluster = cluster_with_topic()
        await send(cluster, [1, 2])
        async with connect(cluster) as mq, mq.consumer("g", "t", start="earliest") as inbox:
            async for message in inbox:
                await message.ack()
                break
            assert numbers(await read(inbox, 1)) == [2]

    run(scenario())
