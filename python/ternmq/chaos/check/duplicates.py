"""I12: a group gets a message twice only where a fault explains it; duplicates are counted."""

from collections.abc import Sequence

from ternmq.chaos.check.report import Report
from ternmq.chaos.history import Event

# A client may notice a fault, and give back what it had in flight, some time after the fault is over.
GRACE_NS = 60_000_000_000


def check(history: Sequence[Event]) -> Report:
    """Each repeated delivery must fall into a fault or the time after it."""
    faults = _spans(history)
    before: set[tuple[str | None, str | None]] = set()
    unexplained = []
    repeated = looked_at = 0
    for event in history:
        if event.operation != "deliver":
            continue
        looked_at += 1
        if (event.group, event.uid) not in before:
            before.add((event.group, event.uid))
            continue
        repeated += 1
        if not any(begin <= event.time_ns <= end + GRACE_NS for begin, end in faults):
            unexplained.append(f"{event.group} got {event.uid} again at {event.time_ns}, and nothing had failed")
    return Report(looked_at, tuple(unexplained), counted=repeated)


def _spans(history: Sequence[Event]) -> list[tuple[int, int]]:
    begun: dict[str, int] = {}
    spans = []
    for event in history:
        if event.operation == "fault" and event.kind == "invoke":
            begun[event.process] = event.time_ns
        elif event.operation == "fault" and event.process in begun:
            spans.append((begun.pop(event.process), event.time_ns))
    last = history[-1].time_ns if history else 0
    return spans + [(begin, last) for begin in begun.values()]
