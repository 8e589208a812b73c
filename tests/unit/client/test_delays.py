"""The fixed delays: exact for sends, rounded up for what comes again."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from support.memory.client import cluster_with_topic, connect, now, read, send
from support.memory.virtual_time import run
from ternmq.client.delays import LEVEL_SECONDS, exact_level, level_at_least, retry_level
from ternmq.errors import ConfigError, UnsupportedError


def test_every_fixed_delay_has_its_level() -> None:
    assert [exact_level(seconds) for seconds in LEVEL_SECONDS] == list(range(1, 19))
    assert exact_level(timedelta(minutes=5)) == 9


@pytest.mark.parametrize(
    ("delay", "nearest"),
    [
        (0.5, "1 s"),
        (7, "5 s or 10 s"),
        (31, "30 s or 60 s"),
        (700, "600 s or 1200 s"),
        (3 * 3600, "7200 s"),
    ],
)
def test_another_delay_is_refused_with_the_next_below_and_above(delay: float, nearest: str) -> None:
    with pytest.raises(UnsupportedError, match=f"take {nearest}$"):
        exact_level(delay)


@pytest.mark.parametrize(
    ("delay", "level"), [(0.1, 1), (1, 1), (1.1, 2), (11, 4), (7200, 18), (timedelta(hours=1), 17)]
)
def test_a_retry_waits_at_least_as_long_as_asked(delay: Any, level: int) -> None:
    assert level_at_least(delay) == level


def test_a_retry_after_more_than_two_hours_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="two hours"):
        level_at_least(timedelta(hours=2, seconds=1))


def test_retries_take_longer_each_time_and_end_at_two_hours() -> None:
    assert [LEVEL_SECONDS[retry_level(times) - 1] for times in (0, 1, 2, 15, 40)] == [10, 30, 60, 7200, 7200]


def test_a_delayed_message_is_seen_when_its_time_has_come() -> None:
    async def scenario() -> None:
        cluster = cluster_with_topic()
        async with connect(cluster) as mq, mq.producer("p") as out, mq.consumer("g", "t") as inbox:
            began = now()
            await (await out.post("t", b"late", delay=timedelta(seconds=10)))
            await out.send("t", b"soon")
            assert [message.body for message in await read(inbox, 2)] == [b"soon", b"late"]
            assert 10 <= now() - began < 10.1

    run(scenario())


@pytest.mark.parametrize(
    ("arguments", "error"),
    [({"delay": 7}, UnsupportedError), ({"delay": 0}, ConfigError), ({"delay": 10, "shard": "s"}, ConfigError)],
)
def test_a_delay_that_cannot_be_is_refused_before_anything_is_sent(arguments: Any, error: type[Exception]) -> None:
    async def scenario() -> None:
        cluster = cluster_with_topic()
        async with connect(cluster) as mq, mq.producer("p") as out:
            for verb in (out.send, out.post, out.send_oneway):
                with pytest.raises(error):
                    await verb("t", b"x", **arguments)
            await asyncio.sleep(1)
        assert not cluster.network.sent(310)
        assert not cluster.network.sent(105)

    run(scenario())


def test_a_oneway_message_may_be_delayed() -> None:
    async def scenario() -> None:
        cluster = cluster_with_topic()
        await send(cluster, [1])
        async with connect(cluster) as mq, mq.producer("p") as out:
            await out.send_oneway("t", b"x", delay=5)
            await asyncio.sleep(0.1)
        assert cluster.delays == [2]

    run(scenario())
