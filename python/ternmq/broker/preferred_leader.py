"""Leadership goes to the member that the configuration prefers, once that has kept up for a while.

By transfer, never by a head start in elections: an election takes whoever can lead soonest, and the group is led
meanwhile. So the preference costs no availability, and a member that comes and goes does not pull leadership along.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from ternmq.broker.engine import FollowerRow
from ternmq.broker.roles import Role, Roles

_log = logging.getLogger("ternmq.broker.handover")  # Public: users filter by it.

LOOK_SECONDS = 1.0
CAUGHT_UP_LOOKS = 10
"""So many looks in a row must find the member near the end of the log."""
NEAR_MS = 500
"""A member that has lacked something for so long does not keep up. Under load every follower lacks a few frames."""
AGAIN_SECONDS = 60.0
"""After a transfer that came to nothing."""


class PreferredLeader:
    """Hands leadership to one member, whenever this replica leads and that one could.

    Args:
        member: the preferred member's id, not this replica's.
        followers: gives how far the others are, as this leader knows.
        transfer: has the engine hand over to a member.
        roles: the role of this replica and its leader.
        patience_s: seconds for one transfer; the engine gives it up after an election timeout.
    """

    def __init__(
        self,
        member: str,
        followers: Callable[[], Awaitable[Sequence[FollowerRow]]],
        transfer: Callable[[str], None],
        roles: Roles,
        patience_s: float,
    ) -> None:
        self._member = member
        self._followers = followers
        self._transfer = transfer
        self._roles = roles
        self._patience_s = patience_s

    async def run(
        self, *, look_s: float = LOOK_SECONDS, looks: int = CAUGHT_UP_LOOKS, again_s: float = AGAIN_SECONDS
    ) -> None:
        """Hand over whenever it is time, for ever.

        Args:
            look_s: seconds between two looks.
            looks: how many in a row must find the member near.
            again_s: seconds after a transfer that failed.
        """
        while True:
            await self._roles.wait_until(_leads)
            if not await self._has_kept_up(look_s, looks):
                continue
            _log.info("handing over to %s, which is preferred and has kept up", self._member)
            self._transfer(self._member)
            if not await self._roles.wait_until(lambda role: not role.is_leader, self._patience_s):
                _log.warning("%s has not taken over; it is asked again in %g s", self._member, again_s)
                await asyncio.sleep(again_s)

    async def _has_kept_up(self, look_s: float, looks: int) -> bool:
        """Look until the member was near often enough; False if this replica leads no more."""
        near = 0
        while near < looks:
            if await self._roles.wait_until(lambda role: not role.is_leader, look_s):
                return False
            near = near + 1 if self._is_near(await self._followers()) else 0
        return True

    def _is_near(self, followers: Sequence[FollowerRow]) -> bool:
        lags = {member: lag_ms for member, _, _, _, lag_ms in followers}
        return lags.get(self._member, NEAR_MS + 1) <= NEAR_MS


def _leads(role: Role) -> bool:
    return role.is_leader
