"""What a later command may ask of the supervisor: one row each."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from ternmq.cluster.control import Handler, Items, Report
from ternmq.cluster.supervisor import Supervisor
from ternmq.errors import LaunchError

PS = "ps"
STOP = "stop"
KILL_LEADER = "kill-leader"
START = "start"

_Row = Callable[[Supervisor, dict[str, Any]], Awaitable[Items]]


async def _ps(supervisor: Supervisor, _request: dict[str, Any]) -> Items:
    return await supervisor.ps()


async def _kill_leader(supervisor: Supervisor, request: dict[str, Any]) -> Items:
    leader = await supervisor.leader(request.get("group"))
    return [await supervisor.kill(leader.name)]


async def _start(supervisor: Supervisor, request: dict[str, Any]) -> Items:
    # Together: the members of a group that is dead as a whole only take part once a majority runs.
    return list(await asyncio.gather(*(supervisor.start_node(str(name)) for name in request.get("nodes", []))))


_ROWS: dict[str, _Row] = {PS: _ps, KILL_LEADER: _kill_leader, START: _start}


def handler(supervisor: Supervisor, stopped: Callable[[], None]) -> Handler:
    """Bind the rows to a supervisor.

    Args:
        supervisor: does what is asked.
        stopped: called after all nodes have been stopped on request.
    """

    async def handle(request: dict[str, Any], report: Report) -> Items:
        command = str(request.get("command"))
        if command == STOP:
            report("brokers drain, NameServers stop last")
            await supervisor.stop()
            stopped()
            return []
        row = _ROWS.get(command)
        if row is None:
            raise LaunchError(f"the supervisor does not know the command {command}", "restart it with this version")
        return await row(supervisor, request)

    return handle
