"""To whom a leader that stops hands over, and how long it waits; in virtual time."""

import asyncio

import pytest

from support.fake_engine import FakeEngine
from support.memory.virtual_time import run
from ternmq.broker.engine import Progress
from ternmq.broker.leadership_transfer import LeadershipTransfer, choose_successor
from ternmq.broker.roles import Roles

PATIENCE = 0.45


@pytest.mark.parametrize(
    ("progress", "tried", "chosen"),
    [
        ([], (), None),
        ([("n1", 7, True), ("n2", 9, True)], (), "n2"),
        ([("n1", 7, True), ("n2", 9, False)], (), "n1"),
        ([("n1", 7, False), ("n2", 9, False)], (), "n2"),
        ([("n2", 9, True), ("n1", 9, True)], (), "n1"),
        ([("n1", 7, True), ("n2", 9, True)], ("n2",), "n1"),
        ([("n1", 7, True), ("n2", 9, True)], ("n2", "n1"), None),
    ],
)
def test_who_answers_and_holds_most_is_chosen(
    progress: list[Progress], tried: tuple[str, ...], chosen: str | None
) -> None:
    assert choose_successor(progress, tried) == chosen


class Stopping:
    """A leader in term 3 with two followers, and what happens when it transfers."""

    def __init__(self) -> None:
        self.engine = FakeEngine(lambda number, code, remark: None)
        self.engine.others = [("n1", 7, True), ("n2", 9, True)]
        self.roles = Roles(lambda: None)
        self.roles.changed("leader", 3, "n0")
        self.loop = asyncio.get_running_loop()
        self.began = self.loop.time()

    async def hand_over(self, within: float = 2.0) -> bool:
        return await LeadershipTransfer(self.progress, self.engine.transfer_leader, self.roles, PATIENCE).run(within)

    async def progress(self) -> list[Progress]:
        return self.engine.progress()

    def took(self) -> float:
        return self.loop.time() - self.began

    def elect(self, member: str) -> None:
        """As the engine tells it: somebody asks for votes in a newer term, and then leads."""
        self.loop.call_later(0.001, self.roles.changed, "follower", 4, None)
        self.loop.call_later(0.003, self.roles.changed, "follower", 4, member)


def test_the_stop_goes_on_as_soon_as_another_leads() -> None:
    async def scenario() -> None:
        stopping = Stopping()
        stopping.engine.on_transfer = stopping.elect
        assert await stopping.hand_over()
        assert stopping.engine.transferred == ["n2"]
        assert stopping.took() < 0.01

    run(scenario())


def test_a_member_that_does_not_take_over_is_followed_by_the_next() -> None:
    async def scenario() -> None:
        stopping = Stopping()
        stopping.engine.on_transfer = lambda member: stopping.elect("n1") if member == "n1" else None
        assert await stopping.hand_over()
        assert stopping.engine.transferred == ["n2", "n1"]
        assert PATIENCE < stopping.took() < PATIENCE + 0.01

    run(scenario())


def test_when_nobody_takes_over_the_stop_goes_on_in_time() -> None:
    async def scenario() -> None:
        stopping = Stopping()
        assert not await stopping.hand_over(within=0.6)
        assert stopping.took() == pytest.approx(0.6)
        stopping = Stopping()
        assert not await stopping.hand_over(within=2.0)
        assert stopping.took() == pytest.approx(2 * PATIENCE)

    run(scenario())


def test_a_leader_whose_followers_stop_as_well_does_not_wait_for_an_election() -> None:
    async def scenario() -> None:
        stopping = Stopping()
        stopping.loop.call_later(0.3, stopping.roles.changed, "follower", 3, None)
        assert not await stopping.hand_over()
        assert stopping.took() == pytest.approx(0.3)

    run(scenario())


@pytest.mark.parametrize("role", ["follower", "candidate", "starting"])
def test_who_does_not_lead_just_stops(role: str) -> None:
    async def scenario() -> None:
        stopping = Stopping()
        stopping.roles.changed(role, 3, "n1")
        assert not await stopping.hand_over()
        assert stopping.engine.transferred == []
        assert stopping.took() == 0.0

    run(scenario())


def test_a_leader_without_followers_just_stops() -> None:
    async def scenario() -> None:
        stopping = Stopping()
        stopping.engine.others = []
        assert not await stopping.hand_over()
        assert stopping.took() < 0.01

    run(scenario())
