"""A replica that was away takes what it missed, and holds no more of it in memory than is allowed."""

import asyncio
import os
from pathlib import Path

import pytest

from fault.test_nameservers_stand_alone import make_topic
from support.processes import wait_for
from support.speaker import MAX_OFFSET, PULL, SEND, Speaker, SpeakerError, ask, pull_fields, send_fields
from support.tern import TernCluster

TOPIC = "missed"
BODY_BYTES = 128 << 10
IN_FLIGHT = 64
SYSTEM_BUSY = 2
# 2 GB took 607 MiB before what waits was bounded in bytes, and takes 117 since; 300 MB take 106 either way.
# What a replica at rest needs, its frame ring of 16 MiB, 64 MiB of one peer's messages, and a tenth for the allocator.
ALLOWED_BYTES = 150 << 20


@pytest.mark.parametrize("megabytes", [300, pytest.param(2_000, marks=pytest.mark.long)])
def test_a_follower_that_catches_up_holds_little_of_it_in_memory(cluster: TernCluster, megabytes: int) -> None:
    make_topic(cluster, TOPIC, queues=1)
    master = cluster.master()
    assert master is not None
    away = next(name for name in cluster.brokers if name != master)
    cluster.identity(away).kill()
    count = (megabytes << 20) // BODY_BYTES
    asyncio.run(_send(cluster.address(master), count))

    cluster.launch(away)
    end = int(ask(cluster.address(master), MAX_OFFSET, {"topic": TOPIC, "queueId": "0"}).fields["offset"])
    assert end == count
    wait_for(lambda: _shown_by(cluster.address(away)) == end, 120, f"{away} to show what it missed", every=0.1)
    peak = _peak_bytes(cluster.identity(away).pid)
    assert peak < ALLOWED_BYTES, f"{peak >> 20} MiB at its peak"


async def _send(address: str, count: int) -> None:
    """Everything is acknowledged when this returns."""
    body = os.urandom(BODY_BYTES)
    speakers = [await Speaker(address).open(5) for _ in range(4)]

    async def one(speaker: Speaker, share: int) -> None:
        while share > 0:
            answer = await speaker.ask(SEND, send_fields(TOPIC, 0, {}), body, timeout=30)
            # Busy means that nothing was appended.
            assert answer.code in {0, SYSTEM_BUSY}, answer.remark
            share -= answer.code == 0

    shares = [count // IN_FLIGHT + (number < count % IN_FLIGHT) for number in range(IN_FLIGHT)]
    await asyncio.gather(*(one(speakers[number % len(speakers)], share) for number, share in enumerate(shares)))
    for speaker in speakers:
        await speaker.close()


def _shown_by(address: str) -> int:
    """Where the queue ends by a replica's own word; -1 while it does not answer."""
    try:
        answer = ask(address, PULL, pull_fields(TOPIC, 0, 1 << 40, "watch", 1), timeout=2)
    except SpeakerError:
        return -1
    return int(answer.fields.get("maxOffset") or -1)


def _peak_bytes(pid: int) -> int:
    """Greatest resident set so far."""
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(lines["VmHWM"].split()[0]) << 10
