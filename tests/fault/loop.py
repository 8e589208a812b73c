"""The fault loop: a cluster under load, one fault after another, then the checks on all that was seen."""

import asyncio
import contextlib
import random
import time
from collections.abc import Callable
from pathlib import Path

from fault.clients import PRODUCERS, clients
from fault.drain import drain, read_followers
from fault.faults import (
    Fault,
    KillAll,
    KillFollower,
    KillMaster,
    KillNameServers,
    Patience,
    RestartMaster,
    StopMaster,
    Tally,
)
from fault.outcomes import LEVEL_SECONDS
from fault.plain_client import Masters
from fault.result import Result, Settings, judge
from fault.samples import Samples
from fault.workload import Workload
from support.apache import ApacheCluster
from support.processes import wait_for
from support.speaker import SpeakerError
from support.tern import TernCluster
from ternmq.chaos.check.topics_survive import SETTLE_NS
from ternmq.chaos.history import HistoryWriter
from ternmq.config.topology import Mode

TOPIC, LATE_TOPIC, QUEUES = "load", "late", 8
COMMITTER = "fault-committer"
KEYS_EACH = 4
# Between two messages of one delay level: hundreds of each in a short run.
LATE_EVERY_SECONDS = 0.1
# A consumer of 4.9 is only served by a master that it has sent a heartbeat, which it does every 30 s; and what it asks
# on a connection that breaks just then it waits for as long.
DELIVERY_SECONDS = 120
# A stock consumer is a process that has to start.
CONSUMING_SECONDS = 60
# Acknowledged in calm before each fault, so that a fault meets a group at work and a gap belongs to one fault.
CALM_SENDS = 200

# Where progress goes, a line at a time.
Say = Callable[[str], None]


