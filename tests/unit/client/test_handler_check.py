"""What `run` takes for a handler; on a network in memory, in virtual time."""

import asyncio
import functools
from typing import Any

import pytest

from support.memory.client import cluster_with_topic, connect, numbers, read, send
from support.memory.virtual_time import run
from ternmq.client.messages import Message
from ternmq.errors import ConfigError

_seen: list[Message[bytes]] = []


def _plain(message: Message[bytes]) -> None:
    _seen.append(message)


async def _handle(message: Message[bytes], also: list[Message[bytes]] = _seen) -> None:
    also.append(message)


@functools.wraps(_handle)
def _wrapped(message: Message[bytes]) -> Any:
    return _handle(message)


class _Handler:
    def plain(self, message: Message[bytes]) -> None:
        _seen.append(message)

    async def handle(self, message: Message[bytes]) -> None:
        _seen.append(message)

    async def __call__(self, message: Message[bytes]) -> None:
        _seen.append(message)


class _PlainCall:
    def __call__(self, message: Message[bytes]) -> None:
        _seen.append(message)


GOOD: list[Any] = [
    _handle, _Handler().handle, _Handler(), _wrapped, functools.partial(_handle, also=_seen), lambda m: _handle(m),
]  # fmt: skip


@pytest.mark.parametrize("handler", [_plain, _Handler().plain, functools.partial(_plain), _seen.append, list, None])
def test_a_plain_function_is_refused_before_it_has_a_message(handler: Any) -> None:
    async def scenario() -> None:
        _seen.clear()
        cluster = cluster_with_topic()
        await send(cluster, [1])
        async with connect(cluster) as mq, mq.consumer("g", "t", start="earliest") as inbox:
            with pytest.raises(ConfigError, match="async def"):
                await inbox.run(handler)
            assert _seen == []
            (message,) = await read(inbox, 1)
            assert message.attempt == 1

    run(scenario())


@pytest.mark.parametrize("handler", [lambda m: _seen.append(m), _PlainCall()], ids=["lambda", "object"])
def test_what_turns_out_to_be_plain_ends_the_run_and_leaves_its_message_to_the_next(handler: Any) -> None:
    async def scenario() -> None:
        _seen.clear()
        cluster = cluster_with_topic()
        await send(cluster, [1])
        async with connect(cluster) as mq, mq.consumer("g", "t", start="earliest") as inbox:
            with pytest.raises(ConfigError, match="async def"):
                await inbox.run(handler, concurrency=3)
            assert numbers(_seen) == [1]
            assert numbers(await read(inbox, 1)) == [1]
        assert cluster.network.sent(36) == [], "nothing was given back as failed"

    run(scenario())


@pytest.mark.parametrize("handler", GOOD)
def test_whatever_returns_something_to_await_is_a_handler(handler: Any) -> None:
    async def scenario() -> None:
        _seen.clear()
        cluster = cluster_with_topic()
        await send(cluster, [1, 2])
        async with connect(cluster) as mq, mq.consumer("g", "t", start="earliest") as inbox:
            working = asyncio.create_task(inbox.run(handler))
            await asyncio.sleep(1)
            await inbox.close()
            await working
        assert numbers(_seen) == [1, 2]
        assert cluster.groups["a"].offsets["g", "t", 0] == 2

    run(scenario())
