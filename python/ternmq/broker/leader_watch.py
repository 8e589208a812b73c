"""Since when a replica has known no leader, and what it logs of that: a group without a majority answers no send."""

import logging
import time
from collections.abc import Callable, Collection, Mapping

from ternmq.broker.roles import STARTING, Role, Roles

_log = logging.getLogger("ternmq.broker.leader")  # Public: users filter by it.

SAY_AFTER_SECONDS = 1.0
"""Elections are over by then. A leader that lost its majority has given up leading 0.6 s before that, at the latest."""
AGAIN_AFTER_SECONDS = 10.0


class LeaderWatch:
    """Watches the role of one replica.

    Args:
        group: name of its group.
        member: its member id.
        mode: how the group replicates.
        addresses: member id to where the others reach it, its own included.
        roles: the role of this replica and its leader.
        in_reach: gives the ids of the other members that are connected now.
        now_s: monotonic seconds.
    """

    def __init__(
        self,
        group: str,
        member: str,
        mode: str,
        addresses: Mapping[str, str],
        roles: Roles,
        in_reach: Callable[[], Collection[str]],
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._group = group
        self._member = member
        self._mode = mode
        self._addresses = addresses
        self._roles = roles
        self._in_reach = in_reach
        self._now_s = now_s
        self._since_s: float | None = None

    @property
    def leaderless_ms(self) -> int:
        """For how long this replica has known no leader; 0 while it knows one, or has not begun to take part."""
        return 0 if self._since_s is None else round((self._now_s() - self._since_s) * 1000)

    async def run(self, *, say_s: float = SAY_AFTER_SECONDS, again_s: float = AGAIN_AFTER_SECONDS) -> None:
        """Log that there is no leader, and why not, once it has lasted; again and again; and that there is one again.

        Args:
            say_s: seconds without a leader before the first line.
            again_s: seconds between two lines.
        """
        while True:
            await self._roles.wait_until(_is_leaderless)
            self._since_s = self._now_s()
            has_one = await self._roles.wait_until(_has_leader, say_s)
            is_said = not has_one
            while not has_one:
                _log.warning("%s", self._sentence())
                has_one = await self._roles.wait_until(_has_leader, again_s)
            lasted_s, self._since_s = self._now_s() - self._since_s, None
            if is_said:
                leader = self._roles.current.leader or self._member
                _log.warning("%s/%s has a leader again after %.1f s: %s", self._group, self._member, lasted_s, leader)

    def _sentence(self) -> str:
        others = [member for member in sorted(self._addresses) if member != self._member]
        near = sorted(set(self._in_reach()) & set(others))
        missing = [f"{member} ({self._addresses[member]})" for member in others if member not in near]
        where = f"{', '.join(near) or 'no other member'} in reach, {', '.join(missing) or 'none'} missing"
        since = f"{self._group}/{self._member} has known no leader for {self.leaderless_ms / 1000:.1f} s: {where}"
        if self._mode != "raft":
            return (
                f"{since}; it takes no sends, consumers go on reading here. If its master is gone for good:"
                f" `ternmq cluster promote {self._group} {self._member}`"
            )
        needed = len(self._addresses) // 2 + 1
        if len(near) + 1 < needed:
            return f"{since}; {needed} of {len(self._addresses)} must run and reach each other before sends are taken"
        return f"{since}; they are a majority, and have elected nobody"


def _is_leaderless(role: Role) -> bool:
    return role.name != STARTING and not _has_leader(role)


def _has_leader(role: Role) -> bool:
    return role.is_leader or role.leader is not None
