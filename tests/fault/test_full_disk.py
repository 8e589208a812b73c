"""A full disk: sends are refused with 14, everything else goes on, nobody dies, and room that is made is used."""

import asyncio
import functools
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from fault.refusals import check, sending
from fault.test_nameservers_stand_alone import make_topic
from support.cluster import Cluster
from support.processes import Identity, wait_for
from support.speaker import (
    PULL,
    QUERY_OFFSET,
    UPDATE_OFFSET,
    SpeakerError,
    ask,
    decode_records,
    pull_fields,
)
from support.volumes import Volume, volumes, why_not

TOPIC, QUEUES, GROUP = "t", 4, "readers"
QUERY_MESSAGE = 12
# Least sizes: mkfs.xfs makes none below 300 MiB, and keeps 64 MiB of it for its log.
MIB = {"ext4": 300, "tmpfs": 260, "xfs": 380}
# One that has to catch up needs room for what the others have stored meanwhile.
MIB_TO_CATCH_UP = 500
# Room for one segment or two and for the reserve; what is beyond it is taken by somebody else's file. Small messages
# fill one, as that takes long enough.
LEAVE_FOR_ONE, LEAVE_FOR_TWO = 110 << 20, 190 << 20
SMALL_BODY = 1_000
# Of our own: what a replica knows; leadership is handed to the member that is named.
REPLICA_STATUS, TRANSFER_LEADER = 30001, 30002


def everything_but_sends_goes_on(cluster: Cluster, offset: int) -> None:
    """Pulls at every replica; an offset that is committed and read again."""
    for name in cluster.brokers:
        wait_for(functools.partial(reads, cluster, name), 20, f"{name} to serve reads")
    fields = {"consumerGroup": GROUP, "topic": TOPIC, "queueId": "0"}
    master = cluster.address(cluster.leader())
    committed = ask(master, UPDATE_OFFSET, {**fields, "commitOffset": str(offset)})
    assert committed.code == 0, committed.remark
    assert ask(master, QUERY_OFFSET, fields).fields.get("offset") == str(offset)


def found_by_key(cluster: Cluster, *numbers: int) -> None:
    """Messages are found by their keys, as the index has its part of the reserve."""
    master = cluster.address(cluster.leader())
    for number in numbers:
        fields = {
            "topic": TOPIC,
            "key": f"k{number}",
            "maxNum": "9",
            "beginTimestamp": "0",
            "endTimestamp": str(1 << 60),
        }
        answer = ask(master, QUERY_MESSAGE, fields)
        assert answer.code == 0, f"{number}: {answer.code} {answer.remark}"
        assert [int(record.body[:16]) for record in decode_records(answer.body)] == [number]


def reads(cluster: Cluster, name: str) -> bool:
    """Whether a replica gives the first messages of queue 0."""
    try:
        answer = ask(cluster.address(name), PULL, pull_fields(TOPIC, 0, 0, GROUP))
    except SpeakerError:
        return False
    return answer.code == 0 and next(decode_records(answer.body)).queue_offset == 0


def nobody_died(cluster: Cluster, alive: dict[str, Identity]) -> None:
    """Every broker process is the one that was started last."""
    for name, identity in alive.items():
        assert cluster.identity(name) == identity
        assert cluster.identity(name).is_alive(), f"{name} died:\n{cluster.log(name).read_text()[-1500:]}"


async def all_disks_fill_up(cluster: Cluster, disks: list[Volume], body: int) -> None:
    """Nobody has room: sends are refused, everything else goes on, through restarts and to the last free block."""
    await asyncio.to_thread(make_topic, cluster, TOPIC, QUEUES)
    alive = {name: cluster.identity(name) for name in cluster.brokers}
    async with sending(cluster, TOPIC, QUEUES, body) as load:
        await load.until_refused(200)
        nobody_died(cluster, alive)
        assert len(load.acked) > 20
        assert all(disk.free() > 0 for disk in disks), "sends are refused before the disk is full"
        await asyncio.to_thread(everything_but_sends_goes_on, cluster, 1)
        await asyncio.to_thread(found_by_key, cluster, min(load.acked), max(load.acked))

        # Somebody else takes what is left, the reserve included.
        for disk in disks:
            await asyncio.to_thread(disk.junk, 0)
        await asyncio.to_thread(everything_but_sends_goes_on, cluster, 2)
        nobody_died(cluster, alive)
        leader = cluster.leader()
        for name in (next(name for name in cluster.brokers if name != leader), leader):
            await asyncio.to_thread(restart, cluster, name)
            alive[name] = cluster.identity(name)
            await asyncio.to_thread(everything_but_sends_goes_on, cluster, 3)
        await load.until_refused(30)
        nobody_died(cluster, alive)

        for disk in disks:
            disk.remove_junk()
        sys.stderr.write(f"stored again after {await load.until_stored_again():.1f} s\n")
    nobody_died(cluster, alive)
    await asyncio.to_thread(check, cluster, load)


