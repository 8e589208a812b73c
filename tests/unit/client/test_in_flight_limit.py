"""The bound of unanswered sends, alone."""

import asyncio

import pytest

from support.memory.virtual_time import run
from ternmq.client.in_flight_limit import InFlightLimit
from ternmq.errors import ClientClosedError


async def _turn() -> None:
    await asyncio.sleep(0)


def test_whoever_waits_is_let_in_in_turn_and_nobody_overtakes() -> None:
    async def scenario() -> None:
        limit = InFlightLimit(2, 1000)
        assert limit.try_acquire(1)
        assert limit.try_acquire(1)
        assert not limit.try_acquire(1)
        order: list[int] = []

        async def come(number: int) -> None:
            await limit.acquire(1)
            order.append(number)

        tasks = [asyncio.create_task(come(number)) for number in range(5)]
        await _turn()
        limit.release(2, 2)
        assert (limit.count, limit.try_acquire(1)) == (2, False), "the places are taken for those who wait"
        await _turn()
        assert order == [0, 1]
        for _ in range(3):
            limit.release(1, 1)
        await asyncio.gather(*tasks)
        assert order == [0, 1, 2, 3, 4]
        assert (limit.count, limit.bytes) == (2, 2)

    run(scenario())


def test_a_body_larger_than_the_bound_goes_alone_and_smaller_ones_stay_behind_it() -> None:
    async def scenario() -> None:
        limit = InFlightLimit(10, 100)
        assert limit.try_acquire(60)
        large = asyncio.create_task(limit.acquire(500))
        await _turn()
        assert not limit.try_acquire(1), "there is room, but somebody waits"
        small = asyncio.create_task(limit.acquire(1))
        await _turn()
        assert not small.done()
        limit.release(1, 60)
        await large
        await _turn()
        assert not small.done()
        large_gone = asyncio.create_task(limit.wait_idle())
        limit.release(1, 500)
        await small
        limit.release(1, 1)
        await large_gone
        assert (limit.count, limit.bytes) == (0, 0)

    run(scenario())


@pytest.mark.parametrize("moment", ["before there is room", "as there is room", "when let in"])
def test_whoever_gives_up_passes_the_place_on(moment: str) -> None:
    async def scenario() -> None:
        limit = InFlightLimit(1, 100)
        assert limit.try_acquire(1)
        first = asyncio.create_task(limit.acquire(200))
        second = asyncio.create_task(limit.acquire(1))
        await _turn()
        if moment == "when let in":
            limit.release(1, 1)
        first.cancel()
        if moment == "as there is room":
            limit.release(1, 1)
        await asyncio.gather(first, return_exceptions=True)
        if moment == "before there is room":
            limit.release(1, 1)
        await second
        assert (limit.count, limit.bytes) == (1, 1)

    run(scenario())


def test_a_small_body_comes_in_when_the_large_one_before_it_gives_up() -> None:
    async def scenario() -> None:
        limit = InFlightLimit(10, 100)
        assert limit.try_acquire(60)
        large = asyncio.create_task(limit.acquire(500))
        small = asyncio.create_task(limit.acquire(1))
        await _turn()
        large.cancel()
        await small
        assert (limit.count, limit.bytes) == (2, 61)

    run(scenario())


def test_refusing_ends_all_waiting() -> None:
    async def scenario() -> None:
        limit = InFlightLimit(1, 100)
        assert limit.try_acquire(1)
        waiting = [asyncio.create_task(limit.acquire(1)) for _ in range(3)]
        await _turn()
        limit.fail_waiters(ClientClosedError("closed"))
        errors = await asyncio.gather(*waiting, return_exceptions=True)
        assert {type(error) for error in errors} == {ClientClosedError}
        assert limit.count == 1

    run(scenario())
