"""What a later command may ask of the supervisor: one row each."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from ternmq.cluster.control import Handler, Items, Report
from ternmq.cluster.group_changes import start_group, stop_group
from ternmq.cluster.supervisor import Supervisor
from ternmq.errors import AlreadyRunningError, LaunchError

PS = "ps"
STOP = "stop"
KILL_LEADER = "kill-leader"
START = "start"
ADD_GROUP = "add-group"
REMOVE_GROUP = "remove-group"

_Row = Callable[[Supervisor, dict[str, Any], Report], Awaitable[Items]]


async def _ps(supervisor: Supervisor, _request: dict[str, Any], _report: Report) -> Items:
    return await supervisor.ps()


async def _kill_leader(supervisor: Supervisor, request: dict[str, Any], _report: Report) -> Items:
    leader = await supervisor.leader(request.get("group"))
    return [await supervisor.kill(leader.name)]


async def _start(supervisor: Supervisor, request: dict[str, Any], report: Report) -> Items:
    """Start the nodes that are named, or all that are dead; one that runs, or fails, holds up no other."""
    names = [str(name) for name in request.get("nodes", [])] or supervisor.dead()
    # Together: the members of a group that is dead as a whole only take part once a majority runs.
    outcomes = await asyncio.gather(*(supervisor.start_node(name) for name in names), return_exceptions=True)
    failed = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    for outcome in failed:
        if not isinstance(outcome, LaunchError):
            raise outcome
    wrong = [outcome for outcome in failed if not isinstance(outcome, AlreadyRunningError)]
    if wrong or (names and len(failed) == len(names)):
        first = (wrong or failed)[0]
        assert isinstance(first, LaunchError)
        raise LaunchError("; ".join(str(outcome) for outcome in wrong or failed), first.hint)
    for outcome in failed:
        report(str(outcome))
    return [outcome for outcome in outcomes if not isinstance(outcome, BaseException)]


async def _add_group(supervisor: Supervisor, request: dict[str, Any], _report: Report) -> Items:
    name = request.get("group")
    return await start_group(supervisor, None if name is None else str(name))


async def _remove_group(supervisor: Supervisor, request: dict[str, Any], _report: Report) -> Items:
    return await stop_group(supervisor, str(request.get("group")))


_ROWS: dict[str, _Row] = {
    PS: _ps,
    KILL_LEADER: _kill_leader,
    START: _start,
    ADD_GROUP: _add_group,
    REMOVE_GROUP: _remove_group,
}


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
        return await row(supervisor, request, report)

    return handle
