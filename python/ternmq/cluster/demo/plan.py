"""The steps of the demonstration, in order."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from ternmq.admin import promote_slave, replica_status
from ternmq.client import Client, connect
from ternmq.cluster.blueprint import Layout
from ternmq.cluster.demo.display import Display, Snapshot
from ternmq.cluster.demo.load import Load
from ternmq.cluster.demo.meter import MASTER_DEAD, NAMESERVERS_DEAD, RECOVERED, STEADY
from ternmq.cluster.demo.reading import end_of, queue_ends, read_all
from ternmq.cluster.demo.report import Election, Figures
from ternmq.cluster.demo.verify import check
from ternmq.cluster.launch import LaunchOptions, running_cluster
from ternmq.cluster.layout import DataDir
from ternmq.cluster.node import NAMESRV
from ternmq.cluster.readiness import agreed_master
from ternmq.cluster.supervisor import Supervisor
from ternmq.config.topology import Mode
from ternmq.errors import LaunchError
from ternmq.remoting import Endpoint, open_endpoint

TOPIC = "demo"
_QUEUES = 4
_PRODUCERS = 16
_NEWCOMER_MESSAGES = 10
_ELECTION_WITHIN_S = 20.0
_LOOK_EVERY_S = 0.01
_SHOW_EVERY_S = 0.25
_SILENCE_S = 10.0
_WHAT: dict[Mode, str] = {
    "raft": "of 3 replicas",
    "multi-master": "of a master alone",
    "async-slave": "of a master and a slave",
    "sync-double-write": "of a master and a slave",
}
_GOES_ON: dict[Mode, str] = {
    "raft": "the load goes on with the new master",
    "multi-master": "the load goes on with the other master",
    "async-slave": "the load goes on with the promoted slave",
    "sync-double-write": "the load goes on with the promoted slave",
}


async def run_demo(
    folder: Path, display: Display, *, load_s: float, base_port: int | None = None, mode: Mode = "raft"
) -> Figures:
    """Run all steps; everything that was started is stopped afterwards, also on cancellation.

    Args:
        folder: empty; holds the cluster. The caller makes and removes it.
        display: shows what goes on.
        load_s: how long the load runs, apart from the waits for elections and starts; the phases share it.
        base_port: where ports start; None takes the usual ones, and skips those that are taken.
        mode: how the two groups replicate.

    Raises:
        LaunchError: the cluster did not start, or a step could not be done.
        MQError: a node could not be reached.
    """
    began = time.monotonic()
    options = LaunchOptions(Layout(groups=2, base_port=base_port, mode=mode), restart=False)
    display.step(f"starting 3 NameServers and 2 groups {_WHAT[mode]}, a process for each node")
    async with running_cluster(DataDir.at(folder), options, display.say) as supervisor:
        figures = Figures(mode=mode, ready_s=time.monotonic() - began)
        display.done(f"{len(supervisor.processes())} processes ready in {figures.ready_s:.1f} s")
        try:
            await _perform(supervisor, display, figures, load_s / 4, folder)
        except BaseException:
            supervisor.kill_now()  # nobody waits for a drain any more
            raise
        display.step("stopping everything")
    figures.total_s = time.monotonic() - began
    display.stopped()
    display.done(f"stopped after {figures.total_s:.0f} s")
    return figures


async def _perform(supervisor: Supervisor, display: Display, figures: Figures, phase_s: float, folder: Path) -> None:
    nameservers = [item["address"] for item in await supervisor.ps() if item["kind"] == NAMESRV]
    endpoint = open_endpoint()
    try:
        async with connect(";".join(nameservers)) as client:
            await client.admin.create_topic(TOPIC, queues=_QUEUES)
            load = Load(client, TOPIC, _PRODUCERS, ordered=figures.mode == "raft")
            steps = _Steps(supervisor, endpoint, client, load, display, figures, phase_s, folder)
            async with steps.shown():
                try:
                    await steps.under_load()
                except BaseException:
                    await load.abort()
                    raise
                await steps.check(nameservers[0])
    finally:
        await endpoint.close()


@dataclass
class _Steps:
    """What is done to a running cluster.

    Args:
        supervisor: kills and starts nodes.
        endpoint: for questions to single nodes.
        client: sends and reads.
        load: what runs meanwhile.
        display: shows it.
        figures: takes what is found out.
        phase_s: how long the load runs on after each step.
        folder: of the cluster.
        allowed: acknowledged messages that may be lost.
    """

    supervisor: Supervisor
    endpoint: Endpoint
    client: Client
    load: Load
    display: Display
    figures: Figures
    phase_s: float
    folder: Path
    allowed: set[tuple[str, int]] = field(default_factory=set)

    async def under_load(self) -> None:
        """Send and consume; kill a master, kill two NameServers, bring all back."""
        began = time.monotonic()
        self.load.start()
        await self._let_run(STEADY, f"{_PRODUCERS} producers send, a consumer follows")
        await self._kill_master()
        await self._let_run(MASTER_DEAD, _GOES_ON[self.figures.mode])
        await self._kill_nameservers()
        await self._let_run(NAMESERVERS_DEAD, "the load goes on with one NameServer")
        await self._bring_back()
        await self._let_run(RECOVERED, "the load goes on with everything back")
        self.figures.rss_bytes = _memory(self.supervisor)
        await self.load.stop()
        self.figures.load_s = time.monotonic() - began
        self.figures.gaps = list(self.load.meter.gaps.values())
        self.figures.send_errors = self.load.meter.refused
        acknowledged = len(self.load.record.acknowledged)
        self.figures.sends_per_second = acknowledged / self.figures.load_s
        self.display.done(f"load ended: {acknowledged:,} messages acknowledged")

    async def check(self, nameserver: str) -> None:
        """Read everything back and compare it with what was promised."""
        self.display.step("a second consumer group reads everything from the first offset on")
        ends = await queue_ends(self.endpoint, nameserver, TOPIC)

        def progress(count: int) -> None:
            self.display.say(f"{count:,} of {sum(ends.values()):,}")

        deliveries = await read_all(self.client, "demo-checkers", TOPIC, ends, progress, silence_s=_SILENCE_S)
        ordered = self.figures.mode == "raft"
        verdict = await asyncio.to_thread(check, self.load.record, deliveries, ordered=ordered, allowed=self.allowed)
        self.figures.verdict = verdict
        order = "held" if verdict.order_held else f"broken {len(verdict.reordered)} times"
        of_order = f", order per key {order}" if ordered else ""
        self.display.done(f"read {len(deliveries):,} messages: {len(verdict.lost)} lost{of_order}")

    @contextlib.asynccontextmanager
    async def shown(self) -> AsyncIterator[None]:
        """Keep the display fed for the time of a block."""

        async def show() -> None:
            nodes = await self.supervisor.ps()
            acknowledged, consumed = len(self.load.record.acknowledged), self.load.meter.consumed
            self.display.show(Snapshot(nodes, _memory(self.supervisor), acknowledged, consumed))

        async def feed() -> None:
            while True:
                await show()
                await asyncio.sleep(_SHOW_EVERY_S)

        feeding = asyncio.create_task(feed())
        try:
            yield
        finally:
            feeding.cancel()
            await asyncio.gather(feeding, return_exceptions=True)
        await show()  # what stands there at last is what the sums say

    async def _let_run(self, phase: str, text: str) -> None:
        self.load.meter.phase = phase
        self.display.step(text)
        await asyncio.sleep(self.phase_s)

    async def _kill_master(self) -> None:
        leader = await self.supervisor.leader()
        group = str(leader.group)
        self.display.step(f"kill -9 of {leader.name}, master of {group}")
        self.load.meter.phase = MASTER_DEAD
        began = time.monotonic()
        await self.supervisor.kill(leader.name)
        if self.figures.mode == "multi-master":
            self.display.done(f"killed {leader.name}: what it holds waits until it is back")
            return
        if self.figures.mode != "raft":
            await self._go_on_with_slave(leader.name, group)
            return
        address = await self._successor(group, leader.address)
        took_s = time.monotonic() - began
        successor = self.supervisor.node_at(address)
        status = await replica_status(self.endpoint, address)
        term = 0 if status is None else status.term
        self.figures.election = Election(group, leader.name, successor, term, took_s)
        self.display.done(
            f"killed {leader.name}: {successor} leads {group} in term {term} after {took_s * 1000:.0f} ms"
        )

    async def _go_on_with_slave(self, master: str, group: str) -> None:
        """Nobody takes over by himself. Destroy the master's disk, and have an operator promote the slave.

        What the slave had not got of what the master had acknowledged is lost: in mode async-slave that is allowed.
        """
        record = dict(self.load.record.acknowledged)
        members = [item for item in await self.supervisor.ps() if item["group"] == group]
        slave = next(item for item in members if item["name"] != master)
        ends = {number: await self._end_at_slave(slave["address"], number) for number in range(_QUEUES)}
        queues = {f"{group}:{number}": end for number, end in ends.items()}
        missing = [
            message for message, at in record.items() if at.queue_offset >= queues.get(at.queue, at.queue_offset + 1)
        ]
        self.figures.only_on_killed_master = len(missing)
        if self.figures.mode == "async-slave":
            self.allowed.update(missing)
        self.display.done(f"killed {master}: {slave['name']} had all but {len(missing)} of what it had acknowledged")
        self.display.step(f"destroying the disk of {master}, and promoting {slave['name']}")
        await asyncio.to_thread(shutil.rmtree, self.folder / "data" / master)
        shown = await self.client.admin.cluster_info()
        member = slave["name"].partition("/")[2]
        within = _ELECTION_WITHIN_S
        promotion = await promote_slave(self.endpoint, shown, group, member, force=True, within_s=within)
        self.display.done(
            f"promoted {slave['name']}: it leads {group} after {promotion.duration_s * 1000:.0f} ms, without"
            f" {len(missing)} of the acknowledged messages"
        )
        self.display.step(f"starting {master} with an empty disk")
        await self.supervisor.start_node(master)
        self.display.done(f"{master} follows {slave['name']}, and takes everything from it")

    async def _end_at_slave(self, address: str, number: int) -> int:
        """Ask a slave for the end of a queue; it answers as soon as it has noticed that its master is gone."""
        deadline = time.monotonic() + _ELECTION_WITHIN_S
        while True:
            try:
                return await end_of(self.endpoint, address, TOPIC, number)
            except LaunchError:
                if time.monotonic() > deadline:
                    raise
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _successor(self, group: str, former: str) -> str:
        deadline = time.monotonic() + _ELECTION_WITHIN_S
        while time.monotonic() < deadline:
            address = agreed_master(group, list((await self.supervisor.tables()).values()))
            if address is not None and address != former:
                return address
            await asyncio.sleep(_LOOK_EVERY_S)
        raise LaunchError(f"no new master of {group} after {_ELECTION_WITHIN_S:g} s", "read the logs of its members")

    async def _kill_nameservers(self) -> None:
        *killed, last = [item for item in await self.supervisor.ps() if item["kind"] == NAMESRV]
        names = [item["name"] for item in killed]
        self.display.step(f"kill -9 of {' and '.join(names)}")
        self.load.meter.phase = NAMESERVERS_DEAD
        for name in names:
            await self.supervisor.kill(name)
        self.figures.nameservers_killed = names
        async with connect(last["address"]) as newcomer:
            await self.load.greet(newcomer, _NEWCOMER_MESSAGES)
        self.display.done(f"killed {' and '.join(names)}: a new client starts and sends through {last['name']} alone")

    async def _bring_back(self) -> None:
        dead = [item["name"] for item in await self.supervisor.ps() if item["pid"] is None]
        self.display.step(f"starting {', '.join(dead)} again")
        self.load.meter.phase = RECOVERED
        began = time.monotonic()
        await asyncio.gather(*(self.supervisor.start_node(name) for name in dead))
        await self.supervisor.until_complete()
        self.display.done(f"{', '.join(dead)} are back after {time.monotonic() - began:.1f} s")


def _memory(supervisor: Supervisor) -> dict[str, int]:
    sizes = {}
    for name, pid in supervisor.processes().items():
        with contextlib.suppress(psutil.NoSuchProcess):
            sizes[name] = psutil.Process(pid).memory_info().rss
    return sizes
