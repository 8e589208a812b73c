"""Senders that go on whatever they are told, for disks that are full: what was refused, and what is stored."""

import asyncio
import contextlib
import itertools
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field

from support.cluster import Cluster
from support.processes import wait_for
from support.speaker import MAX_OFFSET, PULL, SEND, Speaker, SpeakerError, ask, decode_records, pull_fields, send_fields

SENDERS = 24
# Of each sender: what others store while one has no room has to fit on its disk afterwards.
BYTES_A_SECOND = 1_000_000
REFUSED_SECONDS = 1.5
RESUMES_WITHIN = 10.0
NO_ROOM = "no room"
NOT_FOUND = 19


@dataclass
class Load:
    """Senders to the master, and what they were told."""

    cluster: Cluster
    topic: str
    queues: int
    body: int
    acked: dict[int, tuple[int, int]] = field(default_factory=dict)
    told: Counter[str] = field(default_factory=Counter)
    refused: set[int] = field(default_factory=set)
    last_ack: float = 0.0
    stopped: bool = False
    numbers: Iterator[int] = field(default_factory=itertools.count)

    async def run(self) -> None:
        """Send until told to stop."""
        self.last_ack = time.monotonic()
        async with asyncio.TaskGroup() as senders:
            for _ in range(SENDERS):
                senders.create_task(self._sender())

    async def _sender(self) -> None:
        while not self.stopped:
            master = await asyncio.to_thread(self.cluster.master)
            if master is None:
                await asyncio.sleep(0.05)
                continue
            speaker = Speaker(self.cluster.address(master))
            try:
                await speaker.open()
                while speaker.is_open and await self._send(speaker):
                    pass
            except SpeakerError as error:
                self.told[f"unknown: {str(error)[-30:]}"] += 1
            finally:
                await speaker.close()

    async def _send(self, speaker: Speaker) -> bool:
        """Send one message; false if somebody else should be asked."""
        number = next(self.numbers)
        body = b"%016d" % number
        queue_id = number % self.queues
        properties = {"UNIQ_KEY": f"U{number}", "KEYS": f"k{number}", "TAGS": "a"}
        fields = send_fields(self.topic, queue_id, properties)
        answer = await speaker.ask(SEND, fields, body.ljust(self.body, b"x"), 5)
        if answer.code == 0:
            self.told["stored"] += 1
            self.acked[number] = (queue_id, int(answer.fields["queueOffset"]))
            self.last_ack = time.monotonic()
            await asyncio.sleep(self.body / BYTES_A_SECOND)
            return not self.stopped
        no_room = answer.code == 14 and NO_ROOM in answer.remark
        self.told["no room" if no_room else f"{answer.code} {answer.remark}"] += 1
        if no_room:
            self.refused.add(number)
        await asyncio.sleep(0.02)
        return no_room and not self.stopped

    async def until_refused(self, within: float) -> None:
        """Wait until nothing was stored for a while, and there is a refusal."""
        deadline = time.monotonic() + within
        while not self.refused or time.monotonic() - self.last_ack < REFUSED_SECONDS:
            assert time.monotonic() < deadline, f"never refused: {self.told}"
            dead = [name for name in self.cluster.brokers if not self.cluster.identity(name).is_alive()]
            assert not dead, f"{dead} died: {self.told}"
            await asyncio.sleep(0.05)

    async def until_stored(self, count: int) -> None:
        """Wait until so many bytes of bodies were stored from now on."""
        before = len(self.acked)
        await asyncio.to_thread(wait_for, lambda: (len(self.acked) - before) * self.body >= count, 120, "sends", 0.05)

    async def until_stored_again(self) -> float:
        """Wait for acknowledgements; answers the seconds that it took."""
        began, before = time.monotonic(), len(self.acked)
        while len(self.acked) < before + SENDERS:
            assert time.monotonic() < began + RESUMES_WITHIN, f"nothing is stored: {self.told}"
            await asyncio.sleep(0.02)
        return time.monotonic() - began


@contextlib.asynccontextmanager
async def sending(cluster: Cluster, topic: str, queues: int, body: int) -> AsyncIterator[Load]:
    """Senders in the background; at the end they have stopped."""
    load = Load(cluster, topic, queues, body)
    task = asyncio.create_task(load.run())
    try:
        yield load
    finally:
        load.stopped = True
        await task
    sys.stderr.write(f"{dict(load.told)}\n")


def pull(cluster: Cluster, name: str, topic: str, queue_id: int, offset: int) -> list[tuple[int, int]]:
    """Offset and number of the messages that a replica gives from an offset on."""
    answer = ask(cluster.address(name), PULL, pull_fields(topic, queue_id, offset))
    assert answer.code in {0, NOT_FOUND}, f"{name}: {answer.code} {answer.remark}"
    return [(record.queue_offset, int(record.body[:16])) for record in decode_records(answer.body)]


def stored(cluster: Cluster, topic: str, queues: int) -> dict[int, list[tuple[int, int]]]:
    """Every message that the master shows, with its places."""
    found: dict[int, list[tuple[int, int]]] = {}
    for queue_id in range(queues):
        offset, end = 0, end_of(cluster, topic, queue_id)
        while offset < end:
            for at, number in pull(cluster, cluster.brokers[0], topic, queue_id, offset):
                assert at == offset, f"queue {queue_id}: {at} where {offset} was expected"
                found.setdefault(number, []).append((queue_id, at))
                offset = at + 1
    return found


def end_of(cluster: Cluster, topic: str, queue_id: int) -> int:
    """End of a queue at the master, shown by the replica that is read, too."""
    ends: list[int] = []

    def known() -> bool:
        place = {"topic": topic, "queueId": str(queue_id)}
        answer = ask(cluster.address(cluster.leader()), MAX_OFFSET, place)
        if answer.code != 0:
            return False
        ends[:] = [int(answer.fields["offset"])]
        return ends[0] == 0 or bool(pull(cluster, cluster.brokers[0], topic, queue_id, ends[0] - 1))

    wait_for(known, 60, f"the end of queue {queue_id}")
    return ends[0]


def check(cluster: Cluster, load: Load) -> None:
    """Nothing acknowledged is lost, nothing refused was stored."""
    found = stored(cluster, load.topic, load.queues)
    lost = [number for number, place in load.acked.items() if place not in found.get(number, [])]
    assert not lost, f"{len(lost)} of {len(load.acked)} acknowledged messages are lost: {lost[:5]}"
    assert not load.refused & found.keys(), "what was refused with 14 was not appended"
