"""The fault loop: a cluster under load, one fault after another, then the checks on all that was seen."""

import asyncio
import contextlib
import json
import random
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import ternmq
from fault.drain import drain, read_followers
from fault.faults import (
    Fault,
    KillAll,
    KillFollower,
    KillMaster,
    KillNameServers,
    Patience,
    StopMaster,
    Tally,
)
from fault.outcomes import Sender
from fault.plain_client import Masters, PlainSender, plain_consumer
from fault.tern_client import SEND_TIMEOUT_SECONDS, TernSender, tern_consumer
from fault.workload import Workload
from support.apache import ApacheCluster
from support.processes import wait_for
from support.speaker import SpeakerError
from support.subject import Subject
from support.tern import TernCluster
from ternmq.chaos.check import check_all
from ternmq.chaos.check.topics_survive import SETTLE_NS
from ternmq.chaos.figures import counts, longest_gaps
from ternmq.chaos.history import HistoryWriter, read_history

TOPIC, QUEUES = "load", 8
READERS, COMMITTER = "fault-readers", "fault-committer"
PRODUCERS, KEYS_EACH = 4, 4
DELIVERY_SECONDS = 60
# Acknowledged in calm before each fault, so that a fault meets a group at work and a gap belongs to one fault.
CALM_SENDS = 200
# The longest time without an acknowledgement that is expected on an idle machine, in seconds: that of the fault
# catalogue plus one; a kill of all replicas has its restart in it. Longer ones are told and fail nothing, as wall time
# proves nothing on a machine that others use; one as long as a send's whole timeout does, as then clients did not find
# the master that every NameServer showed. That sends go on at all is a condition of each fault.
EXPECTED_GAP_SECONDS = {
    "calm": 2.0, "kill-follower": 2.0, "kill-nameservers": 4.0, "kill-master": 6.0,
    "kill-master-with-young-topic": 6.0, "stop-master": 6.0, "kill-all": 12.0,
}  # fmt: skip


# Where progress goes, a line at a time.
Say = Callable[[str], None]


@dataclass(frozen=True)
class Settings:
    """One run.

    Args:
        kills: how many times something is killed; a kill of several processes at once is one.
        seed: decides the order of faults.
        rate: sends a second, together.
        apache: run against Apache's servers, to see what the checks find there.
        plain_client: load by a client in plain Python instead of our own one.
    """

    kills: int = 10
    seed: int = 1
    rate: float = 200.0
    apache: bool = False
    plain_client: bool = False


@dataclass
class Result:
    """What a run has shown."""

    settings: Settings
    tally: Tally
    sends: dict[str, int]
    lost: int
    duplicates: int
    longest_gaps: dict[str, float]
    seconds: float
    violations: list[str] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)
    slow: list[str] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        """Every check had something to look at, and nothing was wrong."""
        return not self.violations and not self.unseen

    def summary(self) -> str:
        """The figures that a person asks for first."""
        faults = " · ".join(f"{count} {name}" for name, count in sorted(self.tally.injected.items()))
        elections = f"elections {min(self.tally.elections_ms)} to {max(self.tally.elections_ms)} ms · " * bool(
            self.tally.elections_ms
        )
        gaps = " · ".join(f"{kind} {seconds:.1f} s" for kind, seconds in sorted(self.longest_gaps.items()))
        return (
            f"{faults}\n{self.tally.processes_killed} processes killed · {elections}longest gaps: {gaps}\n"
            f"acknowledged {self.sends['ok']} · unknown {self.sends['info']} · refused {self.sends['fail']} · "
            f"lost {self.lost} · duplicates {self.duplicates}"
        )

    def line(self) -> str:
        """The figures as one line of JSON."""
        members: dict[str, Any] = asdict(self)
        members["longest_gaps"] = {kind: round(seconds, 2) for kind, seconds in self.longest_gaps.items()}
        return json.dumps({**members, "clean": self.is_clean})


def plan(kills: int, seed: int) -> list[Fault]:
    """The faults of a run, in an order that the seed decides.

    Of each ten kills four are of the master, two of these just after a topic was made, two of a follower, two of all
    replicas, two of a pair of NameServers. Two stops of the master come beside them.
    """
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
        cluster = TernCluster(directory / "cluster")
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
            await _one_run(settings, cluster, load, patience, tally, say)
    finally:
        await asyncio.to_thread(cluster.down)
    result = judge(settings, tally, path)
    result.seconds = round(time.monotonic() - began, 1)
    return result


