"""When a replica says that it knows no leader, and what it says."""

import asyncio
import logging
from collections.abc import Callable

import pytest

from ternmq.broker.leader_watch import LeaderWatch
from ternmq.broker.roles import Roles

ADDRESSES = {"n0": "h0:1", "n1": "h1:1", "n2": "h2:1"}


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110  # what it waits for is a line in a log
            await asyncio.sleep(0.001)


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "ternmq.broker.leader"]


def test_a_replica_that_lost_its_majority_says_whom_it_misses_and_that_it_is_over(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock, roles, near = Clock(), Roles(lambda: None), ["n1"]
    watch = LeaderWatch("g", "n2", "raft", ADDRESSES, roles, lambda: near, clock)

    async def run() -> None:
        task = asyncio.create_task(watch.run(say_s=0.005, again_s=0.005))
        roles.changed("follower", 3, "n0")
        await asyncio.sleep(0.02)
        assert (watch.leaderless_ms, logged(caplog)) == (0, [])
        roles.changed("candidate", 3, None)
        await until(lambda: watch._since_s is not None)
        clock.now_s += 1.5
        assert watch.leaderless_ms == 1_500
        await until(lambda: len(logged(caplog)) >= 1)
        near.clear()
        await until(lambda: "no other member in reach" in logged(caplog)[-1])
        roles.changed("leader", 4, "n2")
        await until(lambda: watch.leaderless_ms == 0)
        task.cancel()

    with caplog.at_level(logging.WARNING):
        asyncio.run(run())
    lines = logged(caplog)
    assert lines[0] == (
        "g/n2 has known no leader for 1.5 s: n1 in reach, n0 (h0:1) missing; they are a majority, and have elected"
        " nobody"
    )
    assert (
        "g/n2 has known no leader for 1.5 s: no other member in reach, n0 (h0:1), n1 (h1:1) missing;"
        " 2 of 3 must run and reach each other before sends are taken" in lines
    )
    assert lines[-1] == "g/n2 has a leader again after 1.5 s: n2"


def test_an_election_that_is_quick_is_not_worth_a_line(caplog: pytest.LogCaptureFixture) -> None:
    roles = Roles(lambda: None)
    watch = LeaderWatch("g", "n2", "raft", ADDRESSES, roles, list)

    async def run() -> None:
        task = asyncio.create_task(watch.run(say_s=60))
        roles.changed("candidate", 3, None)
        await until(lambda: watch._since_s is not None)
        roles.changed("follower", 4, "n1")
        await until(lambda: watch._since_s is None)
        task.cancel()

    asyncio.run(run())
    assert logged(caplog) == []


def test_a_slave_says_how_it_is_promoted(caplog: pytest.LogCaptureFixture) -> None:
    roles = Roles(lambda: None)
    watch = LeaderWatch("g", "n1", "async-slave", {"n0": "h0:1", "n1": "h1:1"}, roles, list)

    async def run() -> None:
        task = asyncio.create_task(watch.run(say_s=0.001))
        roles.changed("follower", 3, None)
        await until(lambda: bool(logged(caplog)))
        task.cancel()

    asyncio.run(run())
    assert "`ternmq cluster promote g n1`" in logged(caplog)[0]


def test_a_replica_that_has_not_begun_to_take_part_misses_no_leader() -> None:
    watch = LeaderWatch("g", "n1", "raft", ADDRESSES, Roles(lambda: None), list)

    async def run() -> None:
        task = asyncio.create_task(watch.run(say_s=0.001))
        await asyncio.sleep(0.02)
        assert watch.leaderless_ms == 0
        task.cancel()

    asyncio.run(run())
