"""Delayed messages come once and never early, whoever leads when they are due: progress and message are one entry."""

import asyncio
import time
from collections import Counter
from functools import partial

import pytest

from fault.test_nameservers_stand_alone import make_topic
from support.cluster import Cluster
from support.processes import wait_for
from support.speaker import PULL, SEND, Answer, Speaker, SpeakerError, ask, decode_records, pull_fields, send_fields

TOPIC = "later"
QUEUES = 4
MESSAGES = 200
DELAY_SECONDS = {1: 1, 2: 5, 3: 10}
# The longest of these delays, a fail-over, and a machine that is busy.
ARRIVES_WITHIN_SECONDS = 60


class Arrivals:
    """What a topic holds, read again and again from the master of the moment."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._next = dict.fromkeys(range(QUEUES), 0)
        self.seen: dict[bytes, float] = {}
        self.counts: Counter[bytes] = Counter()

    def has(self, bodies: set[bytes]) -> bool:
        """Read what is new; whether all of these have come."""
        master = self._cluster.master()
        if master is not None:
            for queue in range(QUEUES):
                self._read(self._cluster.address(master), queue)
        return bodies <= self.counts.keys()

    def _read(self, address: str, queue: int) -> None:
        while True:
            try:
                answer = ask(address, PULL, pull_fields(TOPIC, queue, self._next[queue]))
            except SpeakerError:
                return
            records = list(decode_records(answer.body)) if answer.code == 0 else []
            for record in records:
                self._next[queue] = record.queue_offset + 1
                self.counts[record.body] += 1
                self.seen.setdefault(record.body, time.time())
                assert record.properties["REAL_TOPIC"] == TOPIC
                assert "DELAY" in record.properties
            if not records:
                return


async def send_all(address: str, bodies: dict[bytes, int]) -> None:
    """Send each body with its delay level; all must be acknowledged."""
    speaker = await Speaker(address).open()
    requests: list[asyncio.Future[Answer]] = [
        speaker.ask_later(SEND, send_fields(TOPIC, number % QUEUES, {"DELAY": str(level)}), body)
        for number, (body, level) in enumerate(bodies.items())
    ]
    for answer in await asyncio.gather(*requests):
        assert answer.code == 0, answer.remark
    await speaker.close()


def send_pending(cluster: Cluster) -> tuple[dict[bytes, int], float]:
    """Messages of three levels, and when the first of them was sent."""
    bodies = {f"message {number}".encode(): number % 3 + 1 for number in range(MESSAGES)}
    began = time.time()
    asyncio.run(send_all(cluster.address(cluster.leader()), bodies))
    return bodies, began


def check_once_and_not_early(cluster: Cluster, arrivals: Arrivals, bodies: dict[bytes, int], began: float) -> None:
    """All have come; what is sent behind them in each level comes after whatever would come twice."""
    wait_for(lambda: arrivals.has(set(bodies)), ARRIVES_WITHIN_SECONDS, "every delayed message")
    markers = {f"marker {level}".encode(): level for level in DELAY_SECONDS}
    asyncio.run(send_all(cluster.address(cluster.leader()), markers))
    wait_for(lambda: arrivals.has(set(markers)), ARRIVES_WITHIN_SECONDS, "the last message of each level")
    assert arrivals.counts == Counter([*bodies, *markers])
    early = [body for body, level in bodies.items() if arrivals.seen[body] - began < DELAY_SECONDS[level]]
    assert not early


@pytest.mark.long
def test_a_master_killed_before_they_are_due_neither_loses_nor_doubles_them(cluster: Cluster) -> None:
    make_topic(cluster, TOPIC, QUEUES)
    bodies, began = send_pending(cluster)
    killed = cluster.leader()
    cluster.kill(killed)
    cluster.leader(other_than=killed)
    check_once_and_not_early(cluster, Arrivals(cluster), bodies, began)


def test_masters_killed_while_they_are_put_neither_lose_nor_double_them(cluster: Cluster) -> None:
    make_topic(cluster, TOPIC, QUEUES)
    bodies, began = send_pending(cluster)
    arrivals = Arrivals(cluster)
    for level in DELAY_SECONDS:
        first = {next(body for body in bodies if bodies[body] == level)}
        wait_for(partial(arrivals.has, first), ARRIVES_WITHIN_SECONDS, f"the first of level {level}")
        killed = cluster.leader()
        cluster.kill(killed)
        cluster.leader(other_than=killed)
        cluster.start(killed)
    check_once_and_not_early(cluster, arrivals, bodies, began)


@pytest.mark.long
def test_all_brokers_killed_at_once_neither_lose_nor_double_them(cluster: Cluster) -> None:
    make_topic(cluster, TOPIC, QUEUES)
    bodies, began = send_pending(cluster)
    cluster.kill(*cluster.members())
    for name in cluster.members():
        cluster.launch(name)
    cluster.leader()
    check_once_and_not_early(cluster, Arrivals(cluster), bodies, began)