def judge(settings: Settings, tally: Tally, path: Path) -> Result:
    """Check a history."""
    history = read_history([path])
    reports = check_all(history)
    gaps = longest_gaps(history)
    result = Result(
        settings, tally, counts(history), len(reports["I1 no acknowledged loss"].violations),
        reports["I12 bounded duplicates"].counted, gaps, 0.0,
        [f"{name}: {violation}" for name, report in reports.items() for violation in report.violations],
        [name for name, report in reports.items() if report.looked_at == 0],
    )  # fmt: skip
    if tally.acks_by_deposed:
        result.violations.append(f"a deposed master acknowledged {tally.acks_by_deposed} sends after it woke")
    if not settings.apache:
        result.violations += [
            f"stalled: clients waited out their sends' timeout around {kind}: {seconds:.1f} s"
            for kind, seconds in gaps.items()
            if seconds >= SEND_TIMEOUT_SECONDS
        ]
        result.slow += [
            f"slow: {seconds:.1f} s without an acknowledgement around {kind}, expected {EXPECTED_GAP_SECONDS[kind]}"
            for kind, seconds in gaps.items()
            if seconds > EXPECTED_GAP_SECONDS[kind]
        ]
    return result


async def _one_run(
    settings: Settings, subject: Subject, load: Workload, patience: Patience, tally: Tally, say: Say
) -> None:
    if not await load.create_topic(TOPIC, QUEUES):
        raise SpeakerError("the topic under load could not be made")
    async with _clients(settings, subject, load) as senders:
        stop, consuming = asyncio.Event(), asyncio.Event()
        pause = PRODUCERS * KEYS_EACH / settings.rate
        async with asyncio.TaskGroup() as tasks:
            for number, sender in enumerate(senders):
                for key in range(KEYS_EACH):
                    tasks.create_task(load.produce(f"producer-{number}", sender, f"k{number}-{key}", pause, stop))
            tasks.create_task(load.read_everywhere(consuming))
            tasks.create_task(load.commit_offsets(COMMITTER, stop))
            tasks.create_task(load.sample_offsets(COMMITTER, consuming))
            tasks.create_task(load.sample_topics(consuming))
            try:
                await _inject(plan(settings.kills, settings.seed), load, patience, tally, say)
                stop.set()
                await _until_delivered(load)
            finally:
                stop.set()
                consuming.set()
    await _last_samples(load)
    say("healed and idle; reading everything from the first offset on")
    await asyncio.to_thread(drain, subject, load.history, load.topics)
    await asyncio.to_thread(read_followers, subject, load.history, load.topics)


async def _inject(faults: list[Fault], load: Workload, patience: Patience, tally: Tally, say: Say) -> None:
    for number, fault in enumerate(faults, 1):
        name = f"{fault.name} {number}"
        await load.until_acknowledged(CALM_SENDS, patience.election)
        before = load.acknowledged
        load.history.write("invoke", "fault", process=name)
        await fault.run(load, patience, tally)
        load.history.write("ok", "fault", process=name)
        tally.injected[fault.name] = tally.injected.get(fault.name, 0) + 1
        say(f"{number}/{len(faults)} {fault.name}: {load.acknowledged - before} acknowledged meanwhile")


async def _until_delivered(load: Workload) -> None:
    """Wait until the group has got what it is owed; what is missing then is for the checks to say."""
    with contextlib.suppress(TimeoutError):
        await asyncio.to_thread(
            wait_for, lambda: load.owed <= load.delivered, DELIVERY_SECONDS, "the group to get what it is owed", 0.2
        )


async def _last_samples(load: Workload) -> None:
    # I19 gives a topic time to show, and looks at it only then.
    settled_ns = load.newest_topic_ns + SETTLE_NS
    await asyncio.sleep(max(0, settled_ns - time.monotonic_ns()) / 1e9)
    await load.sample_topics_once()
    masters = Masters(load.subject.nameserver_addresses)
    for queue in range(load.queues):
        await load.sample_queue(masters, COMMITTER, queue)
    await masters.close()


@contextlib.asynccontextmanager
async def _clients(settings: Settings, subject: Subject, load: Workload) -> AsyncIterator[list[Sender]]:
    """Producers, and a consumer group of two that writes deliveries into the history until the block ends."""
    async with contextlib.AsyncExitStack() as stack:
        senders: list[Sender] = []
        consumers = []
        load.history.write("ok", "subscribe", group=READERS, topic=TOPIC)
        if settings.plain_client:
            for _ in range(PRODUCERS):
                plain = PlainSender(subject.nameserver_addresses, load.certain)
                stack.push_async_callback(plain.close)
                senders.append(plain)
            consumers.append(
                load.consume("reader-0", READERS, plain_consumer(subject.nameserver_addresses, READERS, TOPIC))
            )
        else:
            for number in range(PRODUCERS):
                client = await stack.enter_async_context(ternmq.connect(subject.nameservers))
                producer = client.producer(f"fault-{number}", retries=0, timeout=SEND_TIMEOUT_SECONDS)
                senders.append(TernSender(await stack.enter_async_context(producer)))
            for number in range(2):
                client = await stack.enter_async_context(ternmq.connect(subject.nameservers))
                consumers.append(load.consume(f"reader-{number}", READERS, tern_consumer(client, READERS, TOPIC)))
        tasks = [asyncio.create_task(consumer) for consumer in consumers]
        try:
            yield senders
        finally:
            for task in tasks:
                task.cancel()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
            for end in ends:
                # A reader that gave up would otherwise look like messages that never came.
                if isinstance(end, Exception):
                    raise end
