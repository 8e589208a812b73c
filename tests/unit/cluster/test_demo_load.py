"""The load and its reading back, on a cluster in memory: what is true is found true, each lie is caught."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from support.memory.client import connect
from support.memory.cluster import MemoryCluster, Stored
from support.memory.virtual_time import run
from ternmq.cluster.demo.load import Load
from ternmq.cluster.demo.meter import MASTER_DEAD
from ternmq.cluster.demo.reading import queue_ends, read_all
from ternmq.cluster.demo.verify import Verdict, check
from ternmq.errors import LaunchError

TOPIC = "demo"


def _nothing(_cluster: MemoryCluster) -> None:
    """Leave everything as it is."""


def _longest_queue(cluster: MemoryCluster) -> list[Stored]:
    return max((queue for group in cluster.groups.values() for queue in group.queues.values()), key=len)


async def _demonstrate(cluster: MemoryCluster, lie: Callable[[MemoryCluster], None]) -> tuple[Load, Verdict]:
    """Send while a master dies, tamper with what is stored, read all, compare."""
    loop = asyncio.get_running_loop()
    cluster.create_topic(TOPIC, 4)
    async with connect(cluster) as client:
        load = Load(client, TOPIC, keys=8, clock=loop.time)
        load.start()
        await asyncio.sleep(0.2)
        load.meter.phase = MASTER_DEAD
        cluster.kill("a0:1")
        await asyncio.sleep(0.5)
        cluster.elect("a", "a1:1")
        await asyncio.sleep(0.2)
        await load.stop()
        lie(cluster)
        endpoint = cluster.network.open_endpoint()
        ends = await queue_ends(endpoint, cluster.endpoints[0], TOPIC)
        await endpoint.close()
        deliveries = await read_all(client, "demo-checkers", TOPIC, ends, lambda _: None, silence_s=5)
    return load, check(load.record, deliveries)


def _run(lie: Callable[[MemoryCluster], None]) -> tuple[Load, Verdict]:
    return run(_demonstrate(MemoryCluster(groups=2), lie))


def test_a_master_that_is_replaced_costs_a_gap_and_no_message() -> None:
    load, verdict = _run(_nothing)
    assert verdict.is_clean, verdict.problems
    assert verdict.acknowledged == verdict.delivered == len(load.record.sent)
    assert verdict.acknowledged > 200
    assert 0.5 <= load.meter.longest.seconds < 1.0
    assert load.meter.longest.phase == MASTER_DEAD


def test_the_follower_gets_all_that_is_sent_before_the_load_ends() -> None:
    load, verdict = _run(_nothing)
    assert load.meter.consumed >= verdict.acknowledged


def test_a_message_that_vanished_from_the_end_of_a_queue_is_caught() -> None:
    _, verdict = _run(lambda cluster: _longest_queue(cluster).__delitem__(-1))
    assert len(verdict.lost) == 1


def test_a_message_that_vanished_from_the_middle_is_caught() -> None:
    _, verdict = _run(lambda cluster: _longest_queue(cluster).__delitem__(3))
    assert len(verdict.lost) == 1
    assert verdict.misplaced  # all later ones moved up


def test_a_body_that_changed_is_caught() -> None:
    def lie(cluster: MemoryCluster) -> None:
        _longest_queue(cluster)[2].body += b"!"

    _, verdict = _run(lie)
    assert len(verdict.altered) == 1


def test_messages_that_changed_places_are_caught() -> None:
    def lie(cluster: MemoryCluster) -> None:
        queue = _longest_queue(cluster)
        queue.reverse()

    _, verdict = _run(lie)
    assert not verdict.order_held


def test_a_message_that_nobody_sent_is_caught() -> None:
    def lie(cluster: MemoryCluster) -> None:
        queue = _longest_queue(cluster)
        first = queue[0]
        queue.append(Stored(b"?", first.properties.replace("sequence\x010\x02", "sequence\x0199999\x02"), 0, 0))

    _, verdict = _run(lie)
    assert len(verdict.phantoms) == 1


def test_a_message_stored_twice_is_counted_and_allowed() -> None:
    _, verdict = _run(lambda cluster: _longest_queue(cluster).append(_longest_queue(cluster)[0]))
    assert verdict.duplicates == 1
    assert verdict.is_clean


def test_a_group_without_master_after_all_faults_is_said_to_be_so() -> None:
    async def scenario() -> None:
        cluster = MemoryCluster(groups=1)
        cluster.create_topic(TOPIC, 4)
        cluster.kill("a0:1")
        cluster.register("a")
        endpoint = cluster.network.open_endpoint()
        with pytest.raises(LaunchError, match="group a has no master"):
            await queue_ends(endpoint, cluster.endpoints[0], TOPIC)
        await endpoint.close()

    run(scenario())
