"""Figures of a run, from its history: what is measured, not what must hold."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from ternmq.chaos.check.report import sends_by_uid
from ternmq.chaos.history import Event

CALM = "calm"


class Repeats(NamedTuple):
    """Messages that a group got again, for one cause.

    Args:
        times: deliveries after the first one.
        oldest_seconds: the longest time between the first delivery of a message and one of these.
    """

    times: int
    oldest_seconds: float

    def __str__(self) -> str:
        return f"{self.times}, up to {self.oldest_seconds:.1f} s after the first delivery"


def counts(history: Sequence[Event]) -> dict[str, int]:
    """Number of sends by their end: `ok`, `fail`, `info`; a send without an end is `info`."""
    invoked = sum(event.operation == "send" and event.kind == "invoke" for event in history)
    ended = {
        kind: sum(event.operation == "send" and event.kind == kind for event in history) for kind in ("ok", "fail")
    }
    return {**ended, "info": invoked - sum(ended.values())}


def longest_gaps(history: Sequence[Event]) -> dict[str, float]:
    """Longest time between two acknowledged sends, in seconds, by the kind of fault that it overlaps.

    The first and the last event of any send count as ends of a gap too: a run that never gets an acknowledgement is one
    long gap.

    Args:
        history: ordered by time. A fault's process is its kind and, after a blank, its number.

    Returns:
        Seconds by kind of fault; `calm` for gaps that no fault overlaps. A gap counts for each fault it overlaps.
    """
    sends = [event for event in history if event.operation == "send"]
    acknowledged = [event.time_ns for event in sends if event.kind == "ok" or event in (sends[0], sends[-1])]
    spans = _fault_spans(history)
    longest: dict[str, float] = {}
    for begin, end in pairwise(acknowledged):
        kinds = {kind for kind, first, last in spans if first < end and begin < last} or {CALM}
        for kind in kinds:
            longest[kind] = max(longest.get(kind, 0.0), (end - begin) / 1e9)
    return longest


def repeats(history: Sequence[Event]) -> dict[str, Repeats]:
    """Deliveries of what a group had got before, by group and cause, as far as a history tells it.

    `stored twice`: the message lies at another position than that of its first delivery. `sent back`: it was handed
    back and came again. Else it was read again from the same position: by `another member`, which took the queue over,
    or by the `same member`, for which the committed offset lay behind what it had handled.
    """
    first: dict[tuple[str | None, str | None], Event] = {}
    found: dict[str, Repeats] = {}
    for event in history:
        if event.operation != "deliver":
            continue
        before = first.setdefault((event.group, event.uid), event)
        if before is event:
            continue
        name = f"{event.group}, {_cause(before, event)}"
        times, oldest = found.get(name, (0, 0.0))
        found[name] = Repeats(times + 1, max(oldest, (event.time_ns - before.time_ns) / 1e9))
    return found


def _cause(before: Event, again: Event) -> str:
    if (again.attempt or 1) > (before.attempt or 1):
        return "sent back"
    if (before.queue_ref, before.queue_offset) != (again.queue_ref, again.queue_offset):
        return "stored twice"
    return "read again by the same member" if before.process == again.process else "read again by another member"


def latest_delayed(history: Sequence[Event]) -> dict[str, float]:
    """How late messages that were held back came to their groups, in seconds, by the time they were held back.

    From the moment at which they could be due earliest, so the time of the send itself counts as late.
    """
    sends = sends_by_uid(history)
    seen: set[tuple[str | None, str | None]] = set()
    latest: dict[int, float] = {}
    for event in history:
        if event.operation != "deliver" or (event.group, event.uid) in seen:
            continue
        seen.add((event.group, event.uid))
        send = sends.get(event.uid or "")
        if send is not None and send.invoke.value is not None:
            delay_ms = send.invoke.value
            late = (event.time_ns - send.invoke.time_ns) / 1e9 - delay_ms / 1000
            latest[delay_ms] = max(late, latest.get(delay_ms, late))
    return {f"{delay_ms / 1000:g} s": late for delay_ms, late in sorted(latest.items())}


def _fault_spans(history: Sequence[Event]) -> list[tuple[str, int, int]]:
    begun: dict[str, int] = {}
    spans = []
    for event in history:
        if event.operation != "fault":
            continue
        if event.kind == "invoke":
            begun[event.process] = event.time_ns
        elif event.process in begun:
            spans.append((event.process.split()[0], begun.pop(event.process), event.time_ns))
    return spans
