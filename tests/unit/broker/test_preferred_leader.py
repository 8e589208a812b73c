"""When leadership is handed to the preferred member; in virtual time."""

import asyncio
from collections.abc import Awaitable, Callable

from support.memory.virtual_time import run
from ternmq.broker.engine import FollowerRow
from ternmq.broker.preferred_leader import AGAIN_SECONDS, CAUGHT_UP_LOOKS, LOOK_SECONDS, NEAR_MS, PreferredLeader
from ternmq.broker.roles import Roles

KEPT_UP_SECONDS = CAUGHT_UP_LOOKS * LOOK_SECONDS


class Group:
    """This replica is n0 and leads in term 3; n2 is preferred."""

    def __init__(self) -> None:
        self.roles = Roles(lambda: None)
        self.roles.changed("leader", 3, "n0")
        self.lag_ms = 0
        self.asked_at: list[float] = []
        self.takes_over = True

    async def followers(self) -> list[FollowerRow]:
        return [("n1", None, 7, 0, 0), ("n2", None, 7, 0, self.lag_ms)]

    def transfer(self, member: str) -> None:
        assert member == "n2"
        self.asked_at.append(asyncio.get_running_loop().time())
        if self.takes_over:
            self.roles.changed("follower", 4, "n2")

    def watched(self, while_watched: Callable[[], Awaitable[None]]) -> None:
        async def scene() -> None:
            watch = PreferredLeader("n2", self.followers, self.transfer, self.roles, 0.45)
            task = asyncio.create_task(watch.run())
            await while_watched()
            task.cancel()

        run(scene())


def test_a_member_that_has_kept_up_for_ten_looks_gets_the_leadership_and_is_asked_once() -> None:
    group = Group()

    async def scene() -> None:
        began = asyncio.get_running_loop().time()
        await asyncio.sleep(KEPT_UP_SECONDS - 0.1)
        assert group.asked_at == []
        await asyncio.sleep(200)
        assert [round(at - began) for at in group.asked_at] == [KEPT_UP_SECONDS]

    group.watched(scene)


def test_a_member_that_falls_behind_begins_anew() -> None:
    group = Group()

    async def scene() -> None:
        await asyncio.sleep(KEPT_UP_SECONDS - 0.5)
        group.lag_ms = NEAR_MS + 1
        await asyncio.sleep(5)
        group.lag_ms = NEAR_MS
        await asyncio.sleep(KEPT_UP_SECONDS - 1.5)
        assert group.asked_at == []
        await asyncio.sleep(2)
        assert len(group.asked_at) == 1

    group.watched(scene)


def test_a_member_of_which_the_leader_has_not_heard_gets_nothing() -> None:
    group = Group()

    async def nobody() -> list[FollowerRow]:
        return []

    group.followers = nobody  # type: ignore[method-assign]

    async def scene() -> None:
        await asyncio.sleep(100)
        assert group.asked_at == []

    group.watched(scene)


def test_a_transfer_that_came_to_nothing_is_tried_again_after_a_minute() -> None:
    group = Group()
    group.takes_over = False

    async def scene() -> None:
        await asyncio.sleep(KEPT_UP_SECONDS + 1 + AGAIN_SECONDS)
        assert len(group.asked_at) == 1
        await asyncio.sleep(KEPT_UP_SECONDS)
        assert len(group.asked_at) == 2

    group.watched(scene)


def test_a_replica_that_leads_no_more_asks_nobody_and_begins_anew_when_it_leads_again() -> None:
    group = Group()

    async def scene() -> None:
        await asyncio.sleep(KEPT_UP_SECONDS - 0.5)
        group.roles.changed("follower", 4, "n1")
        await asyncio.sleep(100)
        group.roles.changed("leader", 5, "n0")
        await asyncio.sleep(KEPT_UP_SECONDS - 0.1)
        assert group.asked_at == []
        await asyncio.sleep(1)
        assert len(group.asked_at) == 1

    group.watched(scene)
