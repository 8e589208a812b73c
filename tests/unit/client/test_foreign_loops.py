"""A client that is used from another event loop than its own; on a network in memory, in virtual time."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from support.memory.client import cluster_with_topic, connect, send
from support.memory.cluster import MemoryCluster
from support.memory.virtual_time import VirtualTimeLoop
from ternmq.client.messages import Message
from ternmq.errors import ForeignLoopError

Use = Callable[[], Awaitable[object]]
_PATIENCE_SECONDS = 5.0


async def _handle(message: Message[bytes]) -> None:
    raise AssertionError(f"{message} was handed out")


async def _walk(inbox: Any) -> None:
    async for message in inbox:
        await _handle(message)


async def _uses(cluster: MemoryCluster) -> dict[str, Use]:
    """Open everything, and tell what may be done with it."""
    mq = await connect(cluster).open()
    out = await mq.producer("p", max_pending=4).open()
    feed = await mq.consumer("g", "t", start="earliest").open()
    log = await mq.consumer("h", "t", start="earliest", mode="pull").open()
    admin = mq.admin
    await send(cluster, range(6))
    await out.send("t", b"x")
    first, second, third = await anext(feed), await anext(feed), await anext(feed)
    batch = await anext(log.batches(max_size=1))
    batches = log.batches()

    async def leave_a_block() -> None:
        async with third:
            pass

    async def ask_the_client() -> None:
        _ = mq.admin

    return {
        "send": lambda: out.send("t", b"y"),
        "post": lambda: out.post("t", b"y"),
        "post with a tag": lambda: out.post("t", b"y", tag="T"),
        "send to another topic": lambda: out.send("other", b"y"),
        "send_batch": lambda: out.send_batch("t", [b"y"]),
        "send_oneway": lambda: out.send_oneway("t", b"y"),
        "async for": lambda: _walk(feed),
        "next message": lambda: anext(feed),
        "run": lambda: feed.run(_handle),
        "ack": first.ack,
        "nack": second.nack,
        "leave a block": leave_a_block,
        "next batch": lambda: anext(batches),
        "new batches": lambda: anext(log.batches()),
        "ack of a batch": batch.ack,
        "seek": lambda: log.seek("earliest"),
        "a producer opened": mq.producer("q").open,
        "a consumer opened": mq.consumer("q", "t").open,
        "admin": ask_the_client,
        "admin from before": lambda: admin.route("t"),
        "topics from before": admin.topics,
        "a topic made": lambda: admin.create_topic("new"),
        "producer closed": out.close,
        "consumer closed": feed.close,
        "client closed": mq.close,
    }


async def _outcomes(uses: dict[str, Use]) -> dict[str, str]:
    async def outcome(use: Use) -> str:
        try:
            await asyncio.wait_for(use(), _PATIENCE_SECONDS)
        except ForeignLoopError as error:
            return "refused" if "another event loop" in str(error) else str(error)
        except Exception as error:
            return repr(error)
        return "no error"

    return {name: await outcome(use) for name, use in uses.items()}


@pytest.mark.parametrize("goes_on", [True, False], ids=["a loop that stands", "a loop that has ended"])
def test_in_another_event_loop_every_use_is_refused_at_once_with_one_sentence(goes_on: bool) -> None:
    cluster = cluster_with_topic()
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as own:
        uses = own.run(_uses(cluster))
        stored = len(cluster.bodies("t"))
        if not goes_on:
            own.close()
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as other:
            before = other.get_loop().time()
            outcomes = other.run(_outcomes(uses))
            assert set(outcomes.values()) == {"refused"}, outcomes
            assert other.get_loop().time() - before < 0.1, "at once"
        assert len(cluster.bodies("t")) == stored
        if goes_on:
            own.run(_all_is_well(uses))
            assert len(cluster.bodies("t")) == stored + 1, "what was refused was not sent later either"


async def _all_is_well(uses: dict[str, Use]) -> None:
    """In its own loop the client goes on as if nothing had been."""
    await uses["send"]()
    await uses["next message"]()
    await asyncio.wait_for(uses["client closed"](), _PATIENCE_SECONDS)
