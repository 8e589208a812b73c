"""I4: the offsets of a queue have no hole and no repeat."""

from collections import Counter
from collections.abc import Sequence

from ternmq.chaos.check.report import Report, drained
from ternmq.chaos.history import Event, Queue


def check(history: Sequence[Event]) -> Report:
    """Compare the offsets of the final read with the bounds that the queue's leader named."""
    offsets: dict[Queue, Counter[int]] = {}
    for event in drained(history):
        offsets.setdefault(event.queue_ref, Counter())[event.queue_offset or 0] += 1
    bounds = {
        event.queue_ref: range(event.queue_offset or 0, event.value or 0)
        for event in history
        if event.operation == "drain_bounds"
    }
    wrong = [f"{queue} was read without its bounds being asked" for queue in offsets.keys() - bounds.keys()]
    for queue, expected in bounds.items():
        found = offsets.get(queue, Counter())
        if holes := sorted(set(expected) - found.keys()):
            wrong.append(f"{queue} has no record at {_some(holes)} although it spans {expected}")
        if beyond := sorted(found.keys() - set(expected)):
            wrong.append(f"{queue} has records at {_some(beyond)}, outside {expected}")
        if repeats := sorted(offset for offset, count in found.items() if count > 1):
            wrong.append(f"{queue} gave several records for {_some(repeats)}")
    return Report(len(bounds), tuple(wrong))


def _some(offsets: list[int]) -> str:
    return ", ".join(map(str, offsets[:5])) + (f" and {len(offsets) - 5} more" if len(offsets) > 5 else "")
