"""The replica itself: its Raft state (30001), hand-over of leadership (30002) and promotion (30004)."""

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
        mode: how the group replicates.
        data: data folder, for the disk that it lies on.
        leaderless_ms: gives for how long this replica has known no leader.
    """

    def __init__(
        self,
        engine: Callable[[], Engine],
        roles: Roles,
        members: frozenset[str],
        mode: str,
        data: Path,
        leaderless_ms: Callable[[], int],
    ) -> None:
        self._engine = engine
        self._roles = roles
        self._members = members
        self._mode = mode
        self._data = data
        self._leaderless_ms = leaderless_ms

    async def status(self, request: Request) -> Reply:
        """30001: role, term, leader, indexes, the hash of the state, disk and members, as one JSON object.

        A leader adds its `followers`: what it knows of the others, which also tells of those that do not answer.
        """
        return Reply(body=msgspec.json.encode(await asyncio.to_thread(self._describe, self._engine())))

    def _describe(self, engine: Engine) -> dict[str, Any]:
        # Not on the event loop: where a follower that is far behind stands may have to come from a disk, and so may
        # how much room there is.
        followers = [dict(zip(_FOLLOWER, row, strict=True)) for row in engine.followers()]
        usage = shutil.disk_usage(self._data)
        return engine.status() | {
            "mode": self._mode,
            "members": sorted(self._members),
            "leaderless_ms": self._leaderless_ms(),
            "rot_detected": engine.counters().get("rot_detected", 0),
            "disk": {"free_bytes": usage.free, "total_bytes": usage.total},
            "followers": followers,
        }

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
