"""Messages that nobody settles: said, before or while their queues stand still; in virtual time."""

import asyncio
import logging
import warnings

import pytest

from support.memory.client import cluster_with_topic, connect, send
from support.memory.virtual_time import run
from ternmq.client.messages import Message


def _warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        record.getMessage()
        for record in caplog.records
        if record.levelno >= logging.WARNING and record.name.startswith("ternmq.")
    ]


def test_queues_full_of_messages_that_nobody_settles_are_a_warning_after_ten_seconds(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario() -> None:
        cluster = cluster_with_topic(queues=2)
        await send(cluster, range(20))
        async with connect(cluster) as mq, mq.consumer("g", "t", start="earliest", max_in_flight=3) as inbox:
            held = [await anext(inbox) for _ in range(6)]
            await asyncio.sleep(9.9)
            assert _warnings(caplog) == []
            await asyncio.sleep(6)
            assert len(_warnings(caplog)) == 1
            await asyncio.sleep(100)
            (said,) = _warnings(caplog)
            assert "consumer g of t: 6 messages of t@a#0, t@a#1 delivered, and none of them settled" in said
            assert "max_in_flight" in said
            assert "await message.ack()" in said
            for message in held:
                await message.ack()
            held = [await anext(inbox) for _ in range(6)]
            await asyncio.sleep(100)
            assert len(_warnings(caplog)) == 2, "what stands still anew is said anew"
            assert all(message.attempt == 1 for message in held)

    run(scenario())


def test_a_slow_handler_and_a_queue_that_moves_are_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        cluster = cluster_with_topic(queues=1)
        await send(cluster, range(40))

        async def slow(message: Message[bytes]) -> None:
            await asyncio.sleep(30)

        async with connect(cluster) as mq:
            async with mq.consumer("g", "t", start="earliest", max_in_flight=2) as inbox:
                running = asyncio.create_task(inbox.run(slow, concurrency=3))
                await asyncio.sleep(100)
                await inbox.close()
                await running
            async with mq.consumer("h", "t", start="earliest", max_in_flight=4) as inbox:
                held = [await anext(inbox) for _ in range(4)]
                for _ in range(20):
                    await held.pop(0).ack()
                    held.append(await anext(inbox))
                    await asyncio.sleep(4)
        assert _warnings(caplog) == []

    run(scenario())


def test_a_message_that_is_let_go_unsettled_is_a_resource_warning_and_a_line_that_name_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario() -> None:
        cluster = cluster_with_topic(queues=1)
        await send(cluster, range(4))
        async with connect(cluster) as mq, mq.consumer("g", "t", start="earliest") as inbox:
            first = (await anext(inbox)).id
            await anext(inbox)
            held = await anext(inbox)
            async with await anext(inbox):
                pass
            with pytest.warns(ResourceWarning, match=f"2 messages let go.*{first} at t@a#0 offset 0"):
                await asyncio.sleep(6)
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                await asyncio.sleep(100)
            (said,) = _warnings(caplog)
            assert "2 messages let go without being settled" in said
            await held.ack()

    run(scenario())


def test_messages_in_the_hands_of_handlers_are_not_taken_for_let_go(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        cluster = cluster_with_topic(queues=4)
        await send(cluster, range(100))

        async def handle(message: Message[bytes]) -> None:
            async with message:
                await asyncio.sleep(60)

        async def wait(message: Message[bytes]) -> None:
            await asyncio.sleep(60)

        async with connect(cluster) as mq, mq.consumer("g", "t", start="earliest") as inbox:
            tasks = [asyncio.create_task(handle(await anext(inbox))) for _ in range(50)]
            running = asyncio.create_task(inbox.run(wait, concurrency=50))
            await asyncio.gather(*tasks)
            await inbox.close()
            await running
        assert _warnings(caplog) == []

    run(scenario())


def test_closing_says_how_many_messages_come_again(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "ternmq.client")

    async def scenario() -> None:
        cluster = cluster_with_topic()
        await send(cluster, range(3))
        async with connect(cluster) as mq, mq.consumer("g", "t", start="earliest") as inbox:
            held = [await anext(inbox), await anext(inbox)]
        assert "consumer g of t is closed; 2 messages not settled, to come again" in caplog.messages
        assert len(held) == 2

    run(scenario())