def plan(kills: int, seed: int, mode: Mode = "raft") -> list[Fault]:
    """The faults of a run, in an order that the seed decides.

    Of each ten kills four are of the master, two of these just after a topic was made, two of a follower, two of all
    replicas, two of a pair of NameServers. Two stops of the master come beside them. In a group whose master nobody
    replaces it comes back by itself, and is not stopped; a master without slaves is killed in the place of followers.
    """
    if mode != "raft":
        return _plan_without_elections(kills, seed, mode)
    faults: list[Fault] = []
    order = random.Random(seed)
    for number in range(0, kills, 10):
        survivor = number // 10 % 3
        block: list[Fault] = [
            KillMaster(f"young-{number}"), KillFollower(), KillNameServers(1 + survivor), KillAll(), KillMaster(),
            KillMaster(f"young-{number + 1}"), KillFollower(), KillNameServers(1 + (survivor + 1) % 3), KillAll(),
            KillMaster(),
        ]  # fmt: skip
        block = block[: kills - number]
        block += [StopMaster()] * max(1, len(block) // 5)
        order.shuffle(block)
        faults += block
    return faults


def _plan_without_elections(kills: int, seed: int, mode: Mode) -> list[Fault]:
    order = random.Random(seed)
    faults: list[Fault] = []
    for number in range(0, kills, 5):
        slave = RestartMaster() if mode == "multi-master" else KillFollower(goes_on=mode != "sync-double-write")
        block: list[Fault] = [
            RestartMaster(f"young-{number}"), slave, KillNameServers(1 + number // 5 % 3), KillAll(), RestartMaster(),
        ]  # fmt: skip
        block = block[: kills - number]
        order.shuffle(block)
        faults += block
    return faults


async def run(settings: Settings, directory: Path, say: Say) -> Result:
    """One whole run in a folder of its own; ends every process it started.

    Args:
        settings: see there.
        directory: gets the cluster's files and, beside them, the history.
        say: gets a line for each thing that happens.
    """
    began = time.monotonic()
    cluster: TernCluster | ApacheCluster
    if settings.apache:
        cluster = ApacheCluster(directory / "cluster", replicas=3, nameservers=3)
        patience = Patience(election=90, healed=120, stop=20)
    else:
        cluster = TernCluster(directory / "cluster", options=("--mode", settings.mode))
        patience = Patience(election=20, healed=40, stop=5)
    tally = Tally()
    path = directory / "history.jsonl"
    try:
        await asyncio.to_thread(cluster.up)
        say(f"ready after {time.monotonic() - began:.1f} s; seed {settings.seed}")
        with HistoryWriter(path, "harness", time.monotonic_ns) as history:
            # Codes 2 and 14 are certain from ours, which give them only before an append.
            certain = frozenset({13, 16, 17} if settings.apache else {2, 13, 14, 16, 17})
            load = Workload(cluster, history, TOPIC, QUEUES, certain)
            await _one_run(settings, load, directory, patience, tally, say)
    finally:
        await asyncio.to_thread(cluster.down)
    result = judge(settings, tally, path)
    result.seconds = round(time.monotonic() - began, 1)
    return result


async def _one_run(
    settings: Settings, load: Workload, directory: Path, patience: Patience, tally: Tally, say: Say
) -> None:
    for topic in (TOPIC, LATE_TOPIC):
        if not await load.create_topic(topic, QUEUES):
            raise SpeakerError(f"the topic {topic} could not be made")
    samples = Samples(load)
    async with clients(settings, load, LATE_TOPIC, directory / "java") as senders:
        stop, stop_late, consuming = asyncio.Event(), asyncio.Event(), asyncio.Event()
        seconds = PRODUCERS * KEYS_EACH / settings.rate
        async with asyncio.TaskGroup() as tasks:
            for number, sender in enumerate(senders):
                for key in range(KEYS_EACH):
                    work = load.produce(f"producer-{number}", sender, TOPIC, f"k{number}-{key}", seconds, stop)
                    tasks.create_task(work)
            for level in LEVEL_SECONDS:
                name = f"level-{level}"
                sender = senders[level % len(senders)]
                tasks.create_task(load.produce(name, sender, LATE_TOPIC, name, LATE_EVERY_SECONDS, stop_late, level))
            tasks.create_task(load.read_everywhere(consuming))
            tasks.create_task(samples.commit_offsets(COMMITTER, stop))
            tasks.create_task(samples.sample_offsets(COMMITTER, consuming))
            tasks.create_task(samples.sample_topics(consuming))
            try:
                await _until_all_consume(load)
                await _inject(plan(settings.kills, settings.seed, settings.mode), load, patience, tally, say, stop_late)
                stop.set()
                await _until_delivered(load)
            finally:
                for event in (stop, stop_late, consuming):
                    event.set()
    await _last_samples(load, samples)
    say("healed and idle; reading everything from the first offset on")
    await asyncio.to_thread(drain, load.subject, load.history, load.topics)
    await asyncio.to_thread(read_followers, load.subject, load.history, load.topics)


async def _inject(
    faults: list[Fault], load: Workload, patience: Patience, tally: Tally, say: Say, stop_late: asyncio.Event
) -> None:
    for number, fault in enumerate(faults, 1):
        name = f"{fault.name} {number}"
        await load.until_acknowledged(CALM_SENDS, patience.election)
        if number >= len(faults) - 1:
            # The last ones become due during the last faults, and not long after all is over.
            stop_late.set()
        before = load.acknowledged
        load.history.write("invoke", "fault", process=name)
        await fault.run(load, patience, tally)
        load.history.write("ok", "fault", process=name)
        tally.injected[fault.name] = tally.injected.get(fault.name, 0) + 1
        say(f"{number}/{len(faults)} {fault.name}: {load.acknowledged - before} acknowledged meanwhile")


async def _until_all_consume(load: Workload) -> None:
    """Faults are to meet consumers at work."""
    await asyncio.to_thread(
        wait_for, load.everybody_has_something, CONSUMING_SECONDS, "a first message for every group"
    )


async def _until_delivered(load: Workload) -> None:
    """Wait until every group has got what it is owed; what is missing then is for the checks to say."""
    with contextlib.suppress(TimeoutError):
        await asyncio.to_thread(
            wait_for, load.everybody_has_everything, DELIVERY_SECONDS, "every group to get what it is owed", 0.2
        )


async def _last_samples(load: Workload, samples: Samples) -> None:
    # I19 gives a topic time to show, and looks at it only then.
    settled_ns = load.newest_topic_ns + SETTLE_NS
    await asyncio.sleep(max(0, settled_ns - time.monotonic_ns()) / 1e9)
    await samples.sample_topics_once()
    masters = Masters(load.subject.nameserver_addresses)
    for queue in range(load.queues):
        await samples.sample_queue(masters, COMMITTER, queue)
    await masters.close()
