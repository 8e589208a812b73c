"""The faults: each acts, proves that it acted, ends, and proves that it is healed.

A fault that cannot prove itself raises, which makes the run invalid rather than green.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from fault.outcomes import Outcome, outcome_of
from fault.workload import Workload
from support.processes import wait_for
from support.speaker import CLUSTER_INFO, SEND, Speaker, SpeakerError, ask, lenient_json, send_fields
from support.subject import Subject

PINNED_SENDS = 8


@dataclass
class Tally:
    """Figures of a run that the history does not hold."""

    injected: dict[str, int] = field(default_factory=dict)
    processes_killed: int = 0
    stops: int = 0
    acks_by_deposed: int = 0
    pinned_sends: int = 0
    elections_ms: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Patience:
    """How long things may take on the cluster that is tested, in seconds.

    Args:
        election: for another master to show at the NameServers.
        healed: for a restarted node to take part again.
        stop: how long a stopped master sleeps; longer than the longest election timeout.
    """

    election: float
    healed: float
    stop: float


class Fault(Protocol):
    """One kind of fault."""

    name: str

    async def run(self, load: Workload, patience: Patience, tally: Tally) -> None:
        """From the injection to the proof that all is well again; raises where a proof is missing."""


class KillMaster:
    """kill -9 of the master, at times one second after a topic was made."""

    def __init__(self, topic: str | None = None) -> None:
        self._topic = topic
        self.name = "kill-master-with-young-topic" if topic else "kill-master"

    async def run(self, load: Workload, patience: Patience, tally: Tally) -> None:
        """Kill it, wait for another one and for acknowledgements, bring it back."""
        old = await asyncio.to_thread(_master_of, load.subject, patience)
        if self._topic is not None and not await load.create_topic(self._topic, 8):
            raise SpeakerError(f"{self._topic} could not be made although nothing had failed")
        if self._topic is not None:
            await _send_to_every_queue(load, old, self._topic, 8)
        await _kill(load.subject, [old], tally)
        await _until_replaced(load, old, patience, tally)
        await _bring_back(load.subject, [old], patience)


class RestartMaster:
    """kill -9 of the master of slaves, whom nobody replaces, at times one second after a topic was made."""

    def __init__(self, topic: str | None = None) -> None:
        self._topic = topic
        self.name = "kill-master-with-young-topic" if topic else "kill-master"

    async def run(self, load: Workload, patience: Patience, tally: Tally) -> None:
        """Kill it, see that nobody leads in its place, bring it back, wait for acknowledgements."""
        old = await asyncio.to_thread(_master_of, load.subject, patience)
        if self._topic is not None:
            if not await load.create_topic(self._topic, 8):
                raise SpeakerError(f"{self._topic} could not be made although nothing had failed")
            await _send_to_every_queue(load, old, self._topic, 8)
        await _kill(load.subject, [old], tally)
        await _until(lambda: load.subject.master() is None, patience.election, "the NameServers to miss the master")
        await _bring_back(load.subject, [old], patience)
        if load.subject.master() != old:
            raise SpeakerError(f"{load.subject.master()} leads in the place of {old}, which nobody has asked for")
        await load.until_acknowledged(50, patience.election)


class KillFollower:
    """kill -9 of one follower or slave.

    Args:
        goes_on: the group acknowledges without it.
    """

    name = "kill-follower"

    def __init__(self, *, goes_on: bool = True) -> None:
        self._goes_on = goes_on

    async def run(self, load: Workload, patience: Patience, tally: Tally) -> None:
        """Kill it; the group goes on without it, or acknowledges nothing until it is back; bring it back."""
        master = await asyncio.to_thread(_master_of, load.subject, patience)
        follower = next(name for name in reversed(load.subject.brokers) if name != master)
        await _kill(load.subject, [follower], tally)
        if self._goes_on:
            await load.until_acknowledged(50, patience.election)
        else:
            # What was on its way when it died may still have reached it.
            await load.until_unconfirmed(50, patience.election)
        await _bring_back(load.subject, [follower], patience)
        await load.until_acknowledged(50, patience.election)


class KillAll:
    """kill -9 of all replicas at once."""

    name = "kill-all"

    async def run(self, load: Workload, patience: Patience, tally: Tally) -> None:
        """Kill them, start them again, wait for acknowledgements."""
        await _kill(load.subject, load.subject.brokers, tally)
        await _bring_back(load.subject, load.subject.brokers, patience)
        await load.until_acknowledged(50, patience.election)


class KillNameServers:
    """kill -9 of two of the three NameServers."""

    def __init__(self, survivor: int) -> None:
        self._survivor = survivor
        self.name = "kill-nameservers"

    async def run(self, load: Workload, patience: Patience, tally: Tally) -> None:
        """Kill a pair; sends go on; both come back empty and are full again within seconds."""
        pair = [f"ns{number}" for number in (1, 2, 3) if number != self._survivor]
        await _kill(load.subject, pair, tally)
        await load.until_acknowledged(100, patience.election)
        await _bring_back(load.subject, pair, patience)


class StopMaster:
    """SIGSTOP of the master for longer than an election; requests lie in its socket when it wakes."""

    name = "stop-master"

    async def run(self, load: Workload, patience: Patience, tally: Tally) -> None:
        """Stop it, wait for another one, wake it; it must not acknowledge what it finds waiting."""
        old = await asyncio.to_thread(_master_of, load.subject, patience)
        speaker = await Speaker(load.subject.address(old)).open()
        process = load.subject.identity(old)
        began = time.monotonic()
        try:
            await asyncio.to_thread(process.stop)
            tally.stops += 1
            await _until_replaced(load, old, patience, tally)
            answers = [_send_pinned(load, speaker, number) for number in range(PINNED_SENDS)]
            await asyncio.to_thread(
                wait_for, lambda: time.monotonic() >= began + patience.stop, patience.stop + 1, "the stop to last"
            )
            if process.state() != "T":
                raise SpeakerError(f"{old} was to be stopped, but is {process.state()}")
        finally:
            await asyncio.to_thread(process.resume)
        outcomes = await asyncio.gather(*answers)
        await speaker.close()
        tally.pinned_sends += len(outcomes)
        tally.acks_by_deposed += sum(outcome.kind == "ok" for outcome in outcomes)
        await _bring_back(load.subject, [old], patience)


def _send_pinned(load: Workload, speaker: Speaker, number: int) -> "asyncio.Task[Outcome]":
    """A send that goes to the stopped master and nowhere else; written into the history as any other."""
    queue = number % load.queues
    uid, body = load.new_message()
    load.invoked("pinned", load.topic, uid, body, f"pinned-{number}", 0)
    waiting = speaker.ask_later(SEND, send_fields(load.topic, queue, {}), body)

    async def outcome() -> Outcome:
        try:
            answer = await asyncio.wait_for(waiting, 10)
        except (SpeakerError, TimeoutError):
            ended = Outcome("info")
        else:
            ended = outcome_of(answer, load.subject.group, load.certain)
        load.ended("pinned", load.topic, uid, ended)
        return ended

    return asyncio.create_task(outcome())


async def _send_to_every_queue(load: Workload, master: str, topic: str, queues: int) -> None:
    speaker = await Speaker(load.subject.address(master)).open()
    for queue in range(queues):
        uid, body = load.new_message()
        load.invoked("young", topic, uid, body, str(queue), 0)
        try:
            answer = await speaker.ask(SEND, send_fields(topic, queue, {}), body)
        except SpeakerError:
            load.ended("young", topic, uid, Outcome("info"))
            continue
        load.ended("young", topic, uid, outcome_of(answer, load.subject.group, load.certain))
    await speaker.close()


async def _kill(subject: Subject, names: list[str], tally: Tally) -> None:
    # All signals first: "at once" must not mean one after the other's proof.
    await asyncio.gather(*(asyncio.to_thread(subject.identity(name).kill) for name in names))
    tally.processes_killed += len(names)


async def _until_replaced(load: Workload, old: str, patience: Patience, tally: Tally) -> None:
    began = time.monotonic()
    await _until(lambda: load.subject.master() not in {None, old}, patience.election, f"a master other than {old}")
    tally.elections_ms.append(round((time.monotonic() - began) * 1000))
    await load.until_acknowledged(50, patience.election)


async def _bring_back(subject: Subject, names: list[str], patience: Patience) -> None:
    await asyncio.gather(*(asyncio.to_thread(subject.launch, name) for name in names))
    await _until(lambda: _is_whole(subject), patience.healed, f"{', '.join(names)} to take part again")


async def _until(condition: Callable[[], bool], within: float, what: str) -> None:
    await asyncio.to_thread(wait_for, condition, within, what, 0.05)


def _master_of(subject: Subject, patience: Patience) -> str:
    found: list[str] = []

    def look() -> bool:
        found[:] = [name] if (name := subject.master()) else []
        return bool(found)

    wait_for(look, patience.election, "a master")
    return found[0]


def _is_whole(subject: Subject) -> bool:
    """Every NameServer shows a master and every replica."""
    for nameserver in subject.nameserver_addresses:
        try:
            table = lenient_json(ask(nameserver, CLUSTER_INFO, timeout=1).body).get("brokerAddrTable") or {}
        except (SpeakerError, ValueError):
            return False
        addresses = table.get(subject.group, {}).get("brokerAddrs", {})
        if "0" not in addresses or len(set(addresses.values())) < len(subject.brokers):
            return False
    return True
