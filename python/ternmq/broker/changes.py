"""Changes that operators ask for: only the leader takes them, and they are answered when they are committed."""

from collections.abc import Callable, Iterable

from ternmq.broker.engine import Engine
from ternmq.broker.proposals import Proposals
from ternmq.broker.roles import Roles
from ternmq.protocol.codes import ResponseCode
from ternmq.remoting import Reply

Change = Callable[[Engine, int], None]
"""Hands one change to the engine under the number given."""


class Changes:
    """Makes changes.

    Args:
        engine: what knows and changes the state.
        roles: the role of this replica and its leader.
        proposals: waits for outcomes.
    """

    def __init__(self, engine: Callable[[], Engine], roles: Roles, proposals: Proposals) -> None:
        self._engine = engine
        self._roles = roles
        self._proposals = proposals

    def refusal(self) -> Reply | None:
        """Give code 14 with the leader's address if this replica does not lead."""
        return None if self._roles.current.is_leader else self._roles.not_leader()

    async def make(self, changes: Iterable[Change]) -> Reply:
        """Make changes one after the other, up to the first one that fails; answered when the last is applied here."""
        refusal = self.refusal()
        if refusal is not None:
            return refusal
        engine = self._engine()
        for change in changes:
            outcome = await self._proposals.propose(lambda number, change=change: change(engine, number))  # type: ignore[misc]
            if outcome.code == ResponseCode.SERVICE_NOT_AVAILABLE:
                return self._roles.not_leader()._replace(remark=outcome.remark)
            if outcome.code != ResponseCode.SUCCESS:
                return Reply(outcome.code, outcome.remark)
        return Reply()
