"""The replica itself: its Raft state (30001), hand-over of leadership (30002) and promotion (30004)."""

import asyncio
from collections.abc import Callable

import msgspec

from ternmq.broker.engine import Engine
from ternmq.broker.roles import Roles
from ternmq.errors import HeaderError
from ternmq.protocol.codes import ResponseCode
from ternmq.protocol.fields import name_field
from ternmq.remoting import Reply, Request

_FOLLOWER = ("member", "address", "last_index", "bytes_behind", "lag_ms")


class ReplicaHandlers:
    """Requests about this replica.

    Args:
        engine: what knows its state.
        roles: the role of this replica and its leader.
        members: member ids of the group.
    """

    def __init__(self, engine: Callable[[], Engine], roles: Roles, members: frozenset[str]) -> None:
        self._engine = engine
        self._roles = roles
        self._members = members

    async def status(self, request: Request) -> Reply:
        """30001: role, term, leader, indexes and the hash of the state, as one JSON object.

        A leader adds its `followers`: what it knows of the others, which also tells of those that do not answer.
        """
        engine = self._engine()
        # Where a follower that is far behind stands may have to come from a disk: not on the event loop.
        rows = await asyncio.to_thread(engine.followers)
        followers = [dict(zip(_FOLLOWER, row, strict=True)) for row in rows]
        return Reply(body=msgspec.json.encode(engine.status() | {"followers": followers}))

    def transfer(self, request: Request) -> Reply:
        """30002: hand leadership to `member`; success says that it began, the next role change that it worked."""
        member = name_field(request.fields, "member")
        if member not in self._members:
            raise HeaderError(f"{member} is no member of this group; it has {', '.join(sorted(self._members))}")
        if not self._roles.current.is_leader:
            return self._roles.not_leader()
        if member != self._roles.current.leader:
            self._engine().transfer_leader(member)
        return Reply()

    def promote(self, request: Request) -> Reply:
        """30004: make this slave the master, as its master is gone; without `force` nothing that could be lost is.

        The fields of the answer say where this replica stands: `lastIndex`, and `storedTimestamp` in ms since 1970.
        """
        force = request.fields.get("force", "false")
        if force not in ("true", "false"):
            raise HeaderError(f'force = "{force}" is neither true nor false')
        try:
            last_index, stored_ms = self._engine().promote(force == "true")
        except ValueError as error:
            return Reply(ResponseCode.SYSTEM_ERROR, str(error))
        return Reply(fields={"lastIndex": str(last_index), "storedTimestamp": str(stored_ms)})
