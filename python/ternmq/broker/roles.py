"""The role of this replica as the engine last told it, and what a request that needs the leader is answered."""

from collections.abc import Callable
from dataclasses import dataclass

from ternmq.protocol.codes import ResponseCode
from ternmq.remoting import Reply

LEADER = "leader"


@dataclass(frozen=True)
class Role:
    """A role in a term.

    Attributes:
        name: "leader", "follower", "candidate" or "starting".
        term: Raft term.
        leader: member id of the leader, if known.
    """

    name: str = "starting"
    term: int = 0
    leader: str | None = None

    @property
    def is_leader(self) -> bool:
        """Whether this replica leads its group."""
        return self.name == LEADER


class Roles:
    """Keeps the role, and tells who cares.

    Args:
        leader_address: gives the client address of the leader, if known.
    """

    def __init__(self, leader_address: Callable[[], str | None]) -> None:
        self.current = Role()
        self._leader_address = leader_address
        self._listeners: list[Callable[[Role], None]] = []

    def on_change(self, listener: Callable[[Role], None]) -> None:
        """Have `listener` called with every new role."""
        self._listeners.append(listener)

    def changed(self, name: str, term: int, leader: str | None) -> None:
        """Take a role from the engine."""
        role = Role(name, term, leader)
        if role == self.current:
            return
        self.current = role
        for listener in self._listeners:
            listener(role)

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