async def one_disk_fills_up(cluster: Cluster, disk: Volume, body: int) -> None:
    """The master has no room: it refuses. It dies: the others go on, and it serves reads and catches up when it can."""
    await asyncio.to_thread(make_topic, cluster, TOPIC, QUEUES)
    full = sorted(cluster.brokers)[0]
    await asyncio.to_thread(make_master, cluster, full)
    async with sending(cluster, TOPIC, QUEUES, body) as load:
        await load.until_refused(200)
        assert cluster.leader() == full
        await asyncio.to_thread(disk.junk, 0)
        await asyncio.to_thread(everything_but_sends_goes_on, cluster, 1)
        await asyncio.to_thread(restart, cluster, full)
        alive = {name: cluster.identity(name) for name in cluster.brokers}
        await asyncio.to_thread(cluster.leader, other_than=full)
        sys.stderr.write(f"stored by the others after {await load.until_stored_again():.1f} s\n")
        await asyncio.to_thread(wait_for, lambda: reads(cluster, full), 20, f"{full} to serve reads")
        # So much that it is behind by more than what its segment still takes.
        await load.until_stored(10 << 20)
        second = cluster.leader()
        third = next(name for name in cluster.brokers if name not in {full, second})
        # The third one is elected with the vote of the full one, and commits when the second is back.
        await asyncio.to_thread(cluster.pause, second)
        member = third.rsplit("/", 1)[1]
        await asyncio.to_thread(wait_for, lambda: follows(cluster, full) == member, 20, f"{third} to be elected")
        await asyncio.to_thread(cluster.resume, second)
        await load.until_stored_again()
        nobody_died(cluster, alive)
        disk.remove_junk()
    number, (queue_id, offset) = max(load.acked.items(), key=lambda item: item[1][1])

    def caught_up() -> bool:
        answer = ask(cluster.address(full), PULL, pull_fields(TOPIC, queue_id, offset, GROUP))
        return answer.code == 0 and int(next(decode_records(answer.body)).body[:16]) == number

    await asyncio.to_thread(wait_for, caught_up, 30, f"{full} to catch up")
    nobody_died(cluster, alive)
    await asyncio.to_thread(check, cluster, load)


def follows(cluster: Cluster, name: str) -> str | None:
    """The member that a replica takes for the leader."""
    shown: dict[str, str | None] = json.loads(ask(cluster.address(name), REPLICA_STATUS).body)
    return shown["leader"]


def restart(cluster: Cluster, name: str) -> None:
    """Kill a replica, and start it again."""
    cluster.kill(name)
    cluster.launch(name)


def make_master(cluster: Cluster, name: str) -> None:
    """Hand leadership to a replica."""
    if cluster.leader() == name:
        return
    member = name.rsplit("/", 1)[1]
    asked = ask(cluster.address(cluster.leader()), TRANSFER_LEADER, {"member": member})
    assert asked.code == 0, asked.remark
    wait_for(lambda: cluster.master() == name, 20, f"{name} to lead")


@dataclass
class Story:
    """What is filled, with what."""

    kind: str
    body: int
    replicas: tuple[int, ...] = (0, 1, 2)

    def __str__(self) -> str:
        return f"{self.kind}-{'all' if len(self.replicas) == 3 else 'one'}-{self.body}"

    @property
    def leave(self) -> int:
        """Bytes that are free when the cluster starts."""
        return LEAVE_FOR_ONE if self.body < SMALL_BODY else LEAVE_FOR_TWO


SHORT = Story("ext4", 20_000)
LONG = [
    Story(kind, body, replicas)
    for kind in ("ext4", "xfs", "tmpfs")
    for body in (300, 20_000, 2_000_000)
    for replicas in ((0, 1, 2), (0,))
    if Story(kind, body, replicas) != SHORT
]


@pytest.fixture(
    params=[
        pytest.param(SHORT, id=str(SHORT)),
        *(pytest.param(story, id=str(story), marks=pytest.mark.long) for story in LONG),
    ]
)
def story(request: pytest.FixtureRequest) -> Story:
    """One of the matrix; the short form runs one."""
    chosen: Story = request.param
    reason = why_not(chosen.kind)
    if reason:
        pytest.skip(reason)
    return chosen


@pytest.fixture
def disks(story: Story, tmp_path: Path) -> Iterator[list[Volume]]:
    """The file systems of the replicas that are to run out of room."""
    folder = tmp_path / "cluster" / "data" / "group-a"
    paths = [folder / f"n{number}" for number in story.replicas]
    mib = MIB[story.kind] + (MIB_TO_CATCH_UP if len(paths) == 1 else 0)
    with volumes(story.kind, mib, paths, tmp_path) as mounted:
        for volume in mounted:
            volume.junk(story.leave)
        yield mounted


@pytest.fixture
def small(request: pytest.FixtureRequest, disks: list[Volume], tmp_path: Path) -> Iterator[Cluster]:
    """A cluster on them, which is gone before they are."""
    failed_before = request.session.testsfailed
    cluster = Cluster(tmp_path / "cluster")
    try:
        cluster.up()
        yield cluster
    finally:
        cluster.down()
        if request.session.testsfailed > failed_before:
            sys.stderr.write(f"free: {[disk.free() for disk in disks]}\n{cluster.log_tails()}")


@pytest.mark.timeout(500)
def test_a_full_disk_refuses_sends_with_14_and_everything_else_goes_on(
    story: Story, disks: list[Volume], small: Cluster
) -> None:
    if len(story.replicas) == 1:
        asyncio.run(one_disk_fills_up(small, disks[0], story.body))
    else:
        asyncio.run(all_disks_fill_up(small, disks, story.body))
