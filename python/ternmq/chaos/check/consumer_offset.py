"""I13: a group's offset never falls, never passes the end of the queue, and is never below what was acknowledged."""

from collections.abc import Sequence

from ternmq.chaos.check.report import Report
from ternmq.chaos.history import Event, Queue

Stream = tuple[str | None, Queue]


def check(history: Sequence[Event]) -> Report:
    """Walk commits and samples in time order.

    A commit raises the floor when its acknowledgement arrives; a sample must not lie below a floor that was
    acknowledged before the sample was taken.
    """
    floors: dict[Stream, int] = {}
    wrong = []
    looked_at = 0
    ends = {event.queue_ref: event.value or 0 for event in history if event.operation == "drain_bounds"}
    for event in history:
        if event.kind != "ok" or event.operation not in {"commit_offset", "consumer_offset"}:
            continue
        stream: Stream = event.group, event.queue_ref
        offset = event.queue_offset or 0
        if event.operation == "consumer_offset":
            looked_at += 1
            if offset < floors.get(stream, 0):
                wrong.append(f"{stream} was at {floors[stream]}, and at {offset} at {event.time_ns}")
        if offset > ends.get(event.queue_ref, offset):
            wrong.append(f"{stream} is at {offset}, beyond the end of the queue at {ends[event.queue_ref]}")
        floors[stream] = max(offset, floors.get(stream, 0))
    return Report(looked_at, tuple(wrong))
