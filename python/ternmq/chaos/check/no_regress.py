"""I7: the next free offset of a queue, as its leaders name it, never falls."""

from collections.abc import Sequence

from ternmq.chaos.check.report import Report
from ternmq.chaos.history import Event, Queue


def check(history: Sequence[Event]) -> Report:
    """Compare the samples of each queue in time order; the bounds of the final read are the last sample."""
    highest: dict[Queue, int] = {}
    wrong = []
    looked_at = 0
    for event in history:
        if event.operation == "max_offset":
            now = event.queue_offset or 0
        elif event.operation == "drain_bounds":
            now = event.value or 0
        else:
            continue
        looked_at += 1
        if now < highest.get(event.queue_ref, 0):
            wrong.append(f"{event.queue_ref} ended at {highest[event.queue_ref]}, and at {now} at {event.time_ns}")
        highest[event.queue_ref] = max(now, highest.get(event.queue_ref, 0))
    return Report(looked_at, tuple(wrong))
