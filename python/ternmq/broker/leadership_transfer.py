"""A leader that is told to stop hands over first: its clients then wait milliseconds instead of an election.

The target is the follower that holds most of the log, as the engine has to bring it up to the end before it may lead.
Appends are held meanwhile and then refused with 14, which is certain: nothing of them was stored.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable

from ternmq.broker.engine import Progress
from ternmq.broker.roles import Roles

_log = logging.getLogger("ternmq.broker.handover")  # Public: users filter by it.


def choose_successor(progress: Iterable[Progress], tried: Collection[str] = ()) -> str | None:
    """Choose the next leader: a member that answered lately before others, then one that holds most, then by name.

    Args:
        progress: member id, index up to which it holds the log, whether it answered lately.
        tried: members to which the transfer failed.
    """
    others = sorted((not active, -matched, member) for member, matched, active in progress if member not in tried)
    return others[0][2] if others else None


class LeadershipTransfer:
    """Hands leadership over, as a planned stop wants it.

    Args:
        progress: asks the engine how much of the log each member holds.
        transfer: has the engine hand over to a member.
        roles: the role of this replica and its leader, as the engine tells them.
        patience: seconds for one member; the engine gives a transfer up after an election timeout.
    """

    def __init__(
        self,
        progress: Callable[[], Awaitable[Iterable[Progress]]],
        transfer: Callable[[str], None],
        roles: Roles,
        patience: float,
    ) -> None:
        self._progress = progress
        self._transfer = transfer
        self._roles = roles
        self._patience = patience

    async def run(self, within: float) -> bool:
        """Hand over if this replica leads, and wait until another one does.

        Args:
            within: seconds, after which the stop goes on all the same.

        Returns:
            Whether another member leads now.
        """
        if not self._roles.current.is_leader:
            return False
        term = self._roles.current.term
        try:
            async with asyncio.timeout(within):
                await self._transfer_to_followers()
                return await self._other_leads(term)
        except TimeoutError:
            _log.warning("handing over took longer than %g s; the others elect when this replica has stopped", within)
            return False

    async def _transfer_to_followers(self) -> None:
        """Try one member after the other, as long as this replica leads."""
        tried: set[str] = set()
        while self._roles.current.is_leader:
            member = choose_successor(await self._progress(), tried)
            if member is None:
                return
            tried.add(member)
            _log.info("handing over to %s", member)
            self._transfer(member)
            await self._roles.wait_until(lambda role: not role.is_leader, self._patience)

    async def _other_leads(self, term: int) -> bool:
        """Wait for the new leader, if there is an election: a leader without followers steps down in its own term."""
        if self._roles.current.term == term:
            return False
        await self._roles.wait_until(lambda role: role.leader is not None)
        return not self._roles.current.is_leader
