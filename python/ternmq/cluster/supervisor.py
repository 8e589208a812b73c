"""Starts the nodes of a local cluster, keeps them alive, and stops them in the right order."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ternmq.cluster.claims import PortClaims
from ternmq.cluster.identity import ProcessIdentity
from ternmq.cluster.layout import DataDir
from ternmq.cluster.node import BROKER, NAMESRV, NodeProcess, NodeSpec, describe_end
from ternmq.cluster.ports import check_ports
from ternmq.cluster.readiness import (
    AskNameServer,
    Expectation,
    GroupTable,
    ask_all,
    master_of,
    missing,
)
from ternmq.cluster.restarts import RestartPolicy
from ternmq.cluster.state import ClusterState, NodeState, write_state
from ternmq.config.addresses import split_address
from ternmq.errors import AlreadyRunningError, LaunchError

Report = Callable[[str], None]

READY_WITHIN_S = 60.0
DRAIN_WITHIN_S = 15.0
_ASK_EVERY_S = 0.1

SERVING, LEADER, FOLLOWER, STARTING, DEAD, KILLED = "serving", "leader", "follower", "starting", "dead", "killed"


@dataclass
class _Node:
    """A node and the process that it has at the moment."""

    spec: NodeSpec
    process: NodeProcess | None = None
    watch: asyncio.Task[None] | None = None
    restart: asyncio.Task[None] | None = None
    # Held while it is decided that a process is started, until there is one: a node never has two.
    starting: asyncio.Lock = field(default_factory=asyncio.Lock)


class Supervisor:
    """The parent of all nodes.

    Args:
        data: the cluster's folder, whose lock the caller holds; also an attribute.
        nodes: all nodes, NameServers first.
        ask: how to ask one NameServer for its groups.
        policy: when dead nodes are started again.
        report: receives one line for each thing that happens.
        claims: takes the nodes' ports; the caller gives them up.
    """

    def __init__(
        self,
        data: DataDir,
        nodes: Sequence[NodeSpec],
        ask: AskNameServer,
        policy: RestartPolicy,
        report: Report,
        claims: PortClaims | None = None,
    ) -> None:
        self.data = data
        self._nodes = {spec.name: _Node(spec) for spec in nodes}
        self._expected = self._expect_all()
        self._ask = ask
        self._policy = policy
        self._report = report
        self._claims = claims
        self._own = ProcessIdentity.of(os.getpid())
        self._is_ready = False
        self._stopping = False
        self.changing = asyncio.Lock()
        """Held by whoever adds or removes nodes."""
        self._kill_now = asyncio.Event()
        self._start_failure: asyncio.Future[LaunchError] = asyncio.get_running_loop().create_future()

    async def start(self) -> None:
        """Start all nodes; return when every NameServer shows a master and all members of every group.

        Raises:
            LaunchError: a port is taken, a node ended, or the cluster was not complete in time. Nothing runs then.
        """
        check_ports((node.spec for node in self._nodes.values()), str(self.data.topology), self._claims)
        began = time.monotonic()
        try:
            for node in self._nodes.values():
                await self._spawn(node)
            await self._first_of_ready_or_failure()
        except BaseException:
            self.kill_now()
            await self.stop()
            raise
        self._is_ready = True
        self._write_state()
        self._report(f"ready after {time.monotonic() - began:.1f} s")

    async def stop(self) -> None:
        """Stop all nodes: brokers drain first, NameServers last, so that clients learn of each step."""
        self._stopping = True
        restarts = [node.restart for node in self._nodes.values() if node.restart is not None]
        for restart in restarts:
            restart.cancel()
        await asyncio.gather(*restarts, return_exceptions=True)
        for kind in (BROKER, NAMESRV):
            await self._stop_all([node for node in self._nodes.values() if node.spec.kind == kind])
        self.data.state.unlink(missing_ok=True)

    def kill_now(self) -> None:
        """Do not wait for nodes to drain."""
        self._kill_now.set()

    async def tables(self) -> dict[str, GroupTable | None]:
        """Ask all NameServers that run for their groups."""
        alive = {
            name: node.spec.address
            for name, node in self._nodes.items()
            if node.spec.kind == NAMESRV and node.process is not None
        }
        return await ask_all(self._ask, alive)

    async def ps(self) -> list[dict[str, Any]]:
        """List every node: name, kind, group, pid, address, role."""
        tables = list((await self.tables()).values())
        masters = {group: master_of(group, tables) for group in self._expected.groups}
        known = {address for table in tables if table for shown in table.values() for address in shown.values()}
        return [_line(node, _role(node, masters, known)) for node in self._nodes.values()]

    async def leader(self, group: str | None = None) -> NodeSpec:
        """Find the node that leads a group now.

        Args:
            group: its name; the first group of the topology if None.

        Raises:
            LaunchError: no such group, or it has no leader at the moment.
        """
        name = next(iter(self._expected.groups), "") if group is None else group
        if name not in self._expected.groups:
            raise LaunchError(f"there is no group {name}", f"groups here: {', '.join(self._expected.groups)}")
        address = master_of(name, (await self.tables()).values())
        for node in self._nodes.values():
            if node.spec.group == name and node.spec.address == address and node.process is not None:
                return node.spec
        raise LaunchError(
            f"group {name} has no leader at the moment", "a majority of its members must run: `ternmq ps`"
        )

    async def kill(self, name: str) -> dict[str, Any]:
        """Send a node SIGKILL and leave it dead until `start_node`.

        Raises:
            LaunchError: no such node, or it does not run.
        """
        node = self._named(name)
        if node.process is None:
            raise LaunchError(f"{name} does not run", f"`ternmq start {name}` starts it")
        self._policy.hold(name)
        killed = _line(node, KILLED)
        node.process.kill()
        if node.watch is not None:
            await node.watch
        return killed

    async def start_node(self, name: str, *, within_s: float = READY_WITHIN_S) -> dict[str, Any]:
        """Start a node that does not run; return when it takes part.

        Args:
            name: ``ns1`` or ``group-a/n0``.
            within_s: longest wait.

        Returns:
            Its line of `ps`.

        Raises:
            AlreadyRunningError: it runs.
            LaunchError: no such node, its start failed, or no NameServer showed it in time.
        """
        node = self._named(name)
        async with node.starting:
            if node.process is not None and node.watch is not None and node.process.identity.find() is None:
                await node.watch  # it has just died, and nobody here has noticed yet
            if node.process is not None:
                raise AlreadyRunningError(f"{name} runs already (pid {node.process.pid})", "see `ternmq ps`")
            check_ports([node.spec], str(self.data.topology))
            if node.restart is not None:
                node.restart.cancel()
            self._policy.release(name)
            process = await self._spawn(node)
        async with _limit(within_s, lambda: f"{name} was started, but no NameServer shows it after {within_s:g} s"):
            while not await self._takes_part(node):
                if self.processes().get(name) != process.pid:
                    raise LaunchError(f"{name} ended while it started: {process.last_words()}", self._read_log(name))
                await asyncio.sleep(_ASK_EVERY_S)
        return next(item for item in await self.ps() if item["name"] == name)

    async def add_nodes(self, specs: Sequence[NodeSpec]) -> list[dict[str, Any]]:
        """Start the nodes of a new group beside the others; return when every NameServer shows them with a master.

        Returns:
            Their lines of `ps`.

        Raises:
            LaunchError: a port is taken, or they were not complete in time. None of them runs then, nor is known.
        """
        check_ports(specs, str(self.data.topology), self._claims)
        nodes = [_Node(spec) for spec in specs]
        self._nodes.update((node.spec.name, node) for node in nodes)
        try:
            for node in nodes:
                await self._spawn(node)
            self._expected = self._expect_all()
            await self.until_complete({spec.group for spec in specs if spec.group is not None})
        except BaseException:
            await self.remove_nodes([spec.name for spec in specs])
            raise
        self._keep_claims()
        self._write_state()
        added = {spec.name for spec in specs}
        return [item for item in await self.ps() if item["name"] in added]

    async def remove_nodes(self, names: Collection[str]) -> None:
        """Stop nodes, as `stop` does, and forget them; their files stay.

        Raises:
            LaunchError: no such node.
        """
        nodes = [self._named(name) for name in names]
        for node in nodes:
            self._policy.hold(node.spec.name)
            if node.restart is not None:
                node.restart.cancel()
        await self._stop_all(nodes)
        for node in nodes:
            del self._nodes[node.spec.name]
            self._policy.release(node.spec.name)
        self._expected = self._expect_all()
        self._keep_claims()
        self._write_state()

    def _keep_claims(self) -> None:
        """Give up ports that were drawn for nobody, or for nodes that are gone."""
        if self._claims is not None:
            self._claims.keep([port.port for node in self._nodes.values() for port in node.spec.ports])

    def claim(self, port: int) -> bool:
        """Take a port for a node that is to be added; False if another launcher has it."""
        return self._claims is None or self._claims.take(port)

    def _expect(self, groups: Collection[str]) -> Expectation:
        """Expect some groups; a NameServer that is dead is not waited for."""
        return Expectation.of(
            node.spec
            for node in self._nodes.values()
            if node.spec.group in groups or (node.spec.kind == NAMESRV and node.process is not None)
        )

    def _expect_all(self) -> Expectation:
        return Expectation.of(node.spec for node in self._nodes.values())

    def processes(self) -> dict[str, int]:
        """Map the nodes that run to their pids."""
        return {name: node.process.pid for name, node in self._nodes.items() if node.process is not None}

    def dead(self) -> list[str]:
        """Name the nodes that do not run."""
        return [name for name, node in self._nodes.items() if node.process is None]

    def node_at(self, address: str) -> str:
        """Name the node that clients reach at an address."""
        return next(name for name, node in self._nodes.items() if node.spec.address == address)

    def _named(self, name: str) -> _Node:
        node = self._nodes.get(name)
        if node is None:
            raise LaunchError(f"there is no node {name}", f"nodes here: {', '.join(self._nodes)}")
        return node

    async def _takes_part(self, node: _Node) -> bool:
        tables = await self.tables()
        if node.spec.kind == NAMESRV:
            return tables.get(node.spec.name) is not None
        group = node.spec.group or ""
        answers = [table for table in tables.values() if table is not None]
        shown = bool(answers) and all(node.spec.address in table.get(group, {}).values() for table in answers)
        # What NameServers show may still be the registration of its earlier life.
        return shown and await _accepts(node.spec.address)

    async def _spawn(self, node: _Node) -> NodeProcess:
        process = await NodeProcess.start(node.spec.command, self.data.log(node.spec.name))
        node.process = process
        node.watch = asyncio.create_task(self._watch(node, process))
        self._write_state()
        return process

    async def _watch(self, node: _Node, process: NodeProcess) -> None:
        code = await process.wait()
        node.process = None
        name = node.spec.name
        self._write_state()
        if self._stopping:
            return
        if not self._is_ready:
            self._fail_start(
                LaunchError(
                    f"{name} {describe_end(code)} while it started: {process.last_words()}", self._read_log(name)
                )
            )
            return
        delay = self._policy.delay_after_death(name, process.ran_for_s)
        again = f"starts again in {delay:g} s" if delay is not None else f"stays dead until `ternmq start {name}`"
        self._report(f"{name} {describe_end(code)}; {again}")
        if delay is not None:
            node.restart = asyncio.create_task(self._restart(node, delay))

    async def _restart(self, node: _Node, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        async with node.starting:
            if self._stopping or node.process is not None:
                return
            await self._spawn(node)
        self._report(f"{node.spec.name} started again")

    def _fail_start(self, failure: LaunchError) -> None:
        if not self._start_failure.done():
            self._start_failure.set_result(failure)

    async def _first_of_ready_or_failure(self) -> None:
        ready = asyncio.create_task(self.until_complete())
        try:
            waited: list[asyncio.Future[Any]] = [ready, self._start_failure]
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            if self._start_failure.done():
                raise self._start_failure.result()
            await ready
        finally:
            ready.cancel()
            with contextlib.suppress(asyncio.CancelledError, LaunchError):
                await ready

    async def until_complete(self, groups: Collection[str] | None = None) -> None:
        """Wait until every NameServer shows a master and all members of groups.

        Args:
            groups: these, to the NameServers that run; None for all, to all NameServers.

        Raises:
            LaunchError: not in time; says what is missing.
        """
        expected = self._expected if groups is None else self._expect(groups)
        absent: list[str] = []
        said = ""
        async with _limit(READY_WITHIN_S, lambda: f"not ready after {READY_WITHIN_S:g} s: {'; '.join(absent)}"):
            while True:
                now_absent = missing(expected, await self.tables())
                if not now_absent:
                    return
                progress = _progress(expected, now_absent)
                if progress != said:
                    self._report(progress)
                said = progress
                absent[:] = now_absent
                await asyncio.sleep(_ASK_EVERY_S)

    async def _stop_all(self, nodes: Iterable[_Node]) -> None:
        running = {node.watch: node.process for node in nodes if node.process is not None and node.watch is not None}
        if not running:
            return
        for process in running.values():
            process.terminate()
        drained = asyncio.gather(*running)
        hurry = asyncio.create_task(self._kill_now.wait())
        waited: list[asyncio.Future[Any]] = [drained, hurry]
        await asyncio.wait(waited, timeout=DRAIN_WITHIN_S, return_when=asyncio.FIRST_COMPLETED)
        hurry.cancel()
        for process in running.values():
            process.kill()
        await drained

    def _read_log(self, name: str) -> str:
        return f"read {self.data.log(name)}"

    def _write_state(self) -> None:
        nodes = []
        for node in self._nodes.values():
            identity = None if node.process is None else node.process.identity
            nodes.append(
                NodeState(
                    name=node.spec.name,
                    kind=node.spec.kind,
                    group=node.spec.group,
                    address=node.spec.address,
                    pid=None if identity is None else identity.pid,
                    started_at_s=None if identity is None else identity.started_at_s,
                    held=self._policy.is_held(node.spec.name),
                )
            )
        write_state(
            self.data.state,
            ClusterState(
                supervisor_pid=self._own.pid,
                supervisor_started_at_s=self._own.started_at_s,
                nodes=nodes,
                ready=self._is_ready,
            ),
        )


def _line(node: _Node, role: str) -> dict[str, Any]:
    return {
        "name": node.spec.name,
        "kind": node.spec.kind,
        "group": node.spec.group,
        "pid": None if node.process is None else node.process.pid,
        "address": node.spec.address,
        "role": role,
    }


def _role(node: _Node, masters: dict[str, str | None], known: set[str]) -> str:
    if node.process is None:
        return DEAD
    if node.spec.kind == NAMESRV:
        return SERVING
    if masters.get(node.spec.group or "") == node.spec.address:
        return LEADER
    return FOLLOWER if node.spec.address in known else STARTING


def _progress(expected: Expectation, absent: list[str]) -> str:
    silent = sum(line.endswith("does not answer") for line in absent)
    answering = len(expected.nameservers) - silent
    return f"NameServers {answering}/{len(expected.nameservers)} · " + (absent[0] if absent else "complete")


async def _accepts(address: str) -> bool:
    try:
        _, writer = await asyncio.open_connection(*split_address(address, "address"))
    except OSError:
        return False
    writer.close()
    return True


@contextlib.asynccontextmanager
async def _limit(seconds: float, sentence: Callable[[], str]) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise LaunchError(sentence(), "read the logs in the folder `logs`") from error
