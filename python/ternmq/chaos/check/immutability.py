"""I5: what was readable never changes or vanishes."""

from collections.abc import Sequence

from ternmq.chaos.check.report import Report, observations
from ternmq.chaos.history import Event, Queue


def check(history: Sequence[Event]) -> Report:
    """Compare all sights of one place with each other, and with the final read."""
    first_seen: dict[tuple[Queue, int], Event] = {}
    changed: dict[tuple[Queue, int], str] = {}
    drained: set[tuple[Queue, int]] = set()
    for event in observations(history):
        place = event.place, event.queue_offset or 0
        if event.operation == "drain":
            drained.add(place)
        before = first_seen.setdefault(place, event)
        if (before.uid, before.digest) != (event.uid, event.digest):
            changed[place] = f"{place} was {before.uid} at {before.time_ns}, and {event.uid} at {event.time_ns}"
    first_offsets = {event.place: event.queue_offset or 0 for event in history if event.operation == "drain_bounds"}
    vanished = [
        f"{place} was read at {event.time_ns} and is gone"
        for place, event in first_seen.items()
        if place[0] in first_offsets and place not in drained and place[1] >= first_offsets[place[0]]
    ]
    return Report(len(first_seen), (*changed.values(), *vanished))
