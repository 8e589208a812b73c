"""The role of this replica as the engine last told it, and what a request that needs the leader is answered."""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass

from ternmq.protocol.codes import ResponseCode
from ternmq.remoting import Reply

LEADER = "leader"
STARTING = "starting"


@dataclass(frozen=True)
class Role:
    """A role in a term.

    Attributes:
        name: "leader", "follower", "candidate" or "starting".
        term: Raft term.
        leader: member id of the leader, if known.
    """

    name: str = STARTING
    term: int = 0
    leader: str | None = None

    @property
    def is_leader(self) -> bool:
        """Whether this replica leads its group."""
        return self.name == LEADER


class Roles:
    """Keeps the role, and tells its listeners.

    Args:
        leader_address: gives the client address of the leader, if known.
    """

    def __init__(self, leader_address: Callable[[], str | None]) -> None:
        self.current = Role()
        self._leader_address = leader_address
        self._listeners: list[Callable[[Role], None]] = []
        self._changed = asyncio.Event()  # another one after each change

    def on_change(self, listener: Callable[[Role], None]) -> None:
        """Have `listener` called with every new role."""
        self._listeners.append(listener)

    def changed(self, name: str, term: int, leader: str | None) -> None:
        """Take a role from the engine."""
        role = Role(name, term, leader)
        if role == self.current:
            return
        self.current = role
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
        for listener in self._listeners:
            listener(role)

    async def wait_until(self, holds: Callable[[Role], bool], within: float | None = None) -> bool:
        """Wait until something holds of the role, or so many seconds; says whether it does."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                while not holds(self.current):
                    await self._changed.wait()
        return holds(self.current)

    def not_leader(self) -> Reply:
        """Answer a request that only the leader takes: code 14, certain, with a hint where the leader is.

        The hint stands in header fields for programs; the remark repeats it for people.
        """
        fields = {"leaderTerm": str(self.current.term)}
        address = self._leader_address()
        if address is not None:
            fields["leaderAddr"] = address
        where = f"it is {address} in term {self.current.term}" if address is not None else "none is known"
        return Reply(ResponseCode.SERVICE_NOT_AVAILABLE, f"this replica does not lead its group; {where}", fields)
