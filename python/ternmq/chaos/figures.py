"""Figures of a run, from its history: what is measured, not what must hold."""

from collections.abc import Sequence
from itertools import pairwise

from ternmq.chaos.history import Event

CALM = "calm"


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
