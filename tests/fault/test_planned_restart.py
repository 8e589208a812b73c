"""A planned restart of every member, one after the other, under load: nobody who sends or reads is told of it."""

import asyncio
import contextlib
import itertools
import signal
import sys
from dataclasses import dataclass, field

import ternmq
from fault.test_nameservers_stand_alone import make_topic
from support.processes import wait_for
from support.speaker import CLUSTER_INFO, SpeakerError, ask, lenient_json
from support.tern import TernCluster

TOPIC = "orders"
SENDERS = 8
STOPPED_SECONDS = 10
BACK_SECONDS = 60
# Measured: some 20 ms. A machine that is busy with other tests must not fail this one.
LONGEST_GAP_SECONDS = 1.0


@dataclass
class History:
    """What the load saw: when each send was acknowledged, and what went wrong."""

    acknowledged: list[float] = field(default_factory=list)
    bodies: set[bytes] = field(default_factory=set)
    read: set[bytes] = field(default_factory=set)
    errors: list[str] = field(default_factory=list)

    def longest_gap(self, since: float) -> float:
        """Seconds in which nothing was acknowledged."""
        times = [since, *(time for time in self.acknowledged if time > since)]
        return max((later - earlier for earlier, later in itertools.pairwise(times)), default=0.0)


async def send(history: History, out: ternmq.Producer[bytes], number: int, stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    while not stop.is_set():
        body = b"%d-%d" % (number, len(history.acknowledged))
        try:
            await out.send(TOPIC, body)
        except ternmq.MQError as error:
            history.errors.append(repr(error))
        else:
            history.bodies.add(body)
            history.acknowledged.append(loop.time())


async def read(history: History, inbox: ternmq.Consumer[bytes]) -> None:
    async for message in inbox:
        async with message:
            history.read.add(message.body)


def shown(cluster: TernCluster, nameserver: str) -> dict[str, str]:
    with contextlib.suppress(SpeakerError, ValueError):
        table = lenient_json(ask(nameserver, CLUSTER_INFO, timeout=1).body).get("brokerAddrTable") or {}
        addresses: dict[str, str] = table.get(cluster.group, {}).get("brokerAddrs", {})
        return addresses
    return {}


def is_whole(cluster: TernCluster) -> bool:
    members = [shown(cluster, nameserver) for nameserver in cluster.nameserver_addresses]
    return all("0" in addresses and len(addresses) == len(cluster.brokers) for addresses in members)


def restart(cluster: TernCluster, name: str) -> None:
    """As a rolling restart does it: stop in order, start again, wait until all take part."""
    identity = cluster.identity(name)
    identity.send(signal.SIGTERM)
    wait_for(lambda: not identity.is_alive(), STOPPED_SECONDS, f"{name} to stop")
    cluster.launch(name)
    wait_for(lambda: is_whole(cluster), BACK_SECONDS, f"{name} to be back")


async def run(cluster: TernCluster) -> tuple[History, dict[str, float]]:
    history, stop = History(), asyncio.Event()
    loop = asyncio.get_running_loop()
    gaps: dict[str, float] = {}
    # One try: whoever retries would not notice a send whose fate is not known.
    async with (
        ternmq.connect(cluster.nameservers) as mq,
        mq.producer("p", retries=0, timeout=20) as out,
        mq.consumer("g", TOPIC, start="earliest") as inbox,
    ):
        reading = asyncio.create_task(read(history, inbox))
        sending = [asyncio.create_task(send(history, out, number, stop)) for number in range(SENDERS)]
        for turn in range(3):
            leader = await asyncio.to_thread(cluster.master)
            assert leader is not None
            began, count = loop.time(), len(history.acknowledged)
            await asyncio.to_thread(restart, cluster, leader)
            gaps[f"{turn + 1}: {leader}"] = history.longest_gap(began)
            assert len(history.acknowledged) > count
        for name in cluster.brokers:
            await asyncio.to_thread(restart, cluster, name)
        stop.set()
        await asyncio.gather(*sending)
        async with asyncio.timeout(30):
            while not history.bodies <= history.read:  # noqa: ASYNC110  # the inbox fills it
                await asyncio.sleep(0.01)
        reading.cancel()
    return history, gaps


def test_a_rolling_restart_costs_no_client_an_error_and_little_time(cluster: TernCluster) -> None:
    make_topic(cluster, TOPIC)
    history, gaps = asyncio.run(run(cluster))
    figures = ", ".join(f"{what}: {gap * 1000:.0f} ms" for what, gap in gaps.items())
    sys.stdout.write(f"longest time without an acknowledgement, its leader told to stop: {figures}\n")
    assert history.errors == []
    assert max(gaps.values()) < LONGEST_GAP_SECONDS
    assert history.bodies <= history.read
