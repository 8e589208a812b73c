"""What each thread of a process has used, and how often it waited."""

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from benches.probes.processes import TICKS_PER_SECOND


@dataclass(frozen=True)
class ThreadUse:
    """Counters of one thread, or of all threads with one name.

    Args:
        cpu: seconds, from the scheduler's nanoseconds.
        user: of it in user mode, by ticks.
        system: of it in the kernel, by ticks.
        waits: voluntary context switches: it had nothing to do, or waited for a lock or for the disk.
        preempted: context switches that it did not ask for.
    """

    cpu: float = 0.0
    user: float = 0.0
    system: float = 0.0
    waits: int = 0
    preempted: int = 0

    def __add__(self, other: "ThreadUse") -> "ThreadUse":
        return ThreadUse(
            self.cpu + other.cpu,
            self.user + other.user,
            self.system + other.system,
            self.waits + other.waits,
            self.preempted + other.preempted,
        )

    def __sub__(self, other: "ThreadUse") -> "ThreadUse":
        return ThreadUse(
            self.cpu - other.cpu,
            self.user - other.user,
            self.system - other.system,
            self.waits - other.waits,
            self.preempted - other.preempted,
        )


@dataclass(frozen=True)
class ContextSwitches:
    """How often threads left their core.

    Args:
        waits: by themselves: they had nothing to do, or waited for a lock or for the disk.
        preempted: because another one got it.
    """

    waits: int = 0
    preempted: int = 0


def context_switches(pids: Iterable[int]) -> dict[int, ContextSwitches]:
    """Counters of each thread of some processes, by its number, which no other thread of the machine has."""
    found = {}
    for pid in pids:
        for task in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError):
                found[int(task.name)] = _switches(task)
    return found


def switched(before: Mapping[int, ContextSwitches], after: Mapping[int, ContextSwitches]) -> ContextSwitches:
    """What threads have counted between two readings; of those that ended in between nothing is known."""
    firsts = [before.get(thread, ContextSwitches()) for thread in after]
    return ContextSwitches(
        waits=sum(last.waits - first.waits for first, last in zip(firsts, after.values(), strict=True)),
        preempted=sum(last.preempted - first.preempted for first, last in zip(firsts, after.values(), strict=True)),
    )


def threads(pid: int) -> dict[str, ThreadUse]:
    """Counters by thread name; those of threads with one name are added."""
    found: dict[str, ThreadUse] = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        # A thread may end while it is looked at.
        with contextlib.suppress(OSError):
            name = (task / "comm").read_text().strip()
            found[name] = found.get(name, ThreadUse()) + _use(task)
    return found


def _use(task: Path) -> ThreadUse:
    fields = (task / "stat").read_text().rsplit(")", 1)[1].split()
    switches = _switches(task)
    return ThreadUse(
        cpu=int((task / "schedstat").read_text().split()[0]) / 1e9,
        user=int(fields[11]) / TICKS_PER_SECOND,
        system=int(fields[12]) / TICKS_PER_SECOND,
        waits=switches.waits,
        preempted=switches.preempted,
    )


def _switches(task: Path) -> ContextSwitches:
    status = dict(line.split(":\t", 1) for line in (task / "status").read_text().splitlines() if ":\t" in line)
    return ContextSwitches(int(status["voluntary_ctxt_switches"]), int(status["nonvoluntary_ctxt_switches"]))
