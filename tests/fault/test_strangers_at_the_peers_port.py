"""Strangers who fill the port between replicas, and say nothing, keep no member out."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator

from fault.test_nameservers_stand_alone import make_topic
from support.processes import listening_ports, wait_for
from support.speaker import SEND, SpeakerError, ask, send_fields
from support.tern import TernCluster

TOPIC = "reached"
STRANGERS = 60


def test_a_group_fails_over_while_strangers_flood_the_peers_ports(cluster: TernCluster) -> None:
    make_topic(cluster, TOPIC, queues=1)
    master = cluster.master()
    assert master is not None
    restarted, other = (name for name in cluster.brokers if name != master)
    with _flood({name: _peers_ports(cluster, name) for name in cluster.brokers}):
        cluster.identity(restarted).kill()
        cluster.launch(restarted)
        # One of two, which has to be reached by the other through the flood.
        cluster.identity(master).kill()
        wait_for(lambda: any(_takes(cluster.address(name)) for name in (restarted, other)), 10, "a new master")


def _peers_ports(cluster: TernCluster, name: str) -> list[int]:
    """All ports of a broker but the one for clients: the peers' port is one of them."""
    client = int(cluster.address(name).rsplit(":", 1)[1])
    ports = sorted(listening_ports(cluster.identity(name).pid) - {client})
    assert ports
    return ports


def _takes(address: str) -> bool:
    try:
        return ask(address, SEND, send_fields(TOPIC, 0, {}), b"through the flood", timeout=1).code == 0
    except SpeakerError:
        return False


@contextlib.contextmanager
def _flood(ports_of: dict[str, list[int]]) -> Iterator[None]:
    """Silent clients at every port, each of which comes back as soon as it is turned out."""
    over, full = threading.Event(), threading.Event()
    turned_out = dict.fromkeys(sorted(port for ports in ports_of.values() for port in ports), 0)

    async def stranger(port: int) -> None:
        while True:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.01)
                continue
            # Until it is turned out.
            try:
                with contextlib.suppress(OSError):
                    await reader.read()
            finally:
                writer.transport.abort()
            turned_out[port] += 1
            if all(sum(turned_out[port] for port in ports) >= STRANGERS for ports in ports_of.values()):
                full.set()

    async def everybody() -> None:
        strangers = [asyncio.create_task(stranger(port)) for port in turned_out for _ in range(STRANGERS)]
        await asyncio.to_thread(over.wait)
        for task in strangers:
            task.cancel()
        await asyncio.gather(*strangers, return_exceptions=True)
        # What was aborted is closed in the loop's next round.
        await asyncio.sleep(0)

    thread = threading.Thread(target=asyncio.run, args=(everybody(),))
    thread.start()
    try:
        assert full.wait(20), f"strangers are turned out everywhere: {turned_out}"
        yield
    finally:
        over.set()
        thread.join()
