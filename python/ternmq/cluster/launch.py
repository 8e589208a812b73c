"""Runs a local cluster inside this process, from an empty or an earlier folder to its last stopped node."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field

from ternmq.cluster import requests
from ternmq.cluster.asking import asker
from ternmq.cluster.blueprint import Layout, node_specs, topology_for
from ternmq.cluster.claims import PortClaims
from ternmq.cluster.control import ControlServer
from ternmq.cluster.layout import DataDir
from ternmq.cluster.leftovers import clear_leftovers
from ternmq.cluster.locking import folder_lock
from ternmq.cluster.ports import are_free
from ternmq.cluster.restarts import RestartPolicy
from ternmq.cluster.supervisor import Report, Supervisor
from ternmq.errors import LaunchError
from ternmq.remoting import Endpoint, open_endpoint

_DRAWS = 3


@dataclass(frozen=True)
class LaunchOptions:
    """What a person may choose about a local cluster.

    Args:
        layout: its groups and ports.
        restart: start nodes again that die.
    """

    layout: Layout = field(default_factory=Layout)
    restart: bool = True


@contextlib.asynccontextmanager
async def running_cluster(
    data: DataDir, options: LaunchOptions, report: Report, *, stop: asyncio.Event | None = None
) -> AsyncIterator[Supervisor]:
    """Run a cluster for the time of a block: ready on entry, stopped afterwards, however the block ends.

    Args:
        data: its folder; made if missing, continued if a cluster was there.
        options: what a person chose.
        report: receives one line for each thing that happens.
        stop: set when a later command has stopped the nodes.

    Raises:
        LaunchError: another one runs in this folder, a port is taken, or a node did not start.
        ConfigError: the folder's topology cannot be read.
    """
    data.create()
    with folder_lock(data), PortClaims() as claims:
        for finding in clear_leftovers(data):
            report(finding)
        endpoint = open_endpoint()
        try:
            supervisor = await _started(data, options, endpoint, report, claims)
            control = ControlServer(
                data.control, requests.handler(supervisor, lambda: None if stop is None else stop.set())
            )
            try:
                await control.open()
                yield supervisor
            finally:
                await supervisor.stop()
                await control.close()
        finally:
            await endpoint.close()


async def _started(
    data: DataDir, options: LaunchOptions, endpoint: Endpoint, report: Report, claims: PortClaims
) -> Supervisor:
    """Start all nodes; a new cluster that lost a port to another program while it started draws others."""
    draws_left = _DRAWS
    while True:
        draws_left -= 1
        is_new = data.is_new
        nodes = node_specs(topology_for(data, options.layout, report, claims), data)
        claims.keep([port.port for node in nodes for port in node.ports])
        supervisor = Supervisor(data, nodes, asker(endpoint), RestartPolicy(options.restart), report, claims)
        try:
            await supervisor.start()
        except LaunchError as error:
            # Nothing of ours runs any more: a port that is taken now was taken by another program.
            if not is_new or are_free(nodes):
                raise
            data.forget_cluster()
            if not draws_left:
                raise
            report(f"{error}; drawing other ports")
            continue
        return supervisor


async def run_until_stopped(
    data: DataDir, options: LaunchOptions, report: Report, on_ready: Callable[[Supervisor], Awaitable[None]]
) -> bool:
    """Run a cluster until a signal or ``ternmq down``; a second signal does not wait for nodes to drain.

    Args:
        data: its folder.
        options: what a person chose.
        report: receives one line for each thing that happens.
        on_ready: called once when it is ready.

    Returns:
        Whether a signal ended it.
    """
    stop = asyncio.Event()
    signals = _Signals(stop, report)
    with signals.caught():

        async def run() -> None:
            async with running_cluster(data, options, report, stop=stop) as supervisor:
                signals.hurry = supervisor.kill_now
                await on_ready(supervisor)
                await stop.wait()

        work = asyncio.create_task(run())
        signals.starting = work
        await asyncio.wait({work})
        if work.cancelled():
            return True
        work.result()
    return signals.count > 0


class _Signals:
    """First signal: stop in order. Second: at once."""

    def __init__(self, stop: asyncio.Event, report: Report) -> None:
        self._stop = stop
        self._report = report
        self.count = 0
        self.hurry: Callable[[], None] | None = None
        self.starting: asyncio.Task[None] | None = None

    @contextlib.contextmanager
    def caught(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._arrived)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

    def _arrived(self) -> None:
        self.count += 1
        if self.hurry is None:
            # Still starting: there is nothing to drain.
            if self.count == 1 and self.starting is not None:
                self.starting.cancel()
        elif self.count == 1:
            self._report("stopping: brokers drain, NameServers stop last; once more to kill")
            self._stop.set()
        else:
            self._report("killing what still runs")
            self.hurry()
