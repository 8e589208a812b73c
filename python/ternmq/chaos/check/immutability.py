"""I5: what was readable never changes or vanishes."""

from collections.abc import Sequence

from ternmq.chaos.check.report import Report, observations
from ternmq.chaos.history import Event, Queue


def check(history: Sequence[Event]) -> Report:
    """Compare all sights of one position with each other, and with the final read."""
    first_seen: dict[tuple[Queue, int], Event] = {}
    changed: dict[tuple[Queue, int], str] = {}
    drained: set[tuple[Queue, int]] = set()
    for event in observations(history):
        position = event.queue_ref, event.queue_offset or 0
        if event.operation == "drain":
            drained.add(position)
        before = first_seen.setdefault(position, event)
        if (before.uid, before.digest) != (event.uid, event.digest):
            changed[position] = f"{position} was {before.uid} at {before.time_ns}, and {event.uid} at {event.time_ns}"
    first_offsets = {event.queue_ref: event.queue_offset or 0 for event in history if event.operation == "drain_bounds"}
    vanished = [
        f"{position} was read at {event.time_ns} and is gone"
        for position, event in first_seen.items()
        if position[0] in first_offsets and position not in drained and position[1] >= first_offsets[position[0]]
    ]
    return Report(len(first_seen), (*changed.values(), *vanished))
